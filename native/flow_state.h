#ifndef GREFFIER_FLOW_STATE_H
#define GREFFIER_FLOW_STATE_H
#include <pthread.h>

#include "flow.h"
#include "log.h"
#include "record.h"
#include "table.h"

/* What flow.c, the recorder's half, and sorting.c, the capture thread's half, share. */
enum { GREFFIER_FLOW_LARGEST = 1 << 18 }; /* octets of a frame */

struct greffier_flow {
    pthread_mutex_t lock; /* guards all but what is said to be the recorder's */
    greffier_ring *ring;
    greffier_record_writer writer;
    greffier_table table;
    greffier_log logs[2], *log; /* the one that is written; the other one is the recorder's */
    greffier_leg **legs;        /* recorder's: by slot */
    uint32_t *unused, unused_count; /* recorder's: slots, a stack */
    greffier_log *reading;      /* recorder's */
    uint32_t *busy;             /* recorder's: slots with packets in it */
    uint32_t held;              /* flows */
    size_t busy_count, busy_at; /* recorder's: how many, and how many were given to their legs */
    struct {
        greffier_log *log;
        size_t at, count; /* of its order */
    } later[2];           /* recorder's: what the last disarm left, in the order of time */
    greffier_logged *shown; /* recorder's: of those, the one that was given out last */
    int64_t latest_ns;
    greffier_flow_counters counters;
    uint64_t broken;  /* recorder's */
    uint8_t *scratch; /* capture's: a frame with its tag put back */
};

/* With the lock, the logs just swapped: what is held goes on waiting in the new one. */
void greffier_flow_carry(greffier_flow *flow, greffier_log *before);

#endif
