#include "leg_state.h"

#include <stdlib.h>
#include <string.h>

greffier_leg *greffier_leg_new(greffier_spool *spool, greffier_stream *stream, const greffier_place *place,
                               const uint8_t *kinds, uint32_t number)
{
    greffier_leg *leg = calloc(1, sizeof *leg);
    if (leg == NULL)
        return NULL;
    leg->spool = spool;
    leg->stream = stream;
    leg->place = *place;
    leg->number = number;
    greffier_stream_counters counted;
    greffier_stream_count(stream, &counted);
    leg->counters.kept_from = leg->counters.kept_to = -1;
    leg->counters.latest_ns = counted.last_arrival_ns;
    memcpy(leg->kinds, kinds, sizeof leg->kinds);
    const uint8_t *usual = memchr(kinds, GREFFIER_PLACE_SOUND, sizeof leg->kinds);
    leg->usual = usual != NULL ? (uint8_t)(usual - kinds) : 0xff;
    leg->next = spool->legs;
    if (leg->next != NULL)
        leg->next->previous = leg;
    spool->legs = leg;
    return leg;
}

static void give_sound(greffier_leg *leg, const greffier_placed *placed, const greffier_stream_packet *packet,
                       const uint8_t *payload)
{
    greffier_leg_counters *counters = &leg->counters;
    int fates = 0;
    for (unsigned i = 0; i < leg->track_count; i++) {
        int64_t from = 0, to = placed->position + placed->samples;
        int fate = greffier_track_sound(leg->spool, &leg->tracks[i], placed, packet, payload, &from);
        fates |= fate;
        if (fate != GREFFIER_TRACK_KEPT)
            continue;
        if (counters->kept_from < 0 || from < counters->kept_from)
            counters->kept_from = from;
        if (counters->kept_to < to)
            counters->kept_to = to;
    }
    counters->recorded += fates == GREFFIER_TRACK_KEPT;
    counters->not_recorded += fates == GREFFIER_TRACK_UNWANTED;
    if (fates & GREFFIER_TRACK_OVERRUN) {
        counters->overrun++;
        leg->spool->counters.overrun++;
    }
}

static int kind_of(const greffier_leg *leg, uint8_t type)
{
    return type == leg->usual ? GREFFIER_PLACE_SOUND : leg->kinds[type & 0x7f];
}

void greffier_leg_listen(greffier_leg *leg, greffier_ear *ear, int law)
{
    leg->ear = ear;
    leg->law = (uint8_t)law;
}

static void let_hear(greffier_leg *leg, int kind, const greffier_stream_packet *packet, const uint8_t *payload)
{
    if (kind == GREFFIER_PLACE_SOUND)
        greffier_ear_hear(leg->ear, leg->law, payload, packet->length, packet->arrival_ns);
    else if (kind == GREFFIER_PLACE_EVENT)
        greffier_ear_event(leg->ear, (uint32_t)packet->timestamp, payload, packet->length, packet->arrival_ns);
}

/* One packet whose turn it is. */
static void take(greffier_leg *leg, const greffier_stream_packet *packet, const uint8_t *payload)
{
    int kind = kind_of(leg, packet->payload_type);
    greffier_leg_counters *counters = &leg->counters;
    if (counters->first_ns == 0 || packet->arrival_ns < counters->first_ns)
        counters->first_ns = packet->arrival_ns;
    if (packet->arrival_ns > counters->last_ns)
        counters->last_ns = packet->arrival_ns;
    if (!leg->touched) {
        leg->touched = 1;
        leg->next_touched = leg->spool->touched;
        leg->spool->touched = leg;
    }
    if (leg->ear != NULL)
        let_hear(leg, kind, packet, payload);
    if (leg->track_count == 0) {
        counters->not_recorded++;
        return;
    }
    counters->silent += kind != GREFFIER_PLACE_SOUND;
    greffier_placed placed;
    greffier_place_packet(&leg->place, packet, kind, &placed);
    if (placed.has_gap) {
        if (placed.gap.to > placed.gap.from)
            greffier_spool_keep(leg->spool, &placed.gap, leg->number);
        for (unsigned i = 0; i < leg->track_count; i++)
            greffier_track_gap(leg->spool, &leg->tracks[i], placed.gap);
    }
    if (placed.has_sound)
        give_sound(leg, &placed, packet, payload);
}

