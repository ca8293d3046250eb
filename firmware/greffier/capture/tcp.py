"""SIP messages out of TCP segments (RFC 9293), each direction by itself.

A recorder hears a connection: it may begin in the middle, segments come twice, late or never, and
most connections on the wire are not SIP. A direction is followed from its first segment that
begins like a SIP message, or from its SYN. What comes early waits for what is missing; a hole
that nothing fills is given up, and the framer is told so.
"""

import re
from collections import Counter, OrderedDict
from typing import NamedTuple

from greffier.capture.datagram import Address, Datagram
from greffier.sip.stream import Framer

MAX_DIRECTIONS = 1_024
MAX_HELD = 131_072
"""Bytes of one direction that wait for a hole to be filled."""
MAX_SEGMENTS = 64
"""Segments of one direction that wait."""
MAX_BYTES = 32 * 1024 * 1024
"""Bytes held for all directions together, unfinished messages included."""
HOLE_NS = 3_000_000_000
"""How long a hole may stay open: longer than a first retransmission takes."""

_WINDOW = 1 << 20
_LONGEST_LINE = 2_048
_START = re.compile(
    rb"[\r\n]*(?:SIP/2\.0 [1-6][0-9][0-9]|[A-Z]{2,32}[ \t]+[^\r\n]+ SIP/2\.0[ \t]*\r?\n)"
)
_METHODS = (
    rb"INVITE|ACK|BYE|CANCEL|OPTIONS|REGISTER|PRACK|UPDATE"
    rb"|SUBSCRIBE|NOTIFY|PUBLISH|INFO|REFER|MESSAGE"
)
# In the middle of a stream only a known method begins a message: NVITE is a piece of one.
_MIDDLE = re.compile(
    rb"[\r\n]*(?:SIP/2\.0 [1-6][0-9][0-9]|(?:%b)[ \t]+[^\r\n]+ SIP/2\.0[ \t]*\r?\n)" % _METHODS
)
_PIECE = re.compile(rb"[\r\n]*(?:S|SI|SIP(?:/[^\r\n]*)?|[A-Z]{1,9}(?:[ \t][^\r\n]*)?)\r?\Z")
_FIN, _SYN, _RST = 1, 2, 4
_MAX_STRAYS, _MAX_STRAY_BYTES = 32, 16_384  # of a direction that is not known to be SIP

_Pair = tuple[Address, Address]


class Segment(NamedTuple):
    """What counts of one TCP segment."""

    sequence: int
    flags: int
    """The low eight bits: 1 FIN, 2 SYN, 4 RST."""
    data: bytes


class _Direction:
    """One way of one connection."""

    __slots__ = ("framer", "held", "held_bytes", "hole_ns", "next", "opening")

    def __init__(self) -> None:
        self.next: int | None = None  # sequence number awaited; None: not in step yet
        self.framer: Framer | None = None  # there once the stream is known to be SIP
        self.opening = b""  # first bytes after a SYN, until they tell
        self.held: dict[int, bytes] = {}
        self.held_bytes = 0
        self.hole_ns = 0  # when the present hole was found

    def size(self) -> int:
        """Bytes kept."""
        return self.held_bytes + len(self.opening) + (self.framer.pending if self.framer else 0)


class Streams:
    """All TCP connections of a capture."""

    def __init__(self) -> None:
        self._directions: OrderedDict[_Pair, _Direction] = OrderedDict()
        self._bytes = 0
        self._next_look_ns = 0
        self.dropped: Counter[str] = Counter()
        """``hole``: holes given up; ``limit``: directions forgotten to make room."""

    def feed(self, pair: _Pair, segment: Segment, time_ns: int) -> list[Datagram]:
        """Take one segment; the messages that it completes (seldom also others', long late)."""
        out: list[Datagram] = []
        if not 0 <= self._next_look_ns - time_ns <= HOLE_NS:
            self._next_look_ns = time_ns + HOLE_NS // 3
            self._give_up_old_holes(time_ns, out)
        way = self._directions.get(pair)
        if way is None:
            if not segment.data and not segment.flags & _SYN:
                return out
            way = self._directions[pair] = _Direction()
        else:
            self._directions.move_to_end(pair)
        before = way.size()
        messages = _take(way, segment, time_ns)
        if len(way.held) > MAX_SEGMENTS or way.held_bytes > MAX_HELD:
            messages += self._skip_hole(way)
        self._bytes += way.size() - before
        out += [Datagram(time_ns, *pair, message, "tcp") for message in messages]
        if segment.flags & _RST or (segment.flags & _FIN and not way.held):
            self._close(pair, time_ns, out)
        while self._bytes > MAX_BYTES or len(self._directions) > MAX_DIRECTIONS:
            self._forget_oldest(time_ns, out)
        return out

    def finish(self, time_ns: int) -> list[Datagram]:
        """The capture ended: what still waited, as far as it makes messages."""
        out: list[Datagram] = []
        for pair in list(self._directions):
            self._close(pair, time_ns, out)
        return out

    def follows(self, pair: _Pair) -> bool:
        """Whether this direction is known to carry SIP."""
        way = self._directions.get(pair)
        return way is not None and way.framer is not None

    def __len__(self) -> int:
        """Directions in the table."""
        return len(self._directions)

    def _give_up_old_holes(self, time_ns: int, out: list[Datagram]) -> None:
        """Go on behind holes that nothing filled."""
        for pair, way in self._directions.items():
            if way.held and way.next is not None and time_ns - way.hole_ns > HOLE_NS:
                before = way.size()
                messages = self._skip_hole(way)
                self._bytes += way.size() - before
                out += [Datagram(time_ns, *pair, message, "tcp") for message in messages]

    def _skip_hole(self, way: _Direction) -> list[bytes]:
        """Give up the hole before the first segment that waits."""
        self.dropped["hole"] += 1
        messages = way.framer.close() if way.framer else []
        way.opening = b""
        awaited = way.next or 0
        way.next = min(way.held, key=lambda sequence: _ahead(sequence, awaited))
        return messages + _drain(way)

    def _close(self, pair: _Pair, time_ns: int, out: list[Datagram]) -> None:
        """Forget a direction, after what it still has to say."""
        way = self._directions.pop(pair)
        self._bytes -= way.size()
        while way.held and way.next is not None:
            out += [Datagram(time_ns, *pair, part, "tcp") for part in self._skip_hole(way)]
        if way.framer:
            out += [Datagram(time_ns, *pair, part, "tcp") for part in way.framer.close()]

    def _forget_oldest(self, time_ns: int, out: list[Datagram]) -> None:
        """Make room: first the direction that was silent longest."""
        self.dropped["limit"] += 1
        self._close(next(iter(self._directions)), time_ns, out)


