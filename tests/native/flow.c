#include "flow.h"

#include "made.h"
#include "record.h"

enum { FLOWS = 64, UNITS = 1024 };
static const int64_t ALWAYS = INT64_MAX;

/* A frame with one RTP packet from port `from` to port 5000; its length. */
static size_t frame_of(uint8_t *frame, unsigned from, unsigned number, uint8_t type, uint32_t ssrc)
{
    static const uint8_t head[42] = {
        [12] = 0x08, [14] = 0x45, [16] = 0, 200, [23] = 17, [26] = 10, 0, 0, 1, 10, 0, 0, 2,
        [36] = 0x13, 0x88, 0, 180,
    };
    memcpy(frame, head, sizeof head);
    frame[34] = (uint8_t)(from >> 8);
    frame[35] = (uint8_t)from;
    return sizeof head + make_packet(frame + sizeof head, number, type, ssrc);
}

static greffier_udp_pair pair_of(unsigned from)
{
    uint8_t frame[256];
    greffier_udp_pair pair;
    uint32_t at, size;
    CHECK(greffier_udp_find(frame, frame_of(frame, from, 0, 8, 1), &pair, &at, &size));
    return pair;
}

typedef struct site {
    greffier_spool *spool;
    greffier_ring *ring;
    greffier_flow *flow;
} site;

static site open_site(size_t flows)
{
    site s = {greffier_spool_new(1 << 24), greffier_ring_new(GREFFIER_RECORD_UNIT, UNITS, 0), NULL};
    s.flow = greffier_flow_new(s.ring, flows, 1 << 20);
    CHECK(s.flow != NULL);
    return s;
}

static void close_site(site s)
{
    greffier_flow_free(s.flow);
    greffier_spool_free(s.spool);
    greffier_ring_free(s.ring);
}

static void take(site s, unsigned from, unsigned number, uint8_t type, uint32_t ssrc, unsigned tag)
{
    uint8_t octets[256];
    greffier_frame frame = {.time_ns = MADE_ORIGIN + number * MADE_STEP, .octets = octets,
                            .tag = (uint16_t)tag, .tag_kind = tag ? 0x8100 : 0};
    frame.length = frame.whole = (uint32_t)frame_of(octets, from, number, type, ssrc);
    greffier_flow_take(s.flow, &frame, 1);
}

static size_t read_all(site s)
{
    size_t count = 0;
    for (greffier_record record; greffier_record_peek(s.ring, &record); count++)
        greffier_record_skip(s.ring, &record);
    return count;
}

static greffier_flow_counters counted(site s)
{
    greffier_flow_counters counters;
    greffier_flow_count(s.flow, &counters);
    return counters;
}

static uint64_t heard(const greffier_stream *stream)
{
    greffier_stream_counters counters;
    greffier_stream_count(stream, &counters);
    return counters.packets;
}

static uint64_t kept(site s)
{
    uint64_t count = 0;
    for (greffier_frame packet; greffier_flow_later(s.flow, &packet); count++)
        CHECK_IS(packet.time_ns, MADE_ORIGIN + (int64_t)(4 + count) * MADE_STEP);
    return count;
}

static void a_flow_is_held_while_records_wait_and_loses_nothing(void)
{
    site s = open_site(FLOWS);
    greffier_stream *stream = greffier_stream_new(4096);
    greffier_leg *leg = make_leg(s.spool, stream);
    greffier_udp_pair pair = pair_of(4000);
    take(s, 4000, 3, 8, 1, 0);
    CHECK_IS(greffier_flow_bind(s.flow, &pair, 1, leg), GREFFIER_FLOW_KNOWN);
    CHECK_IS(greffier_flow_release(s.flow, &pair, 1), 0);
    CHECK_IS(greffier_flow_hold(s.flow, &pair, 1), GREFFIER_FLOW_DONE);
    CHECK_IS(greffier_flow_hold(s.flow, &pair, 1), GREFFIER_FLOW_KNOWN);
    CHECK_IS(greffier_flow_arm(s.flow, &pair, 1, leg), GREFFIER_FLOW_RECORDS);
    CHECK(greffier_flow_disarm(s.flow, &pair, 1, ALWAYS) == NULL);
    CHECK_IS(greffier_flow_latest(s.flow, &pair, 1, ALWAYS), 0);
    for (unsigned number = 4; number < 8; number++) {
        take(s, 4000, number, 8, 1, 0);
        CHECK_IS(greffier_flow_begin(s.flow), 0); /* it is nobody's, and goes on waiting */
        CHECK_IS(greffier_flow_settle(s.flow, 9), 0);
    }
    CHECK_IS(read_all(s), 1);
    CHECK_IS(greffier_flow_bind(s.flow, &pair, 1, leg), GREFFIER_FLOW_DONE);
    CHECK_IS(greffier_flow_bind(s.flow, &pair, 1, leg), GREFFIER_FLOW_KNOWN);
    take(s, 4000, 8, 8, 1, 0);
    CHECK_IS(greffier_flow_begin(s.flow), 1);
    CHECK_IS(greffier_flow_settle(s.flow, 9), 1);
    CHECK_IS(heard(stream), 5);
    CHECK(greffier_flow_disarm(s.flow, &pair, 1, ALWAYS) == leg);
    greffier_leg_free(leg);
    greffier_stream_free(stream);
    close_site(s);
}

