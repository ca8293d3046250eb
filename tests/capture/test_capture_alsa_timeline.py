"""A card of which everything is known, against what the timeline makes of it."""

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.capture.card_drift import SECOND, Drift
from greffier.capture.card_timeline import SLIP_LOOKS, CardTimeline, Look

RATE = 8000
PERIOD = 160


@dataclass
class KnownCard:
    """A card with a quartz of *ppm*, read by a thread that is held up now and then."""

    ppm: float
    seed: int
    frame: int = 0  # next to be read, on the card's own count
    start_ns: int = 7_000_000_000_000

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def frames_at(self, t_ns: float) -> int:
        return int((t_ns - self.start_ns) * RATE * (1 + self.ppm / 1e6) / SECOND)

    def time_of(self, frame: int) -> int:
        return self.start_ns + round(frame * SECOND / (RATE * (1 + self.ppm / 1e6)))

    def read(self, period: int = PERIOD, stall_ns: int = 0) -> Look:
        """Read a period; the thread wakes late, and may be held up while it looks."""
        self.frame += period
        late = self.random.expovariate(1 / 100_000) + stall_ns
        before = self.time_of(self.frame) + late
        spread = self.random.choice([800, 1500, 3000, 3000, 40_000, 6_000_000])
        looked = before + self.random.random() * spread
        waiting = self.frames_at(looked) - self.frame
        return Look(round(before + spread / 2), waiting, spread)


@settings(deadline=None, max_examples=60)
@given(
    ppm=st.floats(-200, 200),
    seed=st.integers(0, 2**32),
    runs=st.lists(
        st.tuples(st.integers(1, 400), st.integers(0, 60 * RATE), st.integers(0, 2 * SECOND)),
        min_size=1,
        max_size=12,
    ),
)
def test_every_gap_is_right_within_a_period_and_audio_between_gaps_is_whole(
    ppm: float, seed: int, runs: list[tuple[int, int, int]]
) -> None:
    card = KnownCard(ppm, seed)
    timeline = CardTimeline(RATE)
    position = 0
    for periods, lost, stall_ns in runs:
        for i in range(periods):
            # A stall that loses nothing: the card's buffer is large enough.
            look = card.read(stall_ns=stall_ns if i == periods // 2 else 0)
            placed = timeline.place(PERIOD, look)
            if i:
                assert (placed.position, placed.missing) == (position, 0)
            position = placed.position + PERIOD
        card.frame += lost
        timeline.interrupt()
        placed = timeline.place(PERIOD, card.read())
        assert abs(placed.missing - lost) <= PERIOD
        assert placed.position == position + placed.missing
        position = placed.position + PERIOD


@settings(deadline=None, max_examples=8)
@given(ppm=st.floats(-200, 200), seed=st.integers(0, 2**32), data=st.data())
def test_a_day_with_overruns_stays_on_one_line(ppm: float, seed: int, data: st.DataObject) -> None:
    card = KnownCard(ppm, seed)
    timeline = CardTimeline(RATE)
    second = 10 * RATE  # long reads: the day is the point, not the period
    total = 0
    for i in range(8640):
        if i and i % 864 == 0:
            lost = data.draw(st.integers(1, 5 * RATE))
            card.frame += lost
            total += lost
            timeline.interrupt()
        placed = timeline.place(second, card.read(second))
        # Ten overruns, each measured by itself: together they are still within a period.
        assert abs(placed.position + second - card.frame) <= PERIOD
    assert abs(timeline.drift.ppm - ppm) < 1
    assert timeline.drift.uncertain_ppm < 1
    assert abs(timeline.time_of(timeline.next) - card.time_of(card.frame)) < 20_000_000


@given(ppm=st.floats(-200, 200), seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=20)
def test_an_hour_away_costs_at_most_a_period(ppm: float, seed: int) -> None:
    card = KnownCard(ppm, seed)
    timeline = CardTimeline(RATE)
    for _ in range(640):
        timeline.place(RATE, card.read(RATE))
    card.frame += 3600 * RATE
    timeline.interrupt()
    assert abs(timeline.place(PERIOD, card.read()).missing - 3600 * RATE) <= PERIOD


def test_what_is_not_known_yet_is_not_asked_of_the_clock() -> None:
    timeline = CardTimeline(RATE)
    timeline.interrupt()  # an overrun before the first frame: position 0 is the first frame
    placed = timeline.place(PERIOD, Look(5, 0, 0))
    assert (placed.position, placed.missing, placed.slipped) == (0, 0, False)
    with pytest.raises(ValueError, match="never seen"):
        Drift(RATE).frame_at(0)
    with pytest.raises(ValueError, match="never seen"):
        Drift(RATE).time_of(0)


def test_frames_that_vanish_without_a_word_become_a_gap() -> None:
    card = KnownCard(0, 1)
    timeline = CardTimeline(RATE)
    for _ in range(500):
        timeline.place(PERIOD, card.read())
    card.frame += RATE  # a second that the card threw away
    gaps = [timeline.place(PERIOD, card.read()) for _ in range(100)]
    slips = [placed for placed in gaps if placed.missing]
    assert [placed.slipped for placed in slips] == [True]
    assert abs(slips[0].missing - RATE) <= PERIOD
    assert gaps.index(slips[0]) >= SLIP_LOOKS - 1


def test_what_a_card_says_before_it_fails_is_not_believed() -> None:
    card = KnownCard(0, 1)
    timeline = CardTimeline(RATE)
    for i in range(40):
        for _ in range(100):
            timeline.place(PERIOD, card.read())
        card.frame += PERIOD
        # The card has captured a fifth of a second more than it says, and then it is gone.
        stale = Look(card.time_of(card.frame) + SECOND // 5, 0, 0)
        timeline.place(PERIOD, stale)
        timeline.interrupt()
        card.frame += RATE + i
        assert abs(timeline.place(PERIOD, card.read()).missing - RATE - i) <= PERIOD
    assert abs(timeline.drift.ppm) < 4 * timeline.drift.uncertain_ppm < 400


def test_a_machine_that_is_held_up_sees_no_slip() -> None:
    timeline = CardTimeline(RATE)
    t_ns = 0
    for _ in range(200):
        t_ns += 20_000_000
        # Every look is drawn out over seconds, and takes the last instant of it.
        placed = timeline.place(PERIOD, Look(t_ns + SECOND, 0, 2 * SECOND))
        assert not placed.missing


def test_the_line_goes_both_ways() -> None:
    drift = Drift(RATE)
    for i in range(100):
        drift.observe(i * 20 * SECOND, i * 20 * RATE + i, 1000)
    for frame in (-RATE, 0, 12345, 10**9):
        assert abs(drift.frame_at(drift.time_of(frame)) - frame) < 0.01
    assert 6 < drift.ppm < 6.5  # a frame more in 20 s at 8 kHz
