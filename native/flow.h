#ifndef GREFFIER_FLOW_H
#define GREFFIER_FLOW_H
#include <stddef.h>
#include <stdint.h>

#include "leg.h"
#include "ring.h"
#include "tap.h"
#include "udp.h"

/* Which frames are whose. A flow that is *armed*, one direction between two addresses and one SSRC, has a
 * leg (leg.h): its packets are logged (log.h) as they come, and given to the leg by `begin` and `settle`,
 * many at once, a tick at a time. Every other frame (SIP, TCP, fragments, tunnels, RTCP, RTP of nobody, and what is not
 * for its leg) goes as a record (record.h, kind 1: Ethernet, its VLAN tag put back) into a ring for the
 * recorder. Frames that look like RTP may fill three quarters of that ring, so that a flood of them leaves
 * room for signalling; what finds no room is dropped and counted there.
 *
 * So the capture thread does little more for a packet than to copy it, and knows nothing of legs.
 *
 * Nothing is lost or out of order when a flow changes hands: it can only be armed while no record waits in
 * the ring, so whoever arms has seen every packet before; from then on the leg gets every packet. A packet
 * that its leg does not take makes the flow *left*: it and all that follow become records again. A record of
 * an armed flow tells the recorder to disarm it, at the time of that record: what was logged until then goes
 * to the leg, what was logged later comes back, so a flow can be taken back at any instant of the past that
 * no `settle` has passed.
 *
 * Where so much comes that records always wait, a flow is *held* first: from then on its packets are logged and
 * kept. When the recorder has read all records that waited, it has seen every packet before, and can `bind`
 * the flow to its leg.
 *
 * "capture" above a function: the one thread that captures. "recorder": the one thread that reads the ring
 * and owns spool and legs. One lock is held for a block of packets, and to swap the logs. */
typedef struct greffier_flow greffier_flow;

enum greffier_flow_answer {
    GREFFIER_FLOW_DONE = 0,
    GREFFIER_FLOW_FULL = -1,    /* as many flows as there may be */
    GREFFIER_FLOW_KNOWN = -2,   /* it is armed already */
    GREFFIER_FLOW_RECORDS = -3, /* records wait: take them first */
    GREFFIER_FLOW_STRANGE = -4, /* the leg does not take what was held for it */
};

typedef struct greffier_flow_counters {
    uint64_t frames;  /* taken */
    uint64_t legs;    /* of those, logged for legs */
    uint64_t records; /* put into the ring */
    uint64_t dropped; /* no room in the ring */
    uint64_t overrun; /* of armed flows, and no room in the log: its leg finds them lost */
    uint64_t broken;  /* of armed flows, and no RTP packets */
    uint64_t armed;   /* flows, now */
} greffier_flow_counters;

/* recorder. A table of at most `flows` armed flows, with logs of at most `held` octets each (below 2^35): how
 * much may come between two ticks. The ring (of GREFFIER_RECORD_UNIT octets) stays the caller's. NULL if
 * there is no memory. */
greffier_flow *greffier_flow_new(greffier_ring *ring, size_t flows, size_t held);
void greffier_flow_free(greffier_flow *flow);

/* recorder. From now on `leg` gets what goes this way with this SSRC: enum greffier_flow_answer. */
int greffier_flow_arm(greffier_flow *flow, const greffier_udp_pair *pair, uint32_t ssrc, greffier_leg *leg);

/* recorder. From now on what goes this way with this SSRC is kept until `bind` or `release`: DONE, FULL, KNOWN. */
int greffier_flow_hold(greffier_flow *flow, const greffier_udp_pair *pair, uint32_t ssrc);

/* recorder. From now on the held flow is armed, and `leg` gets what was kept: DONE; STRANGE, and it is still
 * held; KNOWN: it is not held. */
int greffier_flow_bind(greffier_flow *flow, const greffier_udp_pair *pair, uint32_t ssrc, greffier_leg *leg);

/* recorder. The flow is held no more; what was kept is for greffier_flow_later. 1, or 0: it is not held. */
int greffier_flow_release(greffier_flow *flow, const greffier_udp_pair *pair, uint32_t ssrc);

/* recorder. From now on it gets no more; it has got everything that came until `until_ns`. What was logged
 * later is for greffier_flow_later. The leg, or NULL if the flow is not armed. */
greffier_leg *greffier_flow_disarm(greffier_flow *flow, const greffier_udp_pair *pair, uint32_t ssrc,
                                   int64_t until_ns);

/* recorder. The next packet that came too late for the last disarm, oldest first: 1 and its time, octets (RTP,
 * in place until the next call here) and length, or 0. To be asked until it says 0. */
int greffier_flow_later(greffier_flow *flow, greffier_frame *packet);

/* recorder. When the latest packet of an armed flow came that is not younger than `until_ns`; 0 = not armed. */
int64_t greffier_flow_latest(greffier_flow *flow, const greffier_udp_pair *pair, uint32_t ssrc,
                             int64_t until_ns);

/* recorder. A tick begins: what was logged until now is to be given to its legs. Returns how many legs have
 * something. A tick that is not done goes on instead. */
size_t greffier_flow_begin(greffier_flow *flow);

/* recorder. How much waits in the ring, in units, and in *latest_ns until when frames were taken. With `begin`
 * a tick begins at the same instant: what it gives to legs came before anything that the ring does not hold
 * yet. */
size_t greffier_flow_cut(greffier_flow *flow, int begin, int64_t *latest_ns);

/* recorder. Gives at most `most` legs what was logged for them until begin; returns how many, 0 = that is
 * all. A few at a time, and sealed before the next ones, they stay in the processor's cache. */
size_t greffier_flow_settle(greffier_flow *flow, size_t most);

/* capture. Some frames, in their order. */
void greffier_flow_take(greffier_flow *flow, const greffier_frame *frames, size_t count);

/* capture. Takes what arrives at a tap until somebody says stop: 0, or a negative errno. */
int greffier_flow_run(greffier_flow *flow, greffier_tap *tap);

/* recorder. */
void greffier_flow_count(greffier_flow *flow, greffier_flow_counters *counters);

#endif
