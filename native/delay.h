#ifndef GREFFIER_DELAY_H
#define GREFFIER_DELAY_H
#include <stddef.h>
#include <stdint.h>

/* Sound of one leg that waits, in front of the encoder, in memory that can be wiped: for a pause that
 * reaches back, and for instant replay. Items lie in the order in which they were appended.
 *
 * The memory is locked if the system allows, left out of core dumps, and empty in a forked child. What is
 * taken, scrubbed, dropped or freed is zeroed first. No more than `most` octets are held, whatever comes.
 *
 * One thread at a time may be inside the functions of one delay. */
typedef struct greffier_delay greffier_delay;

enum { GREFFIER_DELAY_LARGEST = 1048576 }; /* octets of an item */

/* One item: a packet's sound, or, without octets, what is said of samples that are missing. */
typedef struct greffier_waiting {
    int64_t arrival_ns;
    uint64_t start;    /* its first sample on the leg's line */
    uint64_t end;      /* behind its last */
    int64_t number;    /* the rest is the caller's: it comes back as it was given */
    uint32_t skip;
    uint32_t note;
    uint32_t type;
    uint32_t length;   /* octets that belong to it */
} greffier_waiting;

/* What a scrub wiped: from the first sample to behind the last one. */
typedef struct greffier_scrubbed {
    uint64_t start;
    uint64_t end;
    uint64_t sounds; /* items with octets */
    uint64_t others; /* items without */
    uint64_t samples; /* of the sounds */
} greffier_scrubbed;

typedef struct greffier_delay_counters {
    uint64_t items;  /* that wait */
    uint64_t octets; /* of their sound */
    uint64_t held;   /* octets of memory in use */
    uint64_t locked; /* of them */
    uint64_t most;   /* allowed */
    uint64_t refused; /* items for which there was no room, since creation */
} greffier_delay_counters;

/* NULL if there is no memory. */
greffier_delay *greffier_delay_new(size_t most);

/* Zeroes and frees everything. NULL is allowed. */
void greffier_delay_free(greffier_delay *delay);

/* Puts an item, with item->length octets, behind the others. 0, or -1: there is no room (or it is too
 * large), and nothing was kept of it. */
int greffier_delay_append(greffier_delay *delay, const greffier_waiting *item, const uint8_t *octets);

/* Takes what waits at the front and arrived before `until_ns`, and what claims to have arrived after
 * `ahead_ns` (the clock was set back since). Items without octets never wait at the front. At most
 * `wanted` items, whose octets fill at most `room` and stand in `octets` one after the other. Returns how
 * many; 0 = nothing is due, or the room is too small for the next one. */
size_t greffier_delay_take(greffier_delay *delay, int64_t until_ns, int64_t ahead_ns,
                           greffier_waiting *items, size_t wanted, uint8_t *octets, size_t room);

/* Wipes the first item that arrived at `from_ns` or later, and everything behind it. Returns how many
 * items that were; `span` says what they held. */
size_t greffier_delay_scrub(greffier_delay *delay, int64_t from_ns, greffier_scrubbed *span);

/* Wipes what waits at the front and arrived before `until_ns`; returns how many items. */
size_t greffier_delay_drop(greffier_delay *delay, int64_t until_ns);

/* Copies, from the front on, items that arrived at `from_ns` or later, of which the first `skip` are
 * passed over; the rest as `take`. They stay. */
size_t greffier_delay_copy(const greffier_delay *delay, int64_t from_ns, size_t skip,
                           greffier_waiting *items, size_t wanted, uint8_t *octets, size_t room);

void greffier_delay_count(const greffier_delay *delay, greffier_delay_counters *counters);

#endif
