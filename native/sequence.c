#include "sequence.h"

enum { SLOT = GREFFIER_SEQUENCE_MEMORY - 1 };

static int is_seen(const greffier_sequence *s, uint64_t extended)
{
    return (int)(s->seen[(extended & SLOT) / 64] >> (extended % 64) & 1);
}

static void forget(greffier_sequence *s, uint64_t extended)
{
    s->seen[(extended & SLOT) / 64] &= ~((uint64_t)1 << (extended % 64));
}

static void remember(greffier_sequence *s, uint64_t extended, uint32_t timestamp)
{
    s->seen[(extended & SLOT) / 64] |= (uint64_t)1 << (extended % 64);
    s->timestamps[extended & SLOT] = timestamp;
}

static void begin(greffier_sequence *s, uint16_t number, uint32_t timestamp)
{
    /* + 65536: numbers before the first one stay positive. */
    s->first = s->highest = s->segment_first = (uint64_t)number + 65536;
    s->wire = number;
    s->packets = 1;
    remember(s, s->highest, timestamp);
}

static int jump(greffier_sequence *s, uint16_t number, uint32_t timestamp)
{
    if (s->pending_copies > 0 && number == (uint16_t)(s->pending + 1)) {
        s->strays -= s->pending_copies;
        s->packets += (uint64_t)s->pending_copies + 1;
        s->duplicates += s->pending_copies - 1;
        s->pending_copies = 0;
        s->segment++;
        s->segment_first = s->highest + 1;
        remember(s, s->segment_first, s->pending_timestamp);
        s->highest += 2;
        s->wire = number;
        remember(s, s->highest, timestamp);
        return GREFFIER_SEQUENCE_RESTART;
    }
    s->strays++;
    if (s->pending_copies > 0 && number == s->pending && timestamp == s->pending_timestamp) {
        s->pending_copies++;
        return GREFFIER_SEQUENCE_JUMP_COPY;
    }
    s->pending = number;
    s->pending_timestamp = timestamp;
    s->pending_copies = 1;
    return GREFFIER_SEQUENCE_JUMP;
}

static int rise(greffier_sequence *s, uint16_t number, uint32_t timestamp, uint32_t step)
{
    for (uint32_t i = 1; i < step; i++)
        forget(s, s->highest + i);
    s->lost += step - 1;
    s->highest += step;
    s->wire = number;
    s->packets++;
    remember(s, s->highest, timestamp);
    return GREFFIER_SEQUENCE_NEWEST;
}

static int fill(greffier_sequence *s, uint64_t extended, uint32_t timestamp)
{
    if (extended < s->first) {
        s->lost += s->first - extended - 1;
        s->first = s->segment_first = extended;
    } else {
        s->lost--;
    }
    s->packets++;
    s->reordered++;
    remember(s, extended, timestamp);
    return GREFFIER_SEQUENCE_REORDERED;
}

int greffier_sequence_place(greffier_sequence *s, uint16_t number, uint32_t timestamp, uint64_t *extended)
{
    if (s->packets == 0) {
        begin(s, number, timestamp);
        *extended = s->highest;
        return GREFFIER_SEQUENCE_NEWEST;
    }
    int32_t step = (int16_t)(uint16_t)(number - s->wire);
    *extended = s->highest + (uint64_t)(int64_t)step;
    if (step > 0 && step < GREFFIER_SEQUENCE_DROPOUT)
        return rise(s, number, timestamp, (uint32_t)step);
    int place;
    if (step > 0 || step <= -GREFFIER_SEQUENCE_MEMORY) {
        place = jump(s, number, timestamp);
    } else if (*extended < s->segment_first) {
        if (s->segment > 0 || step < -GREFFIER_SEQUENCE_MISORDER)
            place = jump(s, number, timestamp);
        else
            place = fill(s, *extended, timestamp);
    } else if (!is_seen(s, *extended)) {
        place = fill(s, *extended, timestamp);
    } else if (s->timestamps[*extended & SLOT] == timestamp) {
        s->packets++;
        s->duplicates++;
        place = GREFFIER_SEQUENCE_DUPLICATE;
    } else {
        place = jump(s, number, timestamp);
    }
    if (place == GREFFIER_SEQUENCE_RESTART)
        *extended = s->highest;
    return place;
}
