"""Media: whose a packet is when signalling comes late, says little, or was never heard."""

import random
from dataclasses import replace

import pytest

from greffier.calls.limits import SECOND, Limits
from greffier.capture.datagram import Address, Datagram
from greffier_sim.captures import (
    MS,
    Harm,
    Plan,
    call,
    closing,
    harmed,
    in_order,
    offer,
    opening,
    request,
    response,
    rtp,
    speech,
    tagged,
)
from greffier_sim.heard import hear

PLAN = Plan()
A, B = PLAN.caller_media, PLAN.callee_media


def both(plan: Plan) -> list[Datagram]:
    """The speech of both sides."""
    return in_order(speech(plan, "caller") + speech(plan, "callee"))


def packet(sequence: int, kind: int = 8, ssrc: int = 9, at_ms: int | None = None) -> Datagram:
    """One packet from A to B."""
    time_ns = PLAN.answer_ns + (sequence * 20 if at_ms is None else at_ms) * MS
    payload = rtp(sequence, sequence * 160, ssrc, bytes(160), payload_type=kind)
    return Datagram(time_ns, A, B, payload)


def test_bare_rtp_both_ways_is_one_call_with_two_legs() -> None:
    (found,) = hear(both(PLAN))[0].calls
    assert found.started.call_id is None
    assert found.started.from_ is None
    assert found.ended is not None
    assert found.ended.reason == "end_of_capture"
    assert found.ended.ended_ns == both(PLAN)[-1].time_ns
    assert [len(leg.packets) for leg in found.legs] == [50, 50]
    assert [leg.codec and leg.codec.name for leg in found.ended.legs] == ["PCMA", "PCMA"]


@pytest.mark.parametrize(("count", "calls"), [(3, 0), (4, 1)])
def test_bare_rtp_needs_four_packets(count: int, calls: int) -> None:
    assert len(hear([packet(n) for n in range(count)])[0].calls) == calls


@pytest.mark.parametrize("kind", [0, 3, 4, 5, 8, 9, 10, 11, 15, 18])
def test_bare_rtp_of_a_static_audio_type_is_a_call(kind: int) -> None:
    (found,) = hear([packet(n, kind) for n in range(9)])[0].calls
    assert found.legs[0].added.codec is not None


@pytest.mark.parametrize("kind", [13, 19, 26, 34, 96, 101, 127])
def test_bare_rtp_of_another_type_means_nothing(kind: int) -> None:
    heard, tracker = hear([packet(n, kind) for n in range(9)])
    assert heard.calls == []
    assert tracker.ignored == {"unclaimed": 9}


def test_numbers_that_do_not_ascend_are_no_stream() -> None:
    draw = random.Random(3)
    strange = [packet(draw.randrange(65_536), at_ms=n) for n in range(12)]
    assert hear(strange)[0].calls == []


def test_all_payload_types_of_one_source_are_one_leg() -> None:
    kinds = [8, 8, 8, 8, 13, 8, 101, 101, 8, 0]
    (found,) = hear([packet(n, kind) for n, kind in enumerate(kinds)])[0].calls
    assert [len(leg.packets) for leg in found.legs] == [10]
    assert found.legs[0].added.codec is not None
    assert found.legs[0].added.codec.name == "PCMA"


def test_bare_rtp_that_stops_is_over_and_what_follows_is_another_call() -> None:
    later = [d._replace(time_ns=d.time_ns + 120 * SECOND) for d in both(PLAN)]
    heard, _ = hear([*both(PLAN), *later])
    assert [found.packets for found in heard.calls] == [100, 100]
    assert heard.calls[0].ended is not None
    assert heard.calls[0].ended.reason == "silence"
    assert heard.calls[0].ended.ended_ns == both(PLAN)[-1].time_ns


@pytest.mark.parametrize("late_ms", [0, 100, 900, 5_000, 9_000])
def test_media_before_its_descriptions_is_linked_late_and_whole(late_ms: int) -> None:
    plan = replace(PLAN, talk_ms=12_000)
    signals = [d._replace(time_ns=d.time_ns + late_ms * MS) for d in opening(plan)]
    heard, tracker = hear(in_order([*signals, *both(plan), *closing(plan)]))
    (found,) = heard.calls
    assert found.call_id == PLAN.call_id
    assert [len(leg.packets) for leg in found.legs] == [600, 600]
    assert not tracker.ignored


