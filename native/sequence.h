#ifndef GREFFIER_SEQUENCE_H
#define GREFFIER_SEQUENCE_H
#include <stddef.h>
#include <stdint.h>

/* The arithmetic of RTP sequence numbers for one source: 16-bit numbers become 64-bit ones that never
 * wrap, and every packet is counted exactly once. No payload, no time, no allocation.
 *
 * The first packet gets its own number + 65536; a number far from the highest one is a jump.
 * d = the packet's number minus the highest one, modulo 65536, signed:
 *   0 < d < DROPOUT                          new highest; the numbers between are lost, for now
 *   -MEMORY < d <= 0, seen, same timestamp   duplicate
 *   -MEMORY < d < 0, a hole in this segment  reordered; no longer lost, however late
 *   -MISORDER <= d < 0, before the first     reordered; the first number moves down, and the holes
 *                                            that this opens are lost (first segment only)
 *   anything else                            jump
 * (So a seen number under another timestamp is a jump: no source uses a number twice for two instants.)
 *
 * A jump is on probation (RFC 3550 A.1, bad_seq): only the very next number, itself a jump, proves that
 * the source began anew. Then a segment begins: the two packets get the numbers after the highest one,
 * so nothing in between is lost. Other packets on probation, and their copies, are strays.
 *
 * Always: highest - first + 1 == packets - duplicates + lost, and packets + strays is the number of
 * calls of greffier_sequence_place. Exact over any number of wraps: duplicates are known among the last
 * MEMORY numbers, and what lies before those is a jump, never a guess. */
enum {
    GREFFIER_SEQUENCE_DROPOUT = 3000, /* RFC 3550 A.1, MAX_DROPOUT: 60 s of 20 ms packets */
    GREFFIER_SEQUENCE_MISORDER = 100, /* RFC 3550 A.1, MAX_MISORDER */
    GREFFIER_SEQUENCE_MEMORY = 4096,  /* numbers, the highest included */
};

enum greffier_sequence_place {
    GREFFIER_SEQUENCE_NEWEST = 0,     /* new highest number */
    GREFFIER_SEQUENCE_REORDERED = 1,  /* below the highest, never seen before */
    GREFFIER_SEQUENCE_DUPLICATE = 2,  /* seen before */
    GREFFIER_SEQUENCE_JUMP = 3,       /* on probation, instead of any other one */
    GREFFIER_SEQUENCE_JUMP_COPY = 4,  /* a copy of the packet on probation */
    GREFFIER_SEQUENCE_RESTART = 5,    /* new highest; the packet on probation is the one below it */
};

/* 17 KiB; all zero before the first packet. Read by its owner, written by place only. */
typedef struct greffier_sequence {
    uint64_t first;         /* lowest extended number */
    uint64_t highest;       /* highest extended number */
    uint64_t segment_first; /* lowest extended number since the last restart */
    uint64_t packets;       /* duplicates included, strays not */
    uint64_t lost;
    uint64_t duplicates;
    uint64_t reordered;
    uint64_t strays;
    uint32_t segment; /* restarts so far */
    uint32_t pending_timestamp;
    uint32_t pending_copies; /* packets on probation, all alike; 0 = none */
    uint16_t pending;        /* their number */
    uint16_t wire;           /* the highest packet's 16-bit number */
    uint64_t seen[64];       /* one bit for each of the last 4096 extended numbers */
    uint32_t timestamps[4096];
} greffier_sequence;

/* The thread that owns it. Counts one packet and returns its place; *extended is its number, except for
 * the two kinds of jump. */
int greffier_sequence_place(greffier_sequence *sequence, uint16_t number, uint32_t timestamp,
                            uint64_t *extended);

#endif
