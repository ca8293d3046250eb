#define _DEFAULT_SOURCE /* explicit_bzero */
#include "coder.h"

#include "g711.h"
#include "opus.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCKS_A_SECOND = 50, LONGEST = 48000 / BLOCKS_A_SECOND, LARGEST = 1276, FIRST_ROOM = 8192 };

struct greffier_coder {
    greffier_opus_encoder *opus;
    int32_t delay;
    uint32_t block; /* samples */
    int begun;
    int64_t anchor; /* the first sample */
    int64_t start;  /* of the pending block */
    uint32_t held;  /* its samples, up to the end of what was written last */
    uint32_t sequence;
    uint8_t *made;
    size_t made_length, made_room;
    uint32_t missed;
    int64_t missed_from, missed_to;
    int16_t pending[LONGEST];
};

greffier_coder *greffier_coder_new(int32_t rate, int32_t bitrate, int32_t complexity, int32_t *error)
{
    greffier_coder *c = calloc(1, sizeof *c);
    greffier_opus_encoder *opus = greffier_opus_encoder_create(rate, 1, bitrate, complexity, error);
    if (c != NULL && opus != NULL) {
        c->opus = opus;
        c->block = (uint32_t)rate / BLOCKS_A_SECOND;
        c->delay = greffier_opus_encoder_lookahead(opus);
        return c;
    }
    if (opus != NULL)
        *error = -7; /* OPUS_ALLOC_FAIL */
    greffier_opus_encoder_destroy(opus);
    free(c);
    return NULL;
}

void greffier_coder_free(greffier_coder *c)
{
    if (c == NULL)
        return;
    greffier_opus_encoder_destroy(c->opus);
    greffier_coder_empty(c);
    free(c->made);
    explicit_bzero(c, sizeof *c);
    free(c);
}

int32_t greffier_coder_delay(const greffier_coder *c)
{
    return c->delay;
}

/* Room for one thing more: where, or NULL. */
static uint8_t *make_room(greffier_coder *c)
{
    const size_t most = sizeof(greffier_coded) + LARGEST + sizeof(greffier_coded);
    if (c->made_room - c->made_length >= most)
        return c->made + c->made_length;
    size_t room = c->made_room == 0 ? FIRST_ROOM : 2 * c->made_room;
    uint8_t *larger = malloc(room);
    if (larger == NULL)
        return NULL;
    if (c->made != NULL) {
        memcpy(larger, c->made, c->made_length);
        explicit_bzero(c->made, c->made_length);
        free(c->made);
    }
    c->made = larger;
    c->made_room = room;
    return c->made + c->made_length;
}

static void add(greffier_coder *c, uint8_t *out, const greffier_coded *one)
{
    memcpy(out, one, sizeof *one);
    c->made_length += (sizeof *one + one->length + 7) / 8 * 8;
}

static void miss(greffier_coder *c, int64_t position, uint32_t samples)
{
    if (c->missed++ == 0)
        c->missed_from = position;
    c->missed_to = position + samples;
}

/* Encodes the pending block, of which `samples` are sound or stand for it. */
static void encode(greffier_coder *c, uint32_t samples, uint8_t flags)
{
    uint8_t *out = make_room(c);
    uint16_t length = 0;
    int32_t size = -1;
    if (out != NULL)
        size = greffier_opus_encode(c->opus, c->pending, (int32_t)c->block, 1, out + sizeof(greffier_coded),
                                    LARGEST, &length);
    if (size >= 0) {
        add(c, out, &(greffier_coded){.position = c->start, .samples = samples, .sequence = c->sequence,
                                      .length = length, .flags = flags});
    } else {
        miss(c, c->start, samples);
    }
    c->sequence++;
    c->held = 0;
    explicit_bzero(c->pending, c->block * sizeof *c->pending);
}

static void decode(int law, const uint8_t *octets, size_t count, int16_t *samples)
{
    if (law == GREFFIER_CODER_ALAW)
        greffier_g711_decode_alaw(octets, count, samples);
    else if (law == GREFFIER_CODER_ULAW)
        greffier_g711_decode_ulaw(octets, count, samples);
    else
        memcpy(samples, octets, count * sizeof *samples);
}

int greffier_coder_write(greffier_coder *c, int64_t position, int law, const uint8_t *octets, uint32_t samples)
{
    const size_t width = law == GREFFIER_CODER_LINEAR ? 2 : 1;
    if (!c->begun)
        c->anchor = c->start = position;
    c->begun = 1;
    if (position < c->start + c->held) {
        miss(c, position, samples);
        return -1;
    }
    if (position >= c->start + c->block) {
        if (c->held > 0)
            encode(c, c->block, 0);
        c->start = position - (position - c->anchor) % c->block;
    }
    uint32_t at = (uint32_t)(position - c->start);
    while (samples > 0) {
        uint32_t count = samples < c->block - at ? samples : c->block - at;
        decode(law, octets, count, c->pending + at);
        octets += count * width;
        samples -= count;
        c->held = at + count;
        at = 0;
        if (c->held < c->block)
            break;
        encode(c, c->block, 0);
        c->start += c->block;
    }
    return 0;
}

int greffier_coder_mark(greffier_coder *c)
{
    uint8_t *out = make_room(c);
    if (out == NULL)
        return -1;
    add(c, out, &(greffier_coded){.mark = 1});
    return 0;
}

void greffier_coder_finish(greffier_coder *c)
{
    if (c->held > 0)
        encode(c, c->held, GREFFIER_CODER_CUT_END);
}

void greffier_coder_wipe(greffier_coder *c)
{
    explicit_bzero(c->pending, sizeof c->pending);
    c->held = 0;
    greffier_coder_empty(c);
}

const greffier_coded *greffier_coder_next(const greffier_coder *c, size_t *at)
{
    if (*at == c->made_length)
        return NULL;
    const greffier_coded *one = (const greffier_coded *)(const void *)(c->made + *at);
    *at += (sizeof *one + one->length + 7) / 8 * 8;
    return one;
}

const uint8_t *greffier_coder_made(const greffier_coder *c, size_t *length)
{
    *length = c->made_length;
    return c->made;
}

void greffier_coder_empty(greffier_coder *c)
{
    if (c->made != NULL)
        explicit_bzero(c->made, c->made_length);
    c->made_length = 0;
}

uint32_t greffier_coder_missed(greffier_coder *c, int64_t *from, int64_t *to)
{
    uint32_t count = c->missed;
    *from = c->missed_from;
    *to = c->missed_to;
    c->missed = 0;
    return count;
}
