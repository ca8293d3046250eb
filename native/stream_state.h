#ifndef GREFFIER_STREAM_STATE_H
#define GREFFIER_STREAM_STATE_H
#include "event.h"
#include "rtp.h"
#include "sequence.h"
#include "stream.h"
#include "window.h"

/* What stream.c and expect.c share. */
struct greffier_stream { /* what every packet needs comes first, so that it lies close together */
    uint64_t clock;          /* extended timestamp of the newest packet */
    uint64_t event_types[2]; /* one bit a payload type */
    int64_t first_arrival_ns, last_arrival_ns;
    uint32_t ssrc;
    uint8_t payload_type; /* of the newest packet */
    int8_t pending;       /* the place of the packet on probation */
    uint8_t pending_type; /* its payload type */
    greffier_sequence sequence;
    greffier_window window;
    uint64_t late, oversize, payload_changes;
    greffier_event_counter events;
};

#endif
