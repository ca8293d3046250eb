#ifndef GREFFIER_EAR_H
#define GREFFIER_EAR_H
#include <stddef.h>
#include <stdint.h>

/* The keys that are pressed on one leg: tones in its sound (DTMF, ITU-T Q.23 and Q.24, by libspandsp) and
 * telephone events (RFC 4733, event.h). A key is reported once for each way in which it comes; which of them
 * are one press is not decided here.
 *
 * The detector of libspandsp hears nothing below -42 dBm0. So each of its blocks (12.75 ms) is first raised by up
 * to 18 dB, as far as it does not clip; within a block the gain is one number, and blocks are judged apart, so
 * the gain changes no ratio that the detector looks at. A block that is too quiet even then costs nothing.
 *
 * Which keys were pressed is secret. What was taken out, and all of it when the ear is freed, is zeroed.
 * One thread owns an ear; while a leg listens with it (leg.h), that is the leg's. */
typedef struct greffier_ear greffier_ear;

enum {
    GREFFIER_EAR_ALAW = 0, /* G.711, one octet a sample */
    GREFFIER_EAR_ULAW = 1,
    GREFFIER_EAR_LINEAR = 2, /* 16 bits, of this machine */
    GREFFIER_EAR_BY_TONE = 0,
    GREFFIER_EAR_BY_EVENT = 1,
    GREFFIER_EAR_HELD = 64, /* presses that wait to be taken */
};

typedef struct greffier_press {
    int64_t at_ns; /* when the key went down, by the times of arrival */
    uint8_t code;  /* 0..9 digits, 10 star, 11 pound, 12..15 A..D */
    uint8_t way;   /* BY_TONE or BY_EVENT */
    uint8_t reserved[6];
} greffier_press;

/* An ear for sound at `rate` Hz: 8000, 16000 or 48000. NULL, and errno EINVAL or ENOMEM. */
greffier_ear *greffier_ear_new(uint32_t rate);

/* Zeroes it and gives it back. NULL is allowed. */
void greffier_ear_free(greffier_ear *ear);

/* Sound goes on with `samples` samples in `law`, the last of which arrived at `end_ns`. Where more than 100 ms
 * are missing before them, no key is held down across the gap. */
void greffier_ear_hear(greffier_ear *ear, int law, const uint8_t *octets, size_t samples, int64_t end_ns);

/* The payload of a telephone-event packet; `timestamp` is the packet's. What is malformed is no key. Several
 * events in one payload (RFC 4733 section 2.5.1.5) are each a key; all but the last have ended. */
void greffier_ear_event(greffier_ear *ear, uint32_t timestamp, const uint8_t *payload, size_t length,
                        int64_t arrival_ns);

/* Takes out at most `wanted` presses, in the order in which they were found; returns how many. */
size_t greffier_ear_take(greffier_ear *ear, greffier_press *presses, size_t wanted);

#endif
