"""The outbox as the engine sees it: what may go next, and what became of parts, written together.

A commit costs a fsync, so what is done and what waits is written twice a second at most; until
then it is here. Losing it costs an offer, which head office answers by a receipt at once.
One thread owns an instance; times are monotonic ns unless they are called *wall*.
"""

from collections import deque
from collections.abc import Collection
from typing import Final

from greffier.clock import SECOND
from greffier.control.transfer import Sealed
from greffier.sync.outbox import Outbox
from greffier.sync.shares import SHARES, Share, Shares

_REFRESH_NS: Final = SECOND
_FLUSH_NS: Final = SECOND // 2
_MOST_UNFLUSHED: Final = 256
_CANDIDATES: Final = 8


class Queue:
    """Parts that wait, in the order in which they go."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._shares = Shares()
        self._ready: dict[Share, deque[Sealed]] = {one: deque() for one in SHARES}
        self._refresh_ns = 0
        self._changed = True
        self._done: dict[str, int] = {}  # with the octets of each
        self._waits: dict[str, int] = {}
        self._facts: dict[str, int] = {}
        self._flush_ns = 0
        self.written = 0
        """How often something was written: then the outbox may be counted anew."""

    def take(
        self, flying: Collection[str], now_ns: int, wall_ns: int
    ) -> tuple[Sealed, Share] | None:
        """The next part that is not *flying*; None where nothing may go."""
        while True:
            share = self._shares.choose(self._waiting(flying, now_ns, wall_ns))
            if share is None:
                return None
            sealed = self._ready[share].popleft()
            if not {sealed.part} & {*self._done, *self._waits, *flying}:
                self._shares.charge(share, sealed.size)
                return sealed, share

    def changed(self) -> None:
        """Something may go that could not before."""
        self._changed = True

    @property
    def finished(self) -> tuple[int, int]:
        """Parts, and their octets, that wait no more while the outbox does not say so yet."""
        return len(self._done), sum(self._done.values())

    def done(self, part: str, size: int, facts: dict[str, int]) -> None:
        """*part* of *size* octets waits no more; *facts* are numbers to be kept."""
        self._done[part] = size
        self._waits.pop(part, None)
        self._facts.update(facts)
        self._changed = True

    def wait(self, part: str, until_ns: int) -> None:
        """Not before *until_ns*."""
        self._waits[part] = until_ns

    def refuse(self, part: str, now_ns: int, wall_ns: int) -> None:
        """Head office refused it."""
        self._waits.pop(part, None)
        self._outbox.refuse(part, now_ns, wall_ns)
        self._drop_ready()

    def forget_waits(self, refused: bool) -> None:
        """All may go at once; what was *refused* too where that is said."""
        self._waits.clear()
        self._outbox.forget_waits(refused)
        self._drop_ready()

    def put_first(self, part: str) -> bool:
        """This one before all others; whether it is known."""
        known = part not in self._done and self._outbox.put_first(part)
        self._drop_ready()
        return known

    def flush(self, now_ns: int, at_once: bool = False) -> None:
        """Write what became of parts, when it is worth a commit."""
        unflushed = len(self._done) + len(self._waits)
        if not unflushed or (
            now_ns < self._flush_ns and unflushed < _MOST_UNFLUSHED and not at_once
        ):
            return
        self._flush_ns = now_ns + _FLUSH_NS
        self.written += 1
        if self._done:
            self._outbox.forget(self._done.keys())
            self._outbox.keep(self._facts)
            self._done.clear()
            self._facts.clear()
        if self._waits:
            self._outbox.wait(self._waits.items())
            self._waits.clear()

    def _drop_ready(self) -> None:
        for one in self._ready.values():
            one.clear()
        self._changed = True

    def _waiting(self, flying: Collection[str], now_ns: int, wall_ns: int) -> list[Share]:
        """The shares of which something may go; the outbox is asked when that is worth it."""
        have = [one for one in SHARES if self._ready[one]]
        if now_ns < self._refresh_ns and (len(have) == len(SHARES) or not self._changed):
            return have
        self._refresh_ns = now_ns + _REFRESH_NS
        self._changed = False
        without = {*flying, *self._done, *self._waits}
        for share in SHARES:
            found = self._outbox.next_of(share, _CANDIDATES, now_ns, wall_ns, without)
            self._ready[share] = deque(found)
            self._changed |= len(found) == _CANDIDATES
        return [one for one in SHARES if self._ready[one]]
