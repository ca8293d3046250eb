#define _DEFAULT_SOURCE /* explicit_bzero */
#include "chunk.h"
#include "voice_state.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_GAPS = 65536, KEPT_FOR_GAPS = 16 }; /* a sixteenth */

greffier_spool *greffier_spool_new(size_t most)
{
    greffier_spool *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->gaps = malloc(MOST_GAPS * sizeof *s->gaps); /* touched as it is used */
    s->counters.most = most;
    if (s->gaps != NULL)
        return s;
    free(s);
    return NULL;
}

void greffier_spool_free(greffier_spool *s)
{
    if (s == NULL)
        return;
    while (s->parts != NULL)
        greffier_spool_remove(s, s->parts);
    greffier_pool_free(s->pool);
    for (greffier_chunk *chunk; (chunk = s->spare) != NULL;) {
        s->spare = chunk->next;
        free(chunk);
    }
    free(s->gaps);
    free(s);
}

greffier_chunk *greffier_chunk_new(greffier_spool *s, uint8_t type, uint8_t leg, size_t room)
{
    size_t capacity = room > GREFFIER_CHUNK_ROOM ? room : GREFFIER_CHUNK_ROOM;
    if (type != GREFFIER_CHUNK_AUDIO)
        capacity = room;
    const size_t most = s->counters.most, kept = type == GREFFIER_CHUNK_AUDIO ? most / KEPT_FOR_GAPS : 0;
    if (s->counters.held + capacity > most - kept)
        return NULL;
    greffier_chunk *chunk = s->spare;
    if (capacity == GREFFIER_CHUNK_ROOM && chunk != NULL)
        s->spare = chunk->next;
    else if ((chunk = malloc(sizeof *chunk + capacity)) == NULL)
        return NULL;
    *chunk = (greffier_chunk){.capacity = (uint32_t)capacity, .type = type, .leg = leg};
    s->counters.held += capacity;
    return chunk;
}

greffier_chunk *greffier_chunk_grow(greffier_spool *s, greffier_chunk *chunk)
{
    greffier_chunk *larger = greffier_chunk_new(s, chunk->type, chunk->leg, 2 * (size_t)chunk->capacity);
    if (larger == NULL)
        return NULL;
    memcpy(larger->octets, chunk->octets, chunk->length);
    larger->length = chunk->length;
    greffier_chunk_free(s, chunk);
    return larger;
}

void greffier_chunk_free(greffier_spool *s, greffier_chunk *chunk)
{
    explicit_bzero(chunk->octets, chunk->length);
    s->counters.held -= chunk->capacity;
    if (chunk->capacity != GREFFIER_CHUNK_ROOM) {
        free(chunk);
        return;
    }
    chunk->next = s->spare;
    s->spare = chunk;
}

void greffier_chunk_append(greffier_chunks *chunks, greffier_chunk *chunk)
{
    chunk->next = NULL;
    if (chunks->first == NULL)
        chunks->first = chunk;
    else
        chunks->last->next = chunk;
    chunks->last = chunk;
}

void greffier_chunk_file(greffier_spool *s, greffier_part *part, greffier_chunk *chunk)
{
    greffier_chunk_append(&part->filed, chunk);
    if (part->listed)
        return;
    part->listed = 1;
    part->next_due = NULL;
    if (s->due == NULL)
        s->due = part;
    else
        s->last_due->next_due = part;
    s->last_due = part;
}

greffier_part *greffier_spool_add(greffier_spool *s, greffier_seal *seal, uint32_t number)
{
    greffier_part *part = calloc(1, sizeof *part);
    if (part == NULL)
        return NULL;
    part->seal = seal;
    part->number = number;
    part->next = s->parts;
    if (part->next != NULL)
        part->next->previous = part;
    s->parts = part;
    return part;
}

static void give_up(greffier_spool *s, greffier_chunks *chunks)
{
    for (greffier_chunk *chunk; (chunk = chunks->first) != NULL;) {
        chunks->first = chunk->next;
        greffier_chunk_free(s, chunk);
    }
}

