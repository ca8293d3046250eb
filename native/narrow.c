#define _DEFAULT_SOURCE /* explicit_bzero */
#include "narrow.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* spandsp's headers name each other relative to their own folder and need these first. */
#include <spandsp/telephony.h>
#include <spandsp/g722.h>
#include <spandsp/gsm0610.h>
#include <spandsp/private/g722.h>
#include <spandsp/private/gsm0610.h>

enum { GSM_OCTETS = 33, GSM_SAMPLES = 160, MOST_OCTETS = 1 << 24 };

/* The states lie in our own memory, so that we can zero all of them. */
struct greffier_g722_decoder {
    g722_decode_state_t state;
};

struct greffier_gsm_decoder {
    gsm0610_state_t state;
};

greffier_g722_decoder *greffier_g722_decoder_create(void)
{
    greffier_g722_decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder && !g722_decode_init(&decoder->state, 64000, 0)) {
        free(decoder);
        return NULL;
    }
    return decoder;
}

int32_t greffier_g722_decode(greffier_g722_decoder *decoder, const uint8_t *octets, size_t count,
                             int16_t *pcm)
{
    if (count > MOST_OCTETS)
        return -1;
    return g722_decode(&decoder->state, pcm, octets, (int)count);
}

void greffier_g722_decoder_destroy(greffier_g722_decoder *decoder)
{
    if (!decoder)
        return;
    explicit_bzero(decoder, sizeof *decoder);
    free(decoder);
}

greffier_gsm_decoder *greffier_gsm_decoder_create(void)
{
    greffier_gsm_decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder && !gsm0610_init(&decoder->state, GSM0610_PACKING_VOIP)) {
        free(decoder);
        return NULL;
    }
    return decoder;
}

int32_t greffier_gsm_decode(greffier_gsm_decoder *decoder, const uint8_t *octets, size_t count,
                            int16_t *pcm)
{
    if (count > MOST_OCTETS || count % GSM_OCTETS != 0)
        return -1;
    for (size_t at = 0; at < count; at += GSM_OCTETS)
        if (octets[at] >> 4 != 0xD)
            return -1;
    return gsm0610_decode(&decoder->state, pcm, octets, (int)count);
}

void greffier_gsm_decoder_destroy(greffier_gsm_decoder *decoder)
{
    if (!decoder)
        return;
    explicit_bzero(decoder, sizeof *decoder);
    free(decoder);
}
