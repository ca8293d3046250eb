/* Keys: tones of libspandsp's own generator at all levels and rates are heard once each, telephone events count
   once, and nothing of what was taken out stays. */
#include "ear.h"

#include "check.h"
#include "g711.h"

#include <stdbool.h>
#include <spandsp/telephony.h>
#include <spandsp/fast_convert.h>
#include <spandsp/logging.h>
#include <spandsp/complex.h>
#include <spandsp/vector_float.h>
#include <spandsp/complex_vector_float.h>
#include <spandsp/tone_detect.h>
#include <spandsp/tone_generate.h>
#include <spandsp/super_tone_rx.h>
#include <spandsp/queue.h>
#include <spandsp/dtmf.h>
#include <string.h>

enum { SECONDS = 4, LENGTH = SECONDS * 8000, PACKET = 160 };
static const char DIGITS[] = "1234567890*#ABCD";
static const int64_t PACKET_NS = 20000000;

/* `wanted`, 100 ms each, at `level` dBm0 a tone. */
static void press(const char *wanted, int level, int16_t *pcm)
{
    memset(pcm, 0, LENGTH * sizeof *pcm);
    dtmf_tx_state_t *keypad = dtmf_tx_init(NULL);
    dtmf_tx_set_level(keypad, level, 0);
    dtmf_tx_set_timing(keypad, 100, 100);
    dtmf_tx_put(keypad, wanted, -1);
    dtmf_tx(keypad, pcm, LENGTH);
    dtmf_tx_free(keypad);
}

static void expect_digits(greffier_ear *ear, const char *wanted, int way)
{
    static const char KEYS[] = "0123456789*#ABCD";
    greffier_press presses[GREFFIER_EAR_HELD];
    size_t count = greffier_ear_take(ear, presses, GREFFIER_EAR_HELD);
    CHECK_IS(count, strlen(wanted));
    for (size_t i = 0; i < count; i++) {
        CHECK_IS(KEYS[presses[i].code], wanted[i]);
        CHECK_IS(presses[i].way, way);
    }
    CHECK_IS(greffier_ear_take(ear, presses, GREFFIER_EAR_HELD), 0);
}

static void hear(greffier_ear *ear, int law, const int16_t *pcm)
{
    uint8_t octets[PACKET];
    for (int at = 0; at < LENGTH; at += PACKET) {
        int64_t end_ns = 1000000000 + (at / PACKET + 1) * PACKET_NS;
        if (law == GREFFIER_EAR_ALAW)
            greffier_g711_encode_alaw(pcm + at, PACKET, octets);
        else if (law == GREFFIER_EAR_ULAW)
            greffier_g711_encode_ulaw(pcm + at, PACKET, octets);
        const uint8_t *given = law == GREFFIER_EAR_LINEAR ? (const uint8_t *)(pcm + at) : octets;
        greffier_ear_hear(ear, law, given, PACKET, end_ns);
    }
}

static void tones_are_heard_at_every_level(void)
{
    static int16_t pcm[LENGTH];
    for (int law = GREFFIER_EAR_ALAW; law <= GREFFIER_EAR_LINEAR; law++)
        for (int level = -4; level >= -50; level -= 2) {
            if (law != GREFFIER_EAR_LINEAR && level < -44)
                break; /* G.711 itself leaves too little of it */
            greffier_ear *ear = greffier_ear_new(8000);
            press(DIGITS, level, pcm);
            hear(ear, law, pcm);
            expect_digits(ear, DIGITS, GREFFIER_EAR_BY_TONE);
            greffier_ear_free(ear);
        }
    greffier_ear_free(NULL);
}

static void tones_are_heard_at_other_rates(void)
{
    static int16_t pcm[LENGTH], wide[6 * LENGTH];
    press(DIGITS, -20, pcm);
    for (unsigned factor = 2; factor <= 6; factor += 4) {
        for (unsigned i = 0; i < LENGTH * factor; i++) { /* straight lines between the samples */
            int from = pcm[i / factor], to = i / factor + 1 < LENGTH ? pcm[i / factor + 1] : 0;
            wide[i] = (int16_t)(from + (to - from) * (int)(i % factor) / (int)factor);
        }
        greffier_ear *ear = greffier_ear_new(8000 * factor);
        for (unsigned at = 0; at < LENGTH * factor; at += PACKET * factor)
            greffier_ear_hear(ear, GREFFIER_EAR_LINEAR, (const uint8_t *)(wide + at), PACKET * factor,
                              1000000000 + (int64_t)(at / PACKET / factor + 1) * PACKET_NS);
        expect_digits(ear, DIGITS, GREFFIER_EAR_BY_TONE);
        greffier_ear_free(ear);
    }
    CHECK(greffier_ear_new(44100) == NULL);
}

