#define _DEFAULT_SOURCE /* explicit_bzero */
#include "ear.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* spandsp's headers name each other relative to their own folder and need these first. */
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
#include <spandsp/private/logging.h>
#include <spandsp/private/queue.h>
#include <spandsp/private/tone_generate.h>
#include <spandsp/private/dtmf.h>

#include "event.h"
#include "g711.h"

enum {
    BLOCK = 102,      /* samples that spandsp judges at once */
    SAMPLE_NS = 125000,
    CONFIRMED = 2,    /* blocks: a key is reported with the second that hears it */
    SETTLES = 3,      /* silent blocks after which nothing is held down */
    MOST_GAIN = 8,    /* 18 dB */
    FULL = 8000,      /* no block is raised above this */
    INAUDIBLE = 180,  /* a sine of this amplitude is -42 dBm0 */
    MOST_FACTOR = 6,
    MOST_TAPS = 3 * MOST_FACTOR - 2,
    RUN = 480, /* samples that are converted at once */
};
static const int64_t GAP_NS = 100000000;

struct greffier_ear {
    dtmf_rx_state_t tones; /* in our own memory, so that we can zero all of it */
    greffier_event_counter events;
    int64_t end_ns; /* arrival of the last sample; 0 = none */
    int32_t taps[MOST_TAPS];
    int16_t last[MOST_TAPS]; /* the newest samples at the full rate, a ring */
    int16_t block[BLOCK];
    unsigned factor, phase, place, filled, quiet;
    unsigned waiting;
    greffier_press presses[GREFFIER_EAR_HELD];
};

/* Three moving averages of `factor` samples in a row: 35 dB and more below where another band would fold
 * into that of the keys, and less than 2 dB within it. */
static void make_taps(greffier_ear *ear)
{
    int32_t *taps = ear->taps;
    taps[0] = 1;
    for (unsigned pass = 0, length = 1; pass < 3; pass++, length += ear->factor - 1) {
        int32_t made[MOST_TAPS] = {0};
        for (unsigned i = 0; i < length; i++)
            for (unsigned k = 0; k < ear->factor; k++)
                made[i + k] += taps[i];
        memcpy(taps, made, sizeof made);
    }
}

greffier_ear *greffier_ear_new(uint32_t rate)
{
    if (rate != 8000 && rate != 16000 && rate != 48000) {
        errno = EINVAL;
        return NULL;
    }
    greffier_ear *ear = calloc(1, sizeof *ear);
    if (ear == NULL)
        return NULL;
    ear->factor = rate / 8000;
    make_taps(ear);
    dtmf_rx_init(&ear->tones, NULL, NULL);
    return ear;
}

void greffier_ear_free(greffier_ear *ear)
{
    if (ear == NULL)
        return;
    explicit_bzero(ear, sizeof *ear);
    free(ear);
}

/* The oldest presses stay: who does not take them out in time wants none. */
static void report(greffier_ear *ear, uint8_t code, uint8_t way, int64_t at_ns)
{
    if (ear->waiting == GREFFIER_EAR_HELD)
        return;
    ear->presses[ear->waiting++] = (greffier_press){at_ns, code, way, {0}};
}

static uint8_t code_of(char digit)
{
    static const char KEYS[] = "0123456789*#ABCD";
    return (uint8_t)(strchr(KEYS, digit) - KEYS);
}

/* A whole block, whose last sample arrived at `end_ns`. */
static void judge(greffier_ear *ear, int64_t end_ns)
{
    int peak = 0;
    for (unsigned i = 0; i < BLOCK; i++) {
        int size = abs(ear->block[i]);
        peak = size > peak ? size : peak;
    }
    if (peak * MOST_GAIN < INAUDIBLE) {
        if (ear->quiet == SETTLES)
            return;
        ear->quiet++;
        memset(ear->block, 0, sizeof ear->block);
    } else {
        ear->quiet = 0;
        int gain = peak * MOST_GAIN <= FULL ? MOST_GAIN : FULL / peak;
        for (unsigned i = 0; gain > 1 && i < BLOCK; i++)
            ear->block[i] = (int16_t)(ear->block[i] * gain);
    }
    dtmf_rx(&ear->tones, ear->block, BLOCK);
    char digits[MAX_DTMF_DIGITS + 1];
    size_t count = dtmf_rx_get(&ear->tones, digits, MAX_DTMF_DIGITS);
    for (size_t i = 0; i < count; i++)
        report(ear, code_of(digits[i]), GREFFIER_EAR_BY_TONE, end_ns - CONFIRMED * BLOCK * SAMPLE_NS);
    if (count > 0) {
        explicit_bzero(digits, sizeof digits);
        explicit_bzero(ear->tones.digits, sizeof ear->tones.digits);
    }
}

