"""Signalling: one Call-ID is one call, whatever happens to it."""

from dataclasses import replace

import pytest

from greffier.calls.events import CallHeld, CallResumed, LegMedia
from greffier.calls.limits import SECOND
from greffier.calls.tracker import Tracker
from greffier.capture.datagram import Address, Datagram
from greffier_sim.captures import (
    EVENT,
    MS,
    PCMA,
    PCMU,
    Plan,
    call,
    closing,
    event,
    in_order,
    message,
    offer,
    opening,
    request,
    response,
    rtp,
    sent,
    session,
    speech,
    tagged,
)
from greffier_sim.heard import hear

PLAN = Plan()
AFTER = PLAN.answer_ns + 500 * MS


def both(plan: Plan, first: int = 0, count: int | None = None) -> list[Datagram]:
    """The speech of both sides."""
    return speech(plan, "caller", first=first, count=count) + speech(
        plan, "callee", first=first, count=count
    )


def test_a_plain_call_is_one_call_with_two_legs() -> None:
    heard, tracker = hear(call(PLAN))
    (found,) = heard.calls
    assert found.started.call_id == PLAN.call_id
    assert found.started.time_ns == PLAN.start_ns
    assert found.started.from_ is not None
    assert found.started.from_.uri.user == PLAN.from_number
    assert (found.started.source, found.started.destination) == (PLAN.caller, PLAN.callee)
    assert not found.started.joined_late
    assert found.answered is not None
    assert found.answered.time_ns == PLAN.answer_ns
    assert found.ended is not None
    assert (found.ended.ended_ns, found.ended.reason) == (PLAN.end_ns, "bye")
    for leg, side in zip(found.legs, ("caller", "callee"), strict=True):
        assert leg.summary is not None
        assert (leg.added.side, leg.added.source) == (side, PLAN.media(side))  # type: ignore[arg-type]
        assert leg.added.codec is not None
        assert (leg.added.codec.name, leg.added.codec.clock) == ("PCMA", 8_000)
        assert leg.payloads == [tagged(PLAN.call_id, side, index) for index in range(50)]
        assert leg.summary.counters.packets == 50
        assert leg.summary.seconds == pytest.approx(1.0)
        assert leg.summary.dtmf_events == 0
    assert not tracker.ignored
    assert len(tracker) == 0


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_either_side_may_end_the_call(by) -> None:  # type: ignore[no-untyped-def]
    (found,) = hear(call(replace(PLAN, bye_by=by)))[0].calls
    assert found.ended is not None
    assert (found.ended.ended_ns, found.ended.reason) == (PLAN.end_ns, "bye")


@pytest.mark.parametrize("status", [302, 404, 486, 503, 603])
def test_a_rejected_call_is_a_call(status: int) -> None:
    invite = opening(PLAN)[0]
    final = response(PLAN, AFTER, status, "1 INVITE")
    (found,) = hear([invite, final, request(PLAN, AFTER + MS, "ACK", 1)])[0].calls
    assert found.ended is not None
    assert (found.ended.reason, found.ended.status) == ("rejected", status)
    assert (found.ended.ended_ns, found.answered, found.legs) == (AFTER, None, [])


@pytest.mark.parametrize("final", [True, False])
def test_a_cancelled_call_ends_when_it_is_cancelled(final: bool) -> None:
    heard = [opening(PLAN)[0], request(PLAN, AFTER, "CANCEL", 1, to_tag=False)]
    if final:
        heard.append(response(PLAN, AFTER + MS, 487, "1 INVITE"))
    (found,) = hear(heard)[0].calls
    assert found.ended is not None
    assert (found.ended.reason, found.ended.ended_ns) == ("cancelled", AFTER)
    assert found.ended.status == (487 if final else None)