/* Takes a part out of the list of those with something filed. */
static void unlist(greffier_spool *s, greffier_part *part)
{
    greffier_part *before = NULL;
    for (greffier_part *one = s->due; one != NULL; before = one, one = one->next_due) {
        if (one != part)
            continue;
        *(before != NULL ? &before->next_due : &s->due) = part->next_due;
        if (s->last_due == part)
            s->last_due = before;
        break;
    }
    part->listed = 0;
}

void greffier_spool_remove(greffier_spool *s, greffier_part *part)
{
    greffier_voice_drop(s, part);
    if (part->listed)
        unlist(s, part);
    if (part->next != NULL)
        part->next->previous = part->previous;
    if (part->previous != NULL)
        part->previous->next = part->next;
    else
        s->parts = part->next;
    give_up(s, &part->filed);
    free(part);
}

size_t greffier_spool_collect(greffier_spool *s)
{
    size_t count = 0;
    greffier_leg_settle_touched(s);
    greffier_voice_give(s);
    for (const greffier_part *part = s->due; part != NULL; part = part->next_due)
        count++;
    return count;
}

/* Where an AUDIO plaintext ends, samples; 0 for another one. */
static int64_t end_of(const greffier_chunk *chunk)
{
    uint64_t at = 0, count = 0;
    if (chunk->type != GREFFIER_CHUNK_AUDIO)
        return 0;
    for (int i = 0; i < 8; i++)
        at = at << 8 | chunk->octets[i];
    for (int i = 8; i < 12; i++)
        count = count << 8 | chunk->octets[i];
    return (int64_t)(at + count);
}

/* Seals what is due of one part into out[used, room); 1 if all of it is done. */
static int seal_part(greffier_part *part, greffier_sealer *sealer, uint8_t *out, size_t room, size_t used,
                     greffier_sealed *result, greffier_chunks *done)
{
    *result = (greffier_sealed){.part = part->number, .offset = used};
    for (greffier_chunk *chunk; (chunk = part->filed.first) != NULL;) {
        if (!result->fault) {
            if (room - used < chunk->length + (size_t)GREFFIER_SEAL_OVERHEAD)
                return 0;
            int64_t size = greffier_seal_frame(part->seal, sealer, chunk->type, chunk->leg, chunk->octets,
                                               chunk->length, out + used);
            result->fault = size < 0 ? (int32_t)size : 0;
            result->frames += size > 0;
            if (size > 0 && result->end < end_of(chunk))
                result->end = end_of(chunk);
            used += size > 0 ? (size_t)size : 0;
            result->length = used - result->offset;
        }
        part->filed.first = chunk->next;
        explicit_bzero(chunk->octets, chunk->length); /* while it is at hand */
        chunk->length = 0;
        greffier_chunk_append(done, chunk);
    }
    return 1;
}

size_t greffier_spool_seal(greffier_spool *s, uint8_t *out, size_t room, greffier_sealed *results,
                           size_t wanted)
{
    size_t count = 0, used = 0;
    greffier_chunks done = {NULL, NULL};
    greffier_sealer *sealer = greffier_sealer_new(); /* anew, so that no key stays in it */
    for (greffier_part *part; sealer != NULL && (part = s->due) != NULL && count < wanted;) {
        greffier_sealed *result = &results[count];
        int whole = seal_part(part, sealer, out, room, used, result, &done);
        used += result->length;
        count += result->frames > 0 || result->fault != 0;
        if (!whole)
            break;
        s->due = part->next_due;
        part->listed = 0;
    }
    greffier_sealer_free(sealer);
    give_up(s, &done);
    return count;
}

void greffier_spool_keep(greffier_spool *s, const greffier_gap *gap, uint32_t leg)
{
    if (s->gaps_count == MOST_GAPS) {
        s->counters.unnoted++;
        return;
    }
    s->gaps[(s->gaps_first + s->gaps_count++) % MOST_GAPS] = (greffier_noted){*gap, leg, 0};
}

size_t greffier_spool_note(greffier_spool *s, greffier_noted *gaps, size_t wanted)
{
    size_t count = 0;
    for (; count < wanted && s->gaps_count > 0; count++, s->gaps_count--)
        gaps[count] = s->gaps[s->gaps_first++ % MOST_GAPS];
    return count;
}

void greffier_spool_count(greffier_spool *s, greffier_spool_counters *counters)
{
    *counters = s->counters;
}
