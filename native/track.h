#ifndef GREFFIER_TRACK_H
#define GREFFIER_TRACK_H
#include "chunk.h"
#include "place.h"
#include "stream.h"

/* What one part gets of one leg (leg.h), as plaintexts in the part's list. */
typedef struct greffier_track {
    greffier_part *part;
    struct greffier_voice *voice; /* that encodes what is filed (voice.h), or NULL: it is filed as it came */
    int64_t start_at, begin_ns; /* nothing before either */
    greffier_chunk *open;       /* the AUDIO plaintext that grows, or NULL */
    int64_t open_at, open_to;   /* its positions */
    uint32_t open_count;
    uint32_t rate;
    uint8_t number;       /* of the leg in the part */
    uint8_t law;          /* for a voice: how the payloads are to be read, in the place of their type */
    int left_out;         /* there was no room for what `overrun` spans, and it is not filed yet */
    greffier_gap overrun;
} greffier_track;

enum greffier_track_fate {
    GREFFIER_TRACK_UNWANTED = 0, /* it lies, or arrived, before the part */
    GREFFIER_TRACK_KEPT = 1,
    GREFFIER_TRACK_OVERRUN = 2, /* there was no room */
};

/* A packet as it will stand in a plaintext. */
typedef struct greffier_track_packet {
    int64_t position;
    uint32_t samples, sequence;
    uint32_t length; /* of the octets, below 2^16 */
    uint8_t type, flags;
    const uint8_t *octets;
} greffier_track_packet;

/* Files a packet: KEPT or OVERRUN. */
int greffier_track_put(greffier_spool *spool, greffier_track *track, const greffier_track_packet *packet);

/* Files a gap that is a plaintext already. */
void greffier_track_pass(greffier_spool *spool, greffier_track *track, greffier_chunk *chunk);

/* Files what is of the part in a gap. */
void greffier_track_gap(greffier_spool *spool, greffier_track *track, greffier_gap gap);

/* Files what is of the part in a packet; enum greffier_track_fate. *from is its first position there. */
int greffier_track_sound(greffier_spool *spool, greffier_track *track, const greffier_placed *placed,
                         const greffier_stream_packet *packet, const uint8_t *payload, int64_t *from);

/* Files what is open, though its second is not full. */
void greffier_track_settle(greffier_spool *spool, greffier_track *track);

#endif
