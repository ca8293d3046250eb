"""The coverage ledger: every second of every channel has a state (docs/coverage-format.md).

An :class:`Account` turns what happened on one channel into whole, non-overlapping intervals, which
become ``coverage`` entries of the log. :func:`seconds` adds intervals up again, for any line and
any span of time. All arithmetic is in integer nanoseconds; floats appear only in the answer.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from greffier.audit.entry import Entry
from greffier.audit.intervals import (
    PRECEDENCE,
    RANK,
    Interval,
    claimed_twice,
    clip,
    cut,
    merged,
    resolved,
)

SECOND = 1_000_000_000
UNNAMED = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Channel:
    """What one channel did between ``from_ns`` and ``to_ns``, in nanoseconds for each state.

    ``not_recorded`` is by first reason code. ``overlap_ns`` was claimed twice (and counted once,
    for the state that wins), ``hole_ns`` is claimed by nobody.
    """

    line: str
    channel: str
    from_ns: int
    to_ns: int
    states: Mapping[str, int]
    not_recorded: Mapping[str, int]
    overlap_ns: int
    hole_ns: int


@dataclass(frozen=True, slots=True)
class Summary:
    """Every channel of a span of time, ordered by line, begin and channel."""

    channels: tuple[Channel, ...]

    @property
    def accounted(self) -> float:
        """The share of the channels' time that has exactly one state; 1.0 when there is none."""
        span = sum(one.to_ns - one.from_ns for one in self.channels)
        unclear = sum(one.hole_ns + one.overlap_ns for one in self.channels)
        return (span - unclear) / span if span else 1.0

    def as_json(self, format_time: Callable[[int], str]) -> dict[str, Any]:
        """The object that ``greffier coverage --json`` prints; *format_time* writes nanoseconds."""
        return {
            "accounted": self.accounted,
            "channels": [
                {
                    "line": one.line,
                    "channel": one.channel,
                    "from": format_time(one.from_ns),
                    "to": format_time(one.to_ns),
                    "seconds": _in_seconds(one),
                }
                for one in self.channels
            ],
        }


class Account:
    """What happened on one channel, from its start on. One thread owns it.

    Time that nothing marks is ``rest``. ``settle`` gives the intervals up to an instant and forgets
    them (the heartbeat); ``close`` gives the rest.
    """

    def __init__(
        self,
        line: str,
        channel: str,
        start_ns: int,
        *,
        rest: str = "idle",
        rest_reason: str | None = None,
    ) -> None:
        """Raises ValueError for an unknown state."""
        if rest not in RANK or start_ns < 0:
            raise ValueError("no such state, or a time before 1970")
        self._line = line
        self._channel = channel
        self._settled = start_ns
        self._rest = (rest, rest_reason)
        self._marks: list[Interval] = []

    @property
    def settled_ns(self) -> int:
        """Up to here the intervals were given out; nothing before can be marked any more."""
        return self._settled

    def mark(
        self,
        state: str,
        from_ns: int,
        to_ns: int,
        reason: str | None = None,
        *,
        packets: int = 0,
        samples: int = 0,
    ) -> None:
        """The channel was in *state* from *from_ns* up to *to_ns*.

        Raises ValueError for an unknown state, an empty interval, or one that begins before what
        was settled.
        """
        mark = Interval(self._line, self._channel, from_ns, to_ns, state, reason, packets, samples)
        if from_ns < self._settled:
            raise ValueError("this time was settled already")
        self._marks.append(mark)

    def settle(self, until_ns: int) -> tuple[Interval, ...]:
        """The intervals from the last settling (or the start) to *until_ns*, hole-free and apart.

        Raises ValueError when *until_ns* lies before the last settling.
        """
        if until_ns < self._settled:
            raise ValueError("this time was settled already")
        inside: list[Interval] = []
        later: list[Interval] = []
        for mark in self._marks:
            before, after = cut(mark, until_ns)
            inside += [before] if before else []
            later += [after] if after else []
        settled = tuple(merged(resolved(inside, self._blank, self._settled, until_ns)))
        self._settled, self._marks = until_ns, later
        return settled

    def close(self, end_ns: int) -> tuple[Interval, ...]:
        """The last intervals, up to the end of the channel. Raises ValueError.

        A mark that reaches beyond *end_ns* is an error: the channel lasted longer then.
        """
        if any(mark.to_ns > end_ns for mark in self._marks):
            raise ValueError("something is marked after the end")
        return self.settle(end_ns)

    def _blank(self, from_ns: int, to_ns: int) -> Interval:
        return Interval(self._line, self._channel, from_ns, to_ns, *self._rest)


def interval_of(entry: Entry) -> Interval:
    """The interval that a ``coverage`` entry states. Raises ValueError for another kind."""
    if entry.ev != "coverage":
        raise ValueError("not a coverage entry")
    return Interval(**entry.data)


def intervals_of(entries: Iterable[Entry]) -> Iterator[Interval]:
    """Every interval in a run of entries, in their order."""
    return (interval_of(entry) for entry in entries if entry.ev == "coverage")


def seconds(
    intervals: Iterable[Interval],
    line: str | None = None,
    from_ns: int | None = None,
    to_ns: int | None = None,
) -> Summary:
    """Add up *intervals* of *line* (None: all), clipped to [*from_ns*, *to_ns*).

    A channel counts from its first interval to its last, as far as that lies inside.
    """
    channels: dict[tuple[str, str], list[Interval]] = {}
    for one in intervals:
        if line is None or one.line == line:
            channels.setdefault((one.line, one.channel), []).append(one)
    found = []
    for (name, channel), items in channels.items():
        start = max(min(one.from_ns for one in items), from_ns or 0)
        end = max(one.to_ns for one in items)
        end = end if to_ns is None else min(end, to_ns)
        if start < end:
            found.append(_channel(name, channel, items, start, end))
    return Summary(tuple(sorted(found, key=lambda one: (one.line, one.from_ns, one.channel))))


def _channel(line: str, channel: str, items: list[Interval], start: int, end: int) -> Channel:
    clipped = [one for one in (clip(item, start, end) for item in items) if one]
    states = dict.fromkeys(PRECEDENCE, 0)
    not_recorded: dict[str, int] = {}
    covered = 0
    for one in resolved(clipped, None, start, end):
        length = one.to_ns - one.from_ns
        covered += length
        states[one.state] += length
        if one.state == "not_recorded":
            code = one.reason or UNNAMED
            not_recorded[code] = not_recorded.get(code, 0) + length
    overlap = claimed_twice(clipped)
    hole = end - start - covered
    return Channel(line, channel, start, end, states, not_recorded, overlap, hole)


def _in_seconds(one: Channel) -> dict[str, Any]:
    answer: dict[str, Any] = {
        state: one.states[state] / SECOND
        for state in ("recorded", "idle", "paused", "lost", "blind", "off")
    }
    answer["not_recorded"] = {code: ns / SECOND for code, ns in sorted(one.not_recorded.items())}
    return answer