/* One sample at 8 kHz. */
static void add(greffier_ear *ear, int16_t sample, int64_t at_ns)
{
    ear->block[ear->filled++] = sample;
    if (ear->filled == BLOCK) {
        ear->filled = 0;
        judge(ear, at_ns);
    }
}

/* One sample at the full rate. */
static void narrow(greffier_ear *ear, int16_t sample, int64_t at_ns)
{
    unsigned length = 3 * ear->factor - 2;
    ear->last[ear->place] = sample;
    ear->place = (ear->place + 1) % length;
    ear->phase = (ear->phase + 1) % ear->factor;
    if (ear->phase != 0)
        return;
    int64_t sum = 0;
    for (unsigned i = 0; i < length; i++)
        sum += (int64_t)ear->taps[i] * ear->last[(ear->place + i) % length];
    add(ear, (int16_t)(sum / (int64_t)(ear->factor * ear->factor * ear->factor)), at_ns);
}

/* What is held down is let go. */
static void forget_sound(greffier_ear *ear, int64_t at_ns)
{
    ear->filled = 0;
    for (unsigned i = 0; i < SETTLES; i++) {
        memset(ear->block, 0, sizeof ear->block);
        judge(ear, at_ns);
    }
}

void greffier_ear_hear(greffier_ear *ear, int law, const uint8_t *octets, size_t samples, int64_t end_ns)
{
    int64_t step = SAMPLE_NS / (int64_t)ear->factor;
    int64_t begin_ns = end_ns - (int64_t)samples * step;
    if (ear->end_ns != 0 && begin_ns - ear->end_ns > GAP_NS)
        forget_sound(ear, begin_ns);
    ear->end_ns = end_ns;
    int16_t pcm[RUN];
    size_t width = law == GREFFIER_EAR_LINEAR ? sizeof pcm[0] : 1;
    for (size_t at = 0; at < samples;) {
        size_t count = samples - at < RUN ? samples - at : RUN;
        if (law == GREFFIER_EAR_LINEAR)
            memcpy(pcm, octets + at * width, count * width);
        else if (law == GREFFIER_EAR_ULAW)
            greffier_g711_decode_ulaw(octets + at, count, pcm);
        else
            greffier_g711_decode_alaw(octets + at, count, pcm);
        for (size_t i = 0; i < count; i++, at++) {
            int64_t at_ns = begin_ns + (int64_t)(at + 1) * step;
            if (ear->factor == 1)
                add(ear, pcm[i], at_ns);
            else
                narrow(ear, pcm[i], at_ns);
        }
    }
    explicit_bzero(pcm, sizeof pcm);
}

void greffier_ear_event(greffier_ear *ear, uint32_t timestamp, const uint8_t *payload, size_t length,
                        int64_t arrival_ns)
{
    greffier_event event;
    for (size_t at = 0; greffier_event_parse(payload + at, length - at, &event) == 0; at += 4) {
        if (at > 0 && event.duration == 0)
            return; /* filling */
        if (greffier_event_count(&ear->events, timestamp, payload + at, length - at) == 1)
            report(ear, event.code, GREFFIER_EAR_BY_EVENT, arrival_ns);
        if (!event.end || event.duration == 0)
            return;
        timestamp += event.duration;
    }
}

size_t greffier_ear_take(greffier_ear *ear, greffier_press *presses, size_t wanted)
{
    size_t count = ear->waiting < wanted ? ear->waiting : wanted;
    memcpy(presses, ear->presses, count * sizeof *presses);
    memmove(ear->presses, ear->presses + count, (ear->waiting - count) * sizeof *presses);
    ear->waiting -= (unsigned)count;
    explicit_bzero(ear->presses + ear->waiting, (GREFFIER_EAR_HELD - ear->waiting) * sizeof *presses);
    return count;
}
