#ifndef GREFFIER_WINDOW_H
#define GREFFIER_WINDOW_H
#include <stddef.h>
#include <stdint.h>

#include "rtp.h"
#include "stream.h"

/* The payloads that a stream (stream.h) holds: a fixed number of places, each unused, waiting for lower
 * numbers, or ready to be handed out. Belongs to one stream and its thread. */
enum { GREFFIER_WINDOW_NONE = -1 }; /* no place */

typedef struct greffier_window { /* what every packet needs comes first */
    uint64_t next;     /* numbers below it are ready or passed */
    size_t room;       /* octets of a large payload */
    uint8_t *payloads; /* HELD small ones, HELD large ones */
    unsigned ready_first, ready_count;
    unsigned unused_count;
    unsigned touched, touched_large; /* places below them ever held a small, or a large payload */
    uint8_t begun; /* 1 once numbers without a gap before them become ready at once */
    int8_t waiting[GREFFIER_STREAM_WINDOW]; /* places, by number modulo the window */
    uint8_t ready[GREFFIER_STREAM_HELD];    /* places, a queue */
    uint8_t unused[GREFFIER_STREAM_HELD]; /* places, a stack, so that the same few pages serve again */
    greffier_stream_packet held[GREFFIER_STREAM_HELD];
} greffier_window;

/* 0, or -1 if there is no memory. The structure must be zeroed. */
int greffier_window_open(greffier_window *window, size_t payload_octets);

/* Zeroes every payload that was held and gives the memory back. */
void greffier_window_close(greffier_window *window);

/* Copies a payload in; its place, or NONE if it is too large. There must be an unused place. */
int8_t greffier_window_hold(greffier_window *window, const greffier_rtp_header *header,
                            const uint8_t *packet, int64_t arrival_ns);

/* Forgets what is held at a place. */
void greffier_window_release(greffier_window *window, int8_t place);

/* Lets a held packet, its sequence number set, wait for its turn. Its number is not below next, less
 * than WINDOW above it, and not waiting yet. */
void greffier_window_enter(greffier_window *window, int8_t place);

/* Makes ready, or gives up, every number below `limit`. */
void greffier_window_pass(greffier_window *window, uint64_t limit);

/* Makes ready what came until `until_ns`, and every number below it; then what no number is missing before. */
void greffier_window_expire(greffier_window *window, int64_t until_ns);

/* Makes ready what no number is missing before. */
void greffier_window_advance(greffier_window *window);

/* Hands out at most `wanted` ready packets. */
size_t greffier_window_take(greffier_window *window, greffier_stream_packet *packets, size_t wanted);

#endif