def test_what_is_held_longer_than_a_minute_is_dropped_and_counted() -> None:
    plan = replace(PLAN, talk_ms=70_000, codings=((96, "opus", 48_000),))
    signals = [d._replace(time_ns=d.time_ns + 65 * SECOND) for d in opening(plan)]
    (found,) = hear(in_order([*signals, *both(plan), *closing(plan)]))[0].calls
    for leg in found.legs:
        assert leg.summary is not None
        assert leg.summary.dropped == pytest.approx(250, abs=10)
        assert leg.summary.dropped + leg.summary.counters.packets == 3_500


def test_bare_rtp_that_turns_out_to_be_a_dialog_stays_one_call() -> None:
    plan = replace(PLAN, talk_ms=30_000)
    at = plan.answer_ns + 20 * SECOND
    signals = [
        request(plan, at, "INVITE", 2, body=offer(plan, "caller")),
        response(plan, at + MS, 200, "2 INVITE", body=offer(plan, "callee")),
        request(plan, at + 2 * MS, "ACK", 2),
    ]
    (found,) = hear(in_order([*both(plan), *signals, *closing(plan)]))[0].calls
    assert found.started.call_id is None
    assert found.identified is not None
    assert found.call_id == plan.call_id
    assert found.answered is not None
    assert found.ended is not None
    assert (found.ended.reason, found.packets) == ("bye", 3_000)
    assert [leg.side for leg in found.ended.legs] == ["caller", "callee"]


@pytest.mark.parametrize("half", ["request", "response"])
def test_half_a_mirror_is_enough_to_name_bare_rtp(half: str) -> None:
    plan = replace(PLAN, talk_ms=30_000)
    at = plan.answer_ns + 20 * SECOND
    signals = [
        request(plan, at, "INVITE", 2, body=offer(plan, "caller")),
        response(plan, at + MS, 200, "2 INVITE", body=offer(plan, "callee")),
    ]
    one = signals[:1] if half == "request" else signals[1:]
    (found,) = hear(in_order([*both(plan), *one, *closing(plan)]))[0].calls
    assert found.call_id == plan.call_id
    assert found.ended is not None
    assert (found.ended.reason, found.packets) == ("bye", 3_000)
    assert [leg.side for leg in found.ended.legs] == ["caller", "callee"]


def test_a_call_that_only_shares_an_address_with_bare_rtp_is_another_call() -> None:
    bare = replace(PLAN, talk_ms=30_000)
    other = replace(
        PLAN,
        call_id="other@sim",
        start_ns=PLAN.start_ns + 20 * SECOND,
        callee_media=Address("10.0.0.9", 7_000),
        caller_ssrc=7,
        callee_ssrc=8,
    )
    heard, _ = hear(in_order([*both(bare), *call(other)]))
    assert [(found.call_id, found.packets) for found in heard.calls] == [
        (None, 3_000),
        ("other@sim", 100),
    ]
    assert heard.calls[1].started.time_ns == other.start_ns


def test_a_dialog_that_was_listed_first_takes_over_bare_rtp_of_its_addresses() -> None:
    plan = replace(PLAN, talk_ms=30_000, start_ns=PLAN.start_ns + 20 * SECOND)
    early = replace(plan, start_ns=PLAN.start_ns, talk_ms=50_000)
    signals = [
        request(plan, plan.start_ns, "INVITE", 1, to_tag=False),
        response(plan, plan.answer_ns, 200, "1 INVITE", body=offer(plan, "callee")),
        request(plan, plan.answer_ns + MS, "ACK", 1, body=offer(plan, "caller")),
    ]
    heard, _ = hear(in_order([*both(early), *signals, *closing(plan)]))
    assert [found.call_id for found in heard.calls] == [None, plan.call_id]
    assert heard.calls[0].ended is not None
    assert heard.calls[0].ended.reason == "claimed"
    assert sum(found.packets for found in heard.calls) == 5_000


def test_calls_that_share_a_port_and_an_ssrc_are_never_mixed() -> None:
    plans = [
        replace(
            PLAN,
            call_id=f"{number}@sipp",
            start_ns=PLAN.start_ns + number * 7 * MS,
            caller_media=Address("10.0.0.1", 6_000),
            callee_media=Address("10.0.0.2", 20_000 + 2 * number),
            caller_ssrc=0xDEE0EE8F,
            callee_ssrc=0xDEE0EE8F,
        )
        for number in range(20)
    ]
    heard, tracker = hear(in_order([d for plan in plans for d in call(plan)]))
    for plan in plans:
        found = heard.by_id(plan.call_id)
        assert [leg.payloads for leg in found.legs] == [
            [tagged(plan.call_id, side, index) for index in range(50)]
            for side in ("caller", "callee")
        ]
    assert not tracker.ignored


