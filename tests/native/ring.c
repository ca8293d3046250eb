
#include <errno.h>
#include <string.h>

#include "check.h"
#include "ring_fast.h"

static void only_powers_of_two_are_accepted(void)
{
    const size_t wrong[] = {0, 3, 6, 1000, SIZE_MAX, (SIZE_MAX >> 1) + 1};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        errno = 0;
        CHECK(greffier_ring_new(4, wrong[i], 0) == NULL);
        CHECK_IS(errno, EINVAL);
    }
    CHECK(greffier_ring_new(0, 8, 0) == NULL);
    CHECK(greffier_ring_new((size_t)1 << 40, (size_t)1 << 40, 0) == NULL);
    greffier_ring *ring = greffier_ring_new(1, 1, 0);
    CHECK(ring != NULL);
    CHECK_IS(greffier_ring_capacity(ring), 1);
    CHECK_IS(greffier_ring_put(ring, "ab", 2), 1);
    CHECK_IS(greffier_ring_dropped(ring), 1);
    greffier_ring_free(ring);
    greffier_ring_free(NULL);
}

static void every_slot_is_used_and_the_newest_is_dropped(void)
{
    greffier_ring *ring = greffier_ring_new(3, 4, 0);
    char out[16] = {0};
    CHECK_IS(greffier_ring_put(ring, "aaabbbcccdddeee", 5), 4);
    CHECK_IS(greffier_ring_stored(ring), 4);
    CHECK_IS(greffier_ring_dropped(ring), 1);
    CHECK_IS(greffier_ring_put(ring, "fff", 1), 0);
    CHECK_IS(greffier_ring_dropped(ring), 2);
    CHECK_IS(greffier_ring_get(ring, out, 5), 4);
    CHECK(memcmp(out, "aaabbbcccddd", 12) == 0);
    CHECK_IS(greffier_ring_get(ring, out, 1), 0);
    greffier_ring_free(ring);
}

static void regions_cross_the_end_in_two_pieces(void)
{
    greffier_ring *ring = greffier_ring_new(2, 8, 0);
    char out[16];
    CHECK_IS(greffier_ring_put(ring, "000011112222", 6), 6);
    CHECK_IS(greffier_ring_get(ring, out, 6), 6);
    greffier_ring_regions to, from;
    CHECK_IS(greffier_ring_write_regions(ring, 5, &to), 5);
    CHECK_IS(to.first_frames, 2);
    CHECK_IS(to.second_frames, 3);
    memcpy(to.first, "aabb", 4);
    memcpy(to.second, "ccddee", 6);
    CHECK_IS(greffier_ring_stored(ring), 0);
    CHECK_IS(greffier_ring_read_regions(ring, 8, &from), 0);
    CHECK_IS(greffier_ring_write_advance(ring, 4), 0);
    CHECK_IS(greffier_ring_read_regions(ring, 8, &from), 4);
    CHECK_IS(from.first_frames, 2);
    CHECK_IS(from.second_frames, 2);
    CHECK(memcmp(from.first, "aabb", 4) == 0 && memcmp(from.second, "ccdd", 4) == 0);
    CHECK_IS(greffier_ring_read_advance(ring, 5), -1);
    CHECK_IS(greffier_ring_read_advance(ring, 3), 0);
    CHECK_IS(greffier_ring_get(ring, out, 8), 1);
    CHECK(memcmp(out, "dd", 2) == 0);
    CHECK_IS(greffier_ring_write_advance(ring, 9), -1);
    greffier_ring_refuse(ring, 7);
    CHECK_IS(greffier_ring_dropped(ring), 7);
    greffier_ring_free(ring);
}