static void a_key_is_pressed_when_its_tone_begins(void)
{
    static int16_t pcm[LENGTH];
    press("57", -12, pcm);
    greffier_ear *ear = greffier_ear_new(8000);
    hear(ear, GREFFIER_EAR_ALAW, pcm);
    greffier_press presses[2];
    CHECK_IS(greffier_ear_take(ear, presses, 2), 2);
    for (int i = 0; i < 2; i++) {
        int64_t off_ns = presses[i].at_ns - (1000000000 + i * 200 * (int64_t)1000000);
        CHECK(off_ns >= -15000000 && off_ns <= 15000000);
    }
    greffier_ear_free(ear);
}

static void noise_and_silence_press_nothing(void)
{
    static int16_t pcm[LENGTH];
    uint32_t seed = 1;
    for (int i = 0; i < LENGTH; i++) {
        seed = seed * 1664525 + 1013904223;
        pcm[i] = (int16_t)((int32_t)(seed >> 16) % 8000 - 4000);
    }
    greffier_ear *ear = greffier_ear_new(8000);
    hear(ear, GREFFIER_EAR_LINEAR, pcm);
    memset(pcm, 0, sizeof pcm);
    hear(ear, GREFFIER_EAR_LINEAR, pcm);
    expect_digits(ear, "", 0);
    greffier_ear_free(ear);
}

static void a_gap_ends_a_key(void)
{
    static int16_t pcm[LENGTH];
    press("5", -12, pcm);
    greffier_ear *ear = greffier_ear_new(8000);
    for (int i = 1; i <= 2; i++)
        greffier_ear_hear(ear, GREFFIER_EAR_LINEAR, (const uint8_t *)pcm, 640, i * 10 * (int64_t)1000000000);
    expect_digits(ear, "55", GREFFIER_EAR_BY_TONE);
    greffier_ear_free(ear);
}

static void event(greffier_ear *ear, uint32_t timestamp, const char *octets, size_t length)
{
    greffier_ear_event(ear, timestamp, (const uint8_t *)octets, length, 5);
}

static void events_count_once_whatever_of_them_comes(void)
{
    greffier_ear *ear = greffier_ear_new(8000);
    for (int i = 0; i < 3; i++)
        event(ear, 100, "\4\x8a\1\x40", 4); /* three ends, no beginning */
    event(ear, 900, "\5\x0a\0\xa0", 4); /* no end */
    event(ear, 100, "\4\x0a\0\xa0", 4); /* out of order */
    event(ear, 1700, "\x0a\x0a\0\xa0", 3);
    event(ear, 1800, "\x10\x8a\0\xa0", 4); /* no key */
    event(ear, 2500, "\6\x8a\0\xa0\7\x8a\0\xa0\0\0\0\0", 12); /* two in one payload, and filling */
    expect_digits(ear, "4567", GREFFIER_EAR_BY_EVENT);
    greffier_ear_free(ear);
}

static void what_is_not_taken_is_bounded(void)
{
    greffier_ear *ear = greffier_ear_new(8000);
    for (uint32_t i = 0; i < 2 * GREFFIER_EAR_HELD; i++)
        event(ear, 1000 * i, "\1\x8a\0\xa0", 4);
    greffier_press presses[2 * GREFFIER_EAR_HELD];
    CHECK_IS(greffier_ear_take(ear, presses, 10), 10);
    CHECK_IS(greffier_ear_take(ear, presses, 2 * GREFFIER_EAR_HELD), GREFFIER_EAR_HELD - 10);
    greffier_ear_free(ear);
}

int main(void)
{
    RUN(tones_are_heard_at_every_level);
    RUN(tones_are_heard_at_other_rates);
    RUN(a_key_is_pressed_when_its_tone_begins);
    RUN(noise_and_silence_press_nothing);
    RUN(a_gap_ends_a_key);
    RUN(events_count_once_whatever_of_them_comes);
    RUN(what_is_not_taken_is_bounded);
    return 0;
}