static void what_was_held_comes_back_in_order(void)
{
    site s = open_site(2);
    greffier_stream *stream = greffier_stream_new(4096);
    greffier_leg *leg = make_leg(s.spool, stream);
    greffier_udp_pair pair = pair_of(4000), other = pair_of(4001), third = pair_of(4002);
    CHECK_IS(greffier_flow_hold(s.flow, &pair, 1), GREFFIER_FLOW_DONE);
    CHECK_IS(greffier_flow_arm(s.flow, &other, 1, leg), GREFFIER_FLOW_DONE);
    CHECK_IS(greffier_flow_hold(s.flow, &third, 1), GREFFIER_FLOW_FULL);
    for (unsigned number = 4; number < 7; number++)
        take(s, 4000, number, 8, 1, 0);
    CHECK_IS(greffier_flow_begin(s.flow), 0);
    take(s, 4000, 7, 18, 1, 0); /* no leg of ours takes it */
    take(s, 4001, 7, 8, 1, 0);
    CHECK_IS(greffier_flow_bind(s.flow, &pair, 1, leg), GREFFIER_FLOW_STRANGE);
    CHECK_IS(greffier_flow_release(s.flow, &pair, 1), 1);
    CHECK_IS(kept(s), 4);
    CHECK_IS(greffier_flow_release(s.flow, &pair, 1), 0);
    CHECK_IS(greffier_flow_hold(s.flow, &third, 1), GREFFIER_FLOW_DONE);
    take(s, 4000, 8, 8, 1, 0);
    CHECK_IS(read_all(s), 1);
    CHECK_IS(greffier_flow_begin(s.flow), 1); /* the other one's */
    CHECK_IS(greffier_flow_settle(s.flow, 9), 1);
    CHECK(greffier_flow_disarm(s.flow, &other, 1, ALWAYS) == leg);
    CHECK_IS(counted(s).armed, 1);
    greffier_leg_free(leg);
    greffier_stream_free(stream);
    close_site(s);
}

static void flows_change_hands_only_when_no_record_waits(void)
{
    site s = open_site(FLOWS);
    greffier_stream *stream = greffier_stream_new(4096);
    greffier_leg *leg = make_leg(s.spool, stream);
    greffier_udp_pair pair = pair_of(4000);
    take(s, 4000, 0, 8, 1, 0);
    CHECK_IS(greffier_flow_arm(s.flow, &pair, 1, leg), GREFFIER_FLOW_RECORDS);
    CHECK_IS(read_all(s), 1);
    CHECK_IS(greffier_flow_arm(s.flow, &pair, 1, leg), GREFFIER_FLOW_DONE);
    CHECK_IS(greffier_flow_arm(s.flow, &pair, 1, leg), GREFFIER_FLOW_KNOWN);
    take(s, 4000, 1, 8, 1, 0);
    take(s, 4000, 2, 8, 1, 5);
    take(s, 4000, 3, 8, 2, 0);    /* another source */
    take(s, 4001, 3, 8, 1, 0);    /* another port */
    take(s, 4000, 3, 200, 1, 0);  /* RTCP: a sender report */
    CHECK_IS(read_all(s), 3);
    CHECK_IS(greffier_flow_settle(s.flow, 9), 0);
    CHECK_IS(greffier_flow_begin(s.flow), 1);
    CHECK_IS(greffier_flow_begin(s.flow), 1); /* not done yet */
    CHECK_IS(greffier_flow_settle(s.flow, 9), 1);
    CHECK_IS(greffier_flow_settle(s.flow, 9), 0);
    CHECK_IS(greffier_flow_begin(s.flow), 0);
    CHECK(greffier_flow_disarm(s.flow, &pair, 2, ALWAYS) == NULL);
    CHECK(greffier_flow_disarm(s.flow, &pair, 1, ALWAYS) == leg);
    CHECK(greffier_flow_disarm(s.flow, &pair, 1, ALWAYS) == NULL);
    take(s, 4000, 4, 8, 1, 0);
    CHECK_IS(read_all(s), 1);
    greffier_flow_counters counters = counted(s);
    CHECK_IS(counters.frames, 7);
    CHECK_IS(counters.legs, 2);
    CHECK_IS(counters.records, 5);
    CHECK_IS(counters.armed, 0);
    greffier_leg_free(leg);
    greffier_stream_free(stream);
    close_site(s);
}