def test_a_cancel_that_comes_too_late_cancels_nothing() -> None:
    every = call(PLAN)
    every += [request(PLAN, PLAN.answer_ns - MS, "CANCEL", 1, to_tag=False)]
    (found,) = hear(in_order(every))[0].calls
    assert found.ended is not None
    assert found.ended.reason == "bye"
    assert found.packets == 100


def test_an_invite_without_answer_ends_in_time() -> None:
    later = Datagram(PLAN.start_ns + 400 * SECOND, PLAN.caller, PLAN.callee, b"x" * 20)
    heard, tracker = hear([*opening(PLAN)[:3], later], finish=False)
    (found,) = heard.calls
    assert found.ended is not None
    assert (found.ended.reason, found.ended.ended_ns) == ("no_answer", PLAN.start_ns + 20 * MS)
    assert len(tracker) == 0


@pytest.mark.parametrize("pause_s", [0, 51, 170])
def test_a_retry_with_credentials_belongs_to_the_same_call(pause_s: int) -> None:
    first = [
        request(PLAN, PLAN.start_ns, "INVITE", 1, to_tag=False, body=offer(PLAN, "caller")),
        response(PLAN, PLAN.start_ns + MS, 407, "1 INVITE"),
        request(PLAN, PLAN.start_ns + 2 * MS, "ACK", 1),
    ]
    again = replace(PLAN, start_ns=PLAN.start_ns + pause_s * SECOND + 10 * MS)
    second = [
        replaced
        for datagram in call(again)
        for replaced in [
            datagram._replace(
                payload=datagram.payload.replace(b"CSeq: 1 INV", b"CSeq: 2 INV").replace(
                    b"CSeq: 1 ACK", b"CSeq: 2 ACK"
                )
            )
        ]
    ]
    (found,) = hear([*first, *second])[0].calls
    assert found.started.time_ns == PLAN.start_ns
    assert found.ended is not None
    assert (found.ended.reason, found.ended.ended_ns) == ("bye", again.end_ns)
    assert found.packets == 100


def test_a_repeated_invite_does_not_bring_a_rejected_call_back() -> None:
    invite = opening(PLAN)[0]
    late = invite._replace(time_ns=AFTER + MS)
    (found,) = hear([invite, response(PLAN, AFTER, 486, "1 INVITE"), late])[0].calls
    assert found.ended is not None
    assert (found.ended.reason, found.ended.ended_ns) == ("rejected", AFTER)


def test_the_last_repetitions_open_nothing_again() -> None:
    every = call(PLAN)
    late = [
        datagram._replace(time_ns=datagram.time_ns + 20 * SECOND)
        for datagram in opening(PLAN) + closing(PLAN)
    ]
    heard, tracker = hear([*every, *late])
    assert len(heard.calls) == 1
    assert tracker.ignored["no_call"] == 7


def test_one_branch_of_a_fork_fails_and_another_answers() -> None:
    other = replace(PLAN, to_tag="other")
    every = [*call(PLAN), response(other, PLAN.start_ns + 30 * MS, 486, "1 INVITE")]
    (found,) = hear(in_order(every))[0].calls
    assert found.ended is not None
    assert (found.ended.reason, found.ended.status, found.packets) == ("bye", None, 100)


def test_of_two_branches_that_answer_one_is_told_to_go() -> None:
    other = replace(PLAN, to_tag="other", callee_media=Address("10.0.0.3", 6_000))
    ok = response(other, PLAN.answer_ns + MS, 200, "1 INVITE", body=offer(other, "callee"))
    ack = request(other, PLAN.answer_ns + 6 * MS, "ACK", 1)
    bye = request(other, PLAN.answer_ns + 7 * MS, "BYE", 2)
    (found,) = hear(in_order([*call(PLAN), ok, ack, bye]))[0].calls
    assert found.ended is not None
    assert (found.ended.reason, found.ended.ended_ns) == ("bye", PLAN.end_ns)
    assert found.packets == 100


