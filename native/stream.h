#ifndef GREFFIER_STREAM_H
#define GREFFIER_STREAM_H
#include <stddef.h>
#include <stdint.h>

/* One RTP source between two addresses: counts every packet (sequence.h) and hands their payloads out
 * in order of their numbers. One thread owns a stream; no function may be called by two at once.
 *
 * A payload is copied in and held until every lower number came, or until the newest number is WINDOW
 * or more above it, or until it was there for PATIENCE_MS. The first packets are held until the window is
 * full (WINDOW numbers), or the first one was there for as long, because the very first may be out of order too.
 * What comes after its place was handed out, or passed, is late: counted, and its payload not kept.
 *
 * There is no clock in here: time is that of arrivals. Each packet first lets time pass until its own arrival, so
 * what becomes of it hangs on the packets and their times alone. An owner who knows that nothing older can come
 * any more may let time pass too (`expire`): then packets come out sooner, and nothing else is different.
 *
 * PATIENCE: a network reorders by milliseconds (parallel links, queues), and what is later than this by its turn
 * no jitter buffer of a conversation waited for. And it is what a kill may take beyond the tick.
 *
 * Memory is fixed: HELD payloads of the size given at creation, plus 42 KiB. Pages that were never used
 * cost nothing: an orderly stream of speech touches half of the small payloads, and no large one. */
enum {
    GREFFIER_STREAM_WINDOW = 32, /* numbers */
    GREFFIER_STREAM_HELD = 64,   /* payloads */
    GREFFIER_STREAM_SMALL = 320, /* octets: payloads of at most so many lie close together */
    GREFFIER_STREAM_PATIENCE_MS = 200, /* how long a payload is held for lower numbers */
};

typedef struct greffier_stream greffier_stream;

/* What became of a packet; below zero it is one of enum greffier_rtp_fault, and nothing was counted. */
enum greffier_stream_status {
    GREFFIER_STREAM_NEWEST = 0,    /* kept: the highest number so far */
    GREFFIER_STREAM_REORDERED = 1, /* kept: below the highest, in time */
    GREFFIER_STREAM_LATE = 2,      /* not kept: its place was handed out or passed */
    GREFFIER_STREAM_DUPLICATE = 3, /* not kept: a copy */
    GREFFIER_STREAM_PROBATION = 4, /* kept aside: its number jumped, the next packet decides */
    GREFFIER_STREAM_RESTARTED = 5, /* kept, and the one before it: the source began anew */
    GREFFIER_STREAM_OVERSIZE = 6,  /* counted, not kept: the payload is larger than a held one may be */
    GREFFIER_STREAM_FULL = 7,      /* nothing was done: take packets out, then give it again */
    GREFFIER_STREAM_FOREIGN = 8,   /* nothing was done: another source (SSRC) than the first packet's */
    GREFFIER_STREAM_PASSED = 9,    /* by greffier_stream_pass only: handed out at once, not held */
};

/* A packet handed out; 40 octets without filling. */
typedef struct greffier_stream_packet {
    uint64_t sequence;  /* extended, without gaps across a restart */
    uint64_t timestamp; /* extended; modulo 2^32 the packet's own. Begins in [2^32, 2^33) */
    int64_t arrival_ns;
    uint32_t offset;  /* of the payload in greffier_stream_payloads */
    uint32_t length;  /* octets */
    uint32_t segment; /* restarts before it: across one, timestamps say nothing about time */
    uint8_t payload_type;
    uint8_t marker;
    uint16_t reserved; /* 0 */
} greffier_stream_packet;

/* highest - first + 1 == packets - duplicates + lost, once there is a packet. */
typedef struct greffier_stream_counters {
    uint64_t packets;         /* RTP packets of this source, duplicates included, strays not */
    uint64_t lost;            /* numbers from first to highest that never came */
    uint64_t duplicates;      /* packets whose number came before */
    uint64_t reordered;       /* no duplicates, and below the highest number of their time */
    uint64_t late;            /* of those, not handed out */
    uint64_t oversize;        /* not handed out because of their size */
    uint64_t strays;          /* packets far from all others, or still on probation; never handed out */
    uint64_t restarts;        /* times the source began anew */
    uint64_t payload_changes; /* times the highest packet had another payload type than the one before */
    uint64_t keys;            /* keys pressed (event.h) */
    uint64_t malformed_events;
    uint64_t first;   /* lowest extended number */
    uint64_t highest; /* highest extended number */
    int64_t first_arrival_ns;
    int64_t last_arrival_ns;
    uint32_t ssrc;
} greffier_stream_counters;

/* A stream that holds payloads of at most `payload_octets` octets (1 to 65535). NULL, and errno EINVAL
 * or ENOMEM. */
greffier_stream *greffier_stream_new(size_t payload_octets);

/* Zeroes every payload that was held and gives the memory back. NULL is allowed. */
void greffier_stream_free(greffier_stream *stream);

/* Packets of this payload type (0 to 127; several calls add up) carry telephone events: count them from
 * now on. 0, or -1 if there is no such type. */
int greffier_stream_expect_events(greffier_stream *stream, unsigned payload_type);

/* One packet as it came from the network. The first one decides which source this stream is. */
int greffier_stream_receive(greffier_stream *stream, const uint8_t *packet, size_t length,
                            int64_t arrival_ns);

/* The same, for a caller that takes packets out as soon as they are ready: the packet whose turn it is,
 * with none held before it, is not copied in. Then the status is PASSED and *passed is the packet, its
 * offset counted from `packet`; with any other status *passed is untouched. */
int greffier_stream_pass(greffier_stream *stream, const uint8_t *packet, size_t length,
                         int64_t arrival_ns, greffier_stream_packet *passed);

/* Asks for the memory that the next packet needs, in two steps (0, 1) some time apart: with thousands of
 * streams, fetching it is most of the work. Does nothing else. */
void greffier_stream_expect(const greffier_stream *stream, int step);

/* Hands out at most `wanted` packets, lowest number first; returns how many. Their payloads stay in place
 * until the next receive. */
size_t greffier_stream_take(greffier_stream *stream, greffier_stream_packet *packets, size_t wanted);

/* Time has passed until `time_ns`, of which everything has come: what was held for PATIENCE_MS is ready for take,
 * with all below it; what is missing between them is late from now on. */
void greffier_stream_expire(greffier_stream *stream, int64_t time_ns);

/* Makes all held packets ready for take, whatever is missing between them; what is missing is late from
 * now on. The stream goes on. A packet on probation stays there. */
void greffier_stream_flush(greffier_stream *stream);

/* Sets in `types` (one bit for each of 128) the payload types of all packets that are held, those on probation
 * and those that are ready included. */
void greffier_stream_types(const greffier_stream *stream, uint64_t *types);

/* Where payload offsets count from; HELD times SMALL plus the size given at creation, in octets. */
const uint8_t *greffier_stream_payloads(const greffier_stream *stream);

void greffier_stream_count(const greffier_stream *stream, greffier_stream_counters *counters);

#endif
