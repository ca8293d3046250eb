#include "stream.h"

#include "stream_state.h"

#include <errno.h>
#include <stdlib.h>

enum { NONE = GREFFIER_WINDOW_NONE };
static const int64_t PATIENCE_NS = GREFFIER_STREAM_PATIENCE_MS * (int64_t)1000000;

greffier_stream *greffier_stream_new(size_t payload_octets)
{
    if (payload_octets < 1 || payload_octets > 65535) {
        errno = EINVAL;
        return NULL;
    }
    greffier_stream *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->pending = NONE;
    if (greffier_window_open(&s->window, payload_octets) != 0) {
        free(s);
        return NULL;
    }
    return s;
}

void greffier_stream_free(greffier_stream *s)
{
    if (s == NULL)
        return;
    greffier_window_close(&s->window);
    free(s);
}

int greffier_stream_expect_events(greffier_stream *s, unsigned payload_type)
{
    if (payload_type > 127)
        return -1;
    s->event_types[payload_type / 64] |= (uint64_t)1 << (payload_type % 64);
    return 0;
}

const uint8_t *greffier_stream_payloads(const greffier_stream *s)
{
    return s->window.payloads;
}

static void note_event(greffier_stream *s, uint8_t payload_type, uint32_t timestamp,
                       const uint8_t *payload, size_t length)
{
    if (s->event_types[payload_type / 64] >> (payload_type % 64) & 1)
        greffier_event_count(&s->events, timestamp, payload, length);
}

static void note_type(greffier_stream *s, uint8_t payload_type)
{
    s->payload_changes += s->payload_type != payload_type;
    s->payload_type = payload_type;
}

static uint64_t extend(const greffier_stream *s, uint32_t timestamp)
{
    return s->clock + (uint64_t)(int64_t)(int32_t)(timestamp - (uint32_t)s->clock);
}

/* Puts a held packet into the window, or counts that it was too large to be held. */
static void enter(greffier_stream *s, int8_t place, uint64_t number, uint32_t timestamp)
{
    if (place == NONE) {
        s->oversize++;
        return;
    }
    s->window.held[place].sequence = number;
    s->window.held[place].timestamp = extend(s, timestamp);
    s->window.held[place].segment = s->sequence.segment;
    greffier_window_enter(&s->window, place);
}

static void begin(greffier_stream *s, const greffier_rtp_header *header, int64_t arrival_ns)
{
    s->ssrc = header->ssrc;
    s->first_arrival_ns = arrival_ns;
    s->window.next = (uint64_t)header->sequence + 65536;
    s->clock = ((uint64_t)1 << 32) + header->timestamp;
    s->payload_type = header->payload_type;
}

static int set_aside(greffier_stream *s, const greffier_rtp_header *header, const uint8_t *packet,
                     int64_t arrival_ns)
{
    if (s->pending != NONE)
        greffier_window_release(&s->window, s->pending);
    s->pending = greffier_window_hold(&s->window, header, packet, arrival_ns);
    s->pending_type = header->payload_type;
    return GREFFIER_STREAM_PROBATION;
}

/* The packet on probation begins a segment; all older ones are ready. */
static void restart(greffier_stream *s)
{
    uint64_t number = s->sequence.segment_first;
    uint32_t timestamp = s->sequence.pending_timestamp;
    greffier_window_pass(&s->window, number);
    s->window.begun = 1;
    s->clock = ((uint64_t)1 << 32) + timestamp;
    note_type(s, s->pending_type);
    if (s->pending != NONE) {
        const greffier_stream_packet *held = &s->window.held[s->pending];
        note_event(s, s->pending_type, timestamp, s->window.payloads + held->offset, held->length);
    }
    enter(s, s->pending, number, timestamp);
    s->pending = NONE;
}

static int rise(greffier_stream *s, const greffier_rtp_header *header, const uint8_t *packet,
                int64_t arrival_ns, uint64_t number)
{
    uint64_t limit = number - GREFFIER_STREAM_WINDOW + 1;
    if (s->window.next < limit) {
        greffier_window_pass(&s->window, limit);
        s->window.begun = 1; /* with gaps in it, the window is full all the same */
    }
    note_type(s, header->payload_type);
    s->clock = extend(s, header->timestamp);
    int8_t place = greffier_window_hold(&s->window, header, packet, arrival_ns);
    enter(s, place, number, header->timestamp);
    return place == NONE ? GREFFIER_STREAM_OVERSIZE : GREFFIER_STREAM_NEWEST;
}

static int fill(greffier_stream *s, const greffier_rtp_header *header, const uint8_t *packet,
                int64_t arrival_ns, uint64_t number)
{
    if (!s->window.begun && number < s->window.next
        && number + GREFFIER_STREAM_WINDOW > s->sequence.highest)
        s->window.next = number;
    if (number < s->window.next) {
        s->late++;
        return GREFFIER_STREAM_LATE;
    }
    int8_t place = greffier_window_hold(&s->window, header, packet, arrival_ns);
    enter(s, place, number, header->timestamp);
    return place == NONE ? GREFFIER_STREAM_OVERSIZE : GREFFIER_STREAM_REORDERED;
}

