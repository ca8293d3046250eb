#include "flow.h"

#include "record.h"
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    LARGEST = 1 << 18, /* octets of a frame */
    RTP_HEADER = 12,
    BATCH = 16, /* frames whose flows are fetched together */
    ETHERNET = 1,
};

struct greffier_flow {
    greffier_spool *spool;
    greffier_ring *ring;
    greffier_record_writer writer;
    greffier_table table;
    uint32_t *left; /* numbers of legs */
    size_t left_count;
    greffier_flow_counters counters;
    uint8_t *scratch; /* a frame with its tag put back */
};

/* A frame on its way. */
typedef struct found {
    greffier_frame frame;
    greffier_udp_pair pair;
    uint64_t hash;
    const uint8_t *packet; /* the UDP payload, if it looks like RTP, else NULL */
    uint32_t length;
} found;

greffier_flow *greffier_flow_new(greffier_spool *spool, greffier_ring *ring, size_t flows)
{
    greffier_flow *f = calloc(1, sizeof *f);
    if (f == NULL)
        return NULL;
    f->spool = spool;
    f->ring = ring;
    f->left = calloc(flows + 1, sizeof *f->left);
    f->scratch = malloc(LARGEST + 4);
    if (f->left != NULL && f->scratch != NULL && greffier_table_open(&f->table, flows) == 0)
        return f;
    greffier_flow_free(f);
    return NULL;
}

void greffier_flow_free(greffier_flow *f)
{
    if (f == NULL)
        return;
    greffier_table_close(&f->table);
    free(f->left);
    free(f->scratch);
    free(f);
}

static void write_ssrc(uint8_t *out, uint32_t ssrc)
{
    for (int i = 3; i >= 0; i--, ssrc >>= 8)
        out[i] = (uint8_t)ssrc;
}

int greffier_flow_arm(greffier_flow *f, const greffier_udp_pair *pair, uint32_t ssrc, greffier_leg *leg)
{
    uint8_t key[4];
    write_ssrc(key, ssrc);
    uint64_t hash = greffier_table_hash(&f->table, pair, key);
    int answer = GREFFIER_FLOW_DONE;
    greffier_spool_lock(f->spool);
    greffier_entry *entry = greffier_table_find(&f->table, hash, pair, key);
    if (greffier_ring_stored(f->ring) > 0)
        answer = GREFFIER_FLOW_RECORDS;
    else if (entry->leg != NULL)
        answer = GREFFIER_FLOW_KNOWN;
    else if (f->table.count == f->table.most)
        answer = GREFFIER_FLOW_FULL;
    else
        greffier_table_put(&f->table, entry, hash, pair, key, leg);
    greffier_spool_unlock(f->spool);
    return answer;
}

greffier_leg *greffier_flow_disarm(greffier_flow *f, const greffier_udp_pair *pair, uint32_t ssrc)
{
    uint8_t key[4];
    write_ssrc(key, ssrc);
    greffier_spool_lock(f->spool);
    uint64_t hash = greffier_table_hash(&f->table, pair, key);
    greffier_entry *entry = greffier_table_find(&f->table, hash, pair, key);
    greffier_leg *leg = entry->leg;
    if (leg != NULL)
        greffier_table_remove(&f->table, entry);
    greffier_spool_unlock(f->spool);
    return leg;
}

size_t greffier_flow_left(greffier_flow *f, uint32_t *numbers, size_t wanted)
{
    greffier_spool_lock(f->spool);
    size_t count = f->left_count < wanted ? f->left_count : wanted;
    memcpy(numbers, f->left, count * sizeof *numbers);
    f->left_count -= count;
    memmove(f->left, f->left + count, f->left_count * sizeof *numbers);
    greffier_spool_unlock(f->spool);
    return count;
}

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
static void locate(const greffier_flow *f, found *one)
{
    const greffier_frame *frame = &one->frame;
    uint32_t at;
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
    greffier_entry *entry =
        one->packet ? greffier_table_find(&f->table, one->hash, &one->pair, one->packet + 8) : NULL;
    if (entry == NULL || entry->leg == NULL) {
        hand_over(f, &one->frame, one->packet != NULL);
        return;
    }
    int status = greffier_leg_receive(entry->leg, one->packet, one->length, one->frame.time_ns);
    if (status == GREFFIER_LEG_LEAVES && f->left_count <= f->table.most)
        f->left[f->left_count++] = greffier_leg_number(entry->leg);
    if (status == GREFFIER_LEG_LEAVES || status == GREFFIER_LEG_LEFT) {
        hand_over(f, &one->frame, 1);
        return;
    }
    f->counters.legs++;
    f->counters.broken += status < 0;
}

void greffier_flow_take(greffier_flow *f, const greffier_frame *frame)
{
    found one = {.frame = *frame};
    locate(f, &one);
    deliver(f, &one);
}

int greffier_flow_run(greffier_flow *f, greffier_tap *tap)
{
    found batch[BATCH];
    int status;
    while ((status = greffier_tap_wait(tap, -1)) >= 0) {
        size_t count = 0;
        greffier_spool_lock(f->spool);
        while (count < BATCH && greffier_tap_next(tap, &batch[count].frame)) {
            locate(f, &batch[count]);
            int last = batch[count++].frame.last;
            if (count < BATCH && !last)
                continue;
            for (size_t i = 0; i < count; i++)
                deliver(f, &batch[i]);
            count = 0;
            if (last)
                break; /* let others have the lock */
        }
        greffier_spool_unlock(f->spool);
    }
    return status == -ECANCELED ? 0 : status;
}

void greffier_flow_count(greffier_flow *f, greffier_flow_counters *counters)
{
    greffier_spool_lock(f->spool);
    *counters = f->counters;
    counters->armed = f->table.count;
    greffier_spool_unlock(f->spool);
}