def test_of_calls_that_share_a_port_one_without_signalling_stays_apart() -> None:
    plans = [
        replace(
            PLAN, call_id=f"{n}@sipp", talk_ms=4_000, callee_media=Address("10.0.0.2", 7_000 + n)
        )
        for n in range(2)
    ]
    heard, _ = hear(in_order([*call(plans[0]), *both(plans[1])]))
    assert [(found.call_id, found.packets) for found in heard.calls] == [
        ("0@sipp", 400),
        (None, 400),
    ]


def behind_nat(datagrams: list[Datagram], real: Address, shown: Address) -> list[Datagram]:
    """Packets that leave *real* seem to come from *shown*."""
    return [d._replace(source=shown) if d.source == real else d for d in datagrams]


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_a_source_behind_nat_is_linked_by_its_destination(side) -> None:  # type: ignore[no-untyped-def]
    plan = replace(PLAN, talk_ms=4_000)
    shown = Address("203.0.113.7", 61_234)
    heard, _ = hear(behind_nat(call(plan), plan.media(side), shown))
    (found,) = heard.calls
    assert sorted(len(leg.packets) for leg in found.legs) == [200, 200]
    assert {leg.added.side for leg in found.legs if leg.added.source == shown} == {side}


def test_a_destination_that_nobody_described_is_linked_by_its_source() -> None:
    plan = replace(PLAN, talk_ms=4_000)
    every = [d for d in call(plan) if not d.payload.startswith(b"SIP/2.0 200")]
    (found,) = hear(every)[0].calls
    assert sorted((leg.added.side, len(leg.packets)) for leg in found.legs) == [
        ("callee", 200),
        ("caller", 200),
    ]


def test_a_new_source_on_the_same_addresses_is_another_leg() -> None:
    plan = replace(PLAN, caller_ssrc=77, caller_sequence=9)
    every = [
        *opening(PLAN),
        *speech(PLAN, "caller", count=25),
        *speech(plan, "caller", first=25),
        *speech(PLAN, "callee"),
        *closing(PLAN),
    ]
    (found,) = hear(in_order(every))[0].calls
    assert sorted((leg.added.ssrc, len(leg.packets)) for leg in found.legs) == [
        (77, 25),
        (PLAN.caller_ssrc, 25),
        (PLAN.callee_ssrc, 50),
    ]


def test_a_single_packet_of_another_source_is_no_leg() -> None:
    odd = packet(3, ssrc=0xBAD, at_ms=300)
    heard, tracker = hear(in_order([*call(PLAN), odd]))
    assert [len(found.legs) for found in heard.calls] == [2]
    assert tracker.ignored == {"stray": 1}


def test_rtcp_on_its_own_port_or_muxed_is_neither_leg_nor_fault() -> None:
    report = b"\x80\xc8\x00\x06" + bytes(24)
    every = [
        Datagram(PLAN.answer_ns + n * 100 * MS, *pair, report)
        for n in range(5)
        for pair in ((A, B), (Address(A.host, A.port + 1), Address(B.host, B.port + 1)))
    ]
    heard, tracker = hear(in_order([*call(PLAN), *every]))
    assert [len(found.legs) for found in heard.calls] == [2]
    assert (tracker.rtcp, dict(tracker.ignored)) == (10, {})


@pytest.mark.parametrize("seed", range(5))
def test_loss_copies_and_disorder_are_counted_and_not_heard(seed: int) -> None:
    plan = replace(PLAN, talk_ms=6_000)
    harm = Harm(lost=0.05, doubled=0.05, delayed=0.2)
    rough = harmed(both(plan), harm, seed)
    (found,) = hear(in_order([*opening(plan), *rough, *closing(plan)]))[0].calls
    for leg, side in zip(found.legs, ("caller", "callee"), strict=True):
        source = plan.media(side)  # type: ignore[arg-type]
        mine = [d for d in rough if d.source == source]
        numbers = [(int.from_bytes(d.payload[2:4], "big") - 65_000) % 65_536 for d in mine]
        assert leg.summary is not None
        counters = leg.summary.counters
        assert counters.packets == len(mine)
        assert counters.duplicates == len(mine) - len(set(numbers))
        assert counters.lost == max(numbers) - min(numbers) + 1 - len(set(numbers))
        kept = {d.payload[12:] for d in mine}
        assert set(leg.payloads) <= kept
        assert len(leg.payloads) == len(kept) - counters.late
        assert len(set(leg.payloads)) == len(leg.payloads)


def test_media_is_handed_on_while_it_flows() -> None:
    plan = replace(PLAN, talk_ms=10_000)
    heard, _ = hear(call(plan)[:-2], finish=False)
    for leg in heard.calls[0].legs:
        assert len(leg.packets) >= 460
    quiet = Datagram(plan.end_ns + 3 * SECOND, PLAN.caller, PLAN.callee, b"x" * 20)
    heard, _ = hear([*call(plan)[:-2], quiet], finish=False)
    for leg in heard.calls[0].legs:
        assert len(leg.packets) == 500


