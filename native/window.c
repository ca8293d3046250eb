#define _DEFAULT_SOURCE /* explicit_bzero */
#include "window.h"

#include <stdlib.h>
#include <string.h>

enum { WINDOW = GREFFIER_STREAM_WINDOW, HELD = GREFFIER_STREAM_HELD, SMALL = GREFFIER_STREAM_SMALL, NONE = GREFFIER_WINDOW_NONE };

int greffier_window_open(greffier_window *w, size_t payload_octets)
{
    w->room = payload_octets;
    w->payloads = calloc(HELD, SMALL + payload_octets);
    if (w->payloads == NULL)
        return -1;
    for (unsigned i = 0; i < HELD; i++)
        w->unused[i] = (uint8_t)(HELD - 1 - i);
    w->unused_count = HELD;
    memset(w->waiting, NONE, sizeof w->waiting);
    return 0;
}

void greffier_window_close(greffier_window *w)
{
    explicit_bzero(w->payloads, w->touched * (size_t)SMALL);
    explicit_bzero(w->payloads + HELD * SMALL, w->touched_large * w->room);
    free(w->payloads);
}

int8_t greffier_window_hold(greffier_window *w, const greffier_rtp_header *header, const uint8_t *packet,
                            int64_t arrival_ns)
{
    if (header->payload_length > w->room)
        return NONE;
    uint8_t place = w->unused[--w->unused_count];
    int small = header->payload_length <= SMALL;
    unsigned *touched = small ? &w->touched : &w->touched_large;
    if (place >= *touched)
        *touched = place + 1u;
    greffier_stream_packet *held = &w->held[place];
    held->timestamp = header->timestamp;
    held->arrival_ns = arrival_ns;
    held->offset = (uint32_t)(small ? place * (size_t)SMALL : HELD * (size_t)SMALL + place * w->room);
    held->length = header->payload_length;
    held->payload_type = header->payload_type;
    held->marker = header->marker;
    memcpy(w->payloads + held->offset, packet + header->payload_offset, held->length);
    return (int8_t)place;
}

void greffier_window_release(greffier_window *w, int8_t place)
{
    w->unused[w->unused_count++] = (uint8_t)place;
}

void greffier_window_enter(greffier_window *w, int8_t place)
{
    w->waiting[w->held[place].sequence % WINDOW] = place;
}

static void make_ready(greffier_window *w, int8_t *place)
{
    if (*place == NONE)
        return;
    w->ready[(w->ready_first + w->ready_count++) % HELD] = (uint8_t)*place;
    *place = NONE;
}

void greffier_window_pass(greffier_window *w, uint64_t limit)
{
    for (int i = 0; i < WINDOW && w->next < limit; i++, w->next++)
        make_ready(w, &w->waiting[w->next % WINDOW]);
    if (w->next < limit)
        w->next = limit;
}

void greffier_window_advance(greffier_window *w)
{
    while (w->begun && w->waiting[w->next % WINDOW] != NONE)
        make_ready(w, &w->waiting[w->next++ % WINDOW]);
}

void greffier_window_expire(greffier_window *w, int64_t until_ns)
{
    uint64_t limit = w->next;
    for (uint64_t number = w->next; number < w->next + WINDOW; number++) {
        int8_t place = w->waiting[number % WINDOW];
        if (place != NONE && w->held[place].arrival_ns <= until_ns)
            limit = number + 1;
    }
    if (limit == w->next)
        return;
    greffier_window_pass(w, limit);
    w->begun = 1;
    greffier_window_advance(w);
}

size_t greffier_window_take(greffier_window *w, greffier_stream_packet *packets, size_t wanted)
{
    size_t taken = 0;
    for (; taken < wanted && w->ready_count > 0; taken++) {
        uint8_t place = w->ready[w->ready_first];
        w->ready_first = (w->ready_first + 1) % HELD;
        w->ready_count--;
        packets[taken] = w->held[place];
        greffier_window_release(w, (int8_t)place);
    }
    return taken;
}
