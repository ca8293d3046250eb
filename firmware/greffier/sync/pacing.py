"""How fast: a bucket of octets, what goes through, and how large a chunk is. Pure.

Times are monotonic ns.
"""

from collections import deque
from typing import Final

from greffier.clock import SECOND
from greffier.sync.topics import LARGEST_PAYLOAD

LEAST_CHUNK: Final = 1024
"""A broker that does not take this much is of no use (docs/sync-protocol.md section 2)."""
LARGEST: Final = LARGEST_PAYLOAD - 28
MOST_UNACKNOWLEDGED: Final = 16
_LEAST_UNACKNOWLEDGED: Final = 2
_CHUNK_S: Final = 0.25
_AHEAD_S: Final = 0.5


class Bucket:
    """Octets that may be sent, filled at a rate; it holds what a second brings, or one chunk."""

    def __init__(self, now_ns: int) -> None:
        self._rate: int | None = None  # octets a second
        self._level = 0.0
        self._at_ns = now_ns

    def set_rate(self, octets: int | None, now_ns: int) -> None:
        """From now on *octets* a second; None: no limit."""
        self._fill(now_ns)
        if self._rate is None:
            self._level = 0.0
        self._rate = octets

    def wait_ns(self, size: int, now_ns: int) -> int | None:
        """How long until *size* octets may go, 0 for now, None for never."""
        if self._rate is None:
            return 0
        if not self._rate:
            return None
        self._fill(now_ns)
        missing = min(size, self._most) - self._level
        return 0 if missing <= 0 else int(missing * SECOND / self._rate) + 1

    def take(self, size: int, now_ns: int) -> None:
        """*size* octets have gone."""
        self._fill(now_ns)
        self._level -= size

    @property
    def _most(self) -> float:
        return float(max(self._rate or 0, LEAST_CHUNK))

    def _fill(self, now_ns: int) -> None:
        if self._rate is not None:
            came = (now_ns - self._at_ns) * self._rate / SECOND
            self._level = min(self._most, self._level + came)
        self._at_ns = now_ns


class Rate:
    """What was acknowledged in the last seconds of work, octets a second."""

    SPAN_NS: Final = 3 * SECOND
    SLOT_NS: Final = SECOND // 10

    def __init__(self) -> None:
        self._slots: deque[list[int]] = deque()
        self._total = 0
        self._last = 0.0

    def add(self, size: int, now_ns: int) -> None:
        """*size* octets were acknowledged."""
        slot = now_ns // self.SLOT_NS
        if not self._slots or self._slots[-1][0] != slot:
            self._slots.append([slot, 0])
        self._slots[-1][1] += size
        self._total += size
        self._drop(now_ns)
        span = max(1, slot - self._slots[0][0]) * self.SLOT_NS
        if len(self._slots) > 1:
            self._last = (self._total - self._slots[-1][1]) * SECOND / span

    def now(self, now_ns: int) -> int:
        """What goes through now; 0 where nothing does."""
        self._drop(now_ns)
        return int(self._last) if self._slots else 0

    @property
    def last(self) -> int:
        """What went through when something last did."""
        return int(self._last)

    def _drop(self, now_ns: int) -> None:
        oldest = (now_ns - self.SPAN_NS) // self.SLOT_NS
        while self._slots and self._slots[0][0] < oldest:
            self._total -= self._slots.popleft()[1]


def chunk_size(rate: int, limit: int | None, low: int, high: int, most: int) -> int:
    """Octets of the next chunk: a quarter of a second's worth of *rate*, between *low* and *high*.

    *limit* (octets a second) makes it half a second's worth at most; never more than *most*.
    """
    size = max(low, min(high, int(rate * _CHUNK_S)))
    if limit:
        size = min(size, max(LEAST_CHUNK, limit // 2))
    return min(size, most, LARGEST)


def window(rate: int, size: int) -> int:
    """How many chunks of *size* octets may be on their way: half a second's worth, at least 2."""
    return max(_LEAST_UNACKNOWLEDGED, min(MOST_UNACKNOWLEDGED, int(rate * _AHEAD_S) // size))
