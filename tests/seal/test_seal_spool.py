"""The C core records a leg as Python does: same packets in, same frames out, whoever holds it."""

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.capture import rtp
from greffier.encode import Gap, codecs
from greffier.encode.leg import Item
from greffier.encode.timeline import Placed, State, Timeline
from greffier.recorder.tape import PartPlan, Tape, first_sample
from greffier.seal import frames, keys
from greffier.seal.core import CoreWriter
from greffier.seal.frames import NO_LEG, Content, FrameType, type_of
from greffier.seal.part import WriterClosed
from greffier.seal.reader import Reader
from greffier.seal.spool import CAUSES, Kind, Leg, Spool, packed, unpacked

KEY = bytes(range(32))
PCMA, NOISE, EVENT = codecs.STATIC[8], codecs.STATIC[13], codecs.by_name("telephone-event")
CODECS = {8: PCMA, 13: NOISE, 101: EVENT}
KINDS = {8: Kind.SOUND, 13: Kind.NOISE, 101: Kind.EVENT}
ORIGIN = 1_700_000_000_000_000_000
MS = 1_000_000
OFFICE = keys.generate(keys.Role.OFFICE).public
LARGEST = 20_000  # octets of a payload: more than two seconds
TABLE = {"source": "10.0.0.1:4000", "destination": "10.0.0.2:5000", "ssrc": "0x00000007"}


class Heard:
    """Stands where a tape has its writer, and keeps what it is to seal."""

    def __init__(self) -> None:
        self.told: list[tuple[int, FrameType, bytes]] = []

    def seal(self, content: Content, leg: int = NO_LEG) -> bytes:
        return self.seal_frame(type_of(content), leg, bytes(content))

    def seal_frame(self, kind: FrameType, leg: int, plaintext: bytes) -> bytes:
        if kind is not FrameType.META:
            self.told.append((leg, kind, plaintext))
        return b""


class Told(Tape):
    """A tape that seals nothing."""

    def __init__(self, plan: PartPlan) -> None:
        super().__init__(plan, [OFFICE], {})
        self.heard = Heard()
        self._writer: Any = self.heard


def tape_of(start_ns: int) -> Told:
    plan = PartPlan(
        device="d",
        line="l",
        uid="u",
        epoch="e",
        recording=b"r" * 16,
        number=0,
        previous=None,
        purposes={},
        kind="original",
        origin_ns=ORIGIN,
        start_ns=start_ns,
        in_file=False,
        deletion="C",
    )
    tape = Told(plan)
    tape.know(3, TABLE, PCMA, 8)
    return tape


def writer() -> CoreWriter:
    return CoreWriter(part_id=b"p" * 16, recording_id=b"r" * 16, number=0, meta={}, content_key=KEY)


@dataclass
class InPython:
    """The path of greffier.recorder.call: stream, timeline, tapes."""

    starts: list[int]
    stream: rtp.Stream = field(default_factory=lambda: rtp.Stream([101], payload_octets=LARGEST))
    line: Timeline = field(default_factory=lambda: Timeline(ORIGIN, 8000))
    gaps: list[Gap] = field(default_factory=list)
    recorded: int = 0

    def __post_init__(self) -> None:
        self.tapes = [tape_of(start) for start in self.starts]

    def receive(self, packet: bytes, arrival_ns: int) -> None:
        try:
            self.stream.receive(packet, arrival_ns)
        except rtp.BadRtp:
            return
        self.place(self.stream.ready())

    def place(self, packets: list[rtp.Packet]) -> None:
        for packet in packets:
            items = self.line.place(packet, CODECS[packet.payload_type], 7)
            self.gaps += [one for one in items if isinstance(one, Gap) and one.end > one.start]
            self.give(items, packet.arrival_ns)

    def give(self, items: list[Placed | Gap], at: int) -> None:
        for tape in self.tapes:
            begin = tape.plan.start_ns
            kept: list[Item] = [one for one in items if at >= begin or isinstance(one, Gap)]
            tape.take(3, TABLE, kept)
        first = min(tape.plan.start_ns for tape in self.tapes)
        for one in items:
            if isinstance(one, Placed) and at >= first:
                self.recorded += one.position + one.samples > first_sample(first, ORIGIN, 8000)

    def tick(self) -> None:
        for tape in self.tapes:
            tape.flush()

    def end(self) -> None:
        self.place(self.stream.flush())
        for gap in self.line.finish():
            self.give([gap], 1 << 62)
        self.tick()

    def told(self) -> list[list[tuple[int, bytes]]]:
        return [[(leg, plaintext) for leg, _, plaintext in tape.heard.told] for tape in self.tapes]


