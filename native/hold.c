#define _DEFAULT_SOURCE /* explicit_bzero */
#include "flow_state.h"

#include <string.h>

/* What the leg of a held flow is: no leg, and not NULL, where a search would end. */
static greffier_leg *nobody(greffier_flow *f)
{
    return (greffier_leg *)(void *)f;
}

static greffier_entry *find(greffier_flow *f, const greffier_udp_pair *pair, uint32_t ssrc, uint8_t *key,
                            uint64_t *hash)
{
    greffier_table_key(key, ssrc);
    *hash = greffier_table_hash(&f->table, pair, key);
    return greffier_table_find(&f->table, *hash, pair, key);
}

int greffier_flow_hold(greffier_flow *f, const greffier_udp_pair *pair, uint32_t ssrc)
{
    uint8_t key[4];
    uint64_t hash;
    int answer = GREFFIER_FLOW_DONE;
    pthread_mutex_lock(&f->lock);
    greffier_entry *entry = find(f, pair, ssrc, key, &hash);
    if (entry->leg != NULL) {
        answer = GREFFIER_FLOW_KNOWN;
    } else if (f->unused_count == 0) {
        answer = GREFFIER_FLOW_FULL;
    } else {
        greffier_table_put(&f->table, entry, hash, pair, key, nobody(f));
        entry->held = 1;
        entry->slot = f->unused[--f->unused_count];
        f->held++;
    }
    pthread_mutex_unlock(&f->lock);
    return answer;
}

static int takes_all(const greffier_log *log, uint32_t slot, const greffier_leg *leg)
{
    for (uint32_t at = log->last[slot]; at != GREFFIER_LOG_NONE; at = log->previous[at])
        if (!greffier_leg_takes(leg, greffier_log_at(log, at)->octets[1] & 0x7f))
            return 0;
    return 1;
}

int greffier_flow_bind(greffier_flow *f, const greffier_udp_pair *pair, uint32_t ssrc, greffier_leg *leg)
{
    uint8_t key[4];
    uint64_t hash;
    int answer = GREFFIER_FLOW_DONE;
    pthread_mutex_lock(&f->lock);
    greffier_entry *entry = find(f, pair, ssrc, key, &hash);
    if (entry->leg == NULL || !entry->held) {
        answer = GREFFIER_FLOW_KNOWN;
    } else if (!takes_all(f->log, entry->slot, leg)) {
        answer = GREFFIER_FLOW_STRANGE;
    } else {
        entry->leg = f->legs[entry->slot] = leg;
        entry->usual = greffier_leg_usual(leg);
        entry->held = 0;
        f->held--;
    }
    pthread_mutex_unlock(&f->lock);
    return answer;
}

void greffier_flow_carry(greffier_flow *f, greffier_log *before)
{
    for (uint32_t slot = 0; f->held > 0 && slot < before->slots; slot++) {
        if (before->last[slot] == GREFFIER_LOG_NONE || f->legs[slot] != NULL)
            continue;
        size_t count = greffier_log_list(before, slot);
        for (size_t i = 0; i < count; i++) {
            greffier_logged *one = greffier_log_at(before, before->order[i]);
            f->counters.overrun += !greffier_log_put(f->log, slot, one->time_ns, one->octets, one->length);
            explicit_bzero(one->octets, one->length);
        }
        before->last[slot] = GREFFIER_LOG_NONE;
    }
}
