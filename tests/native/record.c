#include "record.h"

#include <string.h>

#include "check.h"
#include "ring.h"

static void a_record_comes_back_whole_wherever_it_lies(void)
{
    greffier_ring *ring = greffier_ring_new(GREFFIER_RECORD_UNIT, 8, 0);
    greffier_record_writer writer = {0};
    greffier_record record;
    uint8_t octets[100], back[100];
    CHECK_IS(greffier_record_peek(ring, &record), 0);
    for (uint32_t length = 0; length <= 100; length++) {
        memset(octets, (int)length, length);
        CHECK_IS(greffier_record_put(ring, &writer, -(int64_t)length, 7, octets, length), 1);
        CHECK_IS(greffier_record_peek(ring, &record), 1);
        CHECK_IS(record.head.time_ns, -(int64_t)length);
        CHECK_IS(record.head.kind, 7);
        CHECK_IS(record.head.dropped, 0);
        CHECK_IS(record.first_length + record.second_length, length);
        memcpy(back, record.first, record.first_length);
        memcpy(back + record.first_length, record.second, record.second_length);
        CHECK(memcmp(back, octets, length) == 0);
        CHECK_IS(greffier_record_skip(ring, &record), 0);
        CHECK_IS(greffier_ring_stored(ring), 0);
    }
    greffier_ring_free(ring);
}

static void the_next_record_says_how_many_were_dropped(void)
{
    greffier_ring *ring = greffier_ring_new(GREFFIER_RECORD_UNIT, 4, 0);
    greffier_record_writer writer = {0};
    greffier_record record;
    uint8_t octets[64] = {0};
    CHECK_IS(greffier_record_put(ring, &writer, 1, 0, octets, 33), 1);
    CHECK_IS(greffier_record_put(ring, &writer, 2, 0, octets, 0), 0);
    CHECK_IS(greffier_record_put(ring, &writer, 3, 0, octets, 64), 0);
    CHECK_IS(greffier_ring_dropped(ring), 2);
    CHECK_IS(greffier_record_peek(ring, &record), 1);
    CHECK_IS(record.head.dropped, 0);
    CHECK_IS(greffier_record_skip(ring, &record), 0);
    CHECK_IS(greffier_record_skip(ring, &record), -1);
    CHECK_IS(greffier_record_put(ring, &writer, 4, 0, octets, 48), 1);
    CHECK_IS(greffier_record_peek(ring, &record), 1);
    CHECK_IS(record.head.dropped, 2);
    CHECK_IS(greffier_record_skip(ring, &record), 0);
    for (int i = 0; i < 70000; i++)
        CHECK_IS(greffier_record_put(ring, &writer, 5, 0, octets, UINT32_MAX), 0);
    CHECK_IS(greffier_record_put(ring, &writer, 6, 0, octets, 0), 1);
    CHECK_IS(greffier_record_peek(ring, &record), 1);
    CHECK_IS(record.head.dropped, 65535);
    CHECK_IS(greffier_ring_dropped(ring), 70002);
    greffier_ring_free(ring);
}

static void a_ring_of_other_frames_is_refused(void)
{
    greffier_ring *ring = greffier_ring_new(8, 4, 0);
    greffier_record_writer writer = {0};
    CHECK_IS(greffier_record_put(ring, &writer, 0, 0, "", 0), -1);
    greffier_ring_free(ring);
}

int main(void)
{
    RUN(a_record_comes_back_whole_wherever_it_lies);
    RUN(the_next_record_says_how_many_were_dropped);
    RUN(a_ring_of_other_frames_is_refused);
    return 0;
}
