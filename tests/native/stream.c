#include "stream.h"

#include <errno.h>
#include <string.h>

#include "check.h"

enum { SSRC = 0x11223344, GAP = 100 + GREFFIER_STREAM_WINDOW - 1 };

static const int64_t MS = 1000000;

static int give_at(greffier_stream *stream, unsigned number, uint32_t timestamp, int type, size_t length,
                   int64_t arrival_ns)
{
    uint8_t packet[700] = {0x80, (uint8_t)type, (uint8_t)(number >> 8), (uint8_t)number,
                           (uint8_t)(timestamp >> 24), (uint8_t)(timestamp >> 16),
                           (uint8_t)(timestamp >> 8), (uint8_t)timestamp, 0x11, 0x22, 0x33, 0x44};
    memset(packet + 12, (int)(number & 0xff), length);
    return greffier_stream_receive(stream, packet, 12 + length, arrival_ns);
}

static int give(greffier_stream *stream, unsigned number, uint32_t timestamp, int type, size_t length)
{
    return give_at(stream, number, timestamp, type, length, (int64_t)number);
}

static int voice(greffier_stream *stream, unsigned number)
{
    return give(stream, number & 0xffff, number * 160, 8, 160);
}

static greffier_stream_counters counted(const greffier_stream *stream)
{
    greffier_stream_counters counters;
    greffier_stream_count(stream, &counters);
    CHECK(counters.packets == 0
          || counters.highest - counters.first + 1
                 == counters.packets - counters.duplicates + counters.lost);
    return counters;
}

static size_t take(greffier_stream *stream, greffier_stream_packet *packets)
{
    return greffier_stream_take(stream, packets, GREFFIER_STREAM_HELD);
}

static void payloads_come_out_in_order_with_their_octets(void)
{
    greffier_stream *stream = greffier_stream_new(160);
    greffier_stream_packet out[GREFFIER_STREAM_HELD];
    const unsigned order[] = {65534, 65533, 65535, 2, 0, 1, 4, 3};
    for (size_t i = 0; i < 8; i++)
        CHECK(give(stream, order[i], order[i] * 160, 8, 160) <= GREFFIER_STREAM_REORDERED);
    CHECK_IS(take(stream, out), 0);
    greffier_stream_flush(stream);
    CHECK_IS(take(stream, out), 8);
    for (size_t i = 0; i < 8; i++) {
        CHECK_IS(out[i].sequence, 65536 + 65533 + i);
        CHECK_IS(out[i].length, 160);
        const uint8_t *payload = greffier_stream_payloads(stream) + out[i].offset;
        CHECK_IS(payload[0], (65533 + i) & 0xff);
        CHECK_IS(payload[159], (65533 + i) & 0xff);
    }
    greffier_stream_counters counters = counted(stream);
    CHECK_IS(counters.reordered, 4);
    CHECK_IS(counters.lost, 0);
    CHECK_IS(counters.ssrc, SSRC);
    greffier_stream_free(stream);
}

static void a_gap_is_given_up_when_the_window_passes_it(void)
{
    greffier_stream *stream = greffier_stream_new(160);
    greffier_stream_packet out[GREFFIER_STREAM_HELD];
    for (unsigned number = 100; number < 100 + GREFFIER_STREAM_WINDOW - 1; number++)
        voice(stream, number);
    CHECK_IS(take(stream, out), 0);
    voice(stream, 99);
    CHECK_IS(take(stream, out), GREFFIER_STREAM_WINDOW);
    for (unsigned number = GAP + 1; number < GAP + GREFFIER_STREAM_WINDOW; number++)
        CHECK_IS(voice(stream, number), GREFFIER_STREAM_NEWEST);
    CHECK_IS(take(stream, out), 0);
    CHECK_IS(voice(stream, GAP + GREFFIER_STREAM_WINDOW), GREFFIER_STREAM_NEWEST);
    CHECK_IS(take(stream, out), GREFFIER_STREAM_WINDOW);
    CHECK_IS(counted(stream).lost, 1);
    CHECK_IS(voice(stream, GAP), GREFFIER_STREAM_LATE);
    CHECK_IS(voice(stream, GAP), GREFFIER_STREAM_DUPLICATE);
    CHECK_IS(counted(stream).lost, 0);
    CHECK_IS(counted(stream).late, 1);
    greffier_stream_free(stream);
}