def test_a_clock_that_jumps_back_loses_no_packet() -> None:
    every = call(PLAN)
    back = [d._replace(time_ns=d.time_ns - 3_600 * SECOND) for d in every[40:]]
    (found,) = hear([*every[:40], *back])[0].calls
    assert found.packets == 100


def test_a_clock_that_is_set_back_does_not_stop_the_media() -> None:
    plan = replace(PLAN, talk_ms=60_000)
    every = call(plan)[:-2]
    back = [d._replace(time_ns=d.time_ns - 3_600 * SECOND) for d in every[40:]]
    heard, _ = hear([*every[:40], *back], finish=False)
    assert [len(leg.packets) > 2_900 for leg in heard.calls[0].legs] == [True, True]


def test_one_wrong_time_ends_no_call() -> None:
    every = call(PLAN)
    every[40] = every[40]._replace(time_ns=every[40].time_ns + 86_400 * SECOND)
    (found,) = hear(every)[0].calls
    assert found.ended is not None
    assert (found.ended.reason, found.packets) == ("bye", 100)


def test_traffic_that_looks_like_rtp_is_bounded_and_hides_no_call() -> None:
    """A quarter of all DNS queries begin like RTP."""
    limits = Limits(strange_flows=50, loose_flows=10, held_bytes=100_000)
    draw = random.Random(1)
    noise = [
        Datagram(
            PLAN.start_ns + n * MS,
            Address("10.9.0.1", 1_024 + n % 60_000),
            Address("10.9.0.2", 53),
            b"\x80" + draw.randbytes(60),
        )
        for n in range(5_000)
    ]
    heard, tracker = hear(in_order([*call(PLAN), *noise]), limits)
    assert [found.packets for found in heard.calls] == [100]
    assert tracker.ignored["limit"] > 4_500
    assert tracker._flows.held_bytes == 0
    assert tracker._flows.table == {}


def test_sources_without_end_in_one_flow_are_bounded() -> None:
    limits = Limits(sources=4)
    every = [packet(n % 60_000, ssrc=n * 7, at_ms=n) for n in range(2_000)]
    heard, tracker = hear(every, limits)
    assert heard.calls == []
    assert sum(tracker.ignored.values()) == 2_000


def test_bytes_held_are_bounded() -> None:
    limits = Limits(held_bytes=20_000)
    every = [
        Datagram(
            PLAN.start_ns + n * MS,
            Address("10.9.0.1", 2_000 + n % 7),
            B,
            rtp(n // 7, n, n % 7, bytes(500), payload_type=96),
        )
        for n in range(1_000)
    ]
    heard, tracker = hear(every, limits, finish=False)
    assert heard.calls == []
    assert 0 < tracker._flows.held_bytes <= 20_000
    assert tracker._flows.held_bytes == sum(
        track.held_bytes for flow in tracker._table.values() for track in flow.tracks.values()
    )


def test_a_flood_of_invites_is_bounded_and_spares_the_call_that_talks() -> None:
    limits = Limits(calls=20)
    flood = [
        opening(replace(PLAN, call_id=f"flood-{n}", start_ns=PLAN.start_ns + n * MS))[0]
        for n in range(1_000)
    ]
    plan = replace(PLAN, caller_media=Address("10.0.0.7", 4_000))
    every = in_order([*call(plan), *flood])
    heard, tracker = hear(every, limits, finish=False)
    assert len(tracker) <= 20
    assert heard.by_id(plan.call_id).ended is None
    heard, tracker = hear(every, limits)
    assert heard.by_id(plan.call_id).packets == 100
    assert sum(found.ended.reason == "overflow" for found in heard.calls if found.ended) >= 980


def test_memory_stays_flat_over_many_calls() -> None:
    tables = set()
    every = []
    for number in range(60):
        plan = replace(
            PLAN, call_id=f"{number}@sim", start_ns=PLAN.start_ns + number * 8 * SECOND, talk_ms=200
        )
        every += call(plan)
    every.append(Datagram(every[-1].time_ns + 10 * SECOND, A, B, b"x" * 20))
    heard, tracker = hear(every, finish=False)
    tables = {
        "calls": len(tracker),
        "flows": len(tracker._table),
        "addresses": len(tracker._flows._at),
        "claims": len(tracker._register._claims),
        "held": tracker._flows.held_bytes,
    }
    assert set(tables.values()) == {0}
    assert len(heard.calls) == 60
    assert all(found.ended is not None for found in heard.calls)
