#include "flow_state.h"

#include <errno.h>
#include <string.h>

enum {
    LARGEST = GREFFIER_FLOW_LARGEST,
    RTP_HEADER = 12,
    BATCH = 16, /* frames whose flows are fetched together */
    ETHERNET = 1,
};

/* A frame on its way. */
typedef struct found {
    const greffier_frame *frame;
    greffier_udp_pair pair;
    uint64_t hash;
    const uint8_t *packet; /* the UDP payload, if it looks like RTP, else NULL */
    uint32_t length;
} found;

/* Puts a frame into the ring, with the tag that the card took off. */
static void hand_over(greffier_flow *f, const greffier_frame *frame, int looks_like_rtp)
{
    const uint8_t *octets = frame->octets;
    uint32_t length = frame->length;
    size_t capacity = greffier_ring_capacity(f->ring);
    if (looks_like_rtp && greffier_ring_stored(f->ring) > capacity - capacity / 4) {
        f->writer.dropped++; /* the next record says so */
        greffier_ring_refuse(f->ring, 1);
        f->counters.dropped++;
        return;
    }
    if (frame->tag_kind != 0 && length >= 12 && length <= LARGEST) {
        const uint8_t tag[4] = {(uint8_t)(frame->tag_kind >> 8), (uint8_t)frame->tag_kind,
                                (uint8_t)(frame->tag >> 8), (uint8_t)frame->tag};
        memcpy(f->scratch, octets, 12);
        memcpy(f->scratch + 12, tag, 4);
        memcpy(f->scratch + 16, octets + 12, length - 12);
        octets = f->scratch;
        length += 4;
    }
    int stored = greffier_record_put(f->ring, &f->writer, frame->time_ns, ETHERNET, octets, length);
    f->counters.records += stored == 1;
    f->counters.dropped += stored != 1;
}

/* What there is to know of a frame before its flow is looked at; asks for that memory already. */
static void locate(const greffier_flow *f, const greffier_frame *frame, found *one)
{
    uint32_t at;
    one->frame = frame;
    one->packet = NULL;
    if (!greffier_udp_find(frame->octets, frame->length, &one->pair, &at, &one->length))
        return;
    const uint8_t *packet = frame->octets + at;
    if (one->length < RTP_HEADER || packet[0] >> 6 != 2 || (packet[1] >= 200 && packet[1] <= 207))
        return; /* neither RTP nor, where it shares the port, RTCP (RFC 5761) */
    one->packet = packet;
    one->hash = greffier_table_hash(&f->table, &one->pair, packet + 8);
    __builtin_prefetch(&f->table.entries[one->hash & f->table.mask]);
}

static void deliver(greffier_flow *f, const found *one)
{
    f->counters.frames++;
    greffier_entry *entry = NULL;
    if (one->packet != NULL)
        entry = greffier_table_find(&f->table, one->hash, &one->pair, one->packet + 8);
    if (entry == NULL || entry->leg == NULL) {
        hand_over(f, one->frame, one->packet != NULL);
        return;
    }
    uint8_t type = one->packet[1] & 0x7f;
    if (!entry->held && !entry->left && type != entry->usual && !greffier_leg_takes(entry->leg, type))
        entry->left = 1;
    if (entry->left)
        hand_over(f, one->frame, 1);
    else if (greffier_log_put(f->log, entry->slot, one->frame->time_ns, one->packet, one->length))
        f->counters.legs++;
    else
        f->counters.overrun++;
}

static void take_batch(greffier_flow *f, const greffier_frame *frames, size_t count)
{
    found batch[BATCH];
    for (size_t i = 0; i < count; i++)
        locate(f, &frames[i], &batch[i]);
    for (size_t i = 0; i < count; i++)
        deliver(f, &batch[i]);
    if (count > 0 && frames[count - 1].time_ns > f->latest_ns)
        f->latest_ns = frames[count - 1].time_ns;
}

void greffier_flow_take(greffier_flow *f, const greffier_frame *frames, size_t count)
{
    pthread_mutex_lock(&f->lock);
    for (size_t at = 0; at < count; at += BATCH)
        take_batch(f, frames + at, count - at < BATCH ? count - at : BATCH);
    pthread_mutex_unlock(&f->lock);
}

/* Takes one block; others may have the lock before the next one. */
static void take_block(greffier_flow *f, greffier_tap *tap)
{
    greffier_frame frames[BATCH];
    size_t count = 0;
    int last = 0;
    pthread_mutex_lock(&f->lock);
    while (!last && greffier_tap_next(tap, &frames[count])) {
        last = frames[count++].last;
        if (last || count == BATCH) {
            take_batch(f, frames, count);
            count = 0;
        }
    }
    pthread_mutex_unlock(&f->lock);
}

int greffier_flow_run(greffier_flow *f, greffier_tap *tap)
{
    int status;
    while ((status = greffier_tap_wait(tap, -1)) >= 0) {
        take_block(f, tap);
        greffier_tap_rest(tap);
    }
    return status == -ECANCELED ? 0 : status;
}
