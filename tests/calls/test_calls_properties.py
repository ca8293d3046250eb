"""Whatever overlaps: every packet is in exactly one leg, and in the right call."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
)
from greffier_sim.heard import Heard, hear

START = Plan().start_ns


@dataclass
class Schedule:
    """Calls at once, and which payload belongs to which of them."""

    datagrams: list[Datagram] = field(default_factory=list)
    owner: dict[bytes, str] = field(default_factory=dict)

    def add(self, plan: Plan, datagrams: list[Datagram]) -> None:
        """A call's datagrams."""
        self.datagrams += datagrams
        for datagram in datagrams:
            if datagram.payload[0] >= 0x80:
                self.owner[datagram.payload[12:]] = plan.call_id


def schedule(draw: random.Random) -> Schedule:
    """Two to five calls that share what calls may share: one port, an SSRC, the time."""
    made = Schedule()
    shared = draw.random() < 0.7
    ssrc = draw.choice([None, 0xDEE0EE8F])
    for number in range(draw.randint(2, 5)):
        caller = Address("10.0.0.1", 6_000 if shared else 4_000 + 2 * number)
        plan = Plan(
            call_id=f"{number}@prop",
            start_ns=START + draw.randrange(0, 1_500) * MS,
            ring_ms=draw.randrange(30, 300),
            talk_ms=draw.randrange(100, 700),
            caller_media=caller,
            callee_media=Address("10.0.0.2", 20_000 + 2 * number),
            caller_ssrc=ssrc or draw.getrandbits(32),
            callee_ssrc=ssrc or draw.getrandbits(32),
            caller_sequence=draw.randrange(65_536),
            callee_sequence=draw.randrange(65_536),
            bye_by=draw.choice(["caller", "callee"]),
        )
        # A first INVITE may be lost to the mirror; then the call is joined by its 200.
        signals = opening(plan)[3 if draw.random() < 0.1 else 0 :]
        if draw.random() < 0.3:  # signalling that the capture shows late
            late = draw.randrange(0, 400) * MS
            signals = [d._replace(time_ns=d.time_ns + late) for d in signals]
        made.add(plan, signals + closing(plan))
        for side in ("caller", "callee"):
            count = plan.talk_ms // plan.ptime_ms
            if draw.random() < 0.3:  # another source takes over
                half = count // 2
                other = Plan(
                    **{
                        name: getattr(plan, name)
                        for name in plan.__slots__
                        if not name.endswith("ssrc")
                    },
                    caller_ssrc=draw.getrandbits(32),
                    callee_ssrc=draw.getrandbits(32),
                )
                made.add(plan, speech(plan, side, count=half))  # type: ignore[arg-type]
                made.add(plan, speech(other, side, first=half, count=count - half))  # type: ignore[arg-type]
            else:
                made.add(plan, speech(plan, side))  # type: ignore[arg-type]
        if draw.random() < 0.3:  # the caller moves in the middle
            at = plan.answer_ns + draw.randrange(20, plan.talk_ms) * MS
            moved = Plan(
                **{name: getattr(plan, name) for name in plan.__slots__ if name != "caller_media"},
                caller_media=Address("10.0.0.1", 9_000 + number),
            )
            made.add(
                plan,
                [
                    request(moved, at, "INVITE", 2, body=offer(moved, "caller")),
                    response(moved, at + MS, 200, "2 INVITE", body=offer(moved, "callee")),
                ],
            )
    made.datagrams = in_order(made.datagrams)
    return made


def check(heard: Heard, made: Schedule) -> None:
    """Every payload in exactly one leg, of its own call."""
    found: dict[bytes, str | None] = {}
    for each in heard.calls:
        for leg in each.legs:
            for payload in leg.payloads:
                assert payload not in found, "a packet is in two legs"
                found[payload] = each.call_id
    assert found == made.owner


@settings(deadline=None, max_examples=1_000)
@given(st.randoms(use_true_random=False))
def test_no_schedule_mixes_calls_or_loses_a_packet(draw: random.Random) -> None:
    made = schedule(draw)
    heard, _ = hear(made.datagrams)
    check(heard, made)
    assert len(heard.calls) == len(set(made.owner.values()))


@settings(deadline=None, max_examples=150)
@given(st.randoms(use_true_random=False), st.floats(0, 0.15), st.integers(0, 1_000))
def test_a_bad_network_changes_no_owner(draw: random.Random, lost: float, seed: int) -> None:
    made = schedule(draw)
    harm = Harm(lost=lost, doubled=0.1, delayed=0.2, delay_ms=50)
    heard, tracker = hear(harmed(made.datagrams, harm, seed))
    for each in heard.calls:
        owners = {made.owner[payload] for leg in each.legs for payload in leg.payloads}
        assert len(owners) <= 1
        assert each.call_id is None or owners <= {each.call_id}
    assert tracker._flows.table == {}
    assert len(tracker) == 0


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_nothing_in_a_datagram_raises(data: st.DataObject) -> None:
    every = call(Plan(talk_ms=60))
    place = data.draw(st.integers(0, len(every) - 1))
    body = bytearray(every[place].payload)
    for _ in range(data.draw(st.integers(1, 5))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    every[place] = every[place]._replace(payload=bytes(body))
    time_ns = data.draw(st.integers(0, 2**63))
    every.insert(place, every[place]._replace(time_ns=time_ns, payload=data.draw(st.binary())))
    heard, tracker = hear(every)
    assert all(each.ended is not None for each in heard.calls)
    assert len(tracker) == 0


@pytest.mark.parametrize("seed", range(20))
def test_a_truncated_capture_ends_every_call(seed: int) -> None:
    made = schedule(random.Random(seed))
    cut = random.Random(seed).randrange(len(made.datagrams))
    heard, tracker = hear(made.datagrams[:cut])
    assert all(each.ended is not None for each in heard.calls)
    assert len(tracker) == 0
    assert tracker._flows.table == {}


def test_rtp_helpers_agree_with_the_parser() -> None:
    assert rtp(1, 2, 3, b"x", payload_type=8)[12:] == b"x"


@pytest.mark.parametrize("seed", [4279, 5018, 5783, 5857])
def test_a_call_whose_signalling_was_lost_gives_its_audio_to_no_other(seed: int) -> None:
    # One address of the flow was another call's too: once that was enough to be taken for it.
    draw = random.Random(seed)
    made = schedule(draw)
    harm = Harm(lost=draw.random() * 0.15, doubled=0.1, delayed=0.2, delay_ms=50)
    heard, _ = hear(harmed(made.datagrams, harm, seed))
    for each in heard.calls:
        owners = {made.owner[payload] for leg in each.legs for payload in leg.payloads}
        assert len(owners) <= 1
        assert each.call_id is None or owners <= {each.call_id}