static void nothing_waits_longer_than_the_patience(void)
{
    greffier_stream *stream = greffier_stream_new(160);
    greffier_stream_packet out[GREFFIER_STREAM_HELD];
    const int64_t patience = GREFFIER_STREAM_PATIENCE_MS * MS;
    greffier_stream_expire(stream, INT64_MAX); /* empty */
    CHECK_IS(give_at(stream, 10, 0, 8, 160, 0), GREFFIER_STREAM_NEWEST);
    CHECK_IS(give_at(stream, 9, 0, 8, 160, MS), GREFFIER_STREAM_REORDERED);
    CHECK_IS(give_at(stream, 11, 0, 8, 160, patience - 1), GREFFIER_STREAM_NEWEST);
    CHECK_IS(take(stream, out), 0);
    CHECK_IS(give_at(stream, 13, 0, 8, 160, patience), GREFFIER_STREAM_NEWEST);
    CHECK_IS(take(stream, out), 3);
    CHECK_IS(out[0].sequence, 65536 + 9);
    greffier_stream_expire(stream, 2 * patience - 1);
    CHECK_IS(take(stream, out), 0);
    CHECK_IS(give_at(stream, 12, 1920, 8, 160, 2 * patience), GREFFIER_STREAM_LATE); /* its own time counts */
    CHECK_IS(take(stream, out), 1);
    CHECK_IS(out[0].sequence, 65536 + 13);
    CHECK_IS(give_at(stream, 14, 0, 8, 160, 2 * patience), GREFFIER_STREAM_NEWEST);
    CHECK_IS(take(stream, out), 1);
    CHECK_IS(counted(stream).lost, 0);
    CHECK_IS(counted(stream).late, 1);
    greffier_stream_free(stream);
}

static void a_full_stream_changes_nothing(void)
{
    greffier_stream *stream = greffier_stream_new(160);
    greffier_stream_packet out[GREFFIER_STREAM_HELD];
    unsigned number = 0;
    while (voice(stream, number) != GREFFIER_STREAM_FULL)
        number++;
    CHECK_IS(number, GREFFIER_STREAM_HELD);
    CHECK_IS(counted(stream).packets, GREFFIER_STREAM_HELD);
    CHECK_IS(voice(stream, 5000), GREFFIER_STREAM_FULL);
    CHECK_IS(take(stream, out), GREFFIER_STREAM_HELD);
    CHECK_IS(voice(stream, number), GREFFIER_STREAM_NEWEST);
    greffier_stream_free(stream);
}

static void a_restart_goes_on_without_a_gap(void)
{
    greffier_stream *stream = greffier_stream_new(160);
    greffier_stream_packet out[GREFFIER_STREAM_HELD];
    for (unsigned number = 60000; number < 60010; number++)
        voice(stream, number);
    CHECK_IS(voice(stream, 20000), GREFFIER_STREAM_PROBATION);
    CHECK_IS(voice(stream, 20000), GREFFIER_STREAM_PROBATION);
    CHECK_IS(counted(stream).strays, 2);
    CHECK_IS(voice(stream, 20001), GREFFIER_STREAM_RESTARTED);
    CHECK_IS(voice(stream, 60010), GREFFIER_STREAM_PROBATION);
    CHECK_IS(voice(stream, 20002), GREFFIER_STREAM_NEWEST);
    greffier_stream_counters counters = counted(stream);
    CHECK_IS(counters.restarts, 1);
    CHECK_IS(counters.strays, 1);
    CHECK_IS(counters.duplicates, 1);
    CHECK_IS(counters.lost, 0);
    CHECK_IS(counters.packets, 14);
    CHECK_IS(take(stream, out), 13);
    CHECK_IS(out[10].sequence, out[9].sequence + 1);
    CHECK_IS(out[9].segment, 0);
    CHECK_IS(out[10].segment, 1);
    CHECK_IS(out[10].timestamp, (1ll << 32) + 20000 * 160);
    CHECK_IS(greffier_stream_payloads(stream)[out[10].offset], 20000 & 0xff);
    greffier_stream_free(stream);
}

