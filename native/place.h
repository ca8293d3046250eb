#ifndef GREFFIER_PLACE_H
#define GREFFIER_PLACE_H
#include <stddef.h>
#include <stdint.h>

#include "stream.h"

/* Where the packets of one leg lie on the recording's sample line: greffier.encode.timeline.Timeline, rule
 * for rule, for payloads of one octet a sample (G.711), whose RTP clock is the rate of the line. Pure. */

/* What a payload type is to a leg. */
enum greffier_place_kind {
    GREFFIER_PLACE_LEAVE = 0, /* not for this room: another codec, or one that nobody described */
    GREFFIER_PLACE_SOUND = 1, /* one octet a sample */
    GREFFIER_PLACE_NOISE = 2, /* comfort noise: time goes on */
    GREFFIER_PLACE_EVENT = 3, /* telephone events: time goes on */
};

/* Causes of gaps. Those below 8 may be pending in `reasons`, as bits; the first one set is the cause. */
enum greffier_place_cause {
    GREFFIER_PLACE_RESTART = 0,
    GREFFIER_PLACE_JUMP = 1,
    GREFFIER_PLACE_LOST = 2,
    GREFFIER_PLACE_DAMAGED = 3,
    GREFFIER_PLACE_UNDECODABLE = 4,
    GREFFIER_PLACE_UNKNOWN_CODEC = 5,
    GREFFIER_PLACE_EVENTS = 6,
    GREFFIER_PLACE_DTX = 7,
    GREFFIER_PLACE_LATE_START = 8,
    GREFFIER_PLACE_LATE = 9,
    GREFFIER_PLACE_OVERLAP = 10,
    GREFFIER_PLACE_EARLY = 11,
    GREFFIER_PLACE_OVERRUN = 12,  /* no room for the packet (spool.h) */
    GREFFIER_PLACE_OVERSIZE = 13, /* more than a second in one packet (spool.h) */
    GREFFIER_PLACE_CAUSES = 14,
};

/* The whole state of a line, so that a leg can go from Python to C and back. 64 octets. */
typedef struct greffier_place {
    int64_t origin_ns;        /* when sample 0 arrived */
    int64_t end;              /* the first position that nothing was placed at or before */
    int64_t anchor_position;  /* where timestamps count from */
    uint64_t anchor_timestamp;
    uint64_t sequence;        /* of the latest packet */
    int64_t last_arrival_ns;  /* of the latest sound or comfort noise */
    uint32_t rate;            /* Hz */
    uint32_t missing;         /* packets since the last sound that should have been sound */
    uint8_t begun;            /* a packet came */
    uint8_t anchored;         /* the anchor counts */
    uint8_t heard;            /* there was sound */
    uint8_t reasons;          /* bits of causes since the last sound */
    uint32_t reserved;        /* 0 */
} greffier_place;

typedef struct greffier_gap {
    int64_t from;
    int64_t to;       /* = from: packets came and could not be used */
    uint32_t packets; /* that are missing */
    uint32_t cause;   /* enum greffier_place_cause */
} greffier_gap;

/* What a packet adds: `has_gap`, then `has_sound`. */
typedef struct greffier_placed {
    greffier_gap gap;
    int64_t position;
    uint32_t samples;
    uint32_t skip; /* of the payload, at its front: they are there already */
    int has_gap;
    int has_sound;
} greffier_placed;

/* Places one packet, of ascending sequence, whose type is `kind` (not LEAVE). */
void greffier_place_packet(greffier_place *place, const greffier_stream_packet *packet, int kind,
                           greffier_placed *placed);

/* The packets at the end that no later sound could account for: 1 with the gap, or 0. */
int greffier_place_finish(greffier_place *place, greffier_gap *gap);

/* The word of a cause (docs/part-format.md, GAP). */
const char *greffier_place_word(unsigned cause);

#endif
