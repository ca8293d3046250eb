#ifndef GREFFIER_CODER_H
#define GREFFIER_CODER_H
#include <stddef.h>
#include <stdint.h>

/* Sound at absolute positions becomes Opus packets of 20 ms, as greffier.encode.leg, kind "opus", makes
 * them: blocks lie on a grid that begins at the first sample ever written; what is missing of a block that
 * has some sound is zeros; a block without any is never made. Belongs to a voice (voice.h).
 *
 * One thread at a time. What is pending, and every packet that was made, lies in memory that is zeroed. */
typedef struct greffier_coder greffier_coder;

/* How the octets of sound are to be read. */
enum greffier_coder_law {
    GREFFIER_CODER_ALAW = 0,   /* ITU-T G.711, one octet a sample */
    GREFFIER_CODER_ULAW = 1,
    GREFFIER_CODER_LINEAR = 2, /* 16 bits a sample, in the machine's order */
};

enum { GREFFIER_CODER_CUT_END = 2 }; /* docs/part-format.md, flags of a packet */

/* What was made; its octets, if it is a packet, follow it. */
typedef struct greffier_coded {
    int64_t position;
    uint32_t samples;
    uint32_t sequence; /* a running number */
    uint16_t length;   /* octets that follow */
    uint8_t flags;
    uint8_t mark; /* 1 = no packet: greffier_coder_mark was called here */
    uint32_t reserved;
} greffier_coded;

/* A rate of 8, 12, 16, 24 or 48 kHz, mono; NULL, and *error: a code of libopus. */
greffier_coder *greffier_coder_new(int32_t rate, int32_t bitrate, int32_t complexity, int32_t *error);

/* Zeroes and frees everything. NULL is allowed. */
void greffier_coder_free(greffier_coder *coder);

/* Samples by which decoded sound comes late. */
int32_t greffier_coder_delay(const greffier_coder *coder);

/* Takes `samples` samples at `position`, which must not lie before what was written. 0, or -1: it does,
 * nothing was taken, and it is missed. */
int greffier_coder_write(greffier_coder *coder, int64_t position, int law, const uint8_t *octets,
                         uint32_t samples);

/* Remembers where, among the packets, the caller puts something of its own. 0, or -1: there is no memory. */
int greffier_coder_mark(greffier_coder *coder);

/* The last block, padded with zeros; its packet says how long it truly is. */
void greffier_coder_finish(greffier_coder *coder);

/* The next thing made, or NULL; *at, 0 at first, is the caller's place. */
const greffier_coded *greffier_coder_next(const greffier_coder *coder, size_t *at);

/* Zeroes and forgets what is pending, and what was made; numbers go on. */
void greffier_coder_wipe(greffier_coder *coder);

/* All of it as it lies there, each thing at a multiple of 8 octets; *length: how many octets. */
const uint8_t *greffier_coder_made(const greffier_coder *coder, size_t *length);

/* Zeroes and forgets what was made. */
void greffier_coder_empty(greffier_coder *coder);

/* What could not be taken, made or kept since the last call: how many times, and the span. */
uint32_t greffier_coder_missed(greffier_coder *coder, int64_t *from, int64_t *to);

#endif
