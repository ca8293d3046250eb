"""Waits that grow when nothing helps, and are drawn anew each time (full jitter). Pure."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from greffier.clock import SECOND

Draw = Callable[[], float]
"""A number from 0 (inclusive) to 1 (exclusive), each time another."""
_MOST_TRIES: Final = 1024
_LARGEST_EXPONENT: Final = 20


class Backoff:
    """The next wait is between *least_s* and a bound that doubles up to *most_s*."""

    def __init__(self, least_s: float, most_s: float, draw: Draw) -> None:
        self._least = least_s
        self._most = most_s
        self._draw = draw
        self._tries = 0

    def next_ns(self, most_s: float | None = None) -> int:
        """How long to wait this time, ns; no longer than *most_s*, where that is given."""
        most = self._most if most_s is None else min(most_s, self._most)
        bound = min(most, self._least * 2 ** min(self._tries, _LARGEST_EXPONENT))
        self._tries += 1
        return int((self._least + self._draw() * (bound - self._least)) * SECOND)

    def reset(self) -> None:
        """It helped."""
        self._tries = 0


class Tries:
    """How often something was tried in vain, for each of the latest names only."""

    def __init__(self) -> None:
        self._tries: OrderedDict[str, int] = OrderedDict()

    def count(self, name: str) -> int:
        """One more; how many there were before."""
        before = self._tries.pop(name, 0)
        self._tries[name] = before + 1
        while len(self._tries) > _MOST_TRIES:
            self._tries.popitem(last=False)
        return before

    def forget(self, name: str) -> None:
        """It helped."""
        self._tries.pop(name, None)

    def clear(self) -> None:
        """Something changed for all."""
        self._tries.clear()
