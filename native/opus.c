#define _DEFAULT_SOURCE /* explicit_bzero */
#include "opus.h"

#include <opus/opus.h>
#include <stdlib.h>
#include <string.h>

/* The largest packet that libopus makes of one frame (RFC 6716 3.4, R2, plus the TOC octet). */
enum { LARGEST = 1276 };

struct greffier_opus_encoder {
    OpusEncoder *opus;
    int32_t channels;
};

struct greffier_opus_decoder {
    OpusDecoder *opus;
    int32_t channels;
};

greffier_opus_encoder *greffier_opus_encoder_create(int32_t rate, int32_t channels,
                                                    int32_t bitrate, int32_t complexity,
                                                    int32_t *error)
{
    greffier_opus_encoder *encoder = calloc(1, sizeof *encoder);
    int code = OPUS_ALLOC_FAIL;
    if (encoder) {
        encoder->channels = channels;
        encoder->opus = opus_encoder_create(rate, channels, OPUS_APPLICATION_VOIP, &code);
    }
    if (code == OPUS_OK)
        code = opus_encoder_ctl(encoder->opus, OPUS_SET_BITRATE(bitrate));
    if (code == OPUS_OK)
        code = opus_encoder_ctl(encoder->opus, OPUS_SET_COMPLEXITY(complexity));
    if (code == OPUS_OK)
        code = opus_encoder_ctl(encoder->opus, OPUS_SET_VBR(1));
    *error = code;
    if (code != OPUS_OK) {
        greffier_opus_encoder_destroy(encoder);
        return NULL;
    }
    return encoder;
}

int32_t greffier_opus_encoder_lookahead(greffier_opus_encoder *encoder)
{
    opus_int32 samples = 0;
    int code = opus_encoder_ctl(encoder->opus, OPUS_GET_LOOKAHEAD(&samples));
    return code == OPUS_OK ? samples : code;
}

int32_t greffier_opus_encode(greffier_opus_encoder *encoder, const int16_t *pcm, int32_t frame,
                             size_t blocks, uint8_t *out, size_t capacity, uint16_t *lengths)
{
    if (frame <= 0 || blocks > INT32_MAX / LARGEST || capacity < blocks * LARGEST)
        return OPUS_BAD_ARG;
    size_t written = 0;
    for (size_t i = 0; i < blocks; i++) {
        const int16_t *block = pcm + i * (size_t)frame * (size_t)encoder->channels;
        opus_int32 size = opus_encode(encoder->opus, block, frame, out + written, LARGEST);
        if (size < 0)
            return size;
        lengths[i] = (uint16_t)size;
        written += (size_t)size;
    }
    return (int32_t)written;
}

void greffier_opus_encoder_destroy(greffier_opus_encoder *encoder)
{
    if (!encoder)
        return;
    if (encoder->opus) {
        explicit_bzero(encoder->opus, (size_t)opus_encoder_get_size(encoder->channels));
        opus_encoder_destroy(encoder->opus);
    }
    free(encoder);
}

greffier_opus_decoder *greffier_opus_decoder_create(int32_t rate, int32_t channels, int32_t *error)
{
    greffier_opus_decoder *decoder = calloc(1, sizeof *decoder);
    int code = OPUS_ALLOC_FAIL;
    if (decoder) {
        decoder->channels = channels;
        decoder->opus = opus_decoder_create(rate, channels, &code);
    }
    *error = code;
    if (code != OPUS_OK) {
        greffier_opus_decoder_destroy(decoder);
        return NULL;
    }
    return decoder;
}

int32_t greffier_opus_decode(greffier_opus_decoder *decoder, const uint8_t *data, size_t length,
                             int16_t *pcm, int32_t capacity)
{
    if (length > INT32_MAX || capacity <= 0)
        return OPUS_BAD_ARG;
    return opus_decode(decoder->opus, length ? data : NULL, (opus_int32)length, pcm, capacity, 0);
}

void greffier_opus_decoder_destroy(greffier_opus_decoder *decoder)
{
    if (!decoder)
        return;
    if (decoder->opus) {
        explicit_bzero(decoder->opus, (size_t)opus_decoder_get_size(decoder->channels));
        opus_decoder_destroy(decoder->opus);
    }
    free(decoder);
}

const char *greffier_opus_reason(int32_t error)
{
    return opus_strerror(error);
}
