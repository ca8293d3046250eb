"""Legs that the core encodes: same packets in, the frames of LegEncoder and Tape come out."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.seal.leg_scene import (
    KEY,
    KINDS,
    MS,
    ORIGIN,
    PCMA,
    InPython,
    packet,
    traffic,
    writer,
)

from greffier.capture import rtp
from greffier.encode import stored
from greffier.encode.core import OpusCoder, OpusEncoder
from greffier.encode.decoders import decoder_of
from greffier.encode.timeline import Timeline
from greffier.recorder.tape import first_sample
from greffier.seal import frames
from greffier.seal.reader import Reader
from greffier.seal.spool import Leg, Spool

Frames = list[tuple[int, bytes]]


class InCore:
    """Parts of several kinds over one leg, which goes to Python and back as it pleases the test."""

    def __init__(self, starts: list[int], kinds: list[stored.Kind], threads: int) -> None:
        self.python = InPython(starts, kinds)
        self.spool = Spool(1 << 24, threads=threads)
        self.writers = [writer() for _ in starts]
        self.files = [bytearray(one.header) for one in self.writers]
        self.leg: Leg | None = None

    def arm(self) -> None:
        if self.leg is not None:
            return
        self.seal_told()
        self.leg = self.spool.leg(self.python.stream, self.python.line.state, KINDS, 9)
        for number, start in enumerate(self.python.starts):
            self.spool.add(self.writers[number], number)
            first = first_sample(start, ORIGIN, 8000)
            coder = self.python.tapes[number].coder()
            self.leg.attach(number, 3, first, start, coder=coder)

    def disarm(self) -> None:
        if self.leg is None:
            return
        self.python.line = Timeline.resume(self.leg.state, 7)
        self.leg.close()
        self.leg = None
        self.seal()
        for number in range(len(self.writers)):
            self.spool.remove(number)
        self.python.place(self.python.stream.ready())

    def receive(self, octets: bytes, arrival_ns: int) -> None:
        if self.leg is not None:
            self.leg.receive(octets, arrival_ns)
        else:
            self.python.receive(octets, arrival_ns)

    def seal(self) -> None:
        for batch in self.spool.seal():
            self.files[batch.part] += batch.data

    def seal_told(self) -> None:
        """What Python made while it had the leg, sealed by the same writers."""
        self.python.tick()
        for tape, one, file in zip(self.python.tapes, self.writers, self.files, strict=True):
            for leg, kind, plaintext in tape.heard.told:
                file += one.seal_frame(kind, leg, plaintext)
            tape.heard.told = []

    def tick(self) -> None:
        self.seal_told()
        self.seal()

    def end(self) -> list[Frames]:
        if self.leg is not None:
            self.leg.finish()
            self.disarm()
            for tape in self.python.tapes:
                tape.last()
        else:
            self.python.end()
        self.seal_told()
        found = []
        for file, one in zip(self.files, self.writers, strict=True):
            file += one.finish("end").frame
            opened = Reader(bytes(file)).open(KEY)
            found.append([(frame.leg, bytes(frame.content)) for frame in opened.frames()])
        assert self.spool.counters.held == 0
        self.spool.close()
        return found


def run(
    seed: int,
    evil: float,
    starts: list[int],
    kinds: list[stored.Kind],
    *,
    threads: int = 0,
    moves: bool = False,
    count: int = 250,
) -> list[Frames]:
    """The same packets to both; the frames of every part, which must be the same."""
    chance = random.Random(seed)
    pure, core = InPython(starts, kinds), InCore(starts, kinds, threads)
    core.arm()
    for octets, arrival in traffic(seed, count, evil):
        if moves and chance.random() < 0.03:
            core.disarm() if core.leg else core.arm()
            pure.tick()
            core.tick()
        pure.receive(octets, arrival)
        core.receive(octets, arrival)
        if chance.random() < 0.04:
            pure.tick()
            core.tick()
    pure.end()
    found = core.end()
    assert found == pure.told()
    return found


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.3, 1.0, 3.0]),
    st.sampled_from([0, 1, 160, 1_234_567_890]),
    st.sampled_from([0, 1, 2]),
)
def test_the_core_encodes_as_python_does(
    seed: int, evil: float, later_ns: int, threads: int
) -> None:
    starts = [ORIGIN, ORIGIN + later_ns, ORIGIN + 2_000_000_001, ORIGIN]
    run(seed, evil, starts, ["opus", "opus", "opus", "original"], threads=threads)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.sampled_from([0.3, 1.0, 3.0]), st.sampled_from([0, 2]))
def test_an_encoder_goes_on_while_its_leg_goes_to_python_and_back(
    seed: int, evil: float, threads: int
) -> None:
    starts = [ORIGIN, ORIGIN + 800_000_001]
    run(seed, evil, starts, ["opus", "opus"], threads=threads, moves=True)


def test_what_the_core_encodes_is_what_libopus_makes_of_the_same_sound() -> None:
    found = run(5, 0.0, [ORIGIN], ["opus"], count=100)
    coded: list[frames.Packet] = []
    for _, plaintext in found[0]:
        if len(plaintext) != 31:  # of the gap before the first packet
            audio = frames.parse(frames.FrameType.AUDIO, plaintext)
            assert isinstance(audio, frames.Audio)
            coded += audio.packets
    heard = b"".join(octets[12:] for octets, _ in traffic(5, 100, 0.0))
    pcm = decoder_of(PCMA).decode([heard]).pcm
    made = OpusEncoder(8000).encode(pcm[: len(pcm) // 160 * 160])
    assert [one.data for one in coded][: len(made)] == made


def hear(leg: Leg, count: int) -> None:
    for i in range(count):
        leg.receive(packet(i, 160 * i, 8, bytes(160)), ORIGIN + 20 * i * MS)


def test_what_finds_no_room_before_the_encoder_is_a_gap() -> None:
    spool = Spool(25_000)
    one = writer()
    spool.add(one, 0)
    coder = OpusCoder(8000)
    leg = spool.leg(rtp.Stream(), Timeline(ORIGIN, 8000).state, KINDS, 1)
    leg.attach(0, 2, 0, ORIGIN, coder=coder)
    hear(leg, 400)
    assert leg.counters.overrun > 0
    assert leg.counters.recorded + leg.counters.overrun == 400
    leg.finish()
    leg.close()
    file = one.header + b"".join(bytes(batch.data) for batch in spool.seal())
    file += one.finish("end").frame
    sound = missing = 0
    for frame in Reader(file).open(KEY).frames():
        content = frame.content
        if isinstance(content, frames.Gap):
            assert content.cause == "overrun"
            missing += content.end - content.start
        else:
            assert isinstance(content, frames.Audio)
            sound += sum(one.samples for one in content.packets)
    assert sound + missing == 400 * 160
    assert spool.counters.held == 0
    spool.close()


def test_a_part_may_be_removed_while_its_sound_is_encoded() -> None:
    spool = Spool(threads=2)
    spool.add(writer(), 0)
    leg = spool.leg(rtp.Stream(), Timeline(ORIGIN, 8000).state, KINDS, 1)
    leg.attach(0, 2, 0, ORIGIN, coder=OpusCoder(8000), law="PCMU")
    hear(leg, 40)
    leg.detach(0)
    spool.remove(0)
    assert spool.counters.held == 0
    spool.close()


def test_a_coder_that_does_not_fit_is_refused() -> None:
    spool = Spool()
    spool.add(writer(), 0)
    leg = spool.leg(rtp.Stream(), Timeline(ORIGIN, 8000).state, KINDS, 1)
    with pytest.raises(ValueError, match="libopus refuses 44100 Hz"):
        OpusCoder(44100)
    with pytest.raises(ValueError, match="0 to 254"):
        leg.attach(0, 255, 0, ORIGIN, coder=OpusCoder(8000))
    with pytest.raises(ValueError, match="another rate"):
        leg.attach(0, 2, 0, ORIGIN, coder=OpusCoder(16000))
    with pytest.raises(ValueError, match="another coder"):
        leg.attach(0, 2, 0, ORIGIN, coder=OpusCoder(8000))
    with pytest.raises(KeyError):
        leg.attach(0, 3, 0, ORIGIN, coder=OpusCoder(8000), law="G722")
    spool.close()
