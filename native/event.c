#include "event.h"

enum { RECENT = 8, LAST_KEY = 15, LONGEST = 0xffff };

int greffier_event_parse(const uint8_t *payload, size_t length, greffier_event *event)
{
    if (length < 4)
        return -1;
    event->code = payload[0];
    event->end = payload[1] >> 7;
    event->volume = payload[1] & 0x3f;
    event->duration = (uint16_t)(payload[2] << 8 | payload[3]);
    return 0;
}

int greffier_event_count(greffier_event_counter *counter, uint32_t timestamp, const uint8_t *payload,
                         size_t length)
{
    greffier_event event;
    if (greffier_event_parse(payload, length, &event) != 0) {
        counter->malformed++;
        return -1;
    }
    if (event.code > LAST_KEY)
        return 0;
    int continues = 0;
    for (uint8_t i = 0; i < counter->recent_count; i++) {
        if (counter->recent[i] == timestamp)
            return 0;
        /* The two segments may arrive in either order. */
        if (timestamp - counter->recent[i] == LONGEST || counter->recent[i] - timestamp == LONGEST)
            continues = 1;
    }
    counter->recent[counter->recent_next] = timestamp;
    counter->recent_next = (uint8_t)((counter->recent_next + 1) % RECENT);
    if (counter->recent_count < RECENT)
        counter->recent_count++;
    if (continues)
        return 0;
    counter->keys++;
    return 1;
}
