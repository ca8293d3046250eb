#include "event.h"

#include "check.h"

static int count(greffier_event_counter *counter, uint32_t timestamp, int code, int end, int duration)
{
    uint8_t payload[4] = {(uint8_t)code, (uint8_t)(end << 7 | 10), (uint8_t)(duration >> 8),
                          (uint8_t)duration};
    return greffier_event_count(counter, timestamp, payload, sizeof payload);
}

static void fields_are_read_and_the_reserved_bit_is_not(void)
{
    greffier_event event;
    const uint8_t payload[5] = {11, 0xc0 | 23, 0x12, 0x34, 0xff};
    CHECK_IS(greffier_event_parse(payload, 5, &event), 0);
    CHECK_IS(event.code, 11);
    CHECK_IS(event.end, 1);
    CHECK_IS(event.volume, 23);
    CHECK_IS(event.duration, 0x1234);
    for (size_t length = 0; length < 4; length++)
        CHECK_IS(greffier_event_parse(payload, length, &event), -1);
}

static void repeated_ends_count_once(void)
{
    greffier_event_counter counter = {0};
    CHECK_IS(count(&counter, 1000, 5, 0, 160), 1);
    CHECK_IS(count(&counter, 1000, 5, 0, 320), 0);
    for (int i = 0; i < 3; i++)
        CHECK_IS(count(&counter, 1000, 5, 1, 480), 0);
    CHECK_IS(count(&counter, 2000, 5, 1, 480), 1);
    CHECK_IS(count(&counter, 1000, 5, 1, 480), 0);
    CHECK_IS(counter.keys, 2);
}

static void a_long_press_is_one_key(void)
{
    greffier_event_counter counter = {0};
    uint32_t start = 0xffffff00;
    CHECK_IS(count(&counter, start, 0, 0, 65535), 1);
    CHECK_IS(count(&counter, start + 65535, 0, 0, 100), 0);
    CHECK_IS(count(&counter, start + 2 * 65535, 0, 1, 100), 0);
    CHECK_IS(counter.keys, 1);
    CHECK_IS(count(&counter, start + 3 * 65535 + 1, 0, 1, 100), 1);
}

static void what_is_no_key_is_not_counted(void)
{
    greffier_event_counter counter = {0};
    CHECK_IS(count(&counter, 1, 16, 1, 100), 0);
    CHECK_IS(count(&counter, 1, 255, 1, 100), 0);
    CHECK_IS(greffier_event_count(&counter, 1, (const uint8_t *)"abc", 3), -1);
    CHECK_IS(counter.keys, 0);
    CHECK_IS(counter.malformed, 1);
    CHECK_IS(count(&counter, 1, 15, 1, 100), 1);
}

static void the_memory_for_events_is_bounded(void)
{
    greffier_event_counter counter = {0};
    for (uint32_t i = 0; i < 1000; i++)
        CHECK_IS(count(&counter, i * 1600, 1, 1, 800), 1);
    for (uint32_t i = 992; i < 1000; i++)
        CHECK_IS(count(&counter, i * 1600, 1, 1, 800), 0);
    CHECK_IS(counter.keys, 1000);
}

int main(void)
{
    RUN(fields_are_read_and_the_reserved_bit_is_not);
    RUN(repeated_ends_count_once);
    RUN(a_long_press_is_one_key);
    RUN(what_is_no_key_is_not_counted);
    RUN(the_memory_for_events_is_bounded);
    return 0;
}