static void a_leg_that_leaves_gets_no_more_and_its_packets_are_handed_over(void)
{
    site s = open_site(FLOWS);
    greffier_stream *stream = greffier_stream_new(4096);
    greffier_leg *leg = make_leg(s.spool, stream);
    greffier_udp_pair pair = pair_of(4000);
    CHECK_IS(greffier_flow_arm(s.flow, &pair, 1, leg), GREFFIER_FLOW_DONE);
    take(s, 4000, 1, 8, 1, 0);
    take(s, 4000, 2, 0, 1, 0);
    take(s, 4000, 3, 8, 1, 0);
    CHECK_IS(read_all(s), 2);
    CHECK(greffier_flow_disarm(s.flow, &pair, 1, ALWAYS) == leg);
    CHECK_IS(heard(stream), 1);
    greffier_leg_free(leg);
    greffier_stream_free(stream);
    close_site(s);
}

static int64_t time_of(unsigned number)
{
    return MADE_ORIGIN + number * MADE_STEP;
}

/* Numbers 0 to 8, a tick begun after 3; taken back at the time of `until`, or before the first one (-1). */
static void take_back(int until, unsigned settled)
{
    site s = open_site(FLOWS);
    greffier_stream *streams[2] = {greffier_stream_new(4096), greffier_stream_new(4096)};
    greffier_leg *legs[2] = {make_leg(s.spool, streams[0]), make_leg(s.spool, streams[1])};
    greffier_udp_pair pair = pair_of(4000), other = pair_of(4001);
    CHECK_IS(greffier_flow_arm(s.flow, &other, 1, legs[1]), GREFFIER_FLOW_DONE);
    CHECK_IS(greffier_flow_arm(s.flow, &pair, 1, legs[0]), GREFFIER_FLOW_DONE);
    int64_t cut_ns;
    for (unsigned i = 0; i < 9; i++) {
        take(s, 4001, i, 8, 1, 0);
        take(s, 4000, i, 8, 1, 0);
        if (i == 3)
            CHECK_IS(greffier_flow_cut(s.flow, 1, &cut_ns), 0);
    }
    CHECK_IS(cut_ns, time_of(3));
    CHECK_IS(greffier_flow_settle(s.flow, settled), settled);
    int64_t until_ns = MADE_ORIGIN + until * (int64_t)MADE_STEP;
    if (until >= 0)
        CHECK_IS(greffier_flow_latest(s.flow, &pair, 1, until_ns), until_ns);
    CHECK(greffier_flow_disarm(s.flow, &pair, 1, until_ns) == legs[0]);
    CHECK_IS(greffier_flow_latest(s.flow, &pair, 1, until_ns), 0);
    CHECK_IS(heard(streams[0]), (uint64_t)(until + 1));
    greffier_frame late;
    for (unsigned i = (unsigned)(until + 1); i < 9; i++) {
        CHECK_IS(greffier_flow_later(s.flow, &late), 1);
        CHECK_IS(late.time_ns, time_of(i));
        CHECK_IS(late.length, 172);
        CHECK_IS(late.octets[3], i);
    }
    CHECK_IS(greffier_flow_later(s.flow, &late), 0);
    CHECK_IS(greffier_flow_arm(s.flow, &pair, 1, legs[0]), GREFFIER_FLOW_DONE); /* the slot is free */
    take(s, 4000, 9, 8, 1, 0);
    do
        greffier_flow_cut(s.flow, 1, &cut_ns);
    while (greffier_flow_settle(s.flow, 9) > 0);
    CHECK_IS(heard(streams[0]), (uint64_t)(until + 2));
    CHECK_IS(heard(streams[1]), 9);
    CHECK_IS(greffier_flow_latest(s.flow, &other, 1, INT64_MAX), time_of(8));
    for (int i = 0; i < 2; i++) {
        greffier_leg_free(legs[i]);
        greffier_stream_free(streams[i]);
    }
    close_site(s);
}

static void a_flow_is_taken_back_at_any_instant(void)
{
    for (int until = -1; until < 9; until++)
        take_back(until, 0);
    take_back(3, 2);
    take_back(6, 2);
    take_back(2, 1); /* the tick stands between the two legs */
}