static int receive(greffier_stream *s, const greffier_rtp_header *header, const uint8_t *packet,
                   int64_t arrival_ns)
{
    if (s->sequence.packets == 0)
        begin(s, header, arrival_ns);
    else if (header->ssrc != s->ssrc)
        return GREFFIER_STREAM_FOREIGN;
    if (s->window.unused_count == 0)
        return GREFFIER_STREAM_FULL;
    greffier_stream_expire(s, arrival_ns);
    uint64_t number;
    int place = greffier_sequence_place(&s->sequence, header->sequence, header->timestamp, &number);
    if (place == GREFFIER_SEQUENCE_JUMP)
        return set_aside(s, header, packet, arrival_ns);
    if (place == GREFFIER_SEQUENCE_JUMP_COPY)
        return GREFFIER_STREAM_PROBATION;
    s->last_arrival_ns = arrival_ns;
    if (place == GREFFIER_SEQUENCE_DUPLICATE)
        return GREFFIER_STREAM_DUPLICATE;
    if (place == GREFFIER_SEQUENCE_RESTART)
        restart(s);
    note_event(s, header->payload_type, header->timestamp, packet + header->payload_offset,
               header->payload_length);
    int status = place == GREFFIER_SEQUENCE_REORDERED ? fill(s, header, packet, arrival_ns, number)
                                                      : rise(s, header, packet, arrival_ns, number);
    if (s->sequence.highest - s->window.next + 1 >= GREFFIER_STREAM_WINDOW)
        s->window.begun = 1;
    greffier_window_advance(&s->window);
    int begun_anew = place == GREFFIER_SEQUENCE_RESTART && status == GREFFIER_STREAM_NEWEST;
    return begun_anew ? GREFFIER_STREAM_RESTARTED : status;
}

int greffier_stream_receive(greffier_stream *s, const uint8_t *packet, size_t length, int64_t arrival_ns)
{
    greffier_rtp_header header;
    int fault = greffier_rtp_parse(packet, length, &header);
    return fault != GREFFIER_RTP_OK ? fault : receive(s, &header, packet, arrival_ns);
}

int greffier_stream_pass(greffier_stream *s, const uint8_t *packet, size_t length, int64_t arrival_ns,
                         greffier_stream_packet *passed)
{
    greffier_rtp_header header;
    int fault = greffier_rtp_parse(packet, length, &header);
    if (fault != GREFFIER_RTP_OK)
        return fault;
    /* begun: there was a packet. The next number, while none below it is missing: none is held. */
    if (!s->window.begun || s->window.ready_count > 0 || s->window.next != s->sequence.highest + 1
        || header.sequence != (uint16_t)(s->sequence.wire + 1) || header.ssrc != s->ssrc
        || header.payload_length > s->window.room)
        return receive(s, &header, packet, arrival_ns);
    uint64_t number;
    greffier_sequence_place(&s->sequence, header.sequence, header.timestamp, &number);
    s->last_arrival_ns = arrival_ns;
    note_event(s, header.payload_type, header.timestamp, packet + header.payload_offset,
               header.payload_length);
    note_type(s, header.payload_type);
    s->clock = extend(s, header.timestamp);
    s->window.next = number + 1;
    *passed = (greffier_stream_packet){number, s->clock, arrival_ns, header.payload_offset,
                                       header.payload_length, s->sequence.segment,
                                       header.payload_type, header.marker, 0};
    return GREFFIER_STREAM_PASSED;
}

size_t greffier_stream_take(greffier_stream *s, greffier_stream_packet *packets, size_t wanted)
{
    return greffier_window_take(&s->window, packets, wanted);
}

void greffier_stream_expire(greffier_stream *s, int64_t time_ns)
{
    if (s->window.next <= s->sequence.highest)
        greffier_window_expire(&s->window, time_ns - PATIENCE_NS);
}

void greffier_stream_flush(greffier_stream *s)
{
    if (s->sequence.packets == 0)
        return;
    greffier_window_pass(&s->window, s->sequence.highest + 1);
    s->window.begun = 1;
}

void greffier_stream_count(const greffier_stream *s, greffier_stream_counters *counters)
{
    *counters = (greffier_stream_counters){
        .packets = s->sequence.packets, .lost = s->sequence.lost, .duplicates = s->sequence.duplicates,
        .reordered = s->sequence.reordered, .late = s->late, .oversize = s->oversize,
        .strays = s->sequence.strays, .restarts = s->sequence.segment,
        .payload_changes = s->payload_changes, .keys = s->events.keys,
        .malformed_events = s->events.malformed, .first = s->sequence.first,
        .highest = s->sequence.highest, .first_arrival_ns = s->first_arrival_ns,
        .last_arrival_ns = s->last_arrival_ns, .ssrc = s->ssrc,
    };
}
