#ifndef MADE_H
#define MADE_H
#include <string.h>

#include "check.h"
#include "leg.h"

/* What the tests of spool, leg and flow make their calls of. */
static const int64_t MADE_ORIGIN = 1700000000000000000, MADE_STEP = 20000000;

static inline greffier_seal *make_seal(void)
{
    uint8_t before[88] = {0}, key[32] = {1}, tail[GREFFIER_SEAL_TAIL];
    greffier_seal *seal = greffier_seal_new(key, before, sizeof before, tail);
    CHECK(seal != NULL);
    return seal;
}

/* A leg of G.711 on payload type 8, with events on 101. */
static inline greffier_leg *make_leg(greffier_spool *spool, greffier_stream *stream)
{
    greffier_place place = {.origin_ns = MADE_ORIGIN, .rate = 8000};
    uint8_t kinds[128] = {[8] = GREFFIER_PLACE_SOUND, [101] = GREFFIER_PLACE_EVENT};
    greffier_leg *leg = greffier_leg_new(spool, stream, &place, kinds, 7);
    CHECK(leg != NULL);
    return leg;
}

/* Packet number `number` of a source, 20 ms; its length. */
static inline size_t make_packet(uint8_t *packet, unsigned number, uint8_t type, uint32_t ssrc)
{
    uint32_t timestamp = number * 160;
    const uint8_t head[12] = {0x80, type, (uint8_t)(number >> 8), (uint8_t)number,
                              (uint8_t)(timestamp >> 24), (uint8_t)(timestamp >> 16),
                              (uint8_t)(timestamp >> 8), (uint8_t)timestamp,
                              (uint8_t)(ssrc >> 24), (uint8_t)(ssrc >> 16), (uint8_t)(ssrc >> 8),
                              (uint8_t)ssrc};
    memcpy(packet, head, sizeof head);
    memset(packet + sizeof head, (int)(number & 0xff), 160);
    return sizeof head + 160;
}

static inline int hear(greffier_leg *leg, unsigned number, uint8_t type)
{
    uint8_t packet[172];
    size_t length = make_packet(packet, number, type, 1);
    int status = greffier_leg_receive(leg, packet, length, MADE_ORIGIN + number * MADE_STEP);
    return status;
}

#endif