def _take(way: _Direction, segment: Segment, time_ns: int) -> list[bytes]:
    """Put one segment in its place; the messages that come out."""
    messages: list[bytes] = []
    sequence, data = segment.sequence, segment.data
    if segment.flags & _SYN:
        sequence = (sequence + 1) & 0xFFFFFFFF
        if way.next is None or not -_WINDOW < _ahead(sequence, way.next) <= 0:
            messages += _restart(way, sequence)
    if data and (way.next is None or abs(_ahead(sequence, way.next)) > _WINDOW):
        if _MIDDLE.match(data):
            messages += _restart(way, sequence)
        elif way.next is None:
            _hold(way, sequence, data, time_ns)
            start = _start_in_pieces(way.held)
            if start is not None:
                return _restart(way, start) + _drain(way)
            while len(way.held) > _MAX_STRAYS or way.held_bytes > _MAX_STRAY_BYTES:
                way.held_bytes -= len(way.held.pop(next(iter(way.held))))
            return messages
        else:
            return messages
    ahead = _ahead(sequence, way.next or 0)
    if ahead > 0 and data:
        _hold(way, sequence, data, time_ns)
    elif data and -ahead < len(data):
        messages += _deliver(way, data[-ahead:])
        messages += _drain(way)
        way.hole_ns = time_ns
    elif way.held:
        messages += _drain(way)
    return messages


def _start_in_pieces(held: dict[int, bytes]) -> int | None:
    """Where a start line begins that several segments hold together: nobody heard the SYN."""
    for sequence, data in held.items():
        if not _PIECE.match(data):
            continue
        line, at = data, sequence
        while (more := held.get((at + len(data)) & 0xFFFFFFFF)) and len(line) < _LONGEST_LINE:
            at = (at + len(data)) & 0xFFFFFFFF
            data = more
            line += more
        if _MIDDLE.match(line):
            return sequence
    return None


def _restart(way: _Direction, sequence: int) -> list[bytes]:
    """Begin anew at *sequence*: another connection on the same ports, or the first we hear."""
    messages = way.framer.close() if way.framer else []
    way.framer, way.opening, way.next = None, b"", sequence
    way.held = {at: data for at, data in way.held.items() if 0 <= _ahead(at, sequence) <= _WINDOW}
    way.held_bytes = sum(len(data) for data in way.held.values())
    return messages


def _hold(way: _Direction, sequence: int, data: bytes, time_ns: int) -> None:
    """Keep a segment that came early; of two with one number the longer."""
    if not way.held:
        way.hole_ns = time_ns
    known = way.held.get(sequence, b"")
    if len(known) < len(data):
        way.held[sequence] = data
        way.held_bytes += len(data) - len(known)


def _drain(way: _Direction) -> list[bytes]:
    """Deliver what waited and is now in order."""
    messages: list[bytes] = []
    moved = True
    while moved and way.held:
        moved = False
        for sequence in sorted(way.held, key=lambda number: _ahead(number, way.next or 0)):
            ahead = _ahead(sequence, way.next or 0)
            if ahead > 0:
                break
            data = way.held.pop(sequence)
            way.held_bytes -= len(data)
            if -ahead < len(data):
                messages += _deliver(way, data[-ahead:])
                moved = True
                if way.next is None:
                    return messages
    return messages


def _deliver(way: _Direction, data: bytes) -> list[bytes]:
    """Bytes in order: to the framer, once it is certain that the stream is SIP."""
    way.next = ((way.next or 0) + len(data)) & 0xFFFFFFFF
    if way.framer:
        return way.framer.feed(data)
    way.opening += data
    if _START.match(way.opening):
        way.framer = Framer()
        opening, way.opening = way.opening, b""
        return way.framer.feed(opening)
    if b"\n" in way.opening.lstrip(b"\r\n") or len(way.opening) > _LONGEST_LINE:
        # Not SIP: out of step, until a segment begins like a message.
        way.next, way.opening = None, b""
        way.held, way.held_bytes = {}, 0
    return []


def _ahead(sequence: int, awaited: int) -> int:
    """How many bytes *sequence* lies ahead of the one awaited; negative when it is old."""
    return ((sequence - awaited + 0x80000000) & 0xFFFFFFFF) - 0x80000000
