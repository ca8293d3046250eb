#ifndef GREFFIER_SEAL_H
#define GREFFIER_SEAL_H
#include <stddef.h>
#include <stdint.h>

/* Sealing the frames of one part: docs/part-format.md, octet for octet what greffier.seal.part.PartWriter
 * makes of the same header and content key. Octets out, no files.
 *
 * Everything secret of a part (frame key, leaf key, the hash states made of it) lies in one page that is
 * locked if the system allows, left out of core dumps, and empty in a forked child: two processes with
 * one key and one counter would repeat nonces. The seq is claimed before it is used. One thread at a time
 * may be inside the functions of one part. */
typedef struct greffier_seal greffier_seal;

/* The cipher of one thread: what a batch of frames shares. It holds a key between greffier_seal_frame and
 * greffier_sealer_free or the next frame. */
typedef struct greffier_sealer greffier_sealer;

enum {
    GREFFIER_SEAL_OVERHEAD = 32,  /* octets of a frame beside its plaintext: head 16, tag 16 */
    GREFFIER_SEAL_TAIL = 36,      /* octets of a header from its commitment on */
    GREFFIER_SEAL_LARGEST = 1048560, /* octets of a plaintext */
};

/* Why a frame was not sealed. After FAILED the part is closed. */
enum greffier_seal_fault {
    GREFFIER_SEAL_CLOSED = -1, /* its keys are gone */
    GREFFIER_SEAL_FULL = -2,   /* the last seq is left to FINAL */
    GREFFIER_SEAL_BAD = -3,    /* no reader would accept it: size, leg, position */
    GREFFIER_SEAL_FAILED = -4, /* the cipher library refused */
};

/* What the end of a part is made of, as far as it was sealed. */
typedef struct greffier_seal_totals {
    uint64_t size;     /* octets of the file, header included */
    uint32_t frames;   /* sealed */
    uint32_t legs;     /* of `ends` */
    uint8_t sha256[32]; /* of those octets */
    uint8_t root[32];  /* of the salted tree over all frames but FINAL */
    uint8_t leg[256];  /* ascending */
    uint64_t end[256]; /* the greatest end of each */
} greffier_seal_totals;

/* The keys of the part whose header begins with `before` (all octets in front of the commitment, at least
 * 88); `tail` becomes the rest of the header. NULL, and errno EINVAL, ENOMEM, or EIO (the library). */
greffier_seal *greffier_seal_new(const uint8_t *content_key, const uint8_t *before, size_t length,
                                 uint8_t *tail);

/* Forgets the keys; the part takes no more frames. Safe to repeat; totals stay readable. */
void greffier_seal_close(greffier_seal *seal);

/* Closes it and gives the memory back. NULL is allowed. */
void greffier_seal_free(greffier_seal *seal);

/* 1 if the page is locked, 0 if the system refused. */
int greffier_seal_locked(const greffier_seal *seal);

greffier_sealer *greffier_sealer_new(void);
void greffier_sealer_free(greffier_sealer *sealer);

/* The next frame: `length` + OVERHEAD octets into `out`, which may not overlap `plaintext`. Returns how
 * many, or a fault. Type 127 is FINAL: it must be the last one. */
int64_t greffier_seal_frame(greffier_seal *seal, greffier_sealer *sealer, uint8_t type, uint8_t leg,
                            const uint8_t *plaintext, size_t length, uint8_t *out);

/* 0, or -1 in a forked child, which knows nothing of the part. */
int greffier_seal_count(const greffier_seal *seal, greffier_seal_totals *totals);

#endif
