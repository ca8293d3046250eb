"""Putting fragmented IP datagrams together again (RFC 791, RFC 8200 4.5, RFC 5722).

A large INVITE arrives in fragments, so this is on the way of every call. Whoever can send to the
mirrored network can send fragments that never complete: number, bytes and age are bounded.
Fragments that overlap condemn their datagram (RFC 5722); exact copies are expected, because a
mirror port often shows each packet twice.
"""

from bisect import bisect_left
from collections import Counter, OrderedDict
from collections.abc import Hashable

from greffier.capture.ip import Fragment

MAX_DATAGRAMS = 1_024
"""Datagrams in work at once."""
MAX_BYTES = 8 * 1024 * 1024
"""Bytes held for all of them together."""
TIMEOUT_NS = 30_000_000_000
"""Age at which an incomplete datagram is given up; RFC 8200 says 60 s, networks need far less."""
_AFTER_NS = 1_000_000_000
"""How long the copies of a completed datagram's fragments are still recognised."""
_LONGEST = 65_535


class _Pieces:
    """One datagram in work."""

    __slots__ = ("born_ns", "condemned", "data", "end", "held", "offsets", "protocol")

    def __init__(self, born_ns: int) -> None:
        self.born_ns = born_ns
        self.offsets: list[int] = []  # sorted
        self.data: dict[int, bytes] = {}
        self.end: int | None = None  # known from the last fragment
        self.held = 0
        self.protocol: int | None = None  # known from the first fragment
        self.condemned = False  # what still comes of it is swallowed

    def clear(self) -> int:
        """Forget the data; how many bytes it was."""
        held = self.held
        self.offsets, self.data, self.held = [], {}, 0
        return held


class Fragments:
    """All datagrams in work."""

    def __init__(self) -> None:
        self._work: OrderedDict[Hashable, _Pieces] = OrderedDict()
        self._done: OrderedDict[Hashable, int] = OrderedDict()  # key: time of completion
        self._bytes = 0
        self.dropped: Counter[str] = Counter()
        """Datagrams given up, by reason: overlap, nonsense, timeout, limit."""

    def add(
        self, key: Hashable, fragment: Fragment, protocol: int, data: bytes, time_ns: int
    ) -> tuple[int, bytes] | None:
        """Take one fragment; (protocol, whole payload) when it completes its datagram.

        *key* tells datagrams apart (addresses, identification). *protocol* counts on the first
        fragment only. Time may stand still, never matters where it jumps back.
        """
        self._expire(time_ns)
        pieces = self._work.get(key)
        if pieces is None:
            # A clock that jumps back must not make a new datagram look like a copy.
            if 0 <= time_ns - self._done.get(key, time_ns - _AFTER_NS) < _AFTER_NS:
                return None
            pieces = self._work[key] = _Pieces(time_ns)
            if len(self._work) > MAX_DATAGRAMS:
                self._drop_oldest("limit")
        if pieces.condemned:
            return None
        offset, more = fragment.offset, fragment.more
        if pieces.data.get(offset) == data:
            return None
        fault = _fault(pieces, fragment, len(data))
        if fault:
            self._condemn(pieces, fault)
            return None
        pieces.offsets.insert(bisect_left(pieces.offsets, offset), offset)
        pieces.data[offset] = data
        pieces.held += len(data)
        self._bytes += len(data)
        if not more:
            pieces.end = offset + len(data)
        if offset == 0:
            pieces.protocol = protocol
        if pieces.held == pieces.end and pieces.protocol is not None:
            whole = b"".join([pieces.data[at] for at in pieces.offsets])
            self._bytes -= pieces.clear()
            del self._work[key]
            self._finished(key, time_ns)
            return pieces.protocol, whole
        while self._bytes > MAX_BYTES:
            self._drop_oldest("limit")
        return None

    def __len__(self) -> int:
        """Datagrams in work."""
        return sum(not pieces.condemned for pieces in self._work.values())

    def _finished(self, key: Hashable, time_ns: int) -> None:
        """Remember a complete datagram, so that copies of its fragments start nothing."""
        self._done[key] = time_ns
        self._done.move_to_end(key)
        if len(self._done) > MAX_DATAGRAMS:
            self._done.popitem(last=False)

    def _condemn(self, pieces: _Pieces, reason: str) -> None:
        """Drop a datagram, and what is still to come of it."""
        self._bytes -= pieces.clear()
        pieces.condemned = True
        self.dropped[reason] += 1

    def _drop_oldest(self, reason: str) -> None:
        """Make room."""
        _, pieces = self._work.popitem(last=False)
        if not pieces.condemned:
            self._condemn(pieces, reason)

    def _expire(self, time_ns: int) -> None:
        """Give up what is too old. The table is in order of birth, so this looks at few."""
        while self._work:
            pieces = next(iter(self._work.values()))
            if time_ns - pieces.born_ns < TIMEOUT_NS:
                return
            self._drop_oldest("timeout")


def _fault(pieces: _Pieces, fragment: Fragment, size: int) -> str:
    """Why a fragment cannot belong to any datagram, or not to this one; "" if it can."""
    end = fragment.offset + size
    if size == 0 or end > _LONGEST or (fragment.more and size % 8):
        return "nonsense"
    if _overlaps(pieces, fragment.offset, size):
        return "overlap"
    if pieces.end is not None:
        # The end is known: nothing lies behind it, and only one fragment is the last.
        return "" if fragment.more and end < pieces.end else "nonsense"
    return "nonsense" if not fragment.more and pieces.offsets and pieces.offsets[-1] > end else ""


def _overlaps(pieces: _Pieces, offset: int, size: int) -> bool:
    """Whether the bytes [offset, offset + size) touch a fragment already held."""
    at = bisect_left(pieces.offsets, offset)
    if at < len(pieces.offsets) and pieces.offsets[at] < offset + size:
        return True
    if at == 0:
        return False
    before = pieces.offsets[at - 1]
    return before + len(pieces.data[before]) > offset
