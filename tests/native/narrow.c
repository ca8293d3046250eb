/* G.722 and GSM 06.10: what spandsp's own encoders make comes back as sound of the same level;
   input of the wrong length or signature is refused; noise is survived. */
#include "narrow.h"

#include "check.h"

#include <stdbool.h>
#include <spandsp/telephony.h>
#include <spandsp/g722.h>
#include <spandsp/gsm0610.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND8 = 8000, SECOND16 = 16000 };

/* A triangle wave needs no mathematics library. */
static void triangle(int16_t *pcm, int samples, int period)
{
    for (int i = 0; i < samples; i++) {
        int at = i % period;
        pcm[i] = (int16_t)((at < period / 2 ? at : period - at) * 32000 / period - 8000);
    }
}

static double power(const int16_t *pcm, int samples)
{
    double sum = 0;
    for (int i = samples / 4; i < samples; i++)
        sum += (double)pcm[i] * pcm[i];
    return sum;
}

static void g722_is_heard(void)
{
    static int16_t sent[SECOND16], heard[SECOND16];
    static uint8_t octets[SECOND8];
    triangle(sent, SECOND16, 40);
    g722_encode_state_t *encoder = g722_encode_init(NULL, 64000, 0);
    CHECK(g722_encode(encoder, octets, sent, SECOND16) == SECOND8);
    g722_encode_release(encoder);
    g722_encode_free(encoder);
    greffier_g722_decoder *decoder = greffier_g722_decoder_create();
    for (int at = 0; at < SECOND8; at += 160)
        CHECK(greffier_g722_decode(decoder, octets + at, 160, heard + 2 * at) == 320);
    double ratio = power(heard, SECOND16) / power(sent, SECOND16);
    CHECK(ratio > 0.9 && ratio < 1.1);
    CHECK(greffier_g722_decode(decoder, octets, 0, heard) == 0);
    CHECK(greffier_g722_decode(decoder, octets, SIZE_MAX, heard) == -1);
    for (int i = 0; i < SECOND8; i++)
        octets[i] = (uint8_t)(i * 73 + i / 9);
    CHECK(greffier_g722_decode(decoder, octets, SECOND8, heard) == SECOND16);
    greffier_g722_decoder_destroy(decoder);
    greffier_g722_decoder_destroy(NULL);
}

static void gsm_is_heard(void)
{
    static int16_t sent[SECOND8], heard[SECOND8];
    static uint8_t octets[SECOND8 / 160 * 33];
    triangle(sent, SECOND8, 20);
    gsm0610_state_t *encoder = gsm0610_init(NULL, GSM0610_PACKING_VOIP);
    CHECK(gsm0610_encode(encoder, octets, sent, SECOND8) == (int)sizeof octets);
    gsm0610_release(encoder);
    gsm0610_free(encoder);
    greffier_gsm_decoder *decoder = greffier_gsm_decoder_create();
    CHECK(greffier_gsm_decode(decoder, octets, sizeof octets, heard) == SECOND8);
    double ratio = power(heard, SECOND8) / power(sent, SECOND8);
    CHECK(ratio > 0.5 && ratio < 1.5);
    CHECK(greffier_gsm_decode(decoder, octets, 32, heard) == -1);
    CHECK(greffier_gsm_decode(decoder, octets, SIZE_MAX - SIZE_MAX % 33, heard) == -1);
    octets[33] ^= 0x10;
    CHECK(greffier_gsm_decode(decoder, octets, 66, heard) == -1);
    for (size_t i = 0; i < sizeof octets; i++)
        octets[i] = i % 33 ? (uint8_t)(i * 73 + i / 9) : 0xD0;
    CHECK(greffier_gsm_decode(decoder, octets, sizeof octets, heard) == SECOND8);
    greffier_gsm_decoder_destroy(decoder);
    greffier_gsm_decoder_destroy(NULL);
}

int main(void)
{
    g722_is_heard();
    gsm_is_heard();
    return 0;
}