def test_a_bye_that_is_refused_ends_nothing() -> None:
    forged = request(PLAN, AFTER, "BYE", 7)
    refused = response(PLAN, AFTER + MS, 401, "7 BYE")
    (found,) = hear(in_order([*call(PLAN), forged, refused]))[0].calls
    assert found.ended is not None
    assert (found.ended.ended_ns, found.packets) == (PLAN.end_ns, 100)


def test_late_packets_count_to_the_leg_after_the_bye() -> None:
    plan = replace(PLAN, talk_ms=4_000)
    bye = [datagram._replace(time_ns=AFTER) for datagram in closing(plan)]
    (found,) = hear(in_order([*opening(plan), *both(plan), *bye]))[0].calls
    assert found.ended is not None
    assert (found.ended.ended_ns, found.packets) == (AFTER, 400)


def test_silence_does_not_end_an_answered_call() -> None:
    plan = replace(PLAN, talk_ms=1_800_000)
    every = [*opening(plan), *both(plan, 0, 10), *both(plan, 89_000, 10), *closing(plan)]
    (found,) = hear(in_order(every))[0].calls
    assert found.ended is not None
    assert (found.ended.reason, found.packets) == ("bye", 40)


def test_a_call_whose_bye_was_missed_ends_at_its_last_sign_of_life() -> None:
    last = both(PLAN)[-1].time_ns
    heard, tracker = hear([*opening(PLAN), *in_order(both(PLAN))], finish=False)
    for each in tracker.advance(last + 3_500 * SECOND):
        heard.take(each)
    assert heard.calls[0].ended is None
    for each in tracker.advance(last + 3_700 * SECOND):
        heard.take(each)
    assert heard.calls[0].ended is not None
    assert (heard.calls[0].ended.reason, heard.calls[0].ended.ended_ns) == ("timeout", last)
    assert len(tracker) == 0


def test_a_call_on_hold_waits_for_hours() -> None:
    plan = replace(PLAN, talk_ms=10_000_000)
    held = reinvite(plan, AFTER, "a=sendonly\r\n", "a=recvonly\r\n")
    back = reinvite(plan, plan.end_ns - SECOND, "", "", number=3)
    every = [*opening(plan), *both(plan, 0, 10), *held, *back, *closing(plan)]
    (found,) = hear(in_order(every))[0].calls
    assert found.ended is not None
    assert found.ended.reason == "bye"
    assert [type(each) for each in found.holds] == [CallHeld, CallResumed]


def reinvite(
    plan: Plan, time_ns: int, lines: str = "", answer_lines: str = "", number: int = 2
) -> list[Datagram]:
    """A re-INVITE of the caller with its 200 and ACK."""
    cseq = f"{number} INVITE"
    return [
        request(plan, time_ns, "INVITE", number, body=offer(plan, "caller", lines)),
        response(plan, time_ns + MS, 200, cseq, body=offer(plan, "callee", answer_lines)),
        request(plan, time_ns + 2 * MS, "ACK", number),
    ]


def test_a_hold_by_the_address_zero_keeps_what_was_claimed() -> None:
    zero = replace(PLAN, caller_media=Address("0.0.0.0", 4_000))
    (found,) = hear(in_order([*call(PLAN), *reinvite(zero, AFTER)]))[0].calls
    assert [type(each) for each in found.holds] == [CallHeld]
    assert (len(found.legs), found.packets) == (2, 100)


def test_a_call_that_is_one_way_from_the_start_is_not_on_hold() -> None:
    body = offer(PLAN, "callee", "a=sendonly\r\n")
    every = [d for d in call(PLAN) if not d.payload.startswith(b"SIP/2.0 200")]
    every += [response(PLAN, PLAN.answer_ns, 200, "1 INVITE", body=body)]
    assert hear(in_order(every))[0].calls[0].holds == []


