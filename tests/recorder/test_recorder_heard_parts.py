"""The judge of the sound card soak: exact where the recorder was not, and never lost for long."""

import numpy as np
from numpy.typing import NDArray

from greffier.encode import Gap
from greffier.encode.codecs import by_name
from greffier.encode.leg import LegEncoder
from greffier.encode.timeline import Placed
from greffier.store.playback import Leg
from greffier_sim.faketap import channel_pattern, pattern
from greffier_sim.heard_parts import Line, judge

RATE, PERIOD, SEED, CHANNEL = 8000, 160, 7, 1
SECOND_US = 1_000_000


def line() -> Line:
    return Line(RATE, 1.0, PERIOD, SEED, CHANNEL, everywhere_s=2 * 3600)


def sent(first: int, frames: int) -> NDArray[np.int16]:
    return channel_pattern(first, frames, CHANNEL, SEED)


def leg(*runs: NDArray[np.int16], gap: int = 0) -> Leg:
    """A part whose runs of sound are *gap* samples apart, by what it says itself."""
    codec = by_name("L16", RATE)
    coder = LegEncoder("flac", codec)
    packets, gaps, at = [], [], 0
    for number, run in enumerate(runs):
        if number:
            gaps.append(Gap(at, at + gap, 0, "overrun"))
            at += gap
        made = coder.feed(
            [Placed(at, len(run), 0, codec, 0xFF, number, run.astype(">i2").tobytes())]
        )
        packets += [one for one in made if not isinstance(one, Gap)]
        at += len(run)
    packets += [one for one in coder.flush() if not isinstance(one, Gap)]
    return Leg({"source": "line"}, coder.stored, packets, gaps)


def test_one_channel_is_that_of_the_whole_card() -> None:
    assert np.array_equal(sent(10**12, 100), pattern(10**12, 100, 4, SEED)[:, CHANNEL])


def test_a_gap_is_compared_with_what_the_card_lost() -> None:
    heard = line()
    judge(heard, leg(sent(500, 4000), sent(4500 + 1003, 4000), gap=1000), "silence", SECOND_US)
    assert (heard.samples, heard.wrong, heard.lost) == (8000, 0, 0)
    assert heard.gaps == [(5503, 1000, 1003)]


def test_a_sample_that_was_not_sent_is_wrong() -> None:
    heard, sound = line(), sent(500, 4000).copy()
    sound[3000] += 1
    judge(heard, leg(sound), "silence", SECOND_US)
    assert (heard.samples, heard.wrong) == (4000, 1)


def test_sound_that_is_far_from_where_it_was_told_is_found_and_the_gap_is_wrong() -> None:
    heard, far = line(), 3600 * RATE
    judge(heard, leg(sent(500, 4000), sent(far, 4000), gap=1000), "silence", SECOND_US)
    assert (heard.samples, heard.wrong, heard.lost) == (8000, 0, 1)
    assert heard.gaps == [(far, 1000, far - 4500)]


def test_after_sound_that_nobody_sent_the_judge_finds_its_place_again() -> None:
    heard = line()
    heard.frame = 0
    foreign = np.full(4000, 77, np.int16)
    judge(heard, leg(sent(0, 4000), foreign, sent(10_000, 4000), gap=1000), "silence", 0)
    assert (heard.samples, heard.wrong, heard.lost) == (12_000, 4000, 1)
    assert heard.gaps[-1] == (10_000, 6000, 6000)
