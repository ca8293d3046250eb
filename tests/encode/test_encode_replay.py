"""A replay against an array that was filled sample by sample: nothing moves, gaps are silent."""

import io
from dataclasses import dataclass

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from greffier.clock import SECOND
from greffier.encode import Gap, core, replay
from greffier.encode.codecs import Codec, by_name
from greffier.encode.decoders import TABLES
from greffier.encode.delay import DelayLine
from greffier.encode.replay import Replayed, Strip, TooLarge, replayed
from greffier.encode.timeline import Placed

RATE = 8000
PACKET_NS = SECOND // 50
PCMA, PCMU, L16 = by_name("PCMA"), by_name("PCMU"), by_name("L16", RATE)


@dataclass
class Leg:
    """A leg as it was sent: packets of 20 ms, of which some are missing."""

    call: str
    number: int
    side: str
    base_ns: int
    kept: list[bool]
    codec: Codec = PCMA

    def payload(self, index: int) -> bytes:
        octets = (f"{self.call}{self.number}{index:05d}".encode() * 40)[:160]
        return octets * 2 if self.codec is L16 else octets

    def pcm(self, index: int) -> NDArray[np.int16]:
        if self.codec is L16:
            return np.frombuffer(self.payload(index), ">i2").astype(np.int16)
        return TABLES[self.codec.name].take(np.frombuffer(self.payload(index), np.uint8))

    def strip(self, since: int = 0) -> Strip:
        line = DelayLine(64 << 20)
        for index, kept in enumerate(self.kept):
            at, start = index * PACKET_NS, index * 160
            item: Placed | Gap = Gap(start, start + 160, 1, "lost")
            if kept:
                item = Placed(start, 160, 0, self.codec, 8, index, self.payload(index))
            assert line.append(at, item)
        return Strip(self.call, self.number, self.side, self.base_ns, RATE, line.copied(since))

    def end_ns(self) -> int:
        return self.base_ns + len(self.kept) * PACKET_NS


