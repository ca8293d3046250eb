"""Which kind of part goes next: urgent, new, old by shares of 8 : 4 : 1 of the octets. Pure."""

from collections.abc import Collection
from typing import Final, Literal

Share = Literal["urgent", "new", "old"]
SHARES: Final[tuple[Share, ...]] = ("urgent", "new", "old")
WEIGHTS: Final[dict[Share, int]] = {"urgent": 8, "new": 4, "old": 1}
_LEAST: Final = 65_536
"""A part counts at least this much: a small one costs a round trip too."""


class Shares:
    """Stride scheduling: each share has had so much, divided by its weight; the least goes next.

    A share that had nothing to send does not save up: it begins where the others are.
    """

    def __init__(self) -> None:
        self._had: dict[Share, float] = dict.fromkeys(SHARES, 0.0)
        self._idle: set[Share] = set(SHARES)

    def choose(self, waiting: Collection[Share]) -> Share | None:
        """The share that goes next of those in which something waits."""
        active = [self._had[one] for one in SHARES if one not in self._idle]
        begin = min(active, default=max(self._had.values()))
        for one in SHARES:
            if one in waiting and one in self._idle:
                self._had[one] = max(self._had[one], begin)
                self._idle.discard(one)
            elif one not in waiting:
                self._idle.add(one)
        return min(
            (one for one in SHARES if one in waiting),
            key=lambda one: (self._had[one], -WEIGHTS[one]),
            default=None,
        )

    def charge(self, share: Share, size: int) -> None:
        """*share* has begun a part of *size* octets."""
        self._had[share] += max(size, _LEAST) / WEIGHTS[share]
