#include "made.h"

static const int64_t PATIENCE_NS = GREFFIER_STREAM_PATIENCE_MS * (int64_t)1000000;

static greffier_leg_counters counted(greffier_leg *leg)
{
    greffier_leg_counters counters;
    greffier_leg_count(leg, &counters);
    return counters;
}

static void a_leg_records_what_each_part_wants(void)
{
    greffier_spool *spool = greffier_spool_new(1 << 24);
    greffier_stream *stream = greffier_stream_new(4096);
    greffier_seal *seals[GREFFIER_LEG_PARTS + 1];
    greffier_part *parts[GREFFIER_LEG_PARTS + 1];
    greffier_leg *leg = make_leg(spool, stream);
    for (int i = 0; i <= GREFFIER_LEG_PARTS; i++) {
        seals[i] = make_seal();
        parts[i] = greffier_spool_add(spool, seals[i], (uint32_t)i);
        CHECK_IS(greffier_leg_attach(leg, parts[i], 1, i * 8000 + 8, MADE_ORIGIN),
                 i < GREFFIER_LEG_PARTS ? 0 : -1);
    }
    CHECK_IS(greffier_leg_attach(leg, parts[0], 1, 0, 0), -1);
    CHECK_IS(greffier_leg_detach(leg, parts[GREFFIER_LEG_PARTS]), -1);
    for (unsigned i = 0; i < 100; i++)
        CHECK(hear(leg, i, i % 10 == 9 ? 101 : 8) >= 0);
    greffier_leg_counters counters = counted(leg);
    CHECK_IS(counters.recorded, 90);
    CHECK_IS(counters.silent, 10);
    CHECK_IS(counters.kept_from, 8);
    CHECK_IS(counters.kept_to, 99 * 160);
    CHECK_IS(greffier_spool_collect(spool), 2); /* the others begin later than the last packet */
    greffier_noted noted[20];
    CHECK_IS(greffier_spool_note(spool, noted, 20), 9); /* an event among sound is a gap */
    CHECK_IS(noted[0].leg, 7);
    CHECK_IS(noted[0].gap.cause, GREFFIER_PLACE_EVENTS);
    for (int i = 0; i < GREFFIER_LEG_PARTS; i++)
        CHECK_IS(greffier_leg_detach(leg, parts[i]), 0);
    hear(leg, 100, 8);
    CHECK_IS(counted(leg).not_recorded, 1);
    greffier_leg_finish(leg);
    greffier_leg_free(leg);
    greffier_spool_free(spool);
    for (int i = 0; i <= GREFFIER_LEG_PARTS; i++)
        greffier_seal_free(seals[i]);
    greffier_stream_free(stream);
}

static void what_is_not_for_the_core_is_refused_with_all_that_follows(void)
{
    greffier_spool *spool = greffier_spool_new(1 << 20);
    greffier_stream *stream = greffier_stream_new(4096);
    greffier_leg *leg = make_leg(spool, stream);
    for (unsigned i = 0; i < 40; i++)
        CHECK(hear(leg, i, 8) != GREFFIER_LEG_LEFT);
    CHECK_IS(hear(leg, 40, 0), GREFFIER_LEG_LEAVES);
    CHECK_IS(hear(leg, 41, 8), GREFFIER_LEG_LEFT);
    CHECK_IS(counted(leg).left, 2);
    greffier_place place;
    greffier_leg_state(leg, &place);
    CHECK_IS(place.begun, 0); /* without a part it only counts */
    greffier_stream_counters stream_counters;
    greffier_stream_count(stream, &stream_counters);
    CHECK_IS(stream_counters.packets, 40);
    greffier_leg_free(leg);
    greffier_leg_free(NULL);
    greffier_spool_free(spool);
    greffier_stream_free(stream);
}

static void a_stream_that_holds_all_it_can_goes_on(void)
{
    greffier_spool *spool = greffier_spool_new(1 << 24);
    greffier_stream *stream = greffier_stream_new(4096);
    greffier_seal *seal = make_seal();
    greffier_part *part = greffier_spool_add(spool, seal, 0);
    uint8_t packet[172];
    for (unsigned i = 0; i < 90; i++) { /* nobody took anything out: the stream is full */
        size_t length = make_packet(packet, i, 8, 1);
        greffier_stream_receive(stream, packet, length, MADE_ORIGIN + i * MADE_STEP);
    }
    greffier_leg *leg = make_leg(spool, stream);
    CHECK_IS(greffier_leg_attach(leg, part, 0, 0, 0), 0);
    CHECK(hear(leg, 64, 8) >= 0);
    CHECK_IS(counted(leg).recorded, 65);
    CHECK(hear(leg, 66, 8) >= 0);
    CHECK_IS(counted(leg).recorded, 65);
    greffier_leg_expire(spool, MADE_ORIGIN + 66 * MADE_STEP + PATIENCE_NS - 1);
    CHECK_IS(counted(leg).recorded, 65);
    greffier_leg_expire(spool, MADE_ORIGIN + 66 * MADE_STEP + PATIENCE_NS);
    CHECK_IS(counted(leg).recorded, 66);
    greffier_leg_free(leg);
    greffier_spool_free(spool);
    greffier_seal_free(seal);
    greffier_stream_free(stream);
}

int main(void)
{
    RUN(a_leg_records_what_each_part_wants);
    RUN(what_is_not_for_the_core_is_refused_with_all_that_follows);
    RUN(a_stream_that_holds_all_it_can_goes_on);
    return 0;
}
