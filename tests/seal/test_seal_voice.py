"""Voices of the core encode a leg as LegEncoder and Tape do: same packets in, same frames out."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.seal.leg_scene import (
    CODECS,
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
from greffier.encode import Gap, stored
from greffier.encode.core import OpusEncoder
from greffier.encode.decoders import decoder_of
from greffier.encode.leg import Item
from greffier.encode.timeline import Placed, Timeline
from greffier.recorder.tape import first_sample
from greffier.seal import frames
from greffier.seal.reader import Reader
from greffier.seal.spool import Leg, Spool
from greffier.seal.voice import Voice

Frames = list[tuple[int, bytes]]


class InCore:
    """Parts of several kinds over one leg, which goes to Python and back as it pleases the test."""

    def __init__(self, starts: list[int], kinds: list[stored.Kind], threads: int) -> None:
        self.python = InPython(starts, kinds)
        self.spool = Spool(1 << 24, threads=threads)
        self.writers = [writer() for _ in starts]
        self.files = [bytearray(one.header) for one in self.writers]
        self.voices: dict[int, Voice] = {}
        for number, one in enumerate(self.writers):
            self.spool.add(one, number)
            if kinds[number] == "opus":
                self.voices[number] = self.spool.voice(number, 3)
        self.leg: Leg | None = None

    def arm(self) -> None:
        if self.leg is not None:
            return
        self.leg = self.spool.leg(self.python.stream, self.python.line.state, KINDS, 9)
        for number, start in enumerate(self.python.starts):
            first = first_sample(start, ORIGIN, 8000)
            if voice := self.voices.get(number):
                self.leg.attach_voice(voice, "PCMA", first, start)
            else:
                self.leg.attach(number, 3, first, start)

    def disarm(self) -> None:
        if self.leg is None:
            return
        self.python.line = Timeline.resume(self.leg.state, 7)
        self.leg.close()
        self.leg = None
        self.place(self.python.stream.ready())

    def receive(self, octets: bytes, arrival_ns: int) -> None:
        if self.leg is not None:
            self.leg.receive(octets, arrival_ns)
            return
        try:
            self.python.stream.receive(octets, arrival_ns)
        except rtp.BadRtp:
            return
        self.place(self.python.stream.ready())

    def place(self, packets: list[rtp.Packet]) -> None:
        for one in packets:
            for item in self.python.line.place(one, CODECS[one.payload_type], 7):
                self.give(item, one.arrival_ns)

    def give(self, item: Item, at: int) -> None:
        for number, voice in self.voices.items():
            begin = self.python.starts[number]
            first = first_sample(begin, ORIGIN, 8000)
            if isinstance(item, Placed):
                pcm = decoder_of(PCMA).decode([item.payload]).pcm[item.skip :]
                cut = max(first - item.position, 0)
                if at >= begin and cut < item.samples:
                    voice.write(item.position + cut, pcm[cut:])
            elif item.start == item.end:
                if item.start >= first:
                    voice.gap(item)
            elif item.end > first:
                voice.gap(Gap(max(item.start, first), item.end, item.packets, item.cause))

    def tick(self) -> None:
        for batch in self.spool.seal():
            self.files[batch.part] += batch.data

    def end(self) -> list[Frames]:
        if self.leg is None:
            self.arm()
        assert self.leg is not None
        self.leg.finish()
        self.leg.close()
        self.tick()
        for voice in self.voices.values():
            voice.finish()
        self.tick()
        found = []
        for file, one in zip(self.files, self.writers, strict=True):
            file += one.finish("end").frame
            opened = Reader(bytes(file)).open(KEY)
            found.append([(frame.leg, bytes(frame.content)) for frame in opened.frames()])
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
def test_voices_make_the_frames_that_python_makes(
    seed: int, evil: float, later_ns: int, threads: int
) -> None:
    starts = [ORIGIN, ORIGIN + later_ns, ORIGIN + 2_000_000_001, ORIGIN]
    run(seed, evil, starts, ["opus", "opus", "opus", "original"], threads=threads)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.sampled_from([0.3, 1.0, 3.0]), st.sampled_from([0, 2]))
def test_a_voice_goes_on_while_its_leg_goes_to_python_and_back(
    seed: int, evil: float, threads: int
) -> None:
    starts = [ORIGIN, ORIGIN + 800_000_001]
    run(seed, evil, starts, ["opus", "opus"], threads=threads, moves=True)


def test_what_a_voice_makes_is_what_libopus_makes_of_the_same_sound() -> None:
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


def test_what_finds_no_room_before_the_encoder_is_a_gap() -> None:
    spool = Spool(25_000)
    one = writer()
    spool.add(one, 0)
    voice = spool.voice(0, 2)
    leg = spool.leg(rtp.Stream(), Timeline(ORIGIN, 8000).state, KINDS, 1)
    leg.attach_voice(voice, "PCMA", 0, ORIGIN)
    for i in range(400):
        leg.receive(packet(i, 160 * i, 8, bytes(160)), ORIGIN + 20 * i * MS)
    assert leg.counters.overrun > 0
    assert leg.counters.recorded + leg.counters.overrun == 400
    leg.finish()
    leg.close()
    voice.finish()
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


def test_a_voice_ends_with_its_part() -> None:
    spool = Spool(threads=2)
    one = writer()
    spool.add(one, 0)
    voice = spool.voice(0, 2)
    assert (voice.stored.kind, voice.stored.block) == ("opus", 160)
    leg = spool.leg(rtp.Stream(), Timeline(ORIGIN, 8000).state, KINDS, 1)
    leg.attach_voice(voice, "PCMU", 0, ORIGIN)
    with pytest.raises(ValueError, match="has this part"):
        leg.attach(0, 2, 0, ORIGIN)
    for i in range(40):
        leg.receive(packet(i, 160 * i, 8, bytes(160)), ORIGIN + 20 * i * MS)
    leg.detach(0)
    spool.remove(0)
    assert spool.counters.held == 0
    with pytest.raises(ValueError, match="gone"):
        voice.write(0, np.zeros(160, np.int16))
    spool.close()


def test_a_voice_that_cannot_be_is_refused_with_the_reason() -> None:
    spool = Spool()
    spool.add(writer(), 0)
    with pytest.raises(ValueError, match="libopus refuses 44100 Hz"):
        spool.voice(0, 2, rate=44100)
    with pytest.raises(ValueError, match="0 to 254"):
        spool.voice(0, 255)
    leg = spool.leg(rtp.Stream(), Timeline(ORIGIN, 8000).state, KINDS, 1)
    with pytest.raises(ValueError, match="another rate"):
        leg.attach_voice(spool.voice(0, 2, rate=16000), "PCMA", 0, ORIGIN)
    with pytest.raises(KeyError):
        spool.voice(0, 3).gap(Gap(0, 1, 0, "nobody knows"))
    spool.close()
