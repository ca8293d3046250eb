#include "leg_state.h"
#include "voice_state.h"

static greffier_track *find(greffier_leg *leg, const greffier_part *part)
{
    for (unsigned i = 0; i < leg->track_count; i++)
        if (leg->tracks[i].part == part)
            return &leg->tracks[i];
    return NULL;
}

static int attach(greffier_leg *leg, greffier_track track)
{
    int possible = leg->track_count < GREFFIER_LEG_PARTS && find(leg, track.part) == NULL;
    track.rate = leg->place.rate;
    if (possible)
        leg->tracks[leg->track_count++] = track;
    return possible ? 0 : -1;
}

int greffier_leg_attach(greffier_leg *leg, greffier_part *part, uint8_t number, int64_t start_at,
                        int64_t begin_ns)
{
    return attach(leg, (greffier_track){.part = part, .number = number, .start_at = start_at,
                                        .begin_ns = begin_ns});
}

int greffier_leg_attach_voice(greffier_leg *leg, greffier_voice *voice, int law, int64_t start_at,
                              int64_t begin_ns)
{
    if (leg->place.rate != voice->filed.rate)
        return -1;
    return attach(leg, (greffier_track){.part = voice->filed.part, .voice = voice, .law = (uint8_t)law,
                                        .number = voice->filed.number, .start_at = start_at,
                                        .begin_ns = begin_ns});
}

int greffier_leg_detach(greffier_leg *leg, greffier_part *part)
{
    greffier_track *track = find(leg, part);
    if (track != NULL) {
        greffier_track_settle(leg->spool, track);
        *track = leg->tracks[--leg->track_count];
    }
    return track != NULL ? 0 : -1;
}
