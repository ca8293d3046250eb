#define _DEFAULT_SOURCE /* fork */
#include "delay.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { PACKET = 160, MOST = 1 << 20, BIG = 65535 };

static uint8_t out[1 << 20];
static greffier_waiting items[4096];

static uint8_t tone(size_t number, size_t octet)
{
    return (uint8_t)(1 + (number * 31 + octet) % 255);
}

/* A packet of `length` octets that arrived in millisecond `at`. */
static int put(greffier_delay *d, size_t number, int64_t at, uint32_t length)
{
    uint8_t sound[BIG];
    for (size_t i = 0; i < length; i++)
        sound[i] = tone(number, i);
    greffier_waiting item = {.arrival_ns = at * 1000000, .start = number * 160, .end = number * 160 + 160,
                             .number = (int64_t)number, .type = 8, .length = length};
    return greffier_delay_append(d, &item, sound);
}

static greffier_delay_counters count(const greffier_delay *d)
{
    greffier_delay_counters counters;
    greffier_delay_count(d, &counters);
    return counters;
}

static void sound_comes_out_in_order_when_it_is_old_enough(void)
{
    greffier_delay *d = greffier_delay_new(MOST);
    for (size_t i = 0; i < 500; i++)
        CHECK_IS(put(d, i, 20 * (int64_t)i, PACKET), 0);
    CHECK_IS(count(d).items, 500);
    CHECK_IS(count(d).octets, 500 * PACKET);
    CHECK(count(d).locked <= count(d).held && count(d).held <= MOST);
    CHECK_IS(greffier_delay_take(d, 0, INT64_MAX, items, 4096, out, sizeof out), 0);
    size_t taken = greffier_delay_take(d, 5000 * 1000000LL, INT64_MAX, items, 4096, out, sizeof out);
    CHECK_IS(taken, 250); /* those of 0 .. 4980 ms */
    for (size_t i = 0; i < taken; i++) {
        CHECK_IS(items[i].number, i);
        for (size_t k = 0; k < PACKET; k++)
            CHECK_IS(out[i * PACKET + k], tone(i, k));
    }
    CHECK_IS(greffier_delay_take(d, INT64_MAX, INT64_MAX, items, 3, out, sizeof out), 3);
    CHECK_IS(greffier_delay_take(d, INT64_MAX, INT64_MAX, items, 4096, out, 2 * PACKET), 2);
    CHECK_IS(greffier_delay_take(d, INT64_MAX, INT64_MAX, items, 4096, out, PACKET - 1), 0);
    CHECK_IS(greffier_delay_take(d, INT64_MAX, INT64_MAX, items, 4096, out, sizeof out), 245);
    CHECK_IS(count(d).items + count(d).octets + count(d).held + count(d).locked, 0);
    CHECK_IS(put(d, 0, 0, PACKET), 0);
    greffier_delay_free(d);
    greffier_delay_free(NULL);
}

static void a_scrub_wipes_from_an_instant_on_and_says_what(void)
{
    for (int64_t from = -1; from <= 301; from++) {
        greffier_delay *d = greffier_delay_new(MOST);
        for (size_t i = 0; i < 300; i++)
            CHECK_IS(put(d, i, (int64_t)i, PACKET), 0);
        greffier_scrubbed span;
        size_t first = from < 0 ? 0 : from > 300 ? 300 : (size_t)from;
        CHECK_IS(greffier_delay_scrub(d, from * 1000000, &span), 300 - first);
        CHECK_IS(span.sounds, 300 - first);
        CHECK_IS(span.others, 0);
        CHECK_IS(span.samples, (300 - first) * 160);
        CHECK_IS(span.start, first < 300 ? first * 160 : 0);
        CHECK_IS(span.end, first < 300 ? 300 * 160 : 0);
        CHECK_IS(count(d).items, first);
        CHECK_IS(put(d, 999, 5000, PACKET), 0); /* and it goes on */
        CHECK_IS(greffier_delay_take(d, INT64_MAX, INT64_MAX, items, 4096, out, sizeof out), first + 1);
        CHECK_IS(items[first].number, 999);
        CHECK_IS(out[first * PACKET], tone(999, 0));
        CHECK_IS(count(d).held, 0);
        greffier_delay_free(d);
    }
}