static void a_number_used_again_for_another_instant_is_a_restart(void)
{
    greffier_stream *stream = greffier_stream_new(160);
    for (unsigned number = 0; number < 500; number++) {
        greffier_stream_packet out[GREFFIER_STREAM_HELD];
        CHECK_IS(give(stream, number, number * 160, 8, 160), GREFFIER_STREAM_NEWEST);
        take(stream, out);
    }
    CHECK_IS(give(stream, 0, 77, 8, 160), GREFFIER_STREAM_PROBATION);
    CHECK_IS(give(stream, 1, 237, 8, 160), GREFFIER_STREAM_RESTARTED);
    CHECK_IS(give(stream, 0, 77, 8, 160), GREFFIER_STREAM_DUPLICATE);
    CHECK_IS(counted(stream).highest - counted(stream).first + 1, 502);
    greffier_stream_free(stream);
}

static void hours_of_wraps_are_exact(void)
{
    greffier_stream *stream = greffier_stream_new(160);
    greffier_stream_packet out[GREFFIER_STREAM_HELD];
    uint64_t next = 65536 + 1, taken = 0;
    for (unsigned number = 1; number < 400000; number++) {
        if (number % 1000 == 0)
            continue;
        CHECK_IS(voice(stream, number), GREFFIER_STREAM_NEWEST);
        if (number % 700 == 0)
            CHECK_IS(voice(stream, number - 600 - (number - 600) % 1000 + 1), GREFFIER_STREAM_DUPLICATE);
        size_t count = take(stream, out);
        for (size_t i = 0; i < count; i++, next++) {
            next += next % 1000 == 65536 % 1000;
            CHECK_IS(out[i].sequence, next);
            CHECK_IS(out[i].timestamp, (1ll << 32) + (long long)(next - 65536) * 160);
        }
        taken += count;
    }
    greffier_stream_flush(stream);
    taken += take(stream, out);
    greffier_stream_counters counters = counted(stream);
    CHECK_IS(counters.lost, 399);
    CHECK_IS(counters.highest, 65536 + 399999);
    CHECK_IS(taken, counters.packets - counters.duplicates);
    greffier_stream_free(stream);
}

static void payload_types_events_and_sizes_are_noted(void)
{
    greffier_stream *stream = greffier_stream_new(160);
    CHECK_IS(greffier_stream_expect_events(stream, 128), -1);
    CHECK_IS(greffier_stream_expect_events(stream, 101), 0);
    CHECK_IS(give(stream, 1, 0, 8, 160), GREFFIER_STREAM_NEWEST);
    CHECK_IS(give(stream, 2, 160, 101, 4), GREFFIER_STREAM_NEWEST);
    CHECK_IS(give(stream, 3, 160, 101, 4), GREFFIER_STREAM_NEWEST);
    CHECK_IS(give(stream, 4, 320, 101, 3), GREFFIER_STREAM_NEWEST);
    CHECK_IS(give(stream, 5, 800, 8, 161), GREFFIER_STREAM_OVERSIZE);
    CHECK_IS(greffier_stream_receive(stream, (const uint8_t *)"\x80\x08\0\6\0\0\0\0abcd", 12, 0),
             GREFFIER_STREAM_FOREIGN);
    greffier_stream_counters counters = counted(stream);
    CHECK_IS(counters.keys, 1);
    CHECK_IS(counters.malformed_events, 1);
    CHECK_IS(counters.payload_changes, 2);
    CHECK_IS(counters.oversize, 1);
    CHECK_IS(counters.packets, 5);
    greffier_stream_free(stream);
}

