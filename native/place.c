#include "place.h"

static const int64_t SECOND = 1000000000, JUMP_NS = 2000000000;
static const int64_t FARTHEST = (int64_t)1 << 42; /* samples: 2.9 years at 48 kHz */
enum {
    STEP_BACK_PER_SECOND = 5, /* a fifth of a second */
    LATE = 1000,              /* a number further back than this is a restart of the numbers */
};

static int64_t floor_div(int64_t value, int64_t by, int64_t *rest)
{
    int64_t quotient = value / by;
    *rest = value % by;
    if (*rest < 0) {
        *rest += by;
        quotient--;
    }
    return quotient;
}

/* floor((value * times + add) / by) without overflow; times and by below 2^31, 0 <= add < by. */
static int64_t scale(int64_t value, int64_t times, int64_t by, int64_t add)
{
    int64_t rest, quotient = floor_div(value, by, &rest);
    return quotient * times + (rest * times + add) / by;
}

static unsigned cause_of(const greffier_place *p)
{
    if (!p->heard && p->missing == 0)
        return GREFFIER_PLACE_LATE_START;
    for (unsigned cause = 0; cause < GREFFIER_PLACE_DTX; cause++)
        if (p->reasons >> cause & 1)
            return cause;
    return GREFFIER_PLACE_DTX;
}

static void add_missing(greffier_place *p, uint64_t count, unsigned reason)
{
    uint64_t sum = p->missing + count;
    p->missing = sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
    p->reasons |= (uint8_t)(1u << reason);
}

static void refuse(const greffier_place *p, unsigned cause, greffier_placed *placed)
{
    placed->gap = (greffier_gap){p->end, p->end, 1, cause};
    placed->has_gap = 1;
}

/* Follows the sequence numbers; 1: this packet came too late to be used. */
static int is_late(greffier_place *p, uint64_t sequence)
{
    int64_t step = (int64_t)(sequence - p->sequence);
    if (p->begun && step <= 0 && step > -LATE)
        return 1;
    if (p->begun && step <= -LATE) {
        p->anchored = 0;
        p->reasons |= 1u << GREFFIER_PLACE_RESTART;
    } else if (p->begun && step > 1) {
        add_missing(p, (uint64_t)step - 1, GREFFIER_PLACE_LOST);
    }
    p->begun = 1;
    p->sequence = sequence;
    return 0;
}

/* Where a packet lies; a new anchor where the timestamps cannot be followed. */
static int64_t find_position(greffier_place *p, uint64_t timestamp, int64_t arrival_ns)
{
    int64_t waited = arrival_ns - p->last_arrival_ns;
    p->last_arrival_ns = arrival_ns;
    if (p->anchored) {
        int64_t step = (int64_t)(timestamp - p->anchor_timestamp);
        if (step > FARTHEST || step < -FARTHEST)
            step = FARTHEST; /* no clock can agree with either */
        int64_t stamped = p->anchor_position + step, back = p->end - stamped;
        int64_t off = scale(step, SECOND, p->rate, 0) - waited;
        if (off <= JUMP_NS && off >= -JUMP_NS && back * STEP_BACK_PER_SECOND <= (int64_t)p->rate) {
            p->anchor_timestamp = timestamp;
            p->anchor_position = stamped;
            return stamped;
        }
        p->reasons |= 1u << GREFFIER_PLACE_JUMP;
    }
    int64_t arrived = scale(arrival_ns - p->origin_ns, p->rate, SECOND, SECOND / 2);
    if (p->heard && arrived < p->end)
        arrived = p->end;
    p->anchored = 1;
    p->anchor_timestamp = timestamp;
    p->anchor_position = arrived;
    return arrived;
}

static void write(greffier_place *p, int64_t position, uint32_t total, greffier_placed *placed)
{
    int64_t skip = p->end > position ? p->end - position : 0;
    if (skip >= total) {
        refuse(p, p->heard ? GREFFIER_PLACE_OVERLAP : GREFFIER_PLACE_EARLY, placed);
        return;
    }
    if (position > p->end) {
        placed->gap = (greffier_gap){p->end, position, p->missing, cause_of(p)};
        placed->has_gap = 1;
    }
    p->missing = 0;
    p->reasons = 0;
    p->heard = 1;
    p->end = position + total;
    placed->position = position + skip;
    placed->samples = total - (uint32_t)skip;
    placed->skip = (uint32_t)skip;
    placed->has_sound = 1;
}

void greffier_place_packet(greffier_place *p, const greffier_stream_packet *packet, int kind,
                           greffier_placed *placed)
{
    placed->has_gap = placed->has_sound = 0;
    if (is_late(p, packet->sequence)) {
        refuse(p, GREFFIER_PLACE_LATE, placed);
        return;
    }
    if (kind == GREFFIER_PLACE_EVENT) {
        p->reasons |= 1u << GREFFIER_PLACE_EVENTS;
        return;
    }
    if (kind == GREFFIER_PLACE_NOISE) {
        p->reasons |= 1u << GREFFIER_PLACE_DTX;
        find_position(p, packet->timestamp, packet->arrival_ns);
        return;
    }
    if (packet->length == 0) {
        add_missing(p, 1, GREFFIER_PLACE_DAMAGED);
        return;
    }
    int64_t position = find_position(p, packet->timestamp, packet->arrival_ns);
    write(p, position, packet->length, placed);
}

int greffier_place_finish(greffier_place *p, greffier_gap *gap)
{
    if (p->missing == 0)
        return 0;
    *gap = (greffier_gap){p->end, p->end, p->missing, cause_of(p)};
    p->missing = 0;
    p->reasons = 0;
    return 1;
}

const char *greffier_place_word(unsigned cause)
{
    static const char *const words[GREFFIER_PLACE_CAUSES] = {
        "restart", "jump", "lost", "damaged", "undecodable", "unknown_codec", "event", "dtx",
        "late_start", "late", "overlap", "early", "overrun", "oversize",
    };
    return cause < GREFFIER_PLACE_CAUSES ? words[cause] : "lost";
}
