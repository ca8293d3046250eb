#define _DEFAULT_SOURCE /* explicit_bzero */
#include "voice_state.h"

#include <stdlib.h>
#include <string.h>

enum { AUDIO_HEAD = 14, PACKET_HEAD = 16, NO_TYPE = 255 };

static uint64_t read_number(const uint8_t *octets, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | octets[i];
    return value;
}

int greffier_voice_employ(greffier_spool *spool, uint32_t threads)
{
    greffier_pool *pool = greffier_pool_new(threads);
    if (pool == NULL)
        return -1;
    greffier_pool_free(spool->pool);
    spool->pool = pool;
    return 0;
}

/* The packets of an AUDIO plaintext, whose payload type says how they are to be read (track.c). */
static void encode_audio(greffier_coder *coder, const greffier_chunk *chunk)
{
    const uint8_t *octets = chunk->octets, *end = octets + chunk->length;
    int64_t position = (int64_t)read_number(octets, 8);
    for (octets += AUDIO_HEAD; octets < end;) {
        uint32_t length = (uint32_t)read_number(octets + 14, 2);
        greffier_coder_write(coder, position + (int64_t)read_number(octets, 4), octets[12],
                             octets + PACKET_HEAD, (uint32_t)read_number(octets + 4, 4));
        octets += PACKET_HEAD + length;
    }
}

/* In a thread of the pool. Gaps stay, their places marked among the packets. */
static void encode(greffier_job *job)
{
    greffier_voice *v = (greffier_voice *)(void *)job;
    for (greffier_chunk *chunk = v->given.first; chunk != NULL; chunk = chunk->next) {
        if (chunk->type != GREFFIER_CHUNK_AUDIO) {
            greffier_coder_mark(v->coder);
            continue;
        }
        encode_audio(v->coder, chunk);
        explicit_bzero(chunk->octets, chunk->length); /* while it is at hand */
        chunk->length = 0;
    }
}

greffier_voice *greffier_voice_new(greffier_spool *spool, greffier_part *part, uint8_t number, int32_t rate,
                                   greffier_coder *coder)
{
    greffier_voice *v = calloc(1, sizeof *v);
    if (v == NULL || (spool->pool == NULL && greffier_voice_employ(spool, 0) != 0)) {
        free(v);
        return NULL;
    }
    v->job.run = encode;
    v->coder = coder;
    v->spool = spool;
    v->filed = (greffier_track){.part = part, .number = number, .rate = (uint32_t)rate};
    v->filed.start_at = v->filed.begin_ns = INT64_MIN; /* what is filed was cut before the coder */
    v->next = part->voices;
    part->voices = v;
    return v;
}

void greffier_voice_file(greffier_voice *v, greffier_chunk *chunk)
{
    greffier_spool *spool = v->spool;
    greffier_chunk_append(&v->heard, chunk);
    if (v->listed)
        return;
    v->listed = 1;
    v->next_heard = NULL;
    if (spool->heard == NULL)
        spool->heard = v;
    else
        spool->last_heard->next_heard = v;
    spool->last_heard = v;
}

/* A voice that is away keeps what it heard since for the next time. */
void greffier_voice_give(greffier_spool *spool)
{
    greffier_voice *next, *rest = NULL, **kept = &rest;
    for (greffier_voice *v = spool->heard; v != NULL; v = next) {
        next = v->next_heard;
        if (v->away) {
            *kept = spool->last_heard = v;
            kept = &v->next_heard;
            continue;
        }
        v->listed = 0;
        v->given = v->heard;
        v->heard = (greffier_chunks){NULL, NULL};
        v->away = 1;
        v->next_given = NULL;
        *(spool->given == NULL ? &spool->given : &spool->last_given->next_given) = v;
        spool->last_given = v;
        greffier_pool_give(spool->pool, &v->job);
    }
    *kept = NULL;
    spool->heard = rest;
}

/* Gives back what was encoded; the gaps stay, in their order. */
static greffier_chunk *release(greffier_voice *v)
{
    greffier_chunks gaps = {NULL, NULL};
    for (greffier_chunk *chunk; (chunk = v->given.first) != NULL;) {
        v->given.first = chunk->next;
        if (chunk->type == GREFFIER_CHUNK_AUDIO)
            greffier_chunk_free(v->spool, chunk);
        else
            greffier_chunk_append(&gaps, chunk);
    }
    return gaps.first;
}

static greffier_chunk *pass_gap(greffier_voice *v, greffier_chunk *gap)
{
    greffier_chunk *next = gap->next;
    greffier_track_pass(v->spool, &v->filed, gap);
    return next;
}

/* Files what was made of what a voice heard. */
static void take_back(greffier_voice *v)
{
    const greffier_coded *one;
    greffier_gap missed = {.cause = GREFFIER_PLACE_OVERRUN};
    greffier_chunk *gap = release(v);
    for (size_t at = 0; (one = greffier_coder_next(v->coder, &at)) != NULL;) {
        if (one->mark) {
            gap = pass_gap(v, gap);
            continue;
        }
        greffier_track_packet packet = {.position = one->position, .samples = one->samples,
                                        .sequence = one->sequence, .length = one->length, .type = NO_TYPE,
                                        .flags = one->flags, .octets = (const uint8_t *)(one + 1)};
        greffier_track_put(v->spool, &v->filed, &packet);
    }
    while (gap != NULL) /* which could not be marked */
        gap = pass_gap(v, gap);
    missed.packets = greffier_coder_missed(v->coder, &missed.from, &missed.to);
    if (missed.packets > 0)
        greffier_track_gap(v->spool, &v->filed, missed);
    greffier_coder_empty(v->coder);
    greffier_track_settle(v->spool, &v->filed);
    v->away = 0;
}

size_t greffier_voice_join(greffier_spool *spool)
{
    size_t count = 0;
    greffier_leg_settle_touched(spool);
    greffier_voice_give(spool);
    while (spool->given != NULL) {
        greffier_pool_wait(spool->pool);
        for (greffier_voice *v; (v = spool->given) != NULL; count++) {
            spool->given = v->next_given;
            take_back(v);
        }
        greffier_voice_give(spool); /* what came while it was away */
    }
    return count;
}

void greffier_voice_drop(greffier_spool *spool, greffier_part *part)
{
    if (part->voices != NULL)
        greffier_voice_join(spool);
    for (greffier_voice *v; (v = part->voices) != NULL; free(v))
        part->voices = v->next;
}
