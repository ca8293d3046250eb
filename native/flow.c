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
    f->scratch = malloc(GREFFIER_FLOW_LARGEST + 4);
    while (f->unused != NULL && f->unused_count < flows) {
        f->unused[f->unused_count] = (uint32_t)(flows - 1 - f->unused_count);
        f->unused_count++;
    }
    if (f->legs != NULL && f->unused != NULL && f->busy != NULL && f->scratch != NULL
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
    free(f->scratch);
    free(f);
}

int greffier_flow_arm(greffier_flow *f, const greffier_udp_pair *pair, uint32_t ssrc, greffier_leg *leg)
{
    uint8_t key[4];
    greffier_table_key(key, ssrc);
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

static void settle_slot(greffier_flow *f, greffier_log *log, uint32_t slot)
{
    size_t count = greffier_log_list(log, slot);
    for (size_t i = 0; i < count; i++) {
        greffier_logged *one = greffier_log_at(log, log->order[i]);
        f->broken += greffier_leg_receive(f->legs[slot], one->octets, one->length, one->time_ns) < 0;
        explicit_bzero(one->octets, one->length); /* while it is at hand */
    }
    log->last[slot] = GREFFIER_LOG_NONE;
}

size_t greffier_flow_begin(greffier_flow *f)
{
    int64_t latest_ns;
    greffier_flow_cut(f, 1, &latest_ns);
    return f->busy_count - f->busy_at;
}

size_t greffier_flow_cut(greffier_flow *f, int begin, int64_t *latest_ns)
{
    int begins = begin && f->busy_at == f->busy_count;
    pthread_mutex_lock(&f->lock);
    size_t stored = greffier_ring_stored(f->ring);
    *latest_ns = f->latest_ns;
    greffier_log *log = f->log;
    if (begins)
        f->log = log == &f->logs[0] ? &f->logs[1] : &f->logs[0]; /* which is empty */
    if (begins)
        greffier_flow_carry(f, log);
    pthread_mutex_unlock(&f->lock);
    if (!begins)
        return stored;
    f->reading = log;
    f->busy_count = f->busy_at = 0;
    for (uint32_t slot = 0; log->count > 0 && slot < log->slots; slot++)
        if (log->last[slot] != GREFFIER_LOG_NONE)
            f->busy[f->busy_count++] = slot;
    if (f->busy_count == 0)
        greffier_log_empty(log);
    return stored;
}

size_t greffier_flow_settle(greffier_flow *f, size_t most)
{
    size_t first = f->busy_at, rest = f->busy_count - first, count = rest < most ? rest : most;
    const uint32_t *busy = f->busy + first;
    for (size_t i = 0; i < count + AHEAD; i++) {
        for (size_t step = 0; step < AHEAD; step++)
            if (i >= step && i - step < count && f->legs[busy[i - step]] != NULL)
                greffier_leg_expect(f->legs[busy[i - step]], (int)step);
        if (i >= AHEAD)
            settle_slot(f, f->reading, busy[i - AHEAD]);
    }
    f->busy_at += count;
    if (count > 0 && f->busy_at == f->busy_count)
        greffier_log_empty(f->reading);
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