def test_a_reinvite_that_moves_the_port_gives_new_legs_of_the_same_call() -> None:
    moved = replace(PLAN, caller_media=Address("10.0.0.1", 4_444))
    every = [*opening(PLAN), *both(PLAN, 0, 24), *reinvite(moved, AFTER), *both(moved, 25, 25)]
    (found,) = hear(in_order([*every, *closing(PLAN)]))[0].calls
    assert found.ended is not None
    assert [leg.summary.counters.packets for leg in found.legs if leg.summary] == [24, 24, 25, 25]
    assert found.ended.ended_ns == PLAN.end_ns


def test_a_reinvite_that_changes_the_codec_changes_the_leg() -> None:
    other = replace(PLAN, codings=((96, "opus", 48_000), EVENT))
    every = [*opening(PLAN), *both(PLAN, 0, 24), *reinvite(other, AFTER), *both(other, 25, 25)]
    (found,) = hear(in_order([*every, *closing(PLAN)]))[0].calls
    assert [leg.added.codec and leg.added.codec.name for leg in found.legs] == ["PCMA", "PCMA"]
    for leg in found.legs:
        assert leg.changes[-1].codecs[96].name == "opus"
        assert leg.summary is not None
        assert leg.summary.counters.packets == 49
        assert leg.packets[-1].payload_type == 96


def test_packets_still_on_their_way_keep_the_codec_that_is_no_longer_named() -> None:
    one = replace(PLAN, codings=((97, "L16", 8_000), EVENT))
    before = [d for number, d in enumerate(both(one, 0, 24)) if number != 40]  # one is missing
    every = [*opening(one), *before, *reinvite(PLAN, AFTER), *both(PLAN, 25, 25)]
    tracker = Tracker()
    events = [event for d in in_order([*every, *closing(PLAN)]) for event in tracker.feed(d)]
    media = [event for event in events + tracker.finish() if isinstance(event, LegMedia)]
    meant = {event.codecs[packet.payload_type].name for event in media for packet in event.packets}
    assert sum(len(event.packets) for event in media) == 97
    assert meant == {"L16", "PCMA"}


def test_a_payload_type_may_mean_another_codec_after_a_reinvite() -> None:
    one = replace(PLAN, codings=((96, "opus", 48_000),))
    two = replace(PLAN, codings=((96, "AMR-WB", 16_000),))
    every = [*opening(one), *both(one, 0, 24), *reinvite(two, AFTER), *both(two, 25, 25)]
    (found,) = hear(in_order([*every, *closing(PLAN)]))[0].calls
    for leg in found.legs:
        assert leg.added.codec is not None
        assert leg.added.codec.name == "opus"
        assert [change.codec.name for change in leg.changes if change.codec] == ["AMR-WB"]


def test_early_media_before_the_answer_is_kept() -> None:
    early = response(PLAN, PLAN.start_ns + MS, 183, "1 INVITE", body=offer(PLAN, "callee"))
    ring = [d._replace(time_ns=d.time_ns - 90 * MS) for d in speech(PLAN, "callee", count=4)]
    every = [opening(PLAN)[0], early, *ring, response(PLAN, AFTER, 480, "1 INVITE")]
    (found,) = hear(in_order(every))[0].calls
    assert found.ended is not None
    assert (found.ended.reason, found.ended.status, found.packets) == ("rejected", 480, 4)
    assert found.answered is None


def test_an_offer_in_the_200_is_answered_in_the_ack() -> None:
    every = [
        request(PLAN, PLAN.start_ns, "INVITE", 1, to_tag=False),
        response(PLAN, PLAN.answer_ns, 200, "1 INVITE", body=offer(PLAN, "callee")),
        request(PLAN, PLAN.answer_ns + 5 * MS, "ACK", 1, body=offer(PLAN, "caller")),
        *both(PLAN),
        *closing(PLAN),
    ]
    (found,) = hear(in_order(every))[0].calls
    assert [(leg.added.side, len(leg.packets)) for leg in found.legs] == [
        ("caller", 50),
        ("callee", 50),
    ]


