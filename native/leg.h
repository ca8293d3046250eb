#ifndef GREFFIER_LEG_H
#define GREFFIER_LEG_H
#include <stddef.h>
#include <stdint.h>

#include "ear.h"
#include "place.h"
#include "spool.h"
#include "stream.h"

/* One leg while the core records it: its packets are counted and put in order (stream.h), placed (place.h)
 * and filed (spool.h) as plaintexts of the frames that greffier.encode.leg, kind "original", and
 * greffier.recorder.tape make of the same packets: an AUDIO frame is filed when the next packet would
 * make it longer than a second, a GAP at once.
 *
 * For G.711 alone, one payload type of sound a leg. A packet of any other type makes the leg *left*: it,
 * and all that follow, are refused, and whoever armed the leg takes it back. A source that begins anew
 * under the same SSRC stays; another SSRC is another leg. A leg without a part only counts.
 *
 * One thread, the recorder, owns a leg, as it owns the spool; "any" above a function means that another
 * thread may call it while the leg exists. */
typedef struct greffier_leg greffier_leg;

enum {
    GREFFIER_LEG_PARTS = 4, /* at once */
    GREFFIER_LEG_LEAVES = 16, /* greffier_leg_receive: refused, the first one of all that follow */
    GREFFIER_LEG_LEFT = 17,   /* refused, the leg is left */
};

typedef struct greffier_leg_counters {
    uint64_t recorded;     /* packets of which at least one part holds something */
    uint64_t not_recorded; /* sound that no part wanted */
    uint64_t silent;       /* comfort noise, telephone events */
    uint64_t overrun;      /* packets for which there was no room in at least one part */
    int64_t kept_from;     /* first recorded position, or -1 */
    int64_t kept_to;       /* behind the last one, or -1 */
    int64_t first_ns;      /* earliest arrival of a packet handed out, 0 = none */
    int64_t last_ns;       /* and the latest one */
    int64_t latest_ns;     /* latest arrival of a packet that was accepted */
    uint64_t left;         /* packets refused because the leg is left */
} greffier_leg_counters;

/* A leg that continues `place` with the packets of `stream`, which stays the caller's and is not
 * to be used while the leg is armed. `kinds` says for each of 128 payload types what it is (place.h).
 * `number` is the caller's. NULL if there is no memory. */
greffier_leg *greffier_leg_new(greffier_spool *spool, greffier_stream *stream, const greffier_place *place,
                               const uint8_t *kinds, uint32_t number);

/* From now on the part, as its leg `leg`, gets what lies at or after `start_at` and arrived at
 * or after `begin_ns`. 0, or -1: it has PARTS already, or this one. */
int greffier_leg_attach(greffier_leg *leg, greffier_part *part, uint8_t number, int64_t start_at,
                        int64_t begin_ns);

/* The part gets no more of the leg. 0, or -1: it is not attached. */
int greffier_leg_detach(greffier_leg *leg, greffier_part *part);

/* From now on `ear`, which stays the caller's, hears every packet whose turn it is, also where no part wants
 * it; `law` is the sound's (ear.h). NULL: none does. */
void greffier_leg_listen(greffier_leg *leg, greffier_ear *ear, int law);

/* Asks for the memory that the next packet needs, in three steps (0 to 2) some time apart. */
void greffier_leg_expect(const greffier_leg *leg, int step);

/* One packet as it came: a status of greffier_stream_receive, LEAVES or LEFT. */
int greffier_leg_receive(greffier_leg *leg, const uint8_t *packet, size_t length, int64_t arrival_ns);

/* Time has passed until `time_ns`, of which every leg has everything: see greffier_stream_expire. */
void greffier_leg_expire(greffier_spool *spool, int64_t time_ns);

/* The line ends: what the end leaves unaccounted becomes a gap. */
void greffier_leg_finish(greffier_leg *leg);

/* any. Whether packets of a payload type (0 to 127) are for this leg, and which is most of them (255 = none). */
int greffier_leg_takes(const greffier_leg *leg, uint8_t type);
uint8_t greffier_leg_usual(const greffier_leg *leg);

/* Where the line is now. */
void greffier_leg_state(greffier_leg *leg, greffier_place *place);

/* */
void greffier_leg_count(greffier_leg *leg, greffier_leg_counters *counters);

/* Files what is open, and gives the leg back. NULL is allowed. */
void greffier_leg_free(greffier_leg *leg);

#endif
