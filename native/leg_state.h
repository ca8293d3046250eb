#ifndef GREFFIER_LEG_STATE_H
#define GREFFIER_LEG_STATE_H
#include "leg.h"
#include "track.h"

/* What leg.c and attach.c share. */
struct greffier_leg { /* what every packet needs comes first, so that it lies close together */
    greffier_stream *stream;
    greffier_spool *spool;
    uint32_t number;
    uint16_t track_count;
    uint8_t left, touched;
    uint8_t usual; /* the payload type of its sound */
    uint8_t law;   /* of its sound, for the ear */
    greffier_ear *ear;
    greffier_place place;
    greffier_leg_counters counters;
    greffier_track tracks[GREFFIER_LEG_PARTS];
    greffier_leg *next, *previous, *next_touched;
    uint8_t kinds[128];
};

#endif