static void a_tag_that_the_card_took_off_is_put_back(void)
{
    site s = open_site(FLOWS);
    take(s, 4000, 1, 8, 1, 0x2005);
    greffier_record record;
    CHECK(greffier_record_peek(s.ring, &record));
    CHECK_IS(record.head.kind, 1);
    CHECK_IS(record.head.length, 42 + 172 + 4);
    CHECK(memcmp(record.first + 12, "\x81\x00\x20\x05\x08\x00", 6) == 0);
    close_site(s);
}

static void a_flood_of_rtp_leaves_room_for_signalling(void)
{
    site s = open_site(FLOWS);
    for (unsigned i = 0; i < 1000; i++)
        take(s, 4000, i, 8, 1, 0);
    greffier_flow_counters counters = counted(s);
    CHECK(counters.dropped > 900);
    CHECK_IS(counters.records + counters.dropped, 1000);
    CHECK(greffier_ring_stored(s.ring) <= UNITS - UNITS / 4 + 16);
    uint8_t sip[60] = {[12] = 0x08, 0x06}; /* anything that is not RTP */
    greffier_frame frame = {.octets = sip, .length = sizeof sip, .whole = sizeof sip};
    greffier_flow_take(s.flow, &frame, 1);
    CHECK_IS(counted(s).records, counters.records + 1);
    CHECK_IS(greffier_ring_dropped(s.ring), counters.dropped);
    close_site(s);
}

static void many_flows_come_and_go(void)
{
    site s = open_site(FLOWS);
    greffier_stream *stream = greffier_stream_new(4096);
    greffier_leg *leg = make_leg(s.spool, stream);
    unsigned armed[FLOWS] = {0}, random = 5;
    for (int round = 0; round < 40000; round++) {
        random = random * 1664525u + 1013904223u;
        unsigned place = random >> 26, port = 1 + (random >> 8 & 0xffff) % 65000;
        greffier_udp_pair pair = pair_of(armed[place] ? armed[place] : port);
        if (armed[place]) {
            CHECK(greffier_flow_disarm(s.flow, &pair, 1, ALWAYS) == leg);
            armed[place] = 0;
        } else {
            int answer = greffier_flow_arm(s.flow, &pair, 1, leg);
            CHECK(answer == GREFFIER_FLOW_DONE || answer == GREFFIER_FLOW_KNOWN);
            armed[place] = answer == GREFFIER_FLOW_DONE ? port : 0;
        }
        for (int i = 0; i < FLOWS && round % 64 == 0; i++) {
            if (armed[i] == 0)
                continue;
            pair = pair_of(armed[i]);
            CHECK_IS(greffier_flow_arm(s.flow, &pair, 1, leg), GREFFIER_FLOW_KNOWN);
        }
    }
    greffier_udp_pair pair;
    unsigned port = 1;
    while (counted(s).armed < FLOWS) {
        pair = pair_of(port++);
        greffier_flow_arm(s.flow, &pair, 1, leg);
    }
    pair = pair_of(65500);
    CHECK_IS(greffier_flow_arm(s.flow, &pair, 1, leg), GREFFIER_FLOW_FULL);
    greffier_leg_free(leg);
    greffier_stream_free(stream);
    close_site(s);
}

static void what_finds_no_room_in_the_log_is_counted(void)
{
    site s = open_site(FLOWS);
    greffier_stream *stream = greffier_stream_new(4096);
    greffier_leg *leg = make_leg(s.spool, stream);
    greffier_udp_pair pair = pair_of(4000);
    CHECK_IS(greffier_flow_arm(s.flow, &pair, 1, leg), GREFFIER_FLOW_DONE);
    for (unsigned i = 0; i < 7000; i++)
        take(s, 4000, i, 8, 1, 0);
    greffier_flow_counters counters = counted(s);
    CHECK(counters.overrun > 0);
    CHECK_IS(counters.overrun + counters.legs, 7000);
    CHECK(greffier_flow_disarm(s.flow, &pair, 1, ALWAYS) == leg); /* it has got what was logged */
    CHECK_IS(heard(stream), counters.legs);
    greffier_leg_free(leg);
    greffier_stream_free(stream);
    close_site(s);
}

int main(void)
{
    RUN(flows_change_hands_only_when_no_record_waits);
    RUN(a_flow_is_held_while_records_wait_and_loses_nothing);
    RUN(what_was_held_comes_back_in_order);
    RUN(a_leg_that_leaves_gets_no_more_and_its_packets_are_handed_over);
    RUN(a_flow_is_taken_back_at_any_instant);
    RUN(a_tag_that_the_card_took_off_is_put_back);
    RUN(a_flood_of_rtp_leaves_room_for_signalling);
    RUN(what_finds_no_room_in_the_log_is_counted);
    RUN(many_flows_come_and_go);
    return 0;
}
