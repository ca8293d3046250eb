#include "coder.h"

#include <string.h>

#include "check.h"
#include "opus.h"

/* Blocks, gaps, padding, and what each packet says of itself. */
static greffier_coder *make_coder(int32_t rate)
{
    int32_t error;
    greffier_coder *coder = greffier_coder_new(rate, 24000, 5, &error);
    CHECK(coder != NULL);
    CHECK_IS(error, 0);
    return coder;
}

static void fill(int16_t *pcm, size_t count, unsigned seed)
{
    for (size_t i = 0; i < count; i++, seed = seed * 1103515245 + 12345)
        pcm[i] = (int16_t)(seed >> 18);
}

static void expect(const greffier_coder *coder, size_t *at, int64_t position, uint32_t samples,
                   uint32_t sequence, uint8_t flags)
{
    const greffier_coded *one = greffier_coder_next(coder, at);
    CHECK(one != NULL);
    CHECK_IS(one->position, position);
    CHECK_IS(one->samples, samples);
    CHECK_IS(one->sequence, sequence);
    CHECK_IS(one->flags, flags);
    CHECK_IS(one->mark, 0);
    CHECK(one->length > 0);
}

static void blocks_lie_on_a_grid_that_begins_at_the_first_sample(void)
{
    int16_t pcm[1000];
    size_t at = 0;
    greffier_coder *coder = make_coder(8000);
    const uint8_t *octets = (const uint8_t *)pcm;
    fill(pcm, 1000, 1);
    CHECK_IS(greffier_coder_write(coder, 1003, GREFFIER_CODER_LINEAR, octets, 170), 0);
    CHECK_IS(greffier_coder_write(coder, 1180, GREFFIER_CODER_LINEAR, octets, 20), 0);
    CHECK_IS(greffier_coder_write(coder, 1180, GREFFIER_CODER_LINEAR, octets, 20), -1);
    CHECK_IS(greffier_coder_mark(coder), 0);
    CHECK_IS(greffier_coder_write(coder, 1003 + 7 * 160 + 5, GREFFIER_CODER_LINEAR, octets, 400), 0);
    greffier_coder_finish(coder);
    greffier_coder_finish(coder);
    expect(coder, &at, 1003, 160, 0, 0);
    CHECK_IS(greffier_coder_next(coder, &at)->mark, 1);
    expect(coder, &at, 1163, 160, 1, 0); /* padded in the middle, and whole */
    expect(coder, &at, 1003 + 7 * 160, 160, 2, 0);
    expect(coder, &at, 1003 + 8 * 160, 160, 3, 0);
    expect(coder, &at, 1003 + 9 * 160, 85, 4, GREFFIER_CODER_CUT_END);
    CHECK(greffier_coder_next(coder, &at) == NULL);
    int64_t from, to;
    CHECK_IS(greffier_coder_missed(coder, &from, &to), 1);
    CHECK_IS(from, 1180);
    CHECK_IS(to, 1200);
    CHECK_IS(greffier_coder_missed(coder, &from, &to), 0);
    greffier_coder_empty(coder);
    at = 0;
    CHECK(greffier_coder_next(coder, &at) == NULL);
    greffier_coder_free(coder);
}

static void packets_are_those_of_libopus(void)
{
    enum { RATE = 48000, BLOCK = RATE / 50, BLOCKS = 70 };
    static int16_t pcm[BLOCK * BLOCKS];
    static uint8_t made[1276 * BLOCKS];
    uint16_t lengths[BLOCKS];
    int32_t error;
    size_t at = 0, octets = 0;
    fill(pcm, BLOCK * BLOCKS, 7);
    greffier_opus_encoder *bare = greffier_opus_encoder_create(RATE, 1, 24000, 5, &error);
    CHECK(greffier_opus_encode(bare, pcm, BLOCK, BLOCKS, made, sizeof made, lengths) > 0);
    greffier_coder *coder = make_coder(RATE);
    CHECK_IS(greffier_coder_delay(coder), greffier_opus_encoder_lookahead(bare));
    for (size_t done = 0; done < BLOCK * BLOCKS; done += 1000) {
        size_t rest = BLOCK * BLOCKS - done, count = rest < 1000 ? rest : 1000;
        CHECK_IS(greffier_coder_write(coder, (int64_t)done, GREFFIER_CODER_LINEAR, (uint8_t *)(pcm + done),
                                      (uint32_t)count), 0);
    }
    for (int i = 0; i < BLOCKS; i++) {
        const greffier_coded *one = greffier_coder_next(coder, &at);
        CHECK(one != NULL);
        CHECK_IS(one->length, lengths[i]);
        CHECK(memcmp(one + 1, made + octets, one->length) == 0);
        octets += lengths[i];
    }
    greffier_coder_free(coder);
    greffier_opus_encoder_destroy(bare);
}

static void what_libopus_refuses_is_refused(void)
{
    int32_t error = 0;
    CHECK(greffier_coder_new(44100, 24000, 5, &error) == NULL);
    CHECK(error < 0);
    greffier_coder_free(NULL);
}

int main(void)
{
    RUN(blocks_lie_on_a_grid_that_begins_at_the_first_sample);
    RUN(packets_are_those_of_libopus);
    RUN(what_libopus_refuses_is_refused);
    return 0;
}