/* Takes every packet whose turn has come out of the stream. */
static void drain(greffier_leg *leg)
{
    greffier_stream_packet packets[GREFFIER_STREAM_HELD];
    size_t count = greffier_stream_take(leg->stream, packets, GREFFIER_STREAM_HELD);
    const uint8_t *payloads = greffier_stream_payloads(leg->stream);
    for (size_t i = 0; i < count; i++)
        take(leg, &packets[i], payloads + packets[i].offset);
}

void greffier_leg_expect(const greffier_leg *leg, int step)
{
    if (step == 0) {
        for (size_t at = 0; at < offsetof(greffier_leg, tracks[1]); at += 64)
            __builtin_prefetch((const char *)leg + at, 1);
        return;
    }
    greffier_stream_expect(leg->stream, step - 1);
    const greffier_chunk *open = leg->track_count > 0 ? leg->tracks[0].open : NULL;
    if (open == NULL)
        return;
    if (step == 1)
        __builtin_prefetch(open, 1);
    else
        for (uint32_t at = 0; at < 192; at += 64)
            __builtin_prefetch(open->octets + open->length + at, 1);
}

int greffier_leg_receive(greffier_leg *leg, const uint8_t *packet, size_t length, int64_t arrival_ns)
{
    if (leg->left || (length >= 2 && kind_of(leg, packet[1] & 0x7f) == GREFFIER_PLACE_LEAVE)) {
        leg->left = 1;
        return leg->counters.left++ == 0 ? GREFFIER_LEG_LEAVES : GREFFIER_LEG_LEFT;
    }
    greffier_stream_packet passed;
    int status = greffier_stream_pass(leg->stream, packet, length, arrival_ns, &passed);
    if (status == GREFFIER_STREAM_FULL) {
        drain(leg);
        status = greffier_stream_pass(leg->stream, packet, length, arrival_ns, &passed);
    }
    if (status == GREFFIER_STREAM_PASSED)
        take(leg, &passed, packet + passed.offset);
    else if (status >= 0)
        drain(leg);
    if (status >= 0 && arrival_ns > leg->counters.latest_ns)
        leg->counters.latest_ns = arrival_ns;
    return status;
}

void greffier_leg_expire(greffier_spool *spool, int64_t time_ns)
{
    for (greffier_leg *leg = spool->legs; leg != NULL; leg = leg->next) {
        greffier_stream_expire(leg->stream, time_ns);
        drain(leg);
    }
}

void greffier_leg_finish(greffier_leg *leg)
{
    greffier_gap gap;
    greffier_stream_flush(leg->stream);
    drain(leg);
    if (greffier_place_finish(&leg->place, &gap))
        for (unsigned i = 0; i < leg->track_count; i++)
            greffier_track_gap(leg->spool, &leg->tracks[i], gap);
}

int greffier_leg_takes(const greffier_leg *leg, uint8_t type)
{
    return kind_of(leg, type) != GREFFIER_PLACE_LEAVE;
}

uint8_t greffier_leg_usual(const greffier_leg *leg)
{
    return leg->usual;
}

void greffier_leg_state(greffier_leg *leg, greffier_place *place)
{
    *place = leg->place;
}

void greffier_leg_count(greffier_leg *leg, greffier_leg_counters *counters)
{
    *counters = leg->counters;
}

void greffier_leg_settle_touched(greffier_spool *spool)
{
    for (greffier_leg *leg; (leg = spool->touched) != NULL;) {
        spool->touched = leg->next_touched;
        leg->touched = 0;
        for (unsigned i = 0; i < leg->track_count; i++)
            greffier_track_settle(spool, &leg->tracks[i]);
    }
}

void greffier_leg_free(greffier_leg *leg)
{
    if (leg == NULL)
        return;
    greffier_leg_settle_touched(leg->spool); /* this one too, which then stands in no list but that of legs */
    if (leg->next != NULL)
        leg->next->previous = leg->previous;
    if (leg->previous != NULL)
        leg->previous->next = leg->next;
    else
        leg->spool->legs = leg->next;
    free(leg);
}
