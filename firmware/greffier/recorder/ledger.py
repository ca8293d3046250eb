"""The time of one analogue line for the coverage ledger: each instant gets its state once."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from greffier.audit.coverage import Account
from greffier.audit.intervals import Interval

UNDECIDED: Final = "undecided"
"""The state of time of which it is not known yet whether its sound is kept; see ``decide``."""


class Told(NamedTuple):
    """Up to *to_ns* the channel was in *state*."""

    to_ns: int
    state: str
    reason: str | None = None
    samples: int = 0


class Ledger:
    """The channel *channel* of *line*, from *start_ns* on. One thread owns it.

    Time is told in order: each call of :meth:`until` says what the channel did since the last one,
    so the states can neither overlap nor leave a hole, whatever the wall clock does. While
    something of it is undecided, that and what was told later waits.
    """

    def __init__(self, line: str, channel: str, start_ns: int) -> None:
        self._account = Account(line, channel, start_ns)
        self._known_ns = start_ns  # up to here nothing is undecided
        self._waiting: deque[Told] = deque()
        self.at_ns = start_ns
        """Up to here the time is told."""

    def until(self, at_ns: int, state: str, reason: str | None = None, samples: int = 0) -> None:
        """Up to *at_ns* the channel was in *state*; nothing where that is told already."""
        if at_ns <= self.at_ns:
            return
        told = Told(at_ns, state, reason, samples)
        self.at_ns = at_ns
        if self._waiting or state == UNDECIDED:
            self._waiting.append(told)
        else:
            self._mark(told)

    def decide(self, upto_ns: int, fate: Callable[[int, int], Iterable[Told]]) -> None:
        """Up to *upto_ns* it is known what became of the sound: *fate* tells it of a span, whole
        and in order.
        """
        while self._waiting:
            first = self._waiting[0]
            end = min(first.to_ns, upto_ns)
            if first.state != UNDECIDED:
                self._mark(first)
            elif end > self._known_ns:
                for told in fate(self._known_ns, end):
                    self._mark(told)
            if self._known_ns < first.to_ns:
                return
            self._waiting.popleft()

    def _mark(self, told: Told) -> None:
        if told.to_ns > self._known_ns:
            since, samples = self._known_ns, told.samples
            self._account.mark(told.state, since, told.to_ns, told.reason, samples=samples)
            self._known_ns = told.to_ns

    def settle(self) -> list[Interval]:
        """The intervals that were told and not given out yet."""
        if self._known_ns <= self._account.settled_ns:
            return []
        return list(self._account.settle(self._known_ns))
