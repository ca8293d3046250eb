"""What head office asked for, cut into chunks: never more than was granted, never later. Pure.

Times are monotonic ns.
"""

from collections import deque
from dataclasses import dataclass, field

from greffier.sync.chunk import BLOCK
from greffier.sync.shares import Share, Shares


@dataclass(frozen=True, slots=True)
class Grant:
    """Head office wants these *ranges* (start, end) of a part, at most *credit* octets of them, on
    *lane*, until *until_ns*. *serial* tells this one from an earlier one of the part.
    """

    part: str
    share: Share
    lane: str
    ranges: tuple[tuple[int, int], ...]
    credit: int
    until_ns: int
    serial: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Octets to be sent now; *serial* is the grant's."""

    part: str
    lane: str
    offset: int
    size: int
    serial: int


@dataclass(slots=True)
class _Open:
    grant: Grant
    ranges: deque[tuple[int, int]]
    credit: int
    unacknowledged: int = 0

    @property
    def exhausted(self) -> bool:
        return not self.ranges or not self.credit


@dataclass(slots=True)
class Sender:
    """The grants that stand, at most one a part. One thread owns it."""

    _open: dict[str, _Open] = field(default_factory=dict)
    _shares: Shares = field(default_factory=Shares)

    def grant(self, grant: Grant) -> None:
        """From now on this one; an earlier one of the part is void."""
        self._open.pop(grant.part, None)
        self._open[grant.part] = _Open(grant, deque(grant.ranges), grant.credit)

    def revoke(self, part: str) -> None:
        """Send nothing more of *part*."""
        self._open.pop(part, None)

    def revoke_all(self) -> None:
        """Send nothing more."""
        self._open.clear()

    def next(self, most: int, now_ns: int) -> Piece | None:
        """The next piece, of at most *most* octets; None where nothing is granted."""
        ready: dict[Share, _Open] = {}
        for one in self._open.values():
            if not one.exhausted and now_ns < one.grant.until_ns:
                ready.setdefault(one.grant.share, one)
        share = self._shares.choose(ready)
        if share is None:
            return None
        chosen = ready[share]
        start, end = chosen.ranges[0]
        size = min(most, end - start, BLOCK - start % BLOCK, chosen.credit)
        self._shares.charge(share, size)
        chosen.credit -= size
        chosen.unacknowledged += 1
        if start + size < end:
            chosen.ranges[0] = (start + size, end)
        else:
            chosen.ranges.popleft()
        return Piece(chosen.grant.part, chosen.grant.lane, start, size, chosen.grant.serial)

    def acknowledged(self, piece: Piece) -> None:
        """The broker has *piece*, which means nothing, but that the next may go."""
        found = self._open.get(piece.part)
        if found is not None and found.grant.serial == piece.serial:
            found.unacknowledged -= 1

    def ended(self, now_ns: int) -> list[Grant]:
        """The grants of which everything was sent, or that are void by now; they are let go."""
        over = [
            one.grant
            for one in self._open.values()
            if now_ns >= one.grant.until_ns or (one.exhausted and not one.unacknowledged)
        ]
        for grant in over:
            del self._open[grant.part]
        return over
