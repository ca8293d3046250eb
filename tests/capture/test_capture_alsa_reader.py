"""A card's thread, driven step by step by a card that is a script and a clock that it moves."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.capture.alsa import BACK_OFF_S, OVERRUNS_IN_A_ROW, CardReader
from greffier.capture.alsa_device import OVERRUN, CardFailed, CardSettings
from greffier.capture.card_ring import (
    HELD,
    LEAST,
    UNIT,
    CardRing,
    Event,
    Lost,
    Overrun,
    Period,
    Returned,
    channels_of,
)
from greffier.clock import SECOND
from greffier.errors import DeviceNotFound

SETTINGS = CardSettings("scripted", rate=8000, channels=2, period_frames=160)
PERIOD_NS = SETTINGS.period_frames * SECOND // SETTINGS.rate
OCTETS = SETTINGS.period_frames * SETTINGS.frame_octets

Step = str | int
"""What a read meets: "period", "overrun", "gone" (the card fails), a stall of so many periods."""


@dataclass
class Bench:
    """A virtual world: the card, the clock, and the thread's work done by hand."""

    steps: Iterator[Step]
    t_ns: int = 1_000 * SECOND
    periods: int = 0  # of the card, captured and not lost, for their content
    absent: int = 0  # how many attempts to open it still fail
    pauses: list[float] = field(default_factory=list)
    open_handles: int = 0
    ring_octets: int = 1 << 20

    def __post_init__(self) -> None:
        self.ring = CardRing(SETTINGS.frame_octets, self.ring_octets)
        self.reader = CardReader(
            SETTINGS, self.ring, self.now_ns, open_card=self.open_card, pause=self.pause
        )

    def now_ns(self) -> int:
        return self.t_ns

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.t_ns += round(seconds * SECOND)

    def open_card(self, settings: CardSettings) -> "ScriptedCard":
        if self.absent:
            self.absent -= 1
            raise DeviceNotFound(device=settings.device, reason="scripted")
        return ScriptedCard(self)

    def run(self) -> list[Event]:
        """The thread's whole life, in this thread; what it told."""
        self.reader._run()
        return list(self.ring.events())


