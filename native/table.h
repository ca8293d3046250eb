#ifndef GREFFIER_TABLE_H
#define GREFFIER_TABLE_H
#include <stddef.h>
#include <stdint.h>

#include "leg.h"
#include "udp.h"

/* Flows and their legs: open addressing, never more than half full, one cache line an entry. The hash is
 * keyed, so that nobody can choose addresses that collide. Belongs to a flow table (flow.h). */
typedef struct greffier_entry {
    uint64_t hash;
    greffier_leg *leg; /* NULL = free: it ends a search */
    greffier_udp_pair pair;
    uint8_t ssrc[4]; /* as on the wire */
    uint32_t slot;
    uint8_t usual; /* the payload type that needs no second look */
    uint8_t left;  /* its leg gets no more */
    uint8_t held;  /* it has no leg yet, `leg` is only not NULL */
    uint8_t fill[1];
} greffier_entry;

typedef struct greffier_table {
    greffier_entry *entries;
    size_t mask, most, count;
    uint64_t secret[2];
} greffier_table;

/* Room for `most` flows; 0, or -1. The structure must be zeroed. */
int greffier_table_open(greffier_table *table, size_t most);
void greffier_table_close(greffier_table *table);

/* An SSRC as on the wire. */
static inline void greffier_table_key(uint8_t *key, uint32_t ssrc)
{
    for (int i = 3; i >= 0; i--, ssrc >>= 8)
        key[i] = (uint8_t)ssrc;
}

uint64_t greffier_table_hash(const greffier_table *table, const greffier_udp_pair *pair,
                             const uint8_t *ssrc);

/* The entry of a flow, or the free one that ends the search for it. */
greffier_entry *greffier_table_find(const greffier_table *table, uint64_t hash,
                                    const greffier_udp_pair *pair, const uint8_t *ssrc);

/* Fills a free entry that find gave; the table must not be full. */
void greffier_table_put(greffier_table *table, greffier_entry *entry, uint64_t hash,
                        const greffier_udp_pair *pair, const uint8_t *ssrc, greffier_leg *leg);

/* Frees an entry, and moves others: what find gave before is worth nothing afterwards. */
void greffier_table_remove(greffier_table *table, greffier_entry *entry);

#endif
