#ifndef GREFFIER_SPOOL_H
#define GREFFIER_SPOOL_H
#include <stddef.h>
#include <stdint.h>

#include "place.h"
#include "seal.h"

/* What legs hear, until it is sealed, a tick at a time. Legs (leg.h) file the plaintexts of AUDIO and GAP
 * frames (docs/part-format.md) for the parts they are attached to; `collect` takes everything filed so far,
 * the second that is not full included; `seal` makes frames of it, part by part.
 *
 * Plaintexts lie in memory that is zeroed when they are sealed or given up. No more than `most` octets are
 * held at once, a sixteenth of them for gaps alone: what does not fit is left out, and its place becomes a gap
 * with the cause "overrun".
 *
 * One thread, the recorder, owns a spool with its parts and legs. */
typedef struct greffier_spool greffier_spool;
typedef struct greffier_part greffier_part;

/* What `seal` put into its buffer for one part. */
typedef struct greffier_sealed {
    uint32_t part;   /* its number */
    uint32_t frames;
    uint64_t offset; /* in the buffer */
    uint64_t length; /* octets */
    int64_t end;     /* behind the last sample of its AUDIO frames, 0 = there is none */
    int32_t fault;   /* 0, or enum greffier_seal_fault: what was left of the part's frames is given up */
    uint32_t reserved;
} greffier_sealed;

/* A gap of a leg as its line has it, for whoever accounts for time. */
typedef struct greffier_noted {
    greffier_gap gap;
    uint32_t leg; /* the number that greffier_leg_new was given */
    uint32_t reserved;
} greffier_noted;

typedef struct greffier_spool_counters {
    uint64_t held;    /* octets of plaintext memory in use */
    uint64_t most;    /* allowed */
    uint64_t overrun; /* packets for which there was no room, since creation */
    uint64_t unnoted; /* gaps that could not be noted, since creation: there were too many at once */
} greffier_spool_counters;

/* NULL if there is no memory. */
greffier_spool *greffier_spool_new(size_t most);

/* Zeroes and frees everything in it; no leg may be left. NULL is allowed. */
void greffier_spool_free(greffier_spool *spool);

/* A part whose frames `seal` seals; its number is the caller's. NULL if there is no memory. */
greffier_part *greffier_spool_add(greffier_spool *spool, greffier_seal *seal, uint32_t number);

/* Gives up what was not sealed of the part. No leg may be attached to it. */
void greffier_spool_remove(greffier_spool *spool, greffier_part *part);

/* Makes everything filed so far due for sealing; returns how many parts have something due. */
size_t greffier_spool_collect(greffier_spool *spool);

/* Seals what is due, in the order in which it was filed, into `out`: at most `room` octets and
 * `wanted` parts. Returns how many results there are; 0 = nothing is due, or no frame fits the room. A
 * part whose frames did not all fit goes on in the next call. */
size_t greffier_spool_seal(greffier_spool *spool, uint8_t *out, size_t room, greffier_sealed *results,
                           size_t wanted);

/* Takes out at most `wanted` noted gaps, oldest first; returns how many. */
size_t greffier_spool_note(greffier_spool *spool, greffier_noted *gaps, size_t wanted);

void greffier_spool_count(greffier_spool *spool, greffier_spool_counters *counters);

#endif