static void what_says_that_samples_are_missing_never_waits_at_the_front(void)
{
    greffier_delay *d = greffier_delay_new(MOST);
    CHECK_IS(put(d, 0, 900, 0), 0);
    CHECK_IS(put(d, 1, 900, PACKET), 0);
    CHECK_IS(put(d, 2, 910, 0), 0);
    CHECK_IS(put(d, 3, 910, PACKET), 0);
    CHECK_IS(greffier_delay_take(d, 0, INT64_MAX, items, 4096, out, sizeof out), 1);
    CHECK_IS(items[0].length, 0);
    greffier_scrubbed span;
    CHECK_IS(greffier_delay_scrub(d, 0, &span), 3);
    CHECK_IS(span.sounds, 2);
    CHECK_IS(span.others, 1);
    CHECK_IS(span.start, 160);
    CHECK_IS(span.end, 640);
    greffier_delay_free(d);
}

static void what_lies_in_the_future_comes_out_at_once(void)
{
    greffier_delay *d = greffier_delay_new(MOST);
    CHECK_IS(put(d, 0, 3600000, PACKET), 0); /* then the clock was set back */
    CHECK_IS(put(d, 1, 100, PACKET), 0);
    CHECK_IS(greffier_delay_take(d, 0, 200 * 1000000LL, items, 4096, out, sizeof out), 1);
    CHECK_IS(greffier_delay_take(d, 101 * 1000000LL, 200 * 1000000LL, items, 4096, out, sizeof out), 1);
    greffier_delay_free(d);
}

static void memory_is_bounded_and_items_of_every_size_fit(void)
{
    greffier_delay *d = greffier_delay_new(100000);
    CHECK_IS(put(d, 0, 0, BIG), 0);
    CHECK_IS(put(d, 1, 1, BIG), -1);
    CHECK_IS(put(d, 2, 2, 1), 0);
    size_t stored = 0;
    while (put(d, 3, 3, PACKET) == 0)
        stored++;
    CHECK(stored > 50);
    CHECK(count(d).held <= 100000);
    CHECK_IS(count(d).refused, 2);
    greffier_waiting long_one = {.length = GREFFIER_DELAY_LARGEST + 1};
    CHECK_IS(greffier_delay_append(d, &long_one, out), -1);
    CHECK_IS(greffier_delay_take(d, INT64_MAX, INT64_MAX, items, 1, out, sizeof out), 1);
    CHECK_IS(items[0].length, BIG);
    CHECK_IS(out[65534], tone(0, 65534));
    CHECK_IS(greffier_delay_drop(d, INT64_MAX), stored + 1);
    CHECK_IS(put(d, 4, 4, BIG), 0);
    greffier_delay_free(d);
}

static void a_copy_takes_nothing_and_old_sound_is_dropped(void)
{
    greffier_delay *d = greffier_delay_new(MOST);
    for (size_t i = 0; i < 300; i++)
        CHECK_IS(put(d, i, (int64_t)i, PACKET), 0);
    CHECK_IS(greffier_delay_copy(d, 200 * 1000000LL, 0, items, 4096, out, sizeof out), 100);
    CHECK_IS(items[0].number, 200);
    CHECK_IS(out[99 * PACKET + 5], tone(299, 5));
    CHECK_IS(greffier_delay_copy(d, 0, 290, items, 4096, out, sizeof out), 10);
    CHECK_IS(items[0].number, 290);
    CHECK_IS(greffier_delay_copy(d, 0, 0, items, 4096, out, 10 * PACKET), 10);
    CHECK_IS(greffier_delay_copy(d, 0, 0, items, 7, out, sizeof out), 7);
    CHECK_IS(count(d).items, 300);
    CHECK_IS(greffier_delay_drop(d, 100 * 1000000LL), 100);
    CHECK_IS(greffier_delay_copy(d, 0, 0, items, 4096, out, sizeof out), 200);
    CHECK_IS(items[0].number, 100);
    CHECK_IS(greffier_delay_drop(d, INT64_MAX), 200);
    CHECK_IS(count(d).held, 0);
    greffier_delay_free(d);
}