static void erasing_and_scrubbing_leave_nothing(void)
{
    static const uint8_t zero[64];
    uint8_t out[64];
    greffier_ring *ring = greffier_ring_new(4, 16, 1);
    greffier_ring_regions all;
    CHECK_IS(greffier_ring_write_regions(ring, 16, &all), 16);
    CHECK_IS(all.first_frames, 16);
    const uint8_t *memory = all.first;
    CHECK_IS(greffier_ring_put(ring, "onlytillnextread", 4), 4);
    CHECK_IS(greffier_ring_get(ring, out, 2), 2);
    CHECK(memcmp(memory, zero, 8) == 0 && memcmp(memory + 8, "nextread", 8) == 0);
    CHECK_IS(greffier_ring_read_regions(ring, 1, &all), 1);
    CHECK_IS(greffier_ring_read_advance(ring, 1), 0);
    CHECK(memcmp(memory, zero, 12) == 0);
    memset(out, 1, sizeof out);
    CHECK_IS(greffier_ring_put(ring, out, 15), 15);
    CHECK_IS(greffier_ring_scrub(ring), 16);
    CHECK(memcmp(memory, zero, 64) == 0);
    CHECK_IS(greffier_ring_stored(ring), 0);
    greffier_ring_free(ring);
}

static void wiping_zeroes_what_is_stored_too(void)
{
    greffier_ring *ring = greffier_ring_new(4, 4, 0);
    uint8_t out[8];
    CHECK_IS(greffier_ring_put(ring, "keepthis", 2), 2);
    greffier_ring_wipe(ring);
    CHECK_IS(greffier_ring_get(ring, out, 2), 2);
    CHECK(memcmp(out, "\0\0\0\0\0\0\0", 8) == 0);
    CHECK(greffier_ring_locked(ring) == 0 || greffier_ring_locked(ring) == 1);
    greffier_ring_free(ring);
}

static void the_short_ways_do_the_same(void)
{
    uint32_t state = 7;
    for (int erase = 0; erase < 2; erase++) {
        greffier_ring *quick = greffier_ring_new(3, 8, erase);
        greffier_ring *slow = greffier_ring_new(3, 8, erase);
        greffier_ring_regions all;
        CHECK_IS(greffier_ring_write_regions(quick, 8, &all), 8);
        const uint8_t *quick_memory = all.first;
        CHECK_IS(greffier_ring_write_regions(slow, 8, &all), 8);
        const uint8_t *slow_memory = all.first;
        for (int round = 0; round < 20000; round++) {
            uint8_t in[36], one[36] = {0}, two[36] = {0};
            memset(in, round, sizeof in);
            size_t frames = (state = state * 1664525u + 1013904223u) >> 24;
            frames = frames < 2 ? SIZE_MAX : frames % 12;
            greffier_ring_regions here, there;
            switch (state >> 16 & 3) {
            case 0:
                if (frames <= 12)
                    CHECK_IS(greffier_ring_fast_put(quick, in, frames),
                             greffier_ring_put(slow, in, frames));
                break;
            case 1:
                CHECK_IS(greffier_ring_fast_get(quick, one, frames), greffier_ring_get(slow, two, frames));
                break;
            case 2:
                CHECK_IS(greffier_ring_fast_read_regions(quick, frames, &here),
                         greffier_ring_read_regions(slow, frames, &there));
                CHECK_IS(here.first_frames, there.first_frames);
                CHECK_IS(here.second_frames, there.second_frames);
                CHECK_IS(here.first - quick_memory, there.first - slow_memory);
                break;
            default:
                CHECK_IS(greffier_ring_fast_read_advance(quick, frames),
                         greffier_ring_read_advance(slow, frames));
            }
            CHECK(memcmp(one, two, sizeof one) == 0);
            CHECK(memcmp(quick_memory, slow_memory, 24) == 0);
            CHECK_IS(greffier_ring_stored(quick), greffier_ring_stored(slow));
            CHECK_IS(greffier_ring_dropped(quick), greffier_ring_dropped(slow));
        }
        greffier_ring_free(quick);
        greffier_ring_free(slow);
    }
}

int main(void)
{
    RUN(only_powers_of_two_are_accepted);
    RUN(every_slot_is_used_and_the_newest_is_dropped);
    RUN(regions_cross_the_end_in_two_pieces);
    RUN(erasing_and_scrubbing_leave_nothing);
    RUN(the_short_ways_do_the_same);
    RUN(wiping_zeroes_what_is_stored_too);
    return 0;
}