class Mixed:
    """The same leg, handed to the core and back as it pleases the test."""

    def __init__(self, starts: list[int], *, most: int = 1 << 24) -> None:
        self.python = InPython(starts)
        self.spool = Spool(most)
        self.writers = [writer() for _ in starts]
        self.files = [bytearray(one.header) for one in self.writers]
        for number, one in enumerate(self.writers):
            self.spool.add(one, number)
        self.leg: Leg | None = None
        self.recorded = 0
        self.gaps: list[Gap] = []

    def seal_told(self) -> None:
        """What Python made while it had the leg, sealed by the same writers."""
        self.python.tick()
        for tape, one, file in zip(self.python.tapes, self.writers, self.files, strict=True):
            for leg, kind, plaintext in tape.heard.told:
                file += one.seal_frame(kind, leg, plaintext)
            tape.heard.told = []

    def arm(self) -> None:
        if self.leg is not None:
            return
        self.seal_told()
        self.leg = self.spool.leg(self.python.stream, self.python.line.state, KINDS, 9)
        for number, start in enumerate(self.python.starts):
            self.leg.attach(number, 3, first_sample(start, ORIGIN, 8000), start)

    def disarm(self) -> None:
        if self.leg is None:
            return
        self.python.line = Timeline.resume(self.leg.state, 7)
        self.recorded += self.leg.counters.recorded
        self.leg.close()
        self.leg = None
        self.seal()
        self.python.place(self.python.stream.ready())

    def seal(self) -> None:
        for batch in self.spool.seal():
            self.files[batch.part] += batch.data
        self.gaps += [noted.gap for noted in self.spool.gaps() if noted.leg == 9]

    def receive(self, packet: bytes, arrival_ns: int) -> None:
        if self.leg is not None:
            self.leg.receive(packet, arrival_ns)
        else:
            self.python.receive(packet, arrival_ns)

    def tick(self) -> None:
        self.seal_told()
        self.seal()

    def end(self) -> list[list[tuple[int, bytes]]]:
        if self.leg is not None:
            self.leg.finish()
            self.recorded += self.leg.counters.recorded
            self.leg.close()
            self.seal()
        else:
            self.python.end()
            self.seal_told()
        found = []
        for file, one in zip(self.files, self.writers, strict=True):
            file += one.finish("end").frame
            opened = Reader(bytes(file)).open(KEY)
            found.append([(frame.leg, bytes(frame.content)) for frame in opened.frames()])
        self.spool.close()
        return found


def packet(number: int, timestamp: int, kind: int, payload: bytes) -> bytes:
    return struct.pack(">BBHII", 128, kind, number % 65536, timestamp % 2**32, 7) + payload


