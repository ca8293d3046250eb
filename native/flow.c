#define _DEFAULT_SOURCE /* PTHREAD_PRIO_INHERIT, explicit_bzero */
#include "flow_state.h"

#include <stdlib.h>
#include <string.h>

enum { AHEAD = 3 }; /* legs whose memory is asked for before their turn */

greffier_flow *greffier_flow_new(greffier_ring *ring, size_t flows, size_t held)
{
    greffier_flow *f = calloc(1, sizeof *f);
    if (f == NULL)
        return NULL;
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    /* The recorder, holding the lock, must not be kept waiting while real-time capture waits for it. */
    pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&f->lock, &kind);
    pthread_mutexattr_destroy(&kind);
    f->ring = ring;
    f->log = &f->logs[0];
    f->legs = calloc(flows, sizeof(greffier_leg *));
    f->unused = calloc(flows, sizeof *f->unused);
    f->busy = calloc(flows, sizeof *f->busy);
    f->left = calloc(flows, sizeof *f->left);
    f->scratch = malloc(GREFFIER_FLOW_LARGEST + 4);
    while (f->unused != NULL && f->unused_count < flows) {
        f->unused[f->unused_count] = (uint32_t)(flows - 1 - f->unused_count);
        f->unused_count++;
    }
    if (f->legs != NULL && f->unused != NULL && f->busy != NULL && f->left != NULL && f->scratch != NULL
        && greffier_table_open(&f->table, flows) == 0 && greffier_log_open(&f->logs[0], held, flows) == 0
        && greffier_log_open(&f->logs[1], held, flows) == 0)
        return f;
    greffier_flow_free(f);
    return NULL;
}

void greffier_flow_free(greffier_flow *f)
{
    if (f == NULL)
        return;
    greffier_table_close(&f->table);
    greffier_log_close(&f->logs[0]);
    greffier_log_close(&f->logs[1]);
    pthread_mutex_destroy(&f->lock);
    free(f->legs);
    free(f->unused);
    free(f->busy);
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
    pthread_mutex_lock(&f->lock);
    greffier_entry *entry = greffier_table_find(&f->table, hash, pair, key);
    if (greffier_ring_stored(f->ring) > 0) {
        answer = GREFFIER_FLOW_RECORDS;
    } else if (entry->leg != NULL) {
        answer = GREFFIER_FLOW_KNOWN;
    } else if (f->unused_count == 0) {
        answer = GREFFIER_FLOW_FULL;
    } else {
        greffier_table_put(&f->table, entry, hash, pair, key, leg);
        entry->slot = f->unused[--f->unused_count];
        entry->usual = greffier_leg_usual(leg);
        f->legs[entry->slot] = leg;
    }
    pthread_mutex_unlock(&f->lock);
    return answer;
}

greffier_leg *greffier_flow_disarm(greffier_flow *f, const greffier_udp_pair *pair, uint32_t ssrc)
{
    uint8_t key[4];
    write_ssrc(key, ssrc);
    pthread_mutex_lock(&f->lock);
    uint64_t hash = greffier_table_hash(&f->table, pair, key);
    greffier_entry *entry = greffier_table_find(&f->table, hash, pair, key);
    greffier_leg *leg = entry->leg;
    uint32_t slot = entry->slot;
    if (leg != NULL)
        greffier_table_remove(&f->table, entry);
    pthread_mutex_unlock(&f->lock);
    if (leg == NULL)
        return NULL;
    greffier_flow_settle(f, f->table.most); /* of both logs, before the slot is another leg's */
    greffier_flow_begin(f);
    greffier_flow_settle(f, f->table.most);
    f->legs[slot] = NULL;
    f->unused[f->unused_count++] = slot;
    return leg;
}

static void settle_slot(greffier_flow *f, greffier_log *log, uint32_t slot)
{
    size_t count = greffier_log_list(log, slot);
    for (size_t i = 0; i < count; i++) {
        greffier_logged *one = greffier_log_at(log, log->order[i]);
        f->broken += greffier_leg_receive(f->legs[slot], one->octets, one->length, one->time_ns) < 0;
        explicit_bzero(one->octets, one->length); /* while it is at hand */
    }
}

size_t greffier_flow_begin(greffier_flow *f)
{
    if (f->busy_at < f->busy_count)
        return f->busy_count - f->busy_at;
    pthread_mutex_lock(&f->lock);
    greffier_log *log = f->log;
    f->log = log == &f->logs[0] ? &f->logs[1] : &f->logs[0]; /* which is empty */
    pthread_mutex_unlock(&f->lock);
    f->reading = log;
    f->busy_count = f->busy_at = 0;
    for (uint32_t slot = 0; log->count > 0 && slot < log->slots; slot++)
        if (log->last[slot] != GREFFIER_LOG_NONE)
            f->busy[f->busy_count++] = slot;
    return f->busy_count;
}

size_t greffier_flow_settle(greffier_flow *f, size_t most)
{
    size_t first = f->busy_at, rest = f->busy_count - first, count = rest < most ? rest : most;
    const uint32_t *busy = f->busy + first;
    for (size_t i = 0; i < count + AHEAD; i++) {
        for (size_t step = 0; step < AHEAD; step++)
            if (i >= step && i - step < count)
                greffier_leg_expect(f->legs[busy[i - step]], (int)step);
        if (i >= AHEAD)
            settle_slot(f, f->reading, busy[i - AHEAD]);
    }
    f->busy_at += count;
    if (count > 0 && f->busy_at == f->busy_count)
        greffier_log_empty(f->reading);
    return count;
}

size_t greffier_flow_left(greffier_flow *f, uint32_t *numbers, size_t wanted)
{
    pthread_mutex_lock(&f->lock);
    size_t count = f->left_count < wanted ? f->left_count : wanted;
    memcpy(numbers, f->left, count * sizeof *numbers);
    f->left_count -= count;
    memmove(f->left, f->left + count, f->left_count * sizeof *numbers);
    pthread_mutex_unlock(&f->lock);
    return count;
}

void greffier_flow_count(greffier_flow *f, greffier_flow_counters *counters)
{
    pthread_mutex_lock(&f->lock);
    *counters = f->counters;
    counters->armed = f->table.count;
    counters->broken = f->broken;
    pthread_mutex_unlock(&f->lock);
}