class ScriptedCard:
    """Delivers period after period, each full of its number, until the script says otherwise."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        bench.open_handles += 1

    def read(self) -> tuple[int, bytes]:
        bench = self.bench
        step = next(bench.steps, "end")
        if isinstance(step, int):
            bench.t_ns += step * PERIOD_NS
            return OVERRUN, b""
        if step == "overrun":
            return OVERRUN, b""
        if step == "gone":
            raise CardFailed("scripted")
        if step == "end":
            bench.reader._stopping.set()
        bench.t_ns += PERIOD_NS
        bench.periods += 1
        return SETTINGS.period_frames, content(bench.periods)

    def waiting(self) -> int:
        return 0

    def close(self) -> None:
        self.bench.open_handles -= 1


def content(number: int) -> bytes:
    return (number % 251).to_bytes(1, "big") * OCTETS


def play(*steps: Step, absent: int = 0, ring_octets: int = 1 << 20) -> tuple[Bench, list[Event]]:
    bench = Bench(iter(steps), absent=absent, ring_octets=ring_octets)
    bench.reader.open() if not absent else None
    return bench, bench.run()


def others(events: list[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, Period)]


def assert_whole(events: list[Event]) -> int:
    """Periods and gaps follow each other without a hole or an overlap; where they end."""
    position = 0
    for event in events:
        assert event.position == position
        if not isinstance(event, Lost):
            position += event.frames
    return position


def test_periods_come_whole_in_order_and_with_their_time() -> None:
    bench, events = play(*["period"] * 9)
    assert_whole(events)
    assert [event.data for event in events if isinstance(event, Period)] == [
        content(i + 1) for i in range(10)
    ]
    times = [event.t_ns for event in events]
    assert times[0] == 1_000 * SECOND
    assert [b - a for a, b in itertools.pairwise(times)] == [PERIOD_NS] * 9
    assert bench.reader.counters.periods == 10
    assert bench.open_handles == 0


def test_a_stall_is_exactly_one_overrun_as_long_as_the_stall() -> None:
    _, events = play(*["period"] * 50, 15, *["period"] * 50)
    assert_whole(events)
    assert [(e.position, e.frames) for e in others(events)] == [(50 * 160, 15 * 160)]
    (overrun,) = (event for event in events if isinstance(event, Overrun))
    assert overrun.cause == "card"
    assert overrun.t_ns == 1_000 * SECOND + 50 * PERIOD_NS
    goes_on = next(event for event in events if event.position == overrun.position + 15 * 160)
    assert goes_on.t_ns == overrun.t_ns + 15 * PERIOD_NS


def test_overruns_in_a_row_before_a_frame_are_one_gap() -> None:
    bench, events = play("period", *["overrun"] * (OVERRUNS_IN_A_ROW - 2), 3, "period")
    assert_whole(events)
    assert [(type(e), e.position, e.frames) for e in others(events)] == [(Overrun, 160, 480)]  # type: ignore[union-attr]
    assert bench.reader.counters.overruns == OVERRUNS_IN_A_ROW - 1
    assert bench.reader.counters.losses == 0


@pytest.mark.parametrize("ending", [["gone"], ["overrun"] * OVERRUNS_IN_A_ROW])
def test_a_card_that_is_pulled_out_is_lost_once_and_opened_again(ending: list[Step]) -> None:
    bench = Bench(iter([*["period"] * 50, *ending, *["period"] * 5]))
    bench.reader.open()
    bench.absent = 7
    events = bench.run()
    assert_whole(events)
    kinds = [type(event) for event in others(events)]
    assert kinds == [Lost, Returned]
    pauses = [*BACK_OFF_S, *[BACK_OFF_S[-1]] * 4]
    assert bench.pauses == pauses
    returned = next(event for event in events if isinstance(event, Returned))
    assert returned.frames == round(sum(pauses) * SETTINGS.rate)
    counters = bench.reader.counters
    assert (counters.losses, counters.attempts, counters.failed) == (1, 8, 7)
    assert not bench.reader.is_away
    assert bench.open_handles == 0


def test_no_pause_reaches_two_seconds() -> None:
    assert max(BACK_OFF_S) < 2
    assert list(BACK_OFF_S) == sorted(BACK_OFF_S)


def test_a_card_that_opens_and_gives_nothing_stays_lost_and_is_not_hammered() -> None:
    nothing = ["overrun"] * OVERRUNS_IN_A_ROW
    bench, events = play("period", *nothing, *nothing, "gone", "gone", *nothing, "period")
    assert_whole(events)
    assert [type(event) for event in others(events)] == [Lost, Returned]
    assert bench.pauses == [*BACK_OFF_S, BACK_OFF_S[-1]]
    assert bench.reader.counters.losses == 1


def test_a_card_that_is_absent_at_the_start_is_an_error_or_is_awaited() -> None:
    bench = Bench(iter(()), absent=1)
    with pytest.raises(DeviceNotFound) as caught:
        bench.reader.open()
    assert caught.value.exit_code == 10
    bench, events = play("period", absent=3)
    assert [type(event) for event in others(events)] == [Lost, Returned]
    assert_whole(events)
    assert events[-1].position == 160  # position 0 is the first frame ever read


def test_a_full_ring_drops_the_newest_and_says_which() -> None:
    bench = Bench(iter(["period"] * 99), ring_octets=1)
    bench.reader.open()
    first = bench.run()
    kept = len(first)
    assert kept == LEAST // UNIT // (OCTETS // UNIT + 2)  # a head, and the position
    assert not others(first)
    assert_whole(first)
    assert bench.ring.dropped == 100 - kept
    # The next period tells of the gap first.
    assert bench.ring.put_period(100 * 160, 5, content(101))
    gap, period = bench.ring.events()
    assert gap == Overrun(kept * 160, (100 - kept) * 160, "ring", gap.t_ns)
    assert isinstance(period, Period)
    assert (period.position, period.t_ns) == (100 * 160, 5)


@settings(deadline=None, max_examples=60)
@given(
    steps=st.lists(
        st.sampled_from(["period", "period", "period", "overrun", "gone", 1, 40]), max_size=120
    ),
    drained=st.lists(st.booleans(), min_size=1, max_size=30),
)
def test_whatever_happens_the_events_are_one_line_and_nothing_is_told_twice(
    steps: list[Step], drained: list[bool]
) -> None:
    """A small ring, a consumer that comes when it likes, a card that fails when it likes."""
    bench = Bench(iter(()), ring_octets=1)
    events: list[Event] = []
    turns = itertools.cycle(drained)

    def consume(steps: list[Step]) -> Iterator[Step]:
        for step in steps:
            if next(turns):
                events.extend(bench.ring.events())
            yield step

    bench.steps = consume(steps)
    capacity = bench.ring.capacity
    bench.reader.open()
    events += bench.run()
    assert bench.ring.put_period(bench.reader._timeline.next, 0, content(0))
    events += list(bench.ring.events())
    end = assert_whole(events)
    assert end == bench.reader._timeline.next + 160
    heard = sum(event.frames for event in events if isinstance(event, Period)) // 160
    assert heard + bench.ring.dropped == bench.reader.counters.periods + 1
    assert bench.ring.capacity == capacity
    assert bench.ring.stored == 0
    assert bench.open_handles == 0


@pytest.mark.parametrize("ending", [Lost, Returned, Overrun])
def test_a_consumer_that_is_away_for_a_day_of_failures_costs_no_memory(ending: type) -> None:
    ring = CardRing(4, 1)
    position = 0
    while ring.put_period(position, 0, bytes(64)):
        position += 16
    position += 16
    for i in range(20_000):
        ring.put(Lost(position, i))
        ring.put(Returned(position, 8, i))
        ring.put(Overrun(position + 8, 2, "card", i))
        position += 10
    last = {
        Lost: Lost(position, 7),
        Returned: Returned(position, 9, 7),
        Overrun: Overrun(position, 9, "card", 7),
    }[ending]
    for _ in range(HELD + 2):  # wherever in the joining it comes
        ring.put(Lost(position, 6))
        assert len(ring._held) <= HELD + 1
    ring.put(last)
    events = list(ring.events())
    ring.put(Lost(position + (0 if ending is Lost else 9), 8))
    events += list(ring.events())
    assert_whole(events)
    assert type(events[-1]) is Lost
    assert type(events[-2]) is ending


def test_channels_are_views_of_the_period() -> None:
    data = np.arange(12, dtype="<i2").tobytes()
    left, right = channels_of(data, 2)
    assert left.tolist() == [0, 2, 4, 6, 8, 10]
    assert right.tolist() == [1, 3, 5, 7, 9, 11]
    assert np.shares_memory(channels_of(data, 2), np.frombuffer(data, "<i2"))
    with pytest.raises(ValueError, match="reshape"):
        channels_of(data[:-2], 2)


def test_a_look_that_was_interrupted_is_taken_again() -> None:
    bench = Bench(iter(()))
    spreads = iter([0, 9_000_000, 9_000_100, 0, 0])
    bench.reader._now_ns = lambda: next(spreads)
    look = bench.reader._look(ScriptedCard(bench))
    assert (look.spread_ns, look.t_ns) == (100, 9_000_050)


def test_a_look_during_an_overrun_still_has_a_time() -> None:
    bench = Bench(iter(()))
    card = ScriptedCard(bench)
    waiting: Callable[[], int] = lambda: OVERRUN  # noqa: E731
    card.waiting = waiting  # type: ignore[method-assign]
    look = bench.reader._look(card)
    assert (look.waiting, look.t_ns) == (0, bench.t_ns)


class Stuck:
    """A card of which *count* periods can be read; then a read hangs until it is let go."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.hangs, self.let_go, self.closed = (threading.Event() for _ in range(3))

    def read(self) -> tuple[int, bytes]:
        if self.left:
            self.left -= 1
        else:
            self.hangs.set()
            assert self.let_go.wait(300)
        return SETTINGS.period_frames, content(1)

    def waiting(self) -> int:
        return 0

    def close(self) -> None:
        self.closed.set()


