/* Two threads, many frames, a small ring: nothing lost, nothing torn. Meant for ThreadSanitizer, which
 * alone notices a wrong memory order on a machine that orders memory strongly. */
#define _DEFAULT_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "record.h"
#include "ring_fast.h"

enum { WORDS = 8, SLOTS = 64, BATCH = 5, RECORDS = 20000 };

static uint64_t total = 200000;

static void fill(uint64_t *frame, uint64_t number)
{
    for (int i = 0; i < WORDS; i++)
        frame[i] = number * 0x9e3779b97f4a7c15u + (uint64_t)i;
}

static void expect(const uint64_t *frame, uint64_t number)
{
    for (int i = 0; i < WORDS; i++)
        CHECK(frame[i] == number * 0x9e3779b97f4a7c15u + (uint64_t)i);
}

static void *produce(void *argument)
{
    greffier_ring *ring = argument;
    uint64_t batch[BATCH][WORDS];
    uint64_t refused = 0;
    for (uint64_t number = 0; number < total;) {
        size_t wanted = 1 + number % BATCH;
        if (wanted > total - number)
            wanted = (size_t)(total - number);
        size_t stored;
        if (number % 3 == 0) {
            greffier_ring_regions to;
            stored = greffier_ring_write_regions(ring, wanted, &to);
            for (size_t i = 0; i < stored; i++) {
                int straight = i < to.first_frames;
                uint8_t *base = straight ? to.first : to.second;
                size_t at = straight ? i : i - to.first_frames;
                fill((uint64_t *)(void *)(base + at * sizeof batch[0]), number + i);
            }
            CHECK_IS(greffier_ring_write_advance(ring, stored), 0);
        } else {
            for (size_t i = 0; i < wanted; i++)
                fill(batch[i], number + i);
            stored = number % 2 ? greffier_ring_put(ring, batch, wanted)
                                : greffier_ring_fast_put(ring, batch, wanted);
            refused += wanted - stored;
        }
        number += stored;
        if (stored < wanted)
            sched_yield();
    }
    CHECK(greffier_ring_dropped(ring) == refused);
    return NULL;
}

static void two_threads_lose_nothing(void)
{
    greffier_ring *ring = greffier_ring_new(WORDS * sizeof(uint64_t), SLOTS, 0);
    pthread_t producer;
    CHECK_IS(pthread_create(&producer, NULL, produce, ring), 0);
    uint64_t batch[BATCH][WORDS];
    for (uint64_t number = 0; number < total;) {
        size_t taken;
        if (number % 2 == 0) {
            taken = number % 4 ? greffier_ring_get(ring, batch, BATCH)
                               : greffier_ring_fast_get(ring, batch, BATCH);
            for (size_t i = 0; i < taken; i++)
                expect(batch[i], number + i);
        } else {
            greffier_ring_regions from;
            taken = greffier_ring_fast_read_regions(ring, BATCH, &from);
            for (size_t i = 0; i < taken; i++) {
                int straight = i < from.first_frames;
                const uint8_t *base = straight ? from.first : from.second;
                size_t at = straight ? i : i - from.first_frames;
                expect((const uint64_t *)(const void *)(base + at * sizeof batch[0]), number + i);
            }
            CHECK_IS(greffier_ring_fast_read_advance(ring, taken), 0);
        }
        number += taken;
        if (taken == 0)
            sched_yield();
    }
    CHECK_IS(pthread_join(producer, NULL), 0);
    CHECK_IS(greffier_ring_stored(ring), 0);
    greffier_ring_free(ring);
}

static void *record(void *argument)
{
    greffier_ring *ring = argument;
    greffier_record_writer writer = {0};
    uint8_t octets[200];
    for (int number = 0; number < RECORDS; number++) {
        uint32_t length = (uint32_t)(number * 7 % 200);
        memset(octets, number & 0xff, length);
        if (greffier_record_put(ring, &writer, number, 1, octets, length) == 0)
            sched_yield();
    }
    /* The last one must get through, or the consumer waits for ever. */
    while (greffier_record_put(ring, &writer, RECORDS, 2, octets, 0) == 0)
        sched_yield();
    return NULL;
}

static void every_record_arrives_whole_or_is_counted(void)
{
    greffier_ring *ring = greffier_ring_new(GREFFIER_RECORD_UNIT, SLOTS, 0);
    pthread_t producer;
    CHECK_IS(pthread_create(&producer, NULL, record, ring), 0);
    uint64_t seen = 0, dropped = 0;
    for (greffier_record next = {0}; next.head.kind != 2;) {
        if (greffier_record_peek(ring, &next) == 0) {
            sched_yield();
            continue;
        }
        seen++;
        dropped += next.head.dropped;
        if (next.head.kind == 1) {
            CHECK_IS(next.head.length, next.head.time_ns * 7 % 200);
            CHECK_IS(next.head.time_ns + 1, (long long)(seen + dropped));
            for (size_t i = 0; i < next.first_length; i++)
                CHECK_IS(next.first[i], next.head.time_ns & 0xff);
            for (size_t i = 0; i < next.second_length; i++)
                CHECK_IS(next.second[i], next.head.time_ns & 0xff);
        }
        CHECK_IS(greffier_record_skip(ring, &next), 0);
    }
    CHECK_IS(pthread_join(producer, NULL), 0);
    CHECK(greffier_ring_dropped(ring) == dropped);
    greffier_ring_free(ring);
}

int main(int count, char **words)
{
    if (count > 1)
        total = strtoull(words[1], NULL, 10);
    RUN(two_threads_lose_nothing);
    RUN(every_record_arrives_whole_or_is_counted);
    return 0;
}
