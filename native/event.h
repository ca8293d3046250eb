#ifndef GREFFIER_EVENT_H
#define GREFFIER_EVENT_H
#include <stddef.h>
#include <stdint.h>

/* Telephone events (a key pressed, sent as a name and not as sound): RFC 4733 section 2.3. */
typedef struct greffier_event {
    uint16_t duration; /* timestamp units since the event began */
    uint8_t code;      /* 0..9 digits, 10 star, 11 pound, 12..15 A..D; others are no keys */
    uint8_t end;       /* 1 on the last packets of an event */
    uint8_t volume;    /* dBm0 with the sign dropped, 0..63 */
} greffier_event;

/* Any thread. Reads the payload: 0, or -1 if it has fewer than four octets. Octets after the fourth
 * are ignored, as is the reserved bit. */
int greffier_event_parse(const uint8_t *payload, size_t length, greffier_event *event);

/* How many keys were pressed, and never which: no code is kept. Starts as all zero. */
typedef struct greffier_event_counter {
    uint64_t keys;
    uint64_t malformed;   /* payloads that are no event */
    uint32_t recent[8];   /* timestamps of the last events, so that late packets add nothing */
    uint8_t recent_count; /* 0..8 */
    uint8_t recent_next;
} greffier_event_counter;

/* The thread that owns the counter. Takes one packet: 1 if it is the first of a key pressed, 0 if it
 * belongs to one of the last eight events or is no key (code above 15), -1 if it is malformed.
 * An event is one RTP timestamp, however many packets repeat its end; one that is longer than 65535
 * units goes on under a timestamp 65535 higher (section 2.5.1.3) and is counted once. */
int greffier_event_count(greffier_event_counter *counter, uint32_t timestamp, const uint8_t *payload,
                         size_t length);

#endif
