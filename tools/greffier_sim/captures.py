"""Calls as a mirrored port shows them: signalling and speech of a plan, as datagrams.

Everything is decided by the plan; nothing here is random unless a seed is given. What to do with
the datagrams (frames, files, faults) is for :mod:`greffier_sim.packets` and the functions below.
"""

import random
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from greffier.capture.datagram import Address, Datagram

MS = 1_000_000
Side = Literal["caller", "callee"]
CALLER, CALLEE = Address("10.0.0.1", 5060), Address("10.0.0.2", 5060)
CALLER_MEDIA, CALLEE_MEDIA = Address("10.0.0.1", 4000), Address("10.0.0.2", 5000)
PCMA = (8, "PCMA", 8_000)
PCMU = (0, "PCMU", 8_000)
EVENT = (101, "telephone-event", 8_000)
Coding = tuple[int, str, int]
"""Payload type, name, clock in Hz."""


def rtp(
    sequence: int,
    timestamp: int,
    ssrc: int,
    payload: bytes,
    *,
    payload_type: int = 8,
    marker: bool = False,
) -> bytes:
    """An RTP packet (RFC 3550 5.1)."""
    second = payload_type | (0x80 if marker else 0)
    head = (0x80, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
    return struct.pack(">BBHII", *head) + payload


def event(code: int, end: bool, duration: int) -> bytes:
    """The payload of a telephone event (RFC 4733 2.3)."""
    return struct.pack(">BBH", code, 0x8A if end else 0x0A, duration)


def tagged(call_id: str, side: str, index: int, size: int = 160) -> bytes:
    """A payload that no other packet has, so that a mixed-up recording shows."""
    head = f"{call_id}/{side}/{index:06d}/".encode()
    return (head * (size // len(head) + 1))[:size]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One call from INVITE to BYE."""

    call_id: str = "call-1@sim"
    start_ns: int = 1_700_000_000 * 1_000 * MS
    ring_ms: int = 100
    """From the INVITE to the 200."""
    talk_ms: int = 1_000
    """From the first to behind the last packet of speech."""
    caller: Address = CALLER
    callee: Address = CALLEE
    caller_media: Address = CALLER_MEDIA
    callee_media: Address = CALLEE_MEDIA
    caller_ssrc: int = 0x11111111
    callee_ssrc: int = 0x22222222
    caller_sequence: int = 65_500
    """First sequence number; the default wraps in a call of a second."""
    callee_sequence: int = 1
    codings: tuple[Coding, ...] = (PCMA, EVENT)
    """The first is spoken."""
    ptime_ms: int = 20
    from_number: str = "+33140506070"
    to_number: str = "+33170819200"
    from_tag: str = "a"
    to_tag: str = "b"
    profile: str = "RTP/AVP"
    bye_by: Side = "caller"
    transport: Literal["udp", "tcp"] = "udp"

    @property
    def answer_ns(self) -> int:
        """When the 200 is sent; speech begins 10 ms later."""
        return self.start_ns + self.ring_ms * MS

    @property
    def end_ns(self) -> int:
        """When the BYE is sent."""
        return self.answer_ns + (10 + self.talk_ms) * MS

    def media(self, side: Side) -> Address:
        """Where that side receives, and sends from."""
        return self.caller_media if side == "caller" else self.callee_media


def session(
    media: Address, codings: Iterable[Coding], *, profile: str = "RTP/AVP", lines: str = ""
) -> bytes:
    """A session description of one audio stream; *lines* are added to the end as they are."""
    codings = tuple(codings)
    family = "IP6" if ":" in media.host else "IP4"
    types = " ".join(str(number) for number, _, _ in codings)
    maps = "".join(f"a=rtpmap:{number} {name}/{clock}\r\n" for number, name, clock in codings)
    return (
        f"v=0\r\no=- 1 1 IN {family} {media.host}\r\ns=-\r\nc=IN {family} {media.host}\r\nt=0 0\r\n"
        f"m=audio {media.port} {profile} {types}\r\n{maps}{lines}"
    ).encode()


def message(
    plan: Plan,
    first_line: str,
    *,
    cseq: str,
    by: Side = "caller",
    to_tag: bool = True,
    body: bytes = b"",
    branch: str = "",
    extra: str = "",
) -> bytes:
    """Any SIP message of the plan's dialog; *by* is who sends the request of the transaction."""
    caller = f"<sip:{plan.from_number}@{plan.caller.host}>;tag={plan.from_tag}"
    callee = f"<sip:{plan.to_number}@{plan.callee.host}>" + (
        f";tag={plan.to_tag}" if to_tag else ""
    )
    source, target = (caller, callee) if by == "caller" else (callee, caller)
    host = plan.caller if by == "caller" else plan.callee
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return (
        f"{first_line}\r\nVia: SIP/2.0/{plan.transport.upper()} {host};"
        f"branch=z9hG4bK{branch or cseq.replace(' ', '')}\r\nMax-Forwards: 70\r\n"
        f"From: {source}\r\nTo: {target}\r\nCall-ID: {plan.call_id}\r\nCSeq: {cseq}\r\n"
        f"Contact: <sip:{host}>\r\n{extra}{kind}Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def sent(plan: Plan, time_ns: int, by: Side, payload: bytes) -> Datagram:
    """A signalling datagram from one side to the other."""
    pair = (plan.caller, plan.callee) if by == "caller" else (plan.callee, plan.caller)
    return Datagram(time_ns, *pair, payload, plan.transport)


def request(
    plan: Plan, time_ns: int, method: str, number: int, *, by: Side = "caller",
    to_tag: bool = True, body: bytes = b"", extra: str = "",
) -> Datagram:  # fmt: skip
    """A request of the plan's dialog."""
    line = f"{method} sip:{plan.to_number}@{plan.callee.host} SIP/2.0"
    cseq = f"{number} {method}"
    payload = message(plan, line, cseq=cseq, by=by, to_tag=to_tag, body=body, extra=extra)
    return sent(plan, time_ns, by, payload)


def response(
    plan: Plan, time_ns: int, status: int, cseq: str, *, by: Side = "caller",
    to_tag: bool = True, body: bytes = b"", extra: str = "",
) -> Datagram:  # fmt: skip
    """A response to the request that side *by* sent."""
    line = f"SIP/2.0 {status} Status"
    payload = message(plan, line, cseq=cseq, by=by, to_tag=to_tag, body=body, extra=extra)
    return sent(plan, time_ns, "callee" if by == "caller" else "caller", payload)


def offer(plan: Plan, side: Side, lines: str = "") -> bytes:
    """What that side offers or answers."""
    return session(plan.media(side), plan.codings, profile=plan.profile, lines=lines)


def opening(plan: Plan) -> list[Datagram]:
    """INVITE, 100, 180, 200, ACK."""
    t = plan.start_ns
    return [
        request(plan, t, "INVITE", 1, to_tag=False, body=offer(plan, "caller")),
        response(plan, t + 5 * MS, 100, "1 INVITE", to_tag=False),
        response(plan, t + 20 * MS, 180, "1 INVITE"),
        response(plan, plan.answer_ns, 200, "1 INVITE", body=offer(plan, "callee")),
        request(plan, plan.answer_ns + 5 * MS, "ACK", 1),
    ]


def closing(plan: Plan) -> list[Datagram]:
    """BYE and its 200."""
    number = 2 if plan.bye_by == "caller" else 1
    return [
        request(plan, plan.end_ns, "BYE", number, by=plan.bye_by),
        response(plan, plan.end_ns + 5 * MS, 200, f"{number} BYE", by=plan.bye_by),
    ]


def speech(
    plan: Plan, side: Side, *, first: int = 0, count: int | None = None,
    payload: Callable[[int], bytes] | None = None,
) -> list[Datagram]:  # fmt: skip
    """The RTP of one side: packets *first* and following, *count* of them (default: all)."""
    number, _, clock = plan.codings[0]
    step = clock * plan.ptime_ms // 1_000
    ssrc, base = (
        (plan.caller_ssrc, plan.caller_sequence)
        if side == "caller"
        else (plan.callee_ssrc, plan.callee_sequence)
    )
    source, destination = plan.media(side), plan.media("callee" if side == "caller" else "caller")
    if count is None:
        count = plan.talk_ms // plan.ptime_ms - first
    out = []
    for index in range(first, first + count):
        data = payload(index) if payload else tagged(plan.call_id, side, index, step)
        packet = rtp(base + index, index * step, ssrc, data, payload_type=number, marker=index == 0)
        time_ns = plan.answer_ns + (10 + index * plan.ptime_ms) * MS
        out.append(Datagram(time_ns, source, destination, packet))
    return out


def call(plan: Plan) -> list[Datagram]:
    """A whole call, both directions, in order of time."""
    every = opening(plan) + speech(plan, "caller") + speech(plan, "callee") + closing(plan)
    return in_order(every)


def in_order(datagrams: Iterable[Datagram]) -> list[Datagram]:
    """By time; what has the same time stays in the order given."""
    return sorted(datagrams, key=lambda datagram: datagram.time_ns)


@dataclass(frozen=True, slots=True)
class Harm:
    """How badly a network treats packets: chances from 0 to 1."""

    lost: float = 0.0
    doubled: float = 0.0
    delayed: float = 0.0
    delay_ms: int = 45


def harmed(datagrams: Iterable[Datagram], harm: Harm, seed: int) -> list[Datagram]:
    """The same datagrams after a bad network, in the order in which they arrive."""
    draw = random.Random(seed)
    out = []
    for datagram in datagrams:
        if draw.random() < harm.lost:
            continue
        if draw.random() < harm.delayed:
            later = draw.randint(1, harm.delay_ms) * MS
            datagram = datagram._replace(time_ns=datagram.time_ns + later)
        out.append(datagram)
        if draw.random() < harm.doubled:
            out.append(datagram)
    return in_order(out)
