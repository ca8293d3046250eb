/* The wrapper adds nothing to libopus: the same packets; errors come back as numbers. */
#include "opus.h"

#include "check.h"

#include <opus/opus.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 50, LARGEST = 1276 };

static uint32_t seed = 1;

static uint32_t next_random(void)
{
    return seed = seed * 1664525u + 1013904223u;
}

static void fill(int16_t *pcm, size_t samples)
{
    int level = 0;
    for (size_t i = 0; i < samples; i++) {
        level += (int)(next_random() >> 20) - 2048 - level / 16;
        pcm[i] = (int16_t)(level > 32767 ? 32767 : level < -32768 ? -32768 : level);
    }
}

static void equals_bare_libopus(int32_t rate, int32_t channels)
{
    int32_t frame = rate / 50, error;
    size_t samples = (size_t)(BLOCKS * frame * channels);
    int16_t *pcm = malloc(samples * sizeof *pcm);
    uint8_t *out = malloc(BLOCKS * LARGEST), bare[LARGEST];
    uint16_t lengths[BLOCKS];
    fill(pcm, samples);
    greffier_opus_encoder *encoder = greffier_opus_encoder_create(rate, channels, 24000, 5, &error);
    CHECK(encoder && error == OPUS_OK);
    OpusEncoder *reference = opus_encoder_create(rate, channels, OPUS_APPLICATION_VOIP, &error);
    opus_encoder_ctl(reference, OPUS_SET_BITRATE(24000));
    opus_encoder_ctl(reference, OPUS_SET_COMPLEXITY(5));
    int32_t written = greffier_opus_encode(encoder, pcm, frame, BLOCKS, out, BLOCKS * LARGEST,
                                           lengths);
    CHECK(written > 0);
    greffier_opus_decoder *decoder = greffier_opus_decoder_create(rate, channels, &error);
    CHECK(decoder);
    int16_t *back = malloc((size_t)(frame * channels) * sizeof *back);
    size_t at = 0;
    for (int i = 0; i < BLOCKS; i++) {
        int size = opus_encode(reference, pcm + i * frame * channels, frame, bare, LARGEST);
        CHECK(size == lengths[i] && memcmp(bare, out + at, (size_t)size) == 0);
        CHECK(greffier_opus_decode(decoder, out + at, lengths[i], back, frame) == frame);
        at += lengths[i];
    }
    CHECK(at == (size_t)written);
    CHECK(greffier_opus_decode(decoder, NULL, 0, back, frame) == frame);
    opus_int32 lookahead;
    opus_encoder_ctl(reference, OPUS_GET_LOOKAHEAD(&lookahead));
    CHECK(greffier_opus_encoder_lookahead(encoder) == lookahead);
    opus_encoder_destroy(reference);
    greffier_opus_encoder_destroy(encoder);
    greffier_opus_decoder_destroy(decoder);
    free(back);
    free(out);
    free(pcm);
}

static void refuses(void)
{
    int32_t error = 0;
    CHECK(!greffier_opus_encoder_create(44100, 1, 24000, 5, &error) && error == OPUS_BAD_ARG);
    CHECK(!greffier_opus_encoder_create(8000, 1, 24000, 11, &error) && error == OPUS_BAD_ARG);
    CHECK(!greffier_opus_encoder_create(8000, 3, 24000, 5, &error) && error == OPUS_BAD_ARG);
    CHECK(!greffier_opus_decoder_create(44100, 1, &error) && error == OPUS_BAD_ARG);
    greffier_opus_encoder *encoder = greffier_opus_encoder_create(8000, 1, 24000, 5, &error);
    int16_t pcm[320] = {0};
    uint8_t out[2 * LARGEST];
    uint16_t lengths[2];
    CHECK(greffier_opus_encode(encoder, pcm, 161, 1, out, sizeof out, lengths) == OPUS_BAD_ARG);
    CHECK(greffier_opus_encode(encoder, pcm, 160, 2, out, LARGEST, lengths) == OPUS_BAD_ARG);
    CHECK(greffier_opus_encode(encoder, pcm, 160, SIZE_MAX, out, sizeof out, lengths)
          == OPUS_BAD_ARG);
    CHECK(greffier_opus_encode(encoder, pcm, 160, 0, out, sizeof out, lengths) == 0);
    greffier_opus_encoder_destroy(encoder);
    CHECK(strlen(greffier_opus_reason(OPUS_BAD_ARG)) > 0);
    greffier_opus_encoder_destroy(NULL);
    greffier_opus_decoder_destroy(NULL);
}

static void survives_noise(void)
{
    int32_t error;
    greffier_opus_decoder *decoder = greffier_opus_decoder_create(48000, 1, &error);
    int16_t *pcm = malloc(5760 * sizeof *pcm);
    for (int i = 0; i < 5000; i++) {
        size_t length = 1 + next_random() % 100;
        uint8_t *data = malloc(length); /* exactly as long: an over-read is seen */
        for (size_t k = 0; k < length; k++)
            data[k] = (uint8_t)(next_random() >> 24);
        int32_t samples = greffier_opus_decode(decoder, data, length, pcm, 5760);
        CHECK(samples <= 5760);
        free(data);
    }
    greffier_opus_decoder_destroy(decoder);
    free(pcm);
}

int main(void)
{
    const int32_t rates[] = {8000, 12000, 16000, 24000, 48000};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++)
        equals_bare_libopus(rates[i], 1);
    equals_bare_libopus(48000, 2);
    refuses();
    survives_noise();
    return 0;
}
