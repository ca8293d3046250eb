"""One leg as Python records it, and what the network does to it: the core must make the same."""

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from greffier.capture import rtp
from greffier.encode import Gap, codecs, stored
from greffier.encode.core import OpusCoder
from greffier.encode.leg import Item
from greffier.encode.timeline import Placed, Timeline
from greffier.recorder.tape import PartPlan, Tape, first_sample
from greffier.seal import keys
from greffier.seal.core import CoreWriter
from greffier.seal.frames import NO_LEG, Content, FrameType, type_of
from greffier.seal.spool import Kind

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

    def coder(self) -> OpusCoder | None:
        """What encodes its leg."""
        return self._tracks[3].encoder.coder

    def last(self) -> None:
        """What the encoders held back."""
        for leg, track in self._tracks.items():
            self._sort(leg, track, track.encoder.flush())
            self._seal_audio(leg, track)


def tape_of(start_ns: int, kind: stored.Kind) -> Told:
    plan = PartPlan(
        device="d",
        line="l",
        uid="u",
        epoch="e",
        recording=b"r" * 16,
        number=0,
        previous=None,
        purposes={},
        kind=kind,
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
    kinds: list[stored.Kind] = field(default_factory=list)
    stream: rtp.Stream = field(default_factory=lambda: rtp.Stream([101], payload_octets=LARGEST))
    line: Timeline = field(default_factory=lambda: Timeline(ORIGIN, 8000))
    gaps: list[Gap] = field(default_factory=list)
    recorded: int = 0

    def __post_init__(self) -> None:
        kinds = self.kinds or ["original"] * len(self.starts)
        self.tapes = [tape_of(*one) for one in zip(self.starts, kinds, strict=True)]

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
        for tape in self.tapes:
            tape.last()

    def told(self) -> list[list[tuple[int, bytes]]]:
        return [[(leg, plaintext) for leg, _, plaintext in tape.heard.told] for tape in self.tapes]


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
