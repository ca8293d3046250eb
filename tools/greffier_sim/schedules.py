"""Random schedules of overlapping calls whose every packet says whose it is.

A schedule comes from one seed. Its calls share whatever calls may share: addresses one after the
other, SSRC and sequence numbers (as SIPp does), the time, the ports of another tap. They move, are
transferred, offer late, lose their BYE, or have no signalling at all. Each payload is the stamp of
its call, side and number, so whoever holds a payload knows where it belongs.
"""

import random
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from greffier.capture.datagram import Address, Datagram
from greffier_sim import captures
from greffier_sim.captures import MS, Plan, Side, in_order, offer, request, response

SIPP_SSRC = 0xDEE0EE8F
"""The SSRC of every call that SIPp plays from a capture."""
DUTY, SAMPLED = "+33144000001", "+33170819200"
"""The numbers called on a line with a duty to record, and on one that is drawn."""
START_NS = Plan().start_ns
Kind = Literal["plain", "bare", "late_offer", "moved", "transferred", "no_bye", "delayed"]
TAPS = 2
# Until the next call on the same addresses. Half a second is by how much a mirror may show
# signalling late: media without any that stopped later than that before an INVITE may be its own.
_PAUSE_MS: dict[Kind, int] = {"bare": 550, "delayed": 600}


@dataclass(frozen=True, slots=True)
class Placed:
    """One call of a schedule."""

    plan: Plan
    kind: Kind
    tap: int

    @property
    def duty(self) -> bool:
        """Whether everything of it must be recorded."""
        return self.plan.to_number == DUTY or self.kind == "bare"


@dataclass(slots=True)
class Schedule:
    """What each tap shows, in order of time, and whose each payload is."""

    seed: int
    calls: dict[str, Placed] = field(default_factory=dict)
    frames: list[tuple[int, Datagram]] = field(default_factory=list)
    owner: dict[bytes, str] = field(default_factory=dict)
    early: set[bytes] = field(default_factory=set)
    """Payloads that the tap shows before the first message of their call."""

    def add(self, call: Placed, datagrams: list[Datagram]) -> None:
        """Datagrams of *call*."""
        self.calls[call.plan.call_id] = call
        self.frames += [(call.tap, one) for one in datagrams]
        begun = min((one.time_ns for one in datagrams if one.payload[0] < 0x80), default=0)
        for one in datagrams:
            if one.payload[0] >= 0x80:
                self.owner[one.payload[12:]] = call.plan.call_id
                if one.time_ns < begun:
                    self.early.add(one.payload[12:])


def schedule(seed: int) -> Schedule:
    """The schedule of *seed*: two to six calls, on two taps."""
    draw = random.Random(seed)
    made = Schedule(seed)
    free = [dict.fromkeys(range(3), 0) for _ in range(TAPS)]  # address pair -> free from, ms
    ssrc = draw.choice([None, SIPP_SSRC, SIPP_SSRC])
    sequence = draw.choice([None, 0, 65_500])
    begins = sorted(draw.randrange(0, 2_500) for _ in range(draw.randint(2, 6)))
    for number, begin in enumerate(begins):
        tap = draw.randrange(TAPS)
        kind = draw.choice(get_args(Kind))
        talk = 20 * draw.randint(5, 35)
        pair = _addresses(draw, free[tap], begin, number, kind)
        plan = Plan(
            call_id=f"{seed}.{number}@mix",
            start_ns=START_NS + begin * MS,
            ring_ms=draw.randrange(30, 300),
            talk_ms=talk,
            caller_media=Address("10.0.0.1", 6_000 + 2 * pair),
            callee_media=Address("10.0.0.2", 20_000 + 2 * pair),
            caller_ssrc=ssrc or draw.getrandbits(32),
            callee_ssrc=ssrc or draw.getrandbits(32),
            caller_sequence=draw.randrange(65_536) if sequence is None else sequence,
            callee_sequence=draw.randrange(65_536) if sequence is None else sequence,
            bye_by=draw.choice(get_args(Side)),
            to_number=draw.choice([DUTY, DUTY, SAMPLED]),
        )
        free[tap][pair] = begin + plan.ring_ms + talk + _PAUSE_MS.get(kind, 200)
        made.add(Placed(plan, kind, tap), _datagrams(draw, plan, kind))
    made.frames.sort(key=lambda one: one[1].time_ns)
    return made


def _addresses(
    draw: random.Random, free: dict[int, int], begin: int, number: int, kind: Kind
) -> int:
    """A pair of media addresses; one that was used before only for a call that is heard to begin,
    since nobody could tell another from the one before it."""
    shared = [pair for pair, since in free.items() if since <= begin]
    if shared and draw.random() < 0.7 and kind in ("plain", "late_offer", "no_bye"):
        return draw.choice(shared)
    return 100 + number


def _datagrams(draw: random.Random, plan: Plan, kind: Kind) -> list[Datagram]:
    count = plan.talk_ms // plan.ptime_ms
    speech = captures.speech(plan, "caller") + captures.speech(plan, "callee")
    signals = captures.opening(plan) + captures.closing(plan)
    match kind:
        case "plain":
            pass
        case "bare":
            signals = []
        case "late_offer":
            signals = _late_offer(plan)
        case "no_bye":
            signals = captures.opening(plan)
        case "delayed":
            late = draw.randrange(0, 400) * MS
            signals = [one._replace(time_ns=one.time_ns + late) for one in signals]
        case "moved" | "transferred":
            at = draw.randint(1, count - 1)
            side: Side = "caller" if kind == "moved" else "callee"
            signals, speech = _moved(draw, plan, side, at)
    return in_order(signals + speech)


def _late_offer(plan: Plan) -> list[Datagram]:
    """The offer in the 200, the answer in the ACK (RFC 3264 through RFC 3261 13.2.1)."""
    t = plan.start_ns
    return [
        request(plan, t, "INVITE", 1, to_tag=False),
        response(plan, t + 20 * MS, 180, "1 INVITE"),
        response(plan, plan.answer_ns, 200, "1 INVITE", body=offer(plan, "callee")),
        request(plan, plan.answer_ns + 5 * MS, "ACK", 1, body=offer(plan, "caller")),
        *captures.closing(plan),
    ]


def _moved(
    draw: random.Random, plan: Plan, side: Side, at: int
) -> tuple[list[Datagram], list[Datagram]]:
    """From packet *at* on, *side* speaks from another address: it moved, or somebody else took
    the call over (then with an SSRC of its own)."""
    old = plan.media(side)
    new = Address(old.host if side == "caller" else "10.0.0.3", old.port + 1_000)
    if side == "caller":
        then = replace(plan, caller_media=new)
    else:
        then = replace(plan, callee_media=new, callee_ssrc=draw.getrandbits(32))
    time_ns = plan.answer_ns + (at * plan.ptime_ms + 5) * MS
    again: Side = "callee" if side == "caller" else "caller"
    number = 2 if side == "caller" else 1
    signals = [
        *captures.opening(plan),
        request(then, time_ns, "INVITE", number, by=side, body=offer(then, side)),
        response(then, time_ns + MS, 200, f"{number} INVITE", by=side, body=offer(then, again)),
        request(then, time_ns + 2 * MS, "ACK", number, by=side),
        *captures.closing(replace(plan, bye_by="caller") if number == 1 else plan),
    ]
    speech = []
    for speaker in get_args(Side):
        speech += captures.speech(plan, speaker, count=at)
        speech += captures.speech(then, speaker, first=at)
    return signals, speech
