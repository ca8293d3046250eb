#define _DEFAULT_SOURCE /* getentropy */
#include "table.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(sizeof(greffier_entry) == 64, "an entry is a cache line");

int greffier_table_open(greffier_table *t, size_t most)
{
    size_t room = 16;
    while (room < 2 * most)
        room *= 2;
    t->most = most;
    t->mask = room - 1;
    t->entries = aligned_alloc(sizeof *t->entries, room * sizeof *t->entries);
    if (t->entries == NULL || getentropy(t->secret, sizeof t->secret) != 0)
        return -1;
    memset(t->entries, 0, room * sizeof *t->entries);
    return 0;
}

void greffier_table_close(greffier_table *t)
{
    free(t->entries);
}

uint64_t greffier_table_hash(const greffier_table *t, const greffier_udp_pair *pair, const uint8_t *ssrc)
{
    uint8_t octets[sizeof *pair + 4];
    uint64_t words[5], hash = t->secret[0];
    _Static_assert(sizeof octets == sizeof words, "the key is five words");
    memcpy(octets, pair, sizeof *pair);
    memcpy(octets + sizeof *pair, ssrc, 4);
    memcpy(words, octets, sizeof words);
    for (int i = 0; i < 5; i++) {
        __extension__ unsigned __int128 product =
            (unsigned __int128)(words[i] ^ hash) * (t->secret[1] | 1);
        hash = (uint64_t)product ^ (uint64_t)(product >> 64) ^ words[i];
    }
    return hash;
}

greffier_entry *greffier_table_find(const greffier_table *t, uint64_t hash, const greffier_udp_pair *pair,
                                    const uint8_t *ssrc)
{
    for (size_t at = hash & t->mask;; at = (at + 1) & t->mask) {
        greffier_entry *entry = &t->entries[at];
        if (entry->leg == NULL
            || (entry->hash == hash && memcmp(&entry->pair, pair, sizeof *pair) == 0
                && memcmp(entry->ssrc, ssrc, 4) == 0))
            return entry;
    }
}

void greffier_table_put(greffier_table *t, greffier_entry *entry, uint64_t hash,
                        const greffier_udp_pair *pair, const uint8_t *ssrc, greffier_leg *leg)
{
    *entry = (greffier_entry){.hash = hash, .leg = leg, .pair = *pair};
    memcpy(entry->ssrc, ssrc, 4);
    t->count++;
}

void greffier_table_remove(greffier_table *t, greffier_entry *entry)
{
    size_t hole = (size_t)(entry - t->entries);
    for (size_t at = (hole + 1) & t->mask; t->entries[at].leg != NULL; at = (at + 1) & t->mask) {
        size_t home = t->entries[at].hash & t->mask;
        if (((at - home) & t->mask) < ((at - hole) & t->mask))
            continue; /* a search finds it without passing the hole */
        t->entries[hole] = t->entries[at];
        hole = at;
    }
    t->entries[hole].leg = NULL;
    t->count--;
}
