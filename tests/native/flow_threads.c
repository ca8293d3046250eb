#include "flow.h"

#include <pthread.h>
#include <sched.h>

#include "made.h"
#include "record.h"

/* One thread captures, the other arms, seals, disarms: every packet is in exactly one place. */
enum { LEGS = 8, ROUNDS = 4000, LENGTH = 42 + 172 };

static greffier_spool *spool;
static greffier_flow *flow;

static void frame_of(uint8_t *frame, unsigned leg, unsigned number)
{
    static const uint8_t head[42] = {[12] = 0x08, [14] = 0x45, [17] = 200, [23] = 17, [29] = 1, [33] = 2,
                                     [36] = 0x13, 0x88, 0, 180};
    memcpy(frame, head, sizeof head);
    frame[35] = (uint8_t)leg;
    make_packet(frame + sizeof head, number, 8, leg);
}

static void *capture(void *unused)
{
    uint8_t octets[LENGTH];
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (unsigned leg = 0; leg < LEGS; leg++) {
            frame_of(octets, leg, i);
            greffier_frame frame = {.time_ns = MADE_ORIGIN + i * MADE_STEP, .octets = octets,
                                    .length = LENGTH, .whole = LENGTH};
            greffier_flow_take(flow, &frame, 1);
        }
        sched_yield();
    }
    return unused;
}

static uint64_t read_all(greffier_ring *ring)
{
    uint64_t count = 0;
    for (greffier_record record; greffier_record_peek(ring, &record);) {
        count += 1u + record.head.dropped;
        greffier_record_skip(ring, &record);
    }
    return count;
}

int main(void)
{
    static uint8_t out[1 << 20];
    spool = greffier_spool_new(1 << 26);
    greffier_ring *ring = greffier_ring_new(GREFFIER_RECORD_UNIT, 1 << 16, 0);
    flow = greffier_flow_new(ring, LEGS, 1 << 26);
    greffier_stream *streams[LEGS];
    greffier_leg *legs[LEGS];
    greffier_seal *seals[LEGS];
    greffier_udp_pair pairs[LEGS];
    int armed[LEGS] = {0};
    for (unsigned i = 0; i < LEGS; i++) {
        uint8_t frame[LENGTH];
        uint32_t at, size;
        frame_of(frame, i, 0);
        CHECK(greffier_udp_find(frame, LENGTH, &pairs[i], &at, &size));
        streams[i] = greffier_stream_new(4096);
        legs[i] = make_leg(spool, streams[i]);
        seals[i] = make_seal();
        CHECK_IS(greffier_leg_attach(legs[i], greffier_spool_add(spool, seals[i], i), 0, 0, 0), 0);
    }
    pthread_t thread;
    CHECK_IS(pthread_create(&thread, NULL, capture, NULL), 0);
    uint64_t records = 0;
    greffier_flow_counters counters = {0};
    for (unsigned round = 0; counters.frames < (uint64_t)ROUNDS * LEGS; round++) {
        records += read_all(ring);
        unsigned i = round % LEGS;
        if (armed[i])
            CHECK(greffier_flow_disarm(flow, &pairs[i], i, INT64_MAX) == legs[i]);
        else if (greffier_flow_arm(flow, &pairs[i], i, legs[i]) != GREFFIER_FLOW_DONE)
            continue;
        armed[i] = !armed[i];
        greffier_flow_begin(flow);
        greffier_flow_settle(flow, LEGS / 2);
        greffier_leg_expire(spool, 0);
        greffier_spool_collect(spool);
        greffier_sealed results[LEGS];
        while (greffier_spool_seal(spool, out, sizeof out, results, LEGS) > 0)
            CHECK_IS(results[0].fault, 0);
        greffier_flow_count(flow, &counters);
    }
    pthread_join(thread, NULL);
    records += read_all(ring);
    uint8_t last[LENGTH]; /* of no leg: what was dropped at the end is said by the record after it */
    frame_of(last, LEGS, 0);
    greffier_flow_take(flow, &(greffier_frame){.octets = last, .length = LENGTH, .whole = LENGTH}, 1);
    records += read_all(ring);
    for (int logs = 0; logs < 2; logs++) {
        greffier_flow_begin(flow);
        greffier_flow_settle(flow, LEGS);
    }
    greffier_flow_count(flow, &counters);
    CHECK_IS(counters.overrun, 0);
    CHECK_IS(counters.legs + counters.records + counters.dropped, (uint64_t)ROUNDS * LEGS + 1);
    CHECK_IS(counters.records + counters.dropped, records);
    uint64_t heard = 0;
    for (unsigned i = 0; i < LEGS; i++) {
        greffier_stream_counters stream;
        greffier_stream_count(streams[i], &stream);
        heard += stream.packets + stream.strays;
        greffier_flow_disarm(flow, &pairs[i], i, INT64_MAX);
        greffier_leg_free(legs[i]);
        greffier_stream_free(streams[i]);
    }
    CHECK_IS(heard, counters.legs);
    greffier_flow_free(flow);
    greffier_spool_free(spool);
    for (unsigned i = 0; i < LEGS; i++)
        greffier_seal_free(seals[i]);
    greffier_ring_free(ring);
    puts("every packet is in one place");
    return 0;
}
