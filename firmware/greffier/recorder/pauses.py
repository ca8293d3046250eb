"""The pauses of one call: which of its sound nobody may keep, by the clock of its arrival. Pure.

A pause begins before the instant at which it is asked for (its back-date), and lasts until somebody
ends it or the call is over; it never ends by itself. What arrived in between is hidden. So is
what was spoken before its end and came through the network after it: packets that lie, on the
sample line of their leg, before the place where the line was when the pause ended.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from greffier.clock import SECOND
from greffier.encode.delay import Dated
from greffier.encode.timeline import Placed

KEPT_NS = 120 * SECOND
"""How long an ended pause is still looked at: no packet comes that much too late."""


@dataclass(frozen=True, slots=True)
class Window:
    """A pause: what arrived from ``from_ns`` up to ``to_ns`` (None: it lasts), since the epoch.

    ``source`` is what began it: ``api``, ``agent_key``, ``dtmf``, or "" where nobody said.
    """

    from_ns: int
    to_ns: int | None = None
    source: str = ""


@dataclass(slots=True)
class _Line:
    """How far the sample line of one leg has come."""

    rate: int
    arrival_ns: int = 0
    end: int = 0
    barrier: int = 0  # what begins before it was spoken before the last pause ended
    hidden: bool = False  # the last sound was


@dataclass(slots=True)
class Pauses:
    """The windows of one call, in order of time. Owned by the call's thread."""

    windows: list[Window] = field(default_factory=list)
    _past: list[Window] = field(default_factory=list)
    _lines: dict[Hashable, _Line] = field(default_factory=dict)

    @property
    def paused(self) -> bool:
        """Whether a pause lasts."""
        return bool(self.windows) and self.windows[-1].to_ns is None

    @property
    def all(self) -> Sequence[Window]:
        """Every pause of the call."""
        return [*self._past, *self.windows]

    def restore(self, windows: Iterable[Window]) -> None:
        """The pauses of before a restart; one that lasted goes on."""
        self.windows = list(windows)

    @property
    def heard_ns(self) -> int:
        """When the latest sound came of which it was said whether it is hidden; 0 for none."""
        return max((line.arrival_ns for line in self._lines.values()), default=0)

    def begin(self, from_ns: int, source: str = "") -> bool:
        """Hide what arrived at *from_ns* or later. False: a pause lasts already."""
        if self.paused:
            return False
        old = [one for one in self.windows if (one.to_ns or 0) < from_ns - KEPT_NS]
        self._past += old
        self.windows = [*self.windows[len(old) :], Window(from_ns, None, source)]
        return True

    def end(self, now_ns: int) -> bool:
        """What arrives from *now_ns* on may be kept. False: no pause lasts."""
        if not self.paused:
            return False
        last = self.windows[-1]
        self.windows[-1] = replace(last, to_ns=max(now_ns, last.from_ns))
        for line in self._lines.values():
            if line.arrival_ns:
                ahead = max(now_ns - line.arrival_ns, 0)
                line.barrier = line.end + ahead * line.rate // SECOND
        return True

    def wiped(self, line: Hashable, rate: int) -> None:
        """What came last of *line* was hidden after all."""
        self._lines.setdefault(line, _Line(rate)).hidden = True

    def split(
        self, name: Hashable, rate: int, dated: Sequence[Dated]
    ) -> Iterator[tuple[bool, list[Dated]]]:
        """*dated*, of the sample line *name*, in its order, in runs: (is it hidden, the run).

        A gap belongs to the pause where there is hidden sound on both sides of it.
        """
        line = self._lines.setdefault(name, _Line(rate))
        if not self.windows:
            self._note(line, dated)
            if dated:
                yield False, list(dated)
            return
        run: list[Dated] = []
        held: list[Dated] = []  # gaps, until it is known what comes behind them
        hidden = line.hidden
        for one in dated:
            arrival, item = one
            if not isinstance(item, Placed):
                held.append(one)
                continue
            now = self._covers(line, arrival, item)
            if now != hidden:
                if not hidden:
                    run, held = run + held, []
                if run:
                    yield hidden, run
                run, hidden = [], now
            run += [*held, one]
            held = []
        self._note(line, dated)
        line.hidden = hidden
        if run or held:
            yield hidden, run + held

    def _covers(self, line: _Line, arrival_ns: int, item: Placed) -> bool:
        lasts = item.samples * SECOND // line.rate
        after = False
        for window in self.windows:
            if arrival_ns < window.from_ns:
                break
            if window.to_ns is None or arrival_ns - lasts < window.to_ns:
                return True
            after = True
        return after and item.position < line.barrier

    def _note(self, line: _Line, dated: Sequence[Dated]) -> None:
        for arrival, item in reversed(dated):
            if isinstance(item, Placed):
                line.arrival_ns, line.end = arrival, item.position + item.samples
                return
