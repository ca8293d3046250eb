#include "track.h"
#include "voice_state.h"

#include <string.h>

enum { AUDIO_HEAD = 14, PACKET_HEAD = 16, GAP_HEAD = 21, CUT_FRONT = 1 };

static void write_number(uint8_t *out, uint64_t value, int octets)
{
    for (int i = octets - 1; i >= 0; i--, value >>= 8)
        out[i] = (uint8_t)value;
}

static void file(greffier_spool *spool, greffier_track *t, greffier_chunk *chunk)
{
    if (t->voice != NULL)
        greffier_voice_file(t->voice, chunk);
    else
        greffier_chunk_file(spool, t->part, chunk);
}

static void close_audio(greffier_spool *spool, greffier_track *t)
{
    if (t->open == NULL)
        return;
    write_number(t->open->octets, (uint64_t)t->open_at, 8);
    write_number(t->open->octets + 8, (uint64_t)(t->open_to - t->open_at), 4);
    write_number(t->open->octets + 12, t->open_count, 2);
    file(spool, t, t->open);
    t->open = NULL;
}

/* 1 if the gap is filed, 0 if there is no room. */
static int file_gap(greffier_spool *spool, greffier_track *t, const greffier_gap *gap)
{
    const char *word = greffier_place_word(gap->cause);
    size_t length = strlen(word);
    if (t->voice != NULL)
        close_audio(spool, t); /* the order tells the voice between which packets the gap is */
    greffier_chunk *chunk = greffier_chunk_new(spool, GREFFIER_CHUNK_GAP, t->number, GAP_HEAD + length);
    if (chunk == NULL)
        return 0;
    chunk->length = GAP_HEAD + (uint32_t)length;
    write_number(chunk->octets, (uint64_t)gap->from, 8);
    write_number(chunk->octets + 8, (uint64_t)gap->to, 8);
    write_number(chunk->octets + 16, gap->packets, 4);
    chunk->octets[20] = (uint8_t)length;
    memcpy(chunk->octets + GAP_HEAD, word, length);
    file(spool, t, chunk);
    return 1;
}

/* Widens the span for which there was no room. */
static void leave_out(greffier_track *t, int64_t from, int64_t to, uint32_t packets)
{
    if (!t->left_out)
        t->overrun = (greffier_gap){from, to, 0, GREFFIER_PLACE_OVERRUN};
    t->left_out = 1;
    t->overrun.packets += packets;
    t->overrun.to = to;
}

/* Says what was left out; 1 if nothing is left to say. */
static int own_up(greffier_spool *spool, greffier_track *t)
{
    if (t->left_out && file_gap(spool, t, &t->overrun))
        t->left_out = 0;
    return !t->left_out;
}

void greffier_track_gap(greffier_spool *spool, greffier_track *t, greffier_gap gap)
{
    int64_t from = gap.from > t->start_at ? gap.from : t->start_at;
    if (gap.from == gap.to ? from != gap.from : from >= gap.to)
        return;
    gap.from = from;
    if (!own_up(spool, t) || !file_gap(spool, t, &gap))
        leave_out(t, gap.from, gap.to, gap.packets);
}

void greffier_track_settle(greffier_spool *spool, greffier_track *t)
{
    close_audio(spool, t);
    own_up(spool, t);
}

/* Room for `length` octets more at the end of a plaintext; 0 = there is none. */
static int make_room(greffier_spool *spool, greffier_chunk **chunk, uint32_t length)
{
    while ((*chunk)->capacity - (*chunk)->length < length) {
        greffier_chunk *larger = greffier_chunk_grow(spool, *chunk);
        if (larger == NULL)
            return 0;
        *chunk = larger;
    }
    return 1;
}

/* The open plaintext, with room for one more packet of `length` octets in [from, to), or NULL. What was left
 * out is owned up to only once there is room again: one gap, however long that took. */
static greffier_chunk *open_audio(greffier_spool *spool, greffier_track *t, int64_t from, int64_t to,
                                  uint32_t length)
{
    if (t->open != NULL && (to - t->open_at > (int64_t)t->rate || (t->left_out && t->voice != NULL)))
        close_audio(spool, t);
    if (t->open != NULL)
        return make_room(spool, &t->open, PACKET_HEAD + length) && own_up(spool, t) ? t->open : NULL;
    size_t room = AUDIO_HEAD + PACKET_HEAD + (size_t)length;
    greffier_chunk *chunk = greffier_chunk_new(spool, GREFFIER_CHUNK_AUDIO, t->number, room);
    if (chunk == NULL)
        return NULL;
    if (!own_up(spool, t)) {
        greffier_chunk_free(spool, chunk);
        return NULL;
    }
    chunk->length = AUDIO_HEAD;
    t->open = chunk;
    t->open_at = from;
    t->open_count = 0;
    return chunk;
}

int greffier_track_put(greffier_spool *spool, greffier_track *t, const greffier_track_packet *packet)
{
    int64_t at = packet->position, end = at + packet->samples;
    greffier_chunk *chunk = open_audio(spool, t, at, end, packet->length);
    if (chunk == NULL) {
        leave_out(t, at, end, 1);
        return GREFFIER_TRACK_OVERRUN;
    }
    uint8_t *out = chunk->octets + chunk->length;
    write_number(out, (uint64_t)(at - t->open_at), 4);
    write_number(out + 4, packet->samples, 4);
    write_number(out + 8, packet->sequence, 4);
    out[12] = packet->type;
    out[13] = packet->flags;
    write_number(out + 14, packet->length, 2);
    memcpy(out + PACKET_HEAD, packet->octets, packet->length);
    chunk->length += PACKET_HEAD + packet->length;
    t->open_to = end;
    t->open_count++;
    return GREFFIER_TRACK_KEPT;
}

void greffier_track_pass(greffier_spool *spool, greffier_track *t, greffier_chunk *chunk)
{
    own_up(spool, t);
    file(spool, t, chunk);
}

int greffier_track_sound(greffier_spool *spool, greffier_track *t, const greffier_placed *placed,
                         const greffier_stream_packet *packet, const uint8_t *payload, int64_t *from)
{
    int64_t end = placed->position + placed->samples, at = placed->position;
    if (packet->arrival_ns < t->begin_ns || end <= t->start_at)
        return GREFFIER_TRACK_UNWANTED;
    *from = at = at < t->start_at ? t->start_at : at;
    uint32_t samples = (uint32_t)(end - at), front = packet->length - samples;
    if (samples > t->rate && t->voice == NULL) {
        greffier_track_gap(spool, t, (greffier_gap){at, end, 1, GREFFIER_PLACE_OVERSIZE});
        return GREFFIER_TRACK_KEPT;
    }
    greffier_track_packet one = {.position = at, .samples = samples, .sequence = (uint32_t)packet->sequence,
                                 .length = samples, .type = t->voice != NULL ? t->law : packet->payload_type,
                                 .flags = front > 0 ? CUT_FRONT : 0, .octets = payload + front};
    return greffier_track_put(spool, t, &one);
}