def traffic(seed: int, count: int, evil: float) -> Iterator[tuple[bytes, int]]:
    """Packets of one source, with every accident that a network or a sender has."""
    chance = random.Random(seed)
    number, stamp, at = chance.randrange(65536), chance.randrange(2**32), ORIGIN + 7 * MS
    waiting: list[tuple[int, bytes, int]] = []
    size = 160
    for i in range(count):
        luck = chance.random() / evil if evil else 1.0
        kind, payload = 8, chance.randbytes(size)
        if luck < 0.02:
            number += chance.choice([1, 2, 5, 40, 2999, 3000, 9000, 40_000])
        elif luck < 0.04:
            stamp += chance.choice([-80, 80, -1600, -1601, 4000, 15_999, 16_001, 2**31, -160])
        elif luck < 0.05:
            size = chance.choice([1, 80, 160, 240, 480, 1600])
        elif luck < 0.06:
            at += chance.choice([1, 500, 1999, 2001, 60_000]) * MS
        elif luck < 0.07:
            kind, payload = 101, b"\x01\x80\x00\xa0"
        elif luck < 0.08:
            kind, payload = 13, b"\x40"
        elif luck < 0.085:
            payload = b""
        elif luck < 0.087:
            payload = bytes(chance.choice([7999, 8000, 8001, 19_000, 20_001]))
        octets = packet(number, stamp, kind, payload)
        if luck < 0.6:
            octets = octets if luck > 0.59 or luck < 0.58 else octets[:11]
        delay = 0
        if 0.1 < luck < 0.15:
            delay = chance.choice([1, 2, 5, 31, 32, 33, 60])
        waiting.append((i + delay, octets, at + chance.randrange(-3, 4) * MS))
        if 0.2 < luck < 0.22:
            waiting.append((i + chance.choice([0, 3]), octets, at))
        number, stamp, at = number + 1, stamp + len(payload), at + len(payload) * MS // 8
        for one in sorted((one for one in waiting if one[0] <= i), key=lambda one: one[0]):
            waiting.remove(one)
            if not 0.3 < luck < 0.33:
                yield one[1], one[2]


def run(seed: int, count: int, evil: float, starts: list[int], moves: random.Random | None) -> None:
    pure, mixed = InPython(starts), Mixed(starts)
    mixed.arm()
    for octets, arrival in traffic(seed, count, evil):
        if moves and moves.random() < 0.03:
            mixed.disarm() if mixed.leg else mixed.arm()
            pure.tick()
            mixed.tick()
        pure.receive(octets, arrival)
        mixed.receive(octets, arrival)
        if moves and moves.random() < 0.05:
            pure.tick()
            mixed.tick()
    pure.end()
    found = mixed.end()
    told = pure.told()
    assert [len(one) for one in found] == [len(one) for one in told]
    assert found == told
    assert mixed.python.stream.counters == pure.stream.counters
    if moves is None:
        assert mixed.recorded == pure.recorded
        assert mixed.gaps == pure.gaps


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.3, 1.0, 3.0]), st.booleans())
def test_the_core_makes_the_frames_that_python_makes(seed: int, evil: float, late: bool) -> None:
    starts = [ORIGIN, ORIGIN + 1_234_567_890] if late else [ORIGIN]
    run(seed, 300, evil, starts, None)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from([0.3, 1.0, 3.0]))
def test_a_leg_goes_to_the_core_and_back_without_a_trace(seed: int, evil: float) -> None:
    run(seed, 300, evil, [ORIGIN, ORIGIN + 800_000_000], random.Random(seed))


@given(
    st.builds(
        State,
        *[st.integers(0, 2**53)] * 6,
        st.integers(1, 2**31 - 1),
        st.integers(0, 2**32 - 1),
        *[st.booleans()] * 3,
        st.frozensets(st.sampled_from(CAUSES[:8])),
    )
)
@settings(deadline=None)
def test_a_state_survives_the_way(state: State) -> None:
    assert unpacked(packed(state)) == state
    assert Timeline.resume(state, 5).state == state


def test_another_payload_type_leaves_the_leg_to_python() -> None:
    mixed = Mixed([ORIGIN])
    mixed.arm()
    assert mixed.leg is not None
    for i in range(40):
        mixed.leg.receive(packet(i, 160 * i, 8, bytes(160)), ORIGIN + 20 * i * MS)
    for i in range(40, 43):
        status = mixed.leg.receive(packet(i, 160 * i, 0 if i == 40 else 8, bytes(160)), ORIGIN)
        assert status == (16 if i == 40 else 17)
    assert mixed.leg.counters.left == 3
    assert mixed.leg.counters.recorded == 40
    mixed.end()


