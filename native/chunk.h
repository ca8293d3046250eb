#ifndef GREFFIER_CHUNK_H
#define GREFFIER_CHUNK_H
#include "spool.h"

/* What spool.c, track.c and leg.c share: plaintexts and the lists they hang in. */
enum {
    GREFFIER_CHUNK_ROOM = 9728, /* octets: a second of 20 ms packets, or of 10 ms ones at 8 kHz */
    GREFFIER_CHUNK_AUDIO = 1,   /* types of frames */
    GREFFIER_CHUNK_GAP = 4,
};

typedef struct greffier_chunk {
    struct greffier_chunk *next;
    uint32_t length;   /* of the plaintext so far */
    uint32_t capacity;
    uint8_t type, leg;
    uint8_t octets[];
} greffier_chunk;

typedef struct greffier_chunks {
    greffier_chunk *first, *last;
} greffier_chunks;

struct greffier_part {
    greffier_seal *seal;
    greffier_chunks filed;
    struct greffier_voice *voices;
    greffier_part *next_due;
    int listed; /* in one of the spool's lists of parts with something filed */
    greffier_part *next, *previous;
    uint32_t number;
};

struct greffier_spool {
    struct greffier_leg *legs;
    struct greffier_leg *touched; /* legs that may have something open */
    greffier_part *parts;
    greffier_part *due, *last_due; /* parts with something filed, in the order of their first plaintext */
    struct greffier_voice *heard, *last_heard; /* voices with something heard */
    struct greffier_voice *given, *last_given; /* voices that are handed out */
    struct greffier_pool *pool;                /* that encodes */
    greffier_chunk *spare;
    greffier_noted *gaps;
    size_t gaps_first, gaps_count;
    greffier_spool_counters counters;
};

/* An empty plaintext of at least `room` octets, or NULL: the spool is full, or there is no memory. */
greffier_chunk *greffier_chunk_new(greffier_spool *spool, uint8_t type, uint8_t leg, size_t room);

/* A copy with twice the room, or NULL; the old one is given back only if there is a copy. */
greffier_chunk *greffier_chunk_grow(greffier_spool *spool, greffier_chunk *chunk);

/* Zeroes it and gives it back. */
void greffier_chunk_free(greffier_spool *spool, greffier_chunk *chunk);

void greffier_chunk_append(greffier_chunks *chunks, greffier_chunk *chunk);

/* Files a plaintext for its part. */
void greffier_chunk_file(greffier_spool *spool, greffier_part *part, greffier_chunk *chunk);

/* Keeps a gap for greffier_spool_note. */
void greffier_spool_keep(greffier_spool *spool, const greffier_gap *gap, uint32_t leg);

/* In leg.c: files what the open frames of the touched legs hold. */
void greffier_leg_settle_touched(greffier_spool *spool);

#endif