@pytest.mark.parametrize("method", ["UPDATE", "PRACK"])
def test_an_offer_in_any_request_counts(method: str) -> None:
    moved = replace(PLAN, callee_media=Address("10.0.0.2", 5_555))
    every = [
        *opening(PLAN),
        request(moved, AFTER, method, 2, body=offer(moved, "caller")),
        response(moved, AFTER + MS, 200, f"2 {method}", body=offer(moved, "callee")),
        *both(PLAN, 0, 24),
        *both(moved, 25, 25),
        *closing(PLAN),
    ]
    (found,) = hear(in_order(every))[0].calls
    assert [len(leg.packets) for leg in found.legs] == [24, 24, 25, 25]


def test_a_reinvite_that_is_refused_changes_nothing() -> None:
    every = [
        *call(PLAN),
        request(PLAN, AFTER, "INVITE", 2, body=offer(PLAN, "caller")),
        response(PLAN, AFTER + MS, 488, "2 INVITE"),
    ]
    (found,) = hear(in_order(every))[0].calls
    assert found.ended is not None
    assert (found.ended.reason, found.ended.status, found.packets) == ("bye", None, 100)


def test_a_call_joined_by_its_reinvite_is_listed_as_such() -> None:
    every = [*reinvite(PLAN, PLAN.answer_ns), *both(PLAN), *closing(PLAN)]
    (found,) = hear(in_order(every))[0].calls
    assert found.started.joined_late
    assert found.answered is not None
    assert found.ended is not None
    assert (found.call_id, found.packets, found.ended.reason) == (PLAN.call_id, 100, "bye")


@pytest.mark.parametrize("media", [True, False])
def test_a_call_whose_200_comes_first_is_listed_when_media_comes(media: bool) -> None:
    every = opening(PLAN)[3:] + (both(PLAN) if media else []) + closing(PLAN)
    heard, _ = hear(in_order(every))
    assert [each.call_id for each in heard.calls] == [PLAN.call_id] * media
    if media:
        assert heard.calls[0].started.joined_late
        assert heard.calls[0].packets == 100
        assert heard.calls[0].started.source == PLAN.caller


def test_a_200_that_overtakes_its_invite_is_no_late_join() -> None:
    every = opening(PLAN)
    every[0], every[3] = (
        every[0]._replace(time_ns=PLAN.answer_ns + MS),
        every[3]._replace(time_ns=PLAN.start_ns),
    )
    (found,) = hear(in_order([*every, *both(PLAN), *closing(PLAN)]))[0].calls
    assert not found.started.joined_late
    assert found.packets == 100


@pytest.mark.parametrize("first", ["BYE", "ACK", "OPTIONS", "REGISTER", "SUBSCRIBE"])
def test_other_messages_open_no_call(first: str) -> None:
    every = [
        request(PLAN, PLAN.start_ns, first, 1),
        response(PLAN, PLAN.start_ns + MS, 200, f"1 {first}"),
    ]
    heard, tracker = hear(every)
    assert heard.calls == []
    assert tracker.ignored == {"no_call": 2}


def test_a_call_id_used_again_after_the_call_is_over_is_another_call() -> None:
    again = replace(PLAN, start_ns=PLAN.start_ns + 600 * SECOND, from_tag="new")
    heard, _ = hear([*call(PLAN), *call(again)])
    assert [each.packets for each in heard.calls] == [100, 100]


def test_a_newer_call_on_the_same_addresses_ends_one_whose_bye_was_missed() -> None:
    again = replace(PLAN, call_id="second@sim", start_ns=PLAN.start_ns + 30 * SECOND)
    heard, _ = hear([*call(PLAN)[:-2], *call(again)])
    first, second = heard.calls
    assert first.ended is not None
    assert (first.ended.reason, first.packets) == ("superseded", 100)
    assert second.packets == 100
    assert {leg.payloads[0][:8] for leg in second.legs} == {b"second@s"}


