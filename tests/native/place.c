#include "place.h"

#include <string.h>

#include "check.h"

static const int64_t ORIGIN = 1700000000000000000, MS = 1000000;

static greffier_placed put(greffier_place *place, uint64_t sequence, uint64_t timestamp, int64_t at_ms,
                           uint32_t length, int kind)
{
    greffier_stream_packet packet = {.sequence = sequence, .timestamp = timestamp,
                                     .arrival_ns = ORIGIN + at_ms * MS, .length = length};
    greffier_placed placed;
    greffier_place_packet(place, &packet, kind, &placed);
    return placed;
}

static greffier_place fresh(void)
{
    return (greffier_place){.origin_ns = ORIGIN, .rate = 8000};
}

static void packets_lie_where_their_timestamps_say(void)
{
    greffier_place place = fresh();
    greffier_placed placed = put(&place, 1, 5000, 10, 160, GREFFIER_PLACE_SOUND);
    CHECK(placed.has_gap && placed.has_sound);
    CHECK_IS(placed.gap.cause, GREFFIER_PLACE_LATE_START);
    CHECK_IS(placed.position, 80);
    placed = put(&place, 2, 5160, 90, 160, GREFFIER_PLACE_SOUND); /* jitter moves nothing */
    CHECK(!placed.has_gap);
    CHECK_IS(placed.position, 240);
    placed = put(&place, 5, 5640, 70, 160, GREFFIER_PLACE_SOUND);
    CHECK_IS(placed.gap.from, 400);
    CHECK_IS(placed.gap.to, 720);
    CHECK_IS(placed.gap.packets, 2);
    CHECK_IS(placed.gap.cause, GREFFIER_PLACE_LOST);
    CHECK_IS(place.end, 880);
}

static void a_step_back_writes_nothing_twice(void)
{
    greffier_place place = fresh();
    put(&place, 1, 5000, 0, 160, GREFFIER_PLACE_SOUND);
    greffier_placed placed = put(&place, 2, 5060, 20, 160, GREFFIER_PLACE_SOUND);
    CHECK_IS(placed.position, 160);
    CHECK_IS(placed.samples, 60);
    CHECK_IS(placed.skip, 100);
    placed = put(&place, 3, 5000, 40, 160, GREFFIER_PLACE_SOUND);
    CHECK(placed.has_gap && !placed.has_sound);
    CHECK_IS(placed.gap.cause, GREFFIER_PLACE_OVERLAP);
    placed = put(&place, 2, 5000, 40, 160, GREFFIER_PLACE_SOUND);
    CHECK_IS(placed.gap.cause, GREFFIER_PLACE_LATE);
}

static void timestamps_that_contradict_the_clock_are_a_jump(void)
{
    greffier_place place = fresh();
    put(&place, 1, 5000, 0, 160, GREFFIER_PLACE_SOUND);
    greffier_placed placed = put(&place, 2, 5160 + 80000, 20, 160, GREFFIER_PLACE_SOUND);
    CHECK_IS(placed.position, 160);
    CHECK(!placed.has_gap);
    placed = put(&place, 3, 0, 1000, 160, GREFFIER_PLACE_SOUND);
    CHECK_IS(placed.position, 8000);
    CHECK_IS(placed.gap.cause, GREFFIER_PLACE_JUMP);
    placed = put(&place, 4, UINT64_MAX / 2, 1020, 160, GREFFIER_PLACE_SOUND);
    CHECK_IS(placed.position, 8160);
}

static void silence_has_its_reason_and_the_end_too(void)
{
    greffier_place place = fresh();
    put(&place, 1, 0, 0, 160, GREFFIER_PLACE_SOUND);
    CHECK(!put(&place, 2, 160, 20, 1, GREFFIER_PLACE_NOISE).has_gap);
    greffier_placed placed = put(&place, 3, 1600, 200, 160, GREFFIER_PLACE_SOUND);
    CHECK_IS(placed.gap.cause, GREFFIER_PLACE_DTX);
    put(&place, 4, 1760, 220, 4, GREFFIER_PLACE_EVENT);
    placed = put(&place, 5, 3200, 400, 160, GREFFIER_PLACE_SOUND);
    CHECK_IS(placed.gap.cause, GREFFIER_PLACE_EVENTS);
    greffier_gap gap;
    CHECK(!greffier_place_finish(&place, &gap));
    put(&place, 6, 3360, 420, 0, GREFFIER_PLACE_SOUND);
    CHECK(greffier_place_finish(&place, &gap));
    CHECK_IS(gap.cause, GREFFIER_PLACE_DAMAGED);
    CHECK_IS(gap.packets, 1);
    CHECK(!greffier_place_finish(&place, &gap));
}

static void times_before_the_origin_and_far_ones_do_no_harm(void)
{
    greffier_place place = fresh();
    greffier_placed placed = put(&place, 1, 0, -10, 160, GREFFIER_PLACE_SOUND);
    CHECK_IS(placed.position, 0);
    CHECK_IS(placed.skip, 80);
    place = fresh();
    placed = put(&place, 1, 0, -60000, 160, GREFFIER_PLACE_SOUND);
    CHECK_IS(placed.gap.cause, GREFFIER_PLACE_EARLY);
    placed = put(&place, 2, 160, 7000000000, 160, GREFFIER_PLACE_SOUND); /* 81 days */
    CHECK_IS(placed.position, (int64_t)7000000 * 8000);
    CHECK(strcmp(greffier_place_word(GREFFIER_PLACE_OVERRUN), "overrun") == 0);
    CHECK(strcmp(greffier_place_word(99), "lost") == 0);
}

int main(void)
{
    RUN(packets_lie_where_their_timestamps_say);
    RUN(a_step_back_writes_nothing_twice);
    RUN(timestamps_that_contradict_the_clock_are_a_jump);
    RUN(silence_has_its_reason_and_the_end_too);
    RUN(times_before_the_origin_and_far_ones_do_no_harm);
    return 0;
}
