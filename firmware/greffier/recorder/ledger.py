"""The time of one analogue line for the coverage ledger: each instant gets its state once."""

from greffier.audit.coverage import Account
from greffier.audit.intervals import Interval


class Ledger:
    """The channel *channel* of *line*, from *start_ns* on. One thread owns it.

    Time is told in order: each call of :meth:`until` says what the channel did since the last one,
    so the states can neither overlap nor leave a hole, whatever the wall clock does.
    """

    def __init__(self, line: str, channel: str, start_ns: int) -> None:
        self._account = Account(line, channel, start_ns)
        self.at_ns = start_ns
        """Up to here the time is told."""

    def until(self, at_ns: int, state: str, reason: str | None = None, samples: int = 0) -> None:
        """Up to *at_ns* the channel was in *state*; nothing where that is told already."""
        if at_ns > self.at_ns:
            self._account.mark(state, self.at_ns, at_ns, reason, samples=samples)
            self.at_ns = at_ns

    def settle(self) -> list[Interval]:
        """The intervals that were told and not given out yet."""
        if self.at_ns <= self._account.settled_ns:
            return []
        return list(self._account.settle(self.at_ns))
