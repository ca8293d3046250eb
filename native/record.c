#include "record.h"

#include <string.h>

static size_t units(uint32_t length)
{
    return 1 + ((size_t)length + GREFFIER_RECORD_UNIT - 1) / GREFFIER_RECORD_UNIT;
}

int greffier_record_put(greffier_ring *ring, greffier_record_writer *writer, int64_t time_ns,
                        uint16_t kind, const void *octets, uint32_t length)
{
    if (greffier_ring_frame_octets(ring) != GREFFIER_RECORD_UNIT)
        return -1;
    greffier_ring_regions to;
    size_t wanted = units(length);
    if (greffier_ring_write_regions(ring, wanted, &to) < wanted) {
        writer->dropped++;
        greffier_ring_refuse(ring, 1);
        return 0;
    }
    greffier_record_head head = {
        .time_ns = time_ns,
        .length = length,
        .kind = kind,
        .dropped = (uint16_t)(writer->dropped < UINT16_MAX ? writer->dropped : UINT16_MAX),
    };
    memcpy(to.first, &head, sizeof head);
    size_t straight = (to.first_frames - 1) * GREFFIER_RECORD_UNIT;
    if (straight > length)
        straight = length;
    if (straight > 0)
        memcpy(to.first + GREFFIER_RECORD_UNIT, octets, straight);
    if (length > straight)
        memcpy(to.second, (const uint8_t *)octets + straight, length - straight);
    writer->dropped = 0;
    return greffier_ring_write_advance(ring, wanted) == 0 ? 1 : 0;
}

int greffier_record_peek(greffier_ring *ring, greffier_record *record)
{
    greffier_ring_regions from;
    if (greffier_ring_read_regions(ring, 1, &from) == 0)
        return 0;
    memcpy(&record->head, from.first, sizeof record->head);
    /* A record is stored whole, so the rest of it is there. */
    greffier_ring_read_regions(ring, units(record->head.length), &from);
    size_t straight = (from.first_frames - 1) * GREFFIER_RECORD_UNIT;
    record->first = from.first + GREFFIER_RECORD_UNIT;
    record->second = from.second;
    record->first_length = straight < record->head.length ? straight : record->head.length;
    record->second_length = record->head.length - record->first_length;
    return 1;
}

int greffier_record_skip(greffier_ring *ring, const greffier_record *record)
{
    return greffier_ring_read_advance(ring, units(record->head.length));
}
