#include "made.h"

static uint8_t out[1 << 20];

static void frames_come_out_part_by_part_and_room_by_room(void)
{
    greffier_spool *spool = greffier_spool_new(1 << 24);
    greffier_seal *seals[3];
    greffier_part *parts[3];
    greffier_stream *streams[3];
    greffier_leg *legs[3];
    for (int i = 0; i < 3; i++) {
        seals[i] = make_seal();
        parts[i] = greffier_spool_add(spool, seals[i], 100 + (uint32_t)i);
        streams[i] = greffier_stream_new(4096);
        legs[i] = make_leg(spool, streams[i]);
        CHECK_IS(greffier_leg_attach(legs[i], parts[i], (uint8_t)i, 0, 0), 0);
    }
    CHECK_IS(greffier_spool_collect(spool), 0);
    for (unsigned i = 0; i < 120; i++)
        for (int k = 0; k < 3; k++)
            hear(legs[k], i, 8);
    CHECK_IS(greffier_spool_collect(spool), 3);
    greffier_sealed results[8];
    uint64_t frames = 0, octets = 0;
    size_t count, calls = 0;
    CHECK_IS(greffier_spool_seal(spool, out, 100, results, 8), 0); /* no frame fits */
    while ((count = greffier_spool_seal(spool, out, 10000, results, 8)) > 0) {
        calls++;
        for (size_t i = 0; i < count; i++) {
            CHECK_IS(results[i].fault, 0);
            CHECK(results[i].part >= 100 && results[i].part < 103);
            frames += results[i].frames;
            octets += results[i].length;
        }
    }
    CHECK_IS(frames, 9); /* 50 + 50 + 20 packets each */
    CHECK(calls >= 6);
    CHECK_IS(octets, 9 * (GREFFIER_SEAL_OVERHEAD + 14) + 360 * 176);
    greffier_spool_counters counters;
    greffier_spool_count(spool, &counters);
    CHECK_IS(counters.held, 0);
    CHECK_IS(greffier_spool_collect(spool), 0);
    for (int i = 0; i < 3; i++) {
        greffier_leg_free(legs[i]);
        greffier_stream_free(streams[i]);
        greffier_spool_remove(spool, parts[i]);
        greffier_seal_free(seals[i]);
    }
    greffier_spool_free(spool);
    greffier_spool_free(NULL);
}

static void a_part_that_is_closed_gives_up_its_frames_alone(void)
{
    greffier_spool *spool = greffier_spool_new(1 << 24);
    greffier_seal *seals[2];
    greffier_stream *stream = greffier_stream_new(4096);
    greffier_leg *leg = make_leg(spool, stream);
    for (int i = 0; i < 2; i++) {
        seals[i] = make_seal();
        greffier_leg_attach(leg, greffier_spool_add(spool, seals[i], (uint32_t)i), 0, 0, 0);
    }
    for (unsigned i = 0; i < 60; i++)
        hear(leg, i, 8);
    greffier_seal_close(seals[0]);
    greffier_sealed results[2];
    CHECK_IS(greffier_spool_collect(spool), 2);
    CHECK_IS(greffier_spool_seal(spool, out, sizeof out, results, 2), 2);
    for (int i = 0; i < 2; i++)
        CHECK_IS(results[i].fault, results[i].part == 0 ? GREFFIER_SEAL_CLOSED : 0);
    greffier_leg_free(leg);
    greffier_spool_free(spool); /* with its parts */
    greffier_seal_free(seals[0]);
    greffier_seal_free(seals[1]);
    greffier_stream_free(stream);
}

static void small_packets_need_more_room_than_usual(void)
{
    greffier_spool *spool = greffier_spool_new(1 << 22);
    greffier_seal *seal = make_seal();
    greffier_stream *stream = greffier_stream_new(4096);
    greffier_leg *leg = make_leg(spool, stream);
    greffier_leg_attach(leg, greffier_spool_add(spool, seal, 0), 0, 0, 0);
    for (unsigned i = 0; i < 8100; i++) { /* one sample each */
        uint8_t packet[13] = {0x80, 8, (uint8_t)(i >> 8), (uint8_t)i, 0, 0, (uint8_t)(i >> 8), (uint8_t)i};
        greffier_leg_receive(leg, packet, sizeof packet, MADE_ORIGIN + (int64_t)i * 125000);
    }
    greffier_sealed result;
    CHECK_IS(greffier_spool_collect(spool), 1);
    CHECK_IS(greffier_spool_seal(spool, out, sizeof out, &result, 1), 1);
    CHECK_IS(result.frames, 2);
    CHECK_IS(result.length, 2 * (GREFFIER_SEAL_OVERHEAD + 14) + 8100 * 17);
    greffier_leg_free(leg);
    greffier_spool_free(spool);
    greffier_seal_free(seal);
    greffier_stream_free(stream);
}

int main(void)
{
    RUN(frames_come_out_part_by_part_and_room_by_room);
    RUN(a_part_that_is_closed_gives_up_its_frames_alone);
    RUN(small_packets_need_more_room_than_usual);
    return 0;
}
