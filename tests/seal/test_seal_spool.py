"""The C core records a leg as Python does: same packets in, same frames out, whoever holds it."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.seal.leg_scene import (
    KEY,
    KINDS,
    MS,
    ORIGIN,
    InPython,
    packet,
    traffic,
    writer,
)

from greffier.capture import rtp
from greffier.encode import Gap
from greffier.encode.timeline import State, Timeline
from greffier.recorder.tape import first_sample
from greffier.seal import frames
from greffier.seal.part import WriterClosed
from greffier.seal.reader import Reader
from greffier.seal.spool import CAUSES, Leg, Spool, packed, unpacked


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
    spool.expire(ORIGIN - 1)
    assert leg.counters.not_recorded == 100
    assert (leg.counters.recorded, leg.counters.kept_from) == (0, -1)
    assert list(spool.seal()) == []
    spool.close()


def test_a_leg_gives_up_waiting_when_time_has_passed() -> None:
    spool = Spool()
    one = writer()
    spool.add(one, 0)
    leg = spool.leg(rtp.Stream(), Timeline(ORIGIN, 8000).state, KINDS, 1)
    leg.attach(0, 2, 0, ORIGIN)
    for i in (0, 2):
        leg.receive(packet(i, 160 * i, 8, bytes(160)), ORIGIN + 20 * i * MS)
    assert list(spool.seal()) == []
    spool.expire(ORIGIN + rtp.PATIENCE_NS - 1)
    assert leg.counters.recorded == 0
    spool.expire(ORIGIN + rtp.PATIENCE_NS)
    assert leg.counters.recorded == 1
    spool.expire(ORIGIN + 40 * MS + rtp.PATIENCE_NS)
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