def test_what_finds_no_room_is_a_gap_and_not_silence() -> None:
    spool = Spool(20_000)
    one = writer()
    spool.add(one, 0)
    leg = spool.leg(rtp.Stream(), Timeline(ORIGIN, 8000).state, KINDS, 1)
    leg.attach(0, 2, 0, ORIGIN)
    file = bytearray(one.header)
    for i in range(400):
        leg.receive(packet(i, 160 * i, 8, bytes(160)), ORIGIN + 20 * i * MS)
        if i == 299:
            file += b"".join(bytes(batch.data) for batch in spool.seal())
    counters, held = leg.counters, spool.counters
    leg.finish()
    leg.close()
    file += b"".join(bytes(batch.data) for batch in spool.seal())
    file += one.finish("end").frame
    assert counters.overrun == held.overrun > 0
    assert counters.recorded + counters.overrun == 400
    spans = []
    for frame in Reader(bytes(file)).open(KEY).frames():
        content = frame.content
        if isinstance(content, frames.Gap):
            assert content.cause == "overrun"
            spans.append((content.start, content.end, content.packets))
        else:
            assert isinstance(content, frames.Audio)
            spans.append((content.position, content.end, len(content.packets)))
    assert sum(count for _, _, count in spans) == 400
    spans.sort()
    assert spans[0][0] == 0
    assert spans[-1][1] == 400 * 160
    assert all(a[1] == b[0] for a, b in pairwise(spans))
    assert spool.counters.held == 0
    spool.close()


def test_a_leg_without_a_part_only_counts() -> None:
    spool = Spool()
    leg = spool.leg(rtp.Stream(), Timeline(ORIGIN, 8000).state, KINDS, 1)
    for i in range(100):
        leg.receive(packet(i, 160 * i, 8, bytes(160)), ORIGIN + 20 * i * MS)
    spool.flush(ORIGIN - 1)
    assert leg.counters.not_recorded == 100
    assert (leg.counters.recorded, leg.counters.kept_from) == (0, -1)
    assert list(spool.seal()) == []
    spool.close()


def test_a_silent_leg_gives_up_waiting() -> None:
    spool = Spool()
    one = writer()
    spool.add(one, 0)
    leg = spool.leg(rtp.Stream(), Timeline(ORIGIN, 8000).state, KINDS, 1)
    leg.attach(0, 2, 0, ORIGIN)
    for i in (0, 2):
        leg.receive(packet(i, 160 * i, 8, bytes(160)), ORIGIN + 20 * i * MS)
    assert list(spool.seal()) == []
    spool.flush(ORIGIN)
    assert leg.counters.recorded == 0
    spool.flush(ORIGIN + 40 * MS)
    assert leg.counters.recorded == 2
    assert [noted.gap for noted in spool.gaps()] == [Gap(160, 320, 1, "lost")]
    spool.close()


def test_a_part_that_takes_no_more_says_so() -> None:
    spool = Spool()
    one = writer()
    spool.add(one, 5)
    with pytest.raises(ValueError, match="two parts"):
        spool.add(one, 5)
    leg = spool.leg(rtp.Stream(), Timeline(ORIGIN, 8000).state, KINDS, 1)
    leg.attach(5, 2, 0, ORIGIN)
    with pytest.raises(ValueError, match="has this part"):
        leg.attach(5, 2, 0, ORIGIN)
    for i in range(40):
        leg.receive(packet(i, 160 * i, 8, bytes(160)), ORIGIN + 20 * i * MS)
    one.abandon()
    with pytest.raises(WriterClosed):
        list(spool.seal())
    leg.detach(5)
    spool.remove(5)
    assert spool.counters.held == 0
    spool.close()
    spool.close()