static void a_forked_child_finds_nothing(void)
{
    greffier_delay *d = greffier_delay_new(MOST);
    for (size_t i = 0; i < 300; i++)
        CHECK_IS(put(d, i, (int64_t)i, PACKET), 0);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        greffier_scrubbed span;
        int nothing = greffier_delay_take(d, INT64_MAX, INT64_MAX, items, 4096, out, sizeof out) == 0
                      && greffier_delay_copy(d, 0, 0, items, 4096, out, sizeof out) == 0
                      && greffier_delay_scrub(d, 0, &span) == 0;
        greffier_delay_free(d);
        _exit(nothing ? 0 : 1);
    }
    int status = -1;
    CHECK_IS(waitpid(child, &status, 0), child);
    CHECK_IS(status, 0);
    CHECK_IS(count(d).items, 300);
    greffier_delay_free(d);
}

/* Whether this process's readable memory, its own working buffers aside, holds the 32 octets. */
static int in_memory(const uint8_t *wanted)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    FILE *memory = fopen("/proc/self/mem", "r");
    char line[512];
    int found = 0;
    static uint8_t page[4096];
    while (maps != NULL && memory != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long low, high;
        char read, write;
        if (sscanf(line, "%lx-%lx %c%c", &low, &high, &read, &write) != 4 || write != 'w'
            || strchr(line, '[') != NULL || high - low > 64UL << 20)
            continue;
        for (unsigned long at = low; at < high; at += sizeof page) {
            if (at == ((unsigned long)page & ~4095UL) || at == ((unsigned long)page & ~4095UL) + 4096
                || fseek(memory, (long)at, SEEK_SET) != 0
                || fread(page, 1, sizeof page, memory) != sizeof page)
                continue;
            for (size_t i = 0; i + 32 <= sizeof page; i++)
                if (memcmp(page + i, wanted, 31) == 0 && page[i + 31] == wanted[31])
                    found++;
        }
    }
    if (maps != NULL)
        fclose(maps);
    if (memory != NULL)
        fclose(memory);
    return found;
}

static void what_is_scrubbed_is_nowhere_in_memory(void)
{
    static uint8_t wanted[32];
    greffier_delay *d = greffier_delay_new(MOST);
    CHECK_IS(put(d, 7, 0, PACKET), 0);
    for (size_t i = 0; i < 32; i++)
        wanted[i] = (uint8_t)(tone(7, i + 40) ^ 0x80); /* not itself in memory */
    uint8_t secret[32];
    for (size_t i = 0; i < 32; i++)
        secret[i] = wanted[i] ^ 0x80;
    int before = in_memory(secret);
    greffier_scrubbed span;
    CHECK_IS(put(d, 8, 1, PACKET), 0); /* so that the piece stays */
    CHECK_IS(greffier_delay_scrub(d, 0, &span), 2);
    if (before > 0) /* a system that lets nobody look shows nothing */
        CHECK(in_memory(secret) < before);
    greffier_delay_free(d);
}

int main(void)
{
    RUN(sound_comes_out_in_order_when_it_is_old_enough);
    RUN(a_scrub_wipes_from_an_instant_on_and_says_what);
    RUN(what_says_that_samples_are_missing_never_waits_at_the_front);
    RUN(what_lies_in_the_future_comes_out_at_once);
    RUN(memory_is_bounded_and_items_of_every_size_fit);
    RUN(a_copy_takes_nothing_and_old_sound_is_dropped);
    RUN(a_forked_child_finds_nothing);
    RUN(what_is_scrubbed_is_nowhere_in_memory);
    return 0;
}