def test_a_call_may_follow_at_once_on_the_same_addresses_with_the_same_ssrc() -> None:
    again = replace(PLAN, call_id="second@sim", start_ns=PLAN.end_ns + 50 * MS)
    heard, _ = hear([*call(PLAN), *call(again)])
    for found, plan in zip(heard.calls, (PLAN, again), strict=True):
        assert [leg.payloads for leg in found.legs] == [
            [tagged(plan.call_id, side, index) for index in range(50)]
            for side in ("caller", "callee")
        ]


def test_early_media_of_the_next_call_waits_for_its_answer() -> None:
    again = replace(PLAN, call_id="second@sim", start_ns=PLAN.end_ns + 50 * MS, ring_ms=400)
    early = [d._replace(time_ns=d.time_ns - 300 * MS) for d in speech(again, "callee", count=9)]
    rest = speech(again, "callee", first=9)
    every = [*call(PLAN), *opening(again), *early, *rest, *closing(again)]
    heard, _ = hear(in_order(every))
    assert [found.packets for found in heard.calls] == [100, 50]


@pytest.mark.parametrize(
    ("profile", "lines", "encrypted"),
    [
        ("RTP/SAVP", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA\r\n", True),
        ("UDP/TLS/RTP/SAVPF", "a=fingerprint:sha-256 AA:BB\r\n", True),
        ("RTP/AVP", "", False),
    ],
)
def test_encrypted_legs_are_flagged(profile: str, lines: str, encrypted: bool) -> None:
    plan = replace(PLAN, profile=profile)
    every = [
        request(plan, plan.start_ns, "INVITE", 1, to_tag=False, body=offer(plan, "caller", lines)),
        response(plan, plan.answer_ns, 200, "1 INVITE", body=offer(plan, "callee", lines)),
        *both(plan),
        *closing(plan),
    ]
    (found,) = hear(in_order(every))[0].calls
    assert found.ended is not None
    assert found.ended.encrypted == encrypted
    assert [leg.added.encrypted for leg in found.legs] == [encrypted] * 2


def test_encryption_that_was_offered_and_not_taken_is_none() -> None:
    offered = offer(PLAN, "caller", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA\r\n")
    every = [
        request(PLAN, PLAN.start_ns, "INVITE", 1, to_tag=False, body=offered),
        response(PLAN, PLAN.answer_ns, 200, "1 INVITE", body=offer(PLAN, "callee")),
        *both(PLAN),
        *closing(PLAN),
    ]
    (found,) = hear(in_order(every))[0].calls
    assert found.ended is not None
    assert not found.ended.encrypted


def test_keys_are_counted_and_are_no_codec() -> None:
    keys = []
    for key in range(3):
        at = AFTER + key * 100 * MS
        for number in range(5):
            packet = rtp(
                1_000 + key * 5 + number,
                key * 800,
                PLAN.caller_ssrc,
                event(key, number > 1, number * 160),
                payload_type=101,
            )
            keys.append(Datagram(at + number * MS, PLAN.caller_media, PLAN.callee_media, packet))
    plan = replace(PLAN, caller_sequence=1_015)
    talk = [d._replace(time_ns=d.time_ns + SECOND) for d in speech(plan, "caller", count=10)]
    end = [d._replace(time_ns=d.time_ns + SECOND) for d in closing(plan)]
    (found,) = hear(in_order([*opening(plan), *keys, *talk, *end]))[0].calls
    (leg,) = found.legs
    assert leg.added.codec is None
    assert leg.summary is not None
    assert leg.summary.codec is not None
    assert (leg.summary.codec.name, leg.summary.dtmf_events) == ("PCMA", 3)
    assert leg.summary.counters.packets == 25
    assert leg.changes[0].codec == leg.summary.codec


def test_a_host_name_in_a_description_means_its_sender() -> None:
    body = session(PLAN.caller_media, [PCMA]).replace(b"10.0.0.1", b"pbx.example")
    every = [d for d in call(PLAN) if not d.payload.startswith(b"INVITE")]
    every += [request(PLAN, PLAN.start_ns, "INVITE", 1, to_tag=False, body=body)]
    (found,) = hear(in_order(every))[0].calls
    assert [leg.added.side for leg in found.legs] == ["caller", "callee"]


def test_ipv6_is_compared_by_value_not_by_spelling() -> None:
    plan = replace(
        PLAN,
        caller_media=Address("2001:db8::1", 4_000),
        callee_media=Address("2001:db8::2", 5_000),
    )
    every = [
        d._replace(payload=d.payload.replace(b"2001:db8::", b"2001:0DB8:0:0::"))
        if d.payload[0] < 0x80
        else d
        for d in call(plan)
    ]
    (found,) = hear(every)[0].calls
    assert found.packets == 100
    assert [leg.added.side for leg in found.legs] == ["caller", "callee"]


def test_messages_without_tags_are_told_apart_by_address() -> None:
    every = [
        d._replace(payload=d.payload.replace(b";tag=a", b"").replace(b";tag=b", b""))
        for d in call(PLAN)
    ]
    (found,) = hear(every)[0].calls
    assert found.ended is not None
    assert (found.ended.reason, found.packets) == ("bye", 100)


def test_a_video_stream_is_not_audio_and_a_rejected_one_is_nothing() -> None:
    video = "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\nm=image 0 udptl t38\r\n"
    far = video.replace("4002", "5002")
    every = [
        request(PLAN, PLAN.start_ns, "INVITE", 1, to_tag=False, body=offer(PLAN, "caller", video)),
        response(PLAN, PLAN.answer_ns, 200, "1 INVITE", body=offer(PLAN, "callee", far)),
        *both(PLAN),
        *closing(PLAN),
    ]
    pair = (Address("10.0.0.1", 4_002), Address("10.0.0.2", 5_002))
    every += [
        Datagram(AFTER + n * MS, *pair, rtp(n, n, 9, b"frame", payload_type=96)) for n in range(9)
    ]
    heard, tracker = hear(in_order(every))
    assert [len(found.legs) for found in heard.calls] == [2]
    assert tracker.ignored == {"not_audio": 9}


def test_a_call_over_tcp_is_a_call() -> None:
    (found,) = hear(call(replace(PLAN, transport="tcp")))[0].calls
    assert found.packets == 100


def test_nonsense_beside_a_call_is_counted_and_changes_nothing() -> None:
    odd = [
        sent(PLAN, AFTER, "caller", b"INVITE sip:x SIP/2.0\r\n\r\n"),
        sent(PLAN, AFTER, "caller", b"\r\n\r\n"),
        sent(PLAN, AFTER, "caller", b""),
        request(PLAN, AFTER, "UPDATE", 5, body=b"this is no description"),
        Datagram(AFTER, PLAN.caller_media, PLAN.callee_media, b"\x80" * 12),
    ]
    heard, tracker = hear(in_order([*call(PLAN), *odd]))
    assert heard.calls[0].packets == 100
    assert tracker.ignored == {"bad_sip": 1, "other": 2, "bad_sdp": 1, "stray": 1}


def test_a_pcmu_call_has_pcmu() -> None:
    (found,) = hear(call(replace(PLAN, codings=(PCMU,), ptime_ms=30)))[0].calls
    assert found.ended is not None
    assert [leg.codec and leg.codec.name for leg in found.ended.legs] == ["PCMU", "PCMU"]
    assert {leg.packet_ns for leg in found.ended.legs} == {30 * MS}


def test_what_is_said_of_a_call_shows_no_number() -> None:
    heard, _ = hear(call(PLAN))
    assert PLAN.from_number not in repr(heard.calls[0].started)
    assert PLAN.call_id not in repr(heard.calls[0].started)
    assert message(PLAN, "x", cseq="1 INVITE").count(PLAN.from_number.encode()) == 1
