#ifndef GREFFIER_LOG_H
#define GREFFIER_LOG_H
#include <stddef.h>
#include <stdint.h>

/* Packets of many legs in the order in which they came, to be taken out leg by leg: writing is one copy to
 * the end of a run of memory, and whoever reads has one leg's state at hand for all of its packets. Belongs
 * to a flow table (flow.h), which has one that is written and one that is read. */
enum { GREFFIER_LOG_NONE = 0xffffffff };

typedef struct greffier_logged {
    int64_t time_ns;
    uint32_t length;
    uint8_t octets[];
} greffier_logged;

typedef struct greffier_log {
    uint8_t *memory;
    size_t room, used;
    uint32_t *previous; /* of each packet: the one of the same slot before it, or NONE */
    uint32_t *offsets;  /* of each packet, in units of 8 octets */
    uint32_t *last;     /* of each slot: its latest packet, or NONE */
    uint32_t *order;    /* for whoever reads */
    size_t most, count;
    size_t slots;
} greffier_log;

/* For `room` octets of packets and their heads, of legs in slots below `slots`; 0, or -1. The structure must
 * be zeroed. Memory that is never used costs nothing. */
int greffier_log_open(greffier_log *log, size_t room, size_t slots);

/* Zeroes what was written and gives the memory back. */
void greffier_log_close(greffier_log *log);

/* 1, or 0 if there is no room. */
int greffier_log_put(greffier_log *log, uint32_t slot, int64_t time_ns, const uint8_t *octets,
                     uint32_t length);

/* The packets of a slot, oldest first, in log->order; returns how many. Asks for their memory. */
size_t greffier_log_list(greffier_log *log, uint32_t slot);

static inline greffier_logged *greffier_log_at(const greffier_log *log, uint32_t number)
{
    return (greffier_logged *)(void *)(log->memory + 8 * (size_t)log->offsets[number]);
}

/* All packets were read, and zeroed by who read them: the log is empty. */
void greffier_log_empty(greffier_log *log);

#endif
