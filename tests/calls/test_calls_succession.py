"""Calls one after another on the same addresses: no packet goes to the neighbour in time."""

from dataclasses import replace

import pytest

from greffier.calls.limits import SECOND
from greffier.capture.datagram import Address, Datagram
from greffier_sim.captures import (
    MS,
    Plan,
    call,
    closing,
    in_order,
    offer,
    opening,
    request,
    response,
    speech,
)
from greffier_sim.heard import Heard, hear

FIRST = Plan(call_id="first@sim", talk_ms=3_000)
NEXT = replace(
    FIRST,
    call_id="next@sim",
    start_ns=FIRST.end_ns + SECOND,
    ring_ms=1_000,
    caller_ssrc=0x33333333,
    callee_ssrc=0x44444444,
)


def media(plan: Plan) -> list[Datagram]:
    """The speech of both sides."""
    return in_order(speech(plan, "caller") + speech(plan, "callee"))


def packets(heard: Heard) -> dict[str | None, int]:
    """How many packets each call has."""
    return {found.call_id: found.packets for found in heard.calls}


def test_an_offer_in_the_200_comes_after_the_first_packets() -> None:
    opened = [
        request(NEXT, NEXT.start_ns, "INVITE", 1, to_tag=False),
        response(NEXT, NEXT.answer_ns, 200, "1 INVITE", body=offer(NEXT, "callee")),
        request(NEXT, NEXT.answer_ns + 300 * MS, "ACK", 1, body=offer(NEXT, "caller")),
    ]
    heard, _ = hear(in_order([*call(FIRST), *opened, *media(NEXT), *closing(NEXT)]))
    assert packets(heard) == {"first@sim": 300, "next@sim": 300}


@pytest.mark.parametrize("same_source", [False, True])
def test_media_of_the_next_call_comes_before_its_signalling(same_source: bool) -> None:
    plan = replace(NEXT, caller_sequence=30_000, callee_sequence=40_000)
    if same_source:
        plan = replace(plan, caller_ssrc=FIRST.caller_ssrc, callee_ssrc=FIRST.callee_ssrc)
    late = [d._replace(time_ns=d.time_ns + 1_500 * MS) for d in opening(plan)]
    heard, _ = hear(in_order([*call(FIRST), *late, *media(plan), *closing(plan)]))
    assert packets(heard) == {"first@sim": 300, "next@sim": 300}


@pytest.mark.parametrize("pause_ms", [1_000, 4_000])
def test_a_call_whose_bye_was_missed_keeps_nothing_of_the_next_ones(pause_ms: int) -> None:
    begun = opening(FIRST) + media(FIRST)
    plan = replace(NEXT, start_ns=FIRST.end_ns + pause_ms * MS)
    third = replace(FIRST, call_id="third@sim", start_ns=plan.end_ns + SECOND, caller_ssrc=5)
    heard, _ = hear(in_order([*begun, *call(plan), *call(third)]))
    assert packets(heard) == {"first@sim": 300, "next@sim": 300, "third@sim": 300}
    ended = heard.calls[0].ended
    assert ended is not None
    assert ended.reason == "superseded"


def test_a_short_call_between_a_missed_bye_and_another_call_keeps_its_media() -> None:
    begun = opening(FIRST) + media(FIRST)
    short = replace(NEXT, start_ns=FIRST.end_ns + 400 * MS, ring_ms=80, talk_ms=280)
    third = replace(FIRST, call_id="third@sim", start_ns=short.end_ns + 800 * MS, ring_ms=180)
    third = replace(third, caller_ssrc=5, callee_ssrc=6)
    heard, _ = hear(in_order([*begun, *call(short), *call(third)]))
    assert packets(heard) == {"first@sim": 300, "next@sim": 28, "third@sim": 300}


@pytest.mark.parametrize("pause_ms", [400, 900])
@pytest.mark.parametrize("next_ms", [400, 3_000])
def test_a_sender_that_always_begins_with_the_same_source_and_number_is_told_apart(
    pause_ms: int, next_ms: int
) -> None:
    # As SIPp does; the next call's numbers are behind the highest of the call whose BYE was missed.
    begun = opening(FIRST) + media(FIRST)
    same = replace(FIRST, call_id="next@sim", talk_ms=next_ms, ring_ms=80)
    plan = replace(same, start_ns=FIRST.end_ns + pause_ms * MS)
    heard, _ = hear(in_order([*begun, *call(plan)]))
    assert packets(heard) == {"first@sim": 300, "next@sim": next_ms // 10}


@pytest.mark.parametrize("answered", [True, False])
def test_media_without_signalling_before_a_call_is_not_its_media(answered: bool) -> None:
    after = call(NEXT) if answered else [request(NEXT, NEXT.start_ns, "INVITE", 1, to_tag=False)]
    heard, _ = hear(in_order([*media(FIRST), *after]))
    assert packets(heard) == {None: 300, "next@sim": 300 if answered else 0}


@pytest.mark.parametrize("answered", [True, False])
def test_media_without_signalling_after_a_call_is_not_its_media(answered: bool) -> None:
    before = call(FIRST) if answered else opening(FIRST)[:1]
    if not answered:
        before.append(request(FIRST, FIRST.answer_ns, "CANCEL", 1, to_tag=False))
    heard, _ = hear(in_order([*before, *media(NEXT)]))
    assert packets(heard) == {"first@sim": 300 if answered else 0, None: 300}


def test_a_source_behind_nat_follows_another_call_on_the_same_port() -> None:
    real, shown = NEXT.caller_media, Address("203.0.113.9", 33_000)
    behind = [
        d._replace(
            source=shown if d.source == real else d.source,
            destination=shown if d.destination == real else d.destination,
        )
        for d in media(NEXT)
    ]
    heard, _ = hear(in_order([*call(FIRST), *opening(NEXT), *behind, *closing(NEXT)]))
    assert packets(heard) == {"first@sim": 300, "next@sim": 300}
