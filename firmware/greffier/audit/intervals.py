"""Intervals of the coverage ledger and how they are cut, laid over one another and joined."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Any

# Which state wins where two are marked: the later in the list yields. Loss is the finest thing that
# is known; what is merely assumed yields to everything that was seen.
PRECEDENCE = ("lost", "paused", "recorded", "not_recorded", "blind", "off", "idle")
RANK = {state: rank for rank, state in enumerate(PRECEDENCE)}


@dataclass(frozen=True, slots=True)
class Interval:
    """One channel of one line was in one state from ``from_ns`` up to, not including, ``to_ns``.

    ``reason`` is the first reason code of not_recorded, the cause of lost, or None. ``packets`` and
    ``samples`` are what was received (recorded) or is missing (lost).
    """

    line: str
    channel: str
    from_ns: int
    to_ns: int
    state: str
    reason: str | None = None
    packets: int = 0
    samples: int = 0

    def __post_init__(self) -> None:
        """Refuse an empty or reversed interval and an unknown state. Raises ValueError."""
        if self.state not in RANK:
            raise ValueError("no such state")
        if not 0 <= self.from_ns < self.to_ns:
            raise ValueError("an interval ends after it begins")
        if self.packets < 0 or self.samples < 0:
            raise ValueError("a count is not negative")

    @property
    def data(self) -> dict[str, Any]:
        """The data of the ``coverage`` entry that says this."""
        return {
            "line": self.line,
            "channel": self.channel,
            "from_ns": self.from_ns,
            "to_ns": self.to_ns,
            "state": self.state,
            "reason": self.reason,
            "packets": self.packets,
            "samples": self.samples,
        }


Blank = Callable[[int, int], Interval]
"""Makes the interval that fills a span which nobody marked."""


def resolved(
    items: Sequence[Interval], blank: Blank | None, start: int, end: int
) -> Iterator[Interval]:
    """Non-overlapping pieces from *start* to *end*: at each instant the state that wins.

    Where nothing is marked, ``blank(from, to)`` fills, or nothing does when it is None. Among equal
    states the earlier mark wins.
    """
    order = sorted(range(len(items)), key=lambda at: items[at].from_ns)
    edges = sorted({start, end} | {one.from_ns for one in items} | {one.to_ns for one in items})
    pieces: list[tuple[int | None, int, int]] = []
    active: list[tuple[int, int]] = []
    due = 0
    for low, high in itertools.pairwise(edges):
        while due < len(order) and items[order[due]].from_ns <= low:
            heappush(active, (RANK[items[order[due]].state], order[due]))
            due += 1
        while active and items[active[0][1]].to_ns <= low:
            heappop(active)
        winner = active[0][1] if active else None
        if pieces and pieces[-1][0] == winner and pieces[-1][2] == low:
            pieces[-1] = (winner, pieces[-1][1], high)
        else:
            pieces.append((winner, low, high))
    return _with_counts(items, pieces, blank)


def _with_counts(
    items: Sequence[Interval],
    pieces: list[tuple[int | None, int, int]],
    blank: Blank | None,
) -> Iterator[Interval]:
    """Share a mark's counts among the pieces that are left of it, so that the sum stays exact."""
    visible: dict[int, int] = {}
    for winner, low, high in pieces:
        if winner is not None:
            visible[winner] = visible.get(winner, 0) + high - low
    given: dict[int, int] = dict.fromkeys(visible, 0)
    for winner, low, high in pieces:
        if winner is None:
            if blank is not None:
                yield blank(low, high)
            continue
        one, before = items[winner], given[winner]
        after = given[winner] = before + high - low
        yield replace(
            one,
            from_ns=low,
            to_ns=high,
            packets=_share(one.packets, before, after, visible[winner]),
            samples=_share(one.samples, before, after, visible[winner]),
        )


def _share(count: int, before: int, after: int, whole: int) -> int:
    return count * after // whole - count * before // whole


def merged(items: Iterable[Interval]) -> Iterator[Interval]:
    """Join touching intervals of one state and reason."""
    last: Interval | None = None
    for one in items:
        if last and (last.state, last.reason, last.to_ns) == (one.state, one.reason, one.from_ns):
            last = replace(
                last,
                to_ns=one.to_ns,
                packets=last.packets + one.packets,
                samples=last.samples + one.samples,
            )
            continue
        if last:
            yield last
        last = one
    if last:
        yield last


def cut(one: Interval, at: int) -> tuple[Interval | None, Interval | None]:
    """What lies before *at* and what lies from it on; the counts are shared by length."""
    if one.to_ns <= at:
        return one, None
    if one.from_ns >= at:
        return None, one
    length, part = one.to_ns - one.from_ns, at - one.from_ns
    packets, samples = one.packets * part // length, one.samples * part // length
    return (
        replace(one, to_ns=at, packets=packets, samples=samples),
        replace(one, from_ns=at, packets=one.packets - packets, samples=one.samples - samples),
    )


def clip(one: Interval, start: int, end: int) -> Interval | None:
    """The part of *one* inside [start, end), its counts left whole; None when nothing is."""
    low, high = max(one.from_ns, start), min(one.to_ns, end)
    return replace(one, from_ns=low, to_ns=high) if low < high else None


def claimed_twice(items: Iterable[Interval]) -> int:
    """How many nanoseconds more than one of *items* claims."""
    edges = sorted([(one.from_ns, 1) for one in items] + [(one.to_ns, -1) for one in items])
    total = depth = at = 0
    for time, step in edges:
        if depth > 1:
            total += time - at
        depth, at = depth + step, time
    return total
