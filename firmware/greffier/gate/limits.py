"""How often a token may tell something, and an address may be wrong. Pure; times are monotonic."""

from collections import OrderedDict
from typing import Final

from greffier.clock import SECOND

MOST_KEPT: Final = 4096


class Bucket:
    """*rate* a second for each name, *most* at once after a rest. One owner.

    Whoever was not heard of longest is forgotten first, beyond a bound.
    """

    def __init__(self, rate: float, most: int) -> None:
        self._rate = rate
        self._most = most
        self._left: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def spend(self, name: str, now_ns: int) -> bool:
        """Take one of *name*; False where there is none left."""
        left = self._has(name, now_ns)
        self._keep(name, max(0.0, left - 1) if left >= 1 else left, now_ns)
        return left >= 1

    def is_empty(self, name: str, now_ns: int) -> bool:
        """Whether *name* has none left; nothing is taken."""
        return self._has(name, now_ns) < 1

    def wait_s(self, name: str, now_ns: int) -> int:
        """In how many seconds, rounded up, *name* has one again."""
        missing = max(0.0, 1 - self._has(name, now_ns))
        return int(missing / self._rate) + 1

    def _has(self, name: str, now_ns: int) -> float:
        left, at_ns = self._left.get(name, (float(self._most), now_ns))
        return min(self._most, left + max(0, now_ns - at_ns) / SECOND * self._rate)

    def _keep(self, name: str, left: float, now_ns: int) -> None:
        self._left[name] = (left, now_ns)
        self._left.move_to_end(name)
        while len(self._left) > MOST_KEPT:
            self._left.popitem(last=False)
