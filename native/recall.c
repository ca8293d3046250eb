#define _DEFAULT_SOURCE /* explicit_bzero */
#include "flow_state.h"

#include <string.h>

/* Takes the packets of a slot out of a log, as the part `which` of `later`. */
static void take_out(greffier_flow *f, int which, greffier_log *log, uint32_t slot)
{
    f->later[which].log = log;
    f->later[which].at = 0;
    f->later[which].count = greffier_log_list(log, slot);
    log->last[slot] = GREFFIER_LOG_NONE;
}

/* The oldest packet of `later` that is still there, or NULL. */
static greffier_logged *oldest(greffier_flow *f)
{
    for (int which = 0; which < 2; which++)
        if (f->later[which].at < f->later[which].count) {
            greffier_log *log = f->later[which].log;
            return greffier_log_at(log, log->order[f->later[which].at]);
        }
    return NULL;
}

static void pass(greffier_flow *f)
{
    f->later[f->later[0].at == f->later[0].count].at++;
}

static greffier_log *other_log(greffier_flow *f)
{
    return f->log == &f->logs[0] ? &f->logs[1] : &f->logs[0];
}

/* With the lock: the flow has no slot any more, what was logged of it is in `later`. */
static void part_with(greffier_flow *f, greffier_entry *entry)
{
    uint32_t slot = entry->slot;
    f->held -= entry->held;
    greffier_table_remove(&f->table, entry);
    take_out(f, 0, other_log(f), slot); /* what a tick has begun with is older */
    take_out(f, 1, f->log, slot);
    f->unused[f->unused_count++] = slot;
    f->shown = NULL;
}

int greffier_flow_release(greffier_flow *f, const greffier_udp_pair *pair, uint32_t ssrc)
{
    uint8_t key[4];
    greffier_table_key(key, ssrc);
    uint64_t hash = greffier_table_hash(&f->table, pair, key);
    pthread_mutex_lock(&f->lock);
    greffier_entry *entry = greffier_table_find(&f->table, hash, pair, key);
    int held = entry->leg != NULL && entry->held;
    if (held)
        part_with(f, entry);
    pthread_mutex_unlock(&f->lock);
    return held;
}

greffier_leg *greffier_flow_disarm(greffier_flow *f, const greffier_udp_pair *pair, uint32_t ssrc,
                                   int64_t until_ns)
{
    uint8_t key[4];
    greffier_table_key(key, ssrc);
    uint64_t hash = greffier_table_hash(&f->table, pair, key);
    pthread_mutex_lock(&f->lock);
    greffier_entry *entry = greffier_table_find(&f->table, hash, pair, key);
    greffier_leg *leg = entry->held ? NULL : entry->leg;
    uint32_t slot = entry->slot;
    f->later[0].count = f->later[0].at = f->later[1].count = f->later[1].at = 0;
    if (leg != NULL)
        part_with(f, entry);
    pthread_mutex_unlock(&f->lock);
    if (leg == NULL)
        return NULL;
    f->legs[slot] = NULL;
    for (greffier_logged *one; (one = oldest(f)) != NULL && one->time_ns <= until_ns; pass(f)) {
        f->broken += greffier_leg_receive(leg, one->octets, one->length, one->time_ns) < 0;
        explicit_bzero(one->octets, one->length);
    }
    return leg;
}

int greffier_flow_later(greffier_flow *f, greffier_frame *packet)
{
    if (f->shown != NULL)
        explicit_bzero(f->shown->octets, f->shown->length);
    greffier_logged *one = f->shown = oldest(f);
    if (one == NULL)
        return 0;
    pass(f);
    *packet = (greffier_frame){.time_ns = one->time_ns, .octets = one->octets, .length = one->length,
                               .whole = one->length};
    return 1;
}

/* The time of the latest packet of a slot that is not younger than `until_ns`, or 0. */
static int64_t latest_in(const greffier_log *log, uint32_t slot, int64_t until_ns)
{
    for (uint32_t at = log->last[slot]; at != GREFFIER_LOG_NONE; at = log->previous[at])
        if (greffier_log_at(log, at)->time_ns <= until_ns)
            return greffier_log_at(log, at)->time_ns;
    return 0;
}

int64_t greffier_flow_latest(greffier_flow *f, const greffier_udp_pair *pair, uint32_t ssrc, int64_t until_ns)
{
    uint8_t key[4];
    greffier_table_key(key, ssrc);
    uint64_t hash = greffier_table_hash(&f->table, pair, key);
    int64_t found = 0;
    pthread_mutex_lock(&f->lock);
    const greffier_entry *entry = greffier_table_find(&f->table, hash, pair, key);
    greffier_leg *leg = entry->held ? NULL : entry->leg;
    if (leg != NULL) {
        found = latest_in(f->log, entry->slot, until_ns);
        found = found != 0 ? found : latest_in(other_log(f), entry->slot, until_ns);
    }
    pthread_mutex_unlock(&f->lock);
    if (leg == NULL || found != 0)
        return found;
    greffier_leg_counters counters; /* the recorder's, who is calling */
    greffier_leg_count(leg, &counters);
    return counters.latest_ns;
}