def test_a_reader_that_hangs_is_given_up_and_its_line_goes_on_without_it() -> None:
    ring = CardRing(SETTINGS.frame_octets, 1 << 20)
    cards = [Stuck(3), Stuck(2)]
    first, second = cards

    def made(after: CardReader | None) -> CardReader:
        return CardReader(
            SETTINGS, ring, time.monotonic_ns, open_card=lambda _: cards.pop(0),
            pause=lambda _: None, after=after,
        )  # fmt: skip

    reader = made(None)
    reader.open()
    reader.start()
    assert first.hangs.wait(120)
    assert reader.give_up()
    other = made(reader)
    other.start()
    assert second.hangs.wait(120)
    first.let_go.set()  # it answers after all, too late
    assert first.closed.wait(120)
    events = list(ring.events())
    assert_whole(events)
    assert [type(event) for event in events] == [*[Period] * 3, Lost, Returned, *[Period] * 2]
    counters = other.counters
    assert (counters.periods, counters.losses, counters.attempts) == (5, 1, 1)
    second.let_go.set()
    assert other.stop(120)
    assert second.closed.is_set()
    assert not reader.is_running or reader.stop(120)


def test_a_thread_says_whether_it_lives_and_whether_it_has_its_priority() -> None:
    bench = Bench(iter(["period"] * 20))
    assert not bench.reader.is_running
    bench.reader._priority = 1
    bench.reader.start()
    assert bench.reader.stop(60)
    assert not bench.reader.is_running
    assert bench.reader.realtime in (True, False)  # as the machine allows
    assert len(list(bench.ring.events())) > 0
    plain = Bench(iter(()))
    plain.run()
    assert not plain.reader.realtime


def test_an_hour_of_periods_leaves_no_trace_in_memory() -> None:
    bench = Bench(iter(()))
    events = 0

    def consume() -> Iterator[Step]:
        nonlocal events
        for i in range(18_000):  # 200 ms each would be an hour
            if i % 25 == 0:
                events += sum(1 for _ in bench.ring.events())
            yield 40 if i % 6000 == 3000 else "period"

    bench.steps = consume()
    capacity = bench.ring.capacity
    bench.reader.open()
    rest = bench.run()
    drift = bench.reader._timeline.drift
    assert events + len(rest) == 18_000 + 1
    assert bench.ring.capacity == capacity
    assert bench.ring.dropped == 0
    assert len(bench.ring._held) == 0
    assert len(drift._points) <= 64