def expected(legs: list[Leg], columns: list[int], low: int, high: int) -> NDArray[np.int16]:
    out = np.zeros(((high - low) * RATE // SECOND, max(columns) + 1), np.int16)
    for leg, column in zip(legs, columns, strict=True):
        for index, kept in enumerate(leg.kept):
            first = (leg.base_ns + index * PACKET_NS - low) * RATE // SECOND
            for offset, value in enumerate(leg.pcm(index) if kept else ()):
                if 0 <= first + offset < len(out):
                    out[first + offset, column] = value
    return out


def file_of(found: Replayed) -> bytes:
    return found.header + found.samples.tobytes()


missing = st.lists(st.sampled_from((True, True, True, False)), min_size=1, max_size=60)


@settings(deadline=None, max_examples=60)
@given(
    caller=missing,
    callee=missing,
    after=missing,
    pause=st.integers(0, 30),
    seconds=st.integers(1, 3),
    codec=st.sampled_from((PCMA, PCMU, L16)),
)
def test_it_is_what_was_sent_last_sample_for_sample(
    caller: list[bool],
    callee: list[bool],
    after: list[bool],
    pause: int,
    seconds: int,
    codec: Codec,
) -> None:
    start = 77 * SECOND
    first = [Leg("a", 0, "caller", start, caller), Leg("a", 1, "callee", start, callee, codec)]
    end = max(leg.end_ns() for leg in first)
    later = Leg("b", 0, "caller", end + pause * PACKET_NS, after)
    legs = [*first, later]
    now = later.end_ns()
    since = now - seconds * SECOND
    found = replayed([leg.strip() for leg in reversed(legs)], since, now)
    heard = [
        (leg, leg.base_ns + at * PACKET_NS)
        for leg in legs
        for at, kept in enumerate(leg.kept)
        if kept and leg.base_ns + (at + 1) * PACKET_NS > since
    ]
    if not heard:
        assert found is None
        return
    assert found is not None
    low = max(min(at for _, at in heard), since)
    assert found.from_ns == low or (low == since > found.from_ns - PACKET_NS)
    assert found.calls == tuple(
        call for call in ("b", "a") if any(leg.call == call for leg, _ in heard)
    )
    with_sound = [leg for leg in legs if any(leg is one for one, _ in heard)]
    columns = [
        0 if leg is later or (leg is legs[0] or legs[0] not in with_sound) else 1
        for leg in with_sound
    ]
    wanted = expected(with_sound, columns, found.from_ns, found.to_ns)
    assert found.rate == RATE
    assert np.array_equal(found.samples, wanted)


def test_it_is_a_wav_file() -> None:
    legs = [Leg("a", 0, "caller", 0, [True] * 5), Leg("a", 1, "callee", 0, [True] * 5)]
    found = replayed([leg.strip() for leg in legs], 0, SECOND)
    assert found is not None
    pcm, rate = soundfile.read(io.BytesIO(file_of(found)), dtype="int16")
    assert (rate, pcm.shape) == (RATE, (800, 2))
    assert np.array_equal(pcm, found.samples)


def test_calls_at_the_same_time_stand_side_by_side_and_no_two_are_mixed() -> None:
    legs = [
        Leg("a", 0, "callee", 0, [True] * 10),
        Leg("a", 1, "caller", 0, [True] * 10),
        Leg("b", 0, "unknown", 5 * PACKET_NS, [True] * 10),
        Leg("c", 0, "caller", 10 * PACKET_NS, [True] * 10),
    ]
    found = replayed([leg.strip() for leg in legs], 0, SECOND)
    assert found is not None
    assert np.array_equal(found.samples, expected(legs, [1, 0, 2, 0], 0, 20 * PACKET_NS))


def test_what_overlaps_is_skipped_and_the_rest_lies_in_its_place() -> None:
    leg = Leg("a", 0, "caller", 0, [True] * 2)
    line = DelayLine(1 << 20)
    line.append(0, Placed(0, 160, 0, PCMA, 8, 0, leg.payload(0)))
    line.append(1, Placed(160, 60, 100, PCMA, 8, 1, leg.payload(1)))
    found = replayed([Strip("a", 0, "caller", 0, RATE, line.copied(0))], 0, SECOND)
    assert found is not None
    assert np.array_equal(found.samples[:, 0], np.concatenate((leg.pcm(0), leg.pcm(1)[100:])))


def test_legs_of_other_rates_and_codecs_are_brought_to_the_highest() -> None:
    opus = by_name("opus")
    encoder = core.OpusEncoder(48000)
    tone = (8000 * np.sin(np.arange(48000) * 2 * np.pi * 440 / 48000)).astype(np.int16)
    line = DelayLine(1 << 20)
    packets = encoder.encode(tone)
    for index, data in enumerate(packets):
        line.append(index, Placed(index * 960, 960, 0, opus, 96, index, data))
    narrow = Leg("a", 0, "caller", 0, [True] * 50, L16)
    strips = [narrow.strip(), Strip("a", 1, "callee", 0, 48000, line.copied(0))]
    found = replayed(strips, 0, SECOND)
    assert found is not None
    assert (found.rate, found.samples.shape) == (48000, (48000, 2))
    heard = found.samples[4800:43200, 1].astype(np.int64)
    assert 4000 < np.sqrt(np.mean(heard**2)) < 7000
    assert np.abs(found.samples[:, 0]).max() > 0


def test_more_than_an_answer_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    strips = [Leg("a", 0, "caller", 0, [True] * 10).strip()]
    monkeypatch.setattr(replay, "MOST_OCTETS", 3199)
    with pytest.raises(TooLarge):
        replayed(strips, 0, SECOND)
    monkeypatch.setattr(replay, "MOST_OCTETS", 3200)
    assert replayed(strips, 0, SECOND) is not None


def test_nothing_said_is_nothing() -> None:
    silent = Leg("a", 0, "caller", 0, [False] * 5)
    assert replayed([silent.strip()], 0, SECOND) is None
    assert replayed([], 0, SECOND) is None
    assert replayed([Leg("a", 0, "caller", 0, [True]).strip()], SECOND, 2 * SECOND) is None


def test_a_copy_can_be_wiped_and_the_line_keeps_its_own() -> None:
    line = DelayLine(1 << 20)
    line.append(5, Placed(0, 4, 0, PCMA, 8, 0, b"abcd"))
    line.append(7, Placed(4, 4, 0, PCMA, 8, 1, b"efgh"))
    copied = line.copied(6)
    assert copied.octets.tobytes() == b"efgh"
    copied.wipe()
    assert not copied.octets.any()
    assert line.copied(0).octets.tobytes() == b"abcdefgh"