static void odd_sizes_and_empty_streams_are_handled(void)
{
    errno = 0;
    CHECK(greffier_stream_new(0) == NULL && errno == EINVAL);
    CHECK(greffier_stream_new(65536) == NULL);
    greffier_stream_free(NULL);
    greffier_stream *stream = greffier_stream_new(1);
    greffier_stream_packet out[GREFFIER_STREAM_HELD];
    greffier_stream_flush(stream);
    CHECK_IS(take(stream, out), 0);
    CHECK_IS(give(stream, 9, 0, 0, 0), GREFFIER_STREAM_NEWEST);
    greffier_stream_flush(stream);
    CHECK_IS(take(stream, out), 1);
    CHECK_IS(out[0].length, 0);
    CHECK_IS(give(stream, 8, 0, 0, 0), GREFFIER_STREAM_LATE);
    CHECK_IS(counted(stream).first, 65536 + 8);
    greffier_stream_free(stream);
}

/* One of two streams hands packets out as they pass, the other one holds each: all else is alike. */
static void passing_and_holding_give_the_same_packets(void)
{
    greffier_stream *held = greffier_stream_new(160), *passing = greffier_stream_new(160);
    greffier_stream_expect_events(held, 101);
    greffier_stream_expect_events(passing, 101);
    uint32_t random = 7;
    int64_t now = 0;
    unsigned number = 65000, passed_count = 0;
    for (int i = 0; i < 20000; i++) {
        random = random * 1664525u + 1013904223u;
        unsigned luck = random >> 16 & 0x7ff;
        number += luck < 8 ? 1 + luck : luck < 10 ? 5000 : luck < 24 ? (unsigned)-(int)(luck - 9) : 1;
        uint8_t packet[200] = {0x80, luck < 30 ? 101 : 8, (uint8_t)(number >> 8), (uint8_t)number};
        packet[5] = (uint8_t)(number >> 5 & 0xff);
        packet[6] = (uint8_t)(number << 3 & 0xff);
        packet[11] = luck == 99;
        packet[13] = 0x80;
        size_t length = luck == 77 ? 11 : luck == 78 ? 180 : 16 + luck % 32;
        greffier_stream_packet from_held[GREFFIER_STREAM_HELD], from_passing[GREFFIER_STREAM_HELD];
        now += (luck % 64 == 0 ? 150 : 20) * MS;
        int status = greffier_stream_receive(held, packet, length, now);
        greffier_stream_packet passed;
        int other = greffier_stream_pass(passing, packet, length, now, &passed);
        size_t count = take(held, from_held);
        if (other == GREFFIER_STREAM_PASSED) {
            passed_count++;
            CHECK_IS(status, GREFFIER_STREAM_NEWEST);
            CHECK_IS(count, 1);
            const uint8_t *payload = greffier_stream_payloads(held) + from_held[0].offset;
            CHECK(memcmp(payload, packet + passed.offset, passed.length) == 0);
            passed.offset = from_held[0].offset;
            CHECK(memcmp(&passed, from_held, sizeof passed) == 0);
        } else {
            CHECK_IS(status, other);
            CHECK_IS(take(passing, from_passing), count);
            for (size_t k = 0; k < count; k++) {
                CHECK_IS(from_passing[k].sequence, from_held[k].sequence);
                CHECK_IS(from_passing[k].timestamp, from_held[k].timestamp);
                CHECK_IS(from_passing[k].segment, from_held[k].segment);
                CHECK(memcmp(greffier_stream_payloads(held) + from_held[k].offset,
                             greffier_stream_payloads(passing) + from_passing[k].offset,
                             from_held[k].length) == 0);
            }
        }
        greffier_stream_counters a = counted(held), b = counted(passing);
        CHECK(memcmp(&a, &b, sizeof a) == 0);
    }
    CHECK(passed_count > 5000);
    greffier_stream_free(held);
    greffier_stream_free(passing);
}

int main(void)
{
    RUN(payloads_come_out_in_order_with_their_octets);
    RUN(a_gap_is_given_up_when_the_window_passes_it);
    RUN(nothing_waits_longer_than_the_patience);
    RUN(a_full_stream_changes_nothing);
    RUN(a_restart_goes_on_without_a_gap);
    RUN(a_number_used_again_for_another_instant_is_a_restart);
    RUN(hours_of_wraps_are_exact);
    RUN(payload_types_events_and_sizes_are_noted);
    RUN(odd_sizes_and_empty_streams_are_handled);
    RUN(passing_and_holding_give_the_same_packets);
    return 0;
}
