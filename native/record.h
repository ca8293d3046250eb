#ifndef GREFFIER_RECORD_H
#define GREFFIER_RECORD_H
#include <stddef.h>
#include <stdint.h>

#include "ring.h"

/* Records of any length in a ring (ring.h) whose frames are units of 16 octets: what a capture source
 * that delivers packets, or periods with their time, puts into its one ring. A record is its head, one
 * unit, followed by its octets, filled up to whole units. It is stored whole or not at all.
 *
 * In such a ring `greffier_ring_dropped` counts records, and every record also says how many were
 * dropped directly before it, so that the consumer knows where the gap lies. */
enum { GREFFIER_RECORD_UNIT = 16 };

typedef struct greffier_record_head {
    int64_t time_ns;  /* since the Unix epoch */
    uint32_t length;  /* octets after the head, without filling */
    uint16_t kind;    /* what the octets are: the source decides */
    uint16_t dropped; /* records dropped directly before this one; 65535 = that many or more */
} greffier_record_head;

/* A record in place: its octets in one piece, or in two where they cross the end of the memory. */
typedef struct greffier_record {
    greffier_record_head head;
    const uint8_t *first;
    const uint8_t *second;
    size_t first_length; /* octets */
    size_t second_length;
} greffier_record;

/* The producer's memory of what it dropped since its last stored record; starts at zero. */
typedef struct greffier_record_writer {
    uint64_t dropped;
} greffier_record_writer;

/* producer. 1 stored, 0 dropped and counted, -1 the ring's frames are not units. */
int greffier_record_put(greffier_ring *ring, greffier_record_writer *writer, int64_t time_ns,
                        uint16_t kind, const void *octets, uint32_t length);

/* consumer. The oldest record, in place until greffier_record_skip: 1, or 0 if there is none. */
int greffier_record_peek(greffier_ring *ring, greffier_record *record);

/* consumer. Takes out the record that peek showed: 0, or -1 if it is no longer there. */
int greffier_record_skip(greffier_ring *ring, const greffier_record *record);

#endif
