"""What is granted, read from the parts' files and fed to the bulk connection at the right pace.

:meth:`Pump.feed`, :meth:`Pump.acked` and :meth:`Pump.fell` are the bulk connection's thread's;
:meth:`Pump.grant`, :meth:`Pump.release` and :meth:`Pump.set_limit` any thread's: they go into a
queue. Its own copies of the files' descriptors are closed by the thread that reads them.
"""

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from greffier.clock import SECOND, steady_ns
from greffier.sync import chunk, pacing, topics
from greffier.sync.connection import Acked, Limits, Publication
from greffier.sync.sending import Grant, Piece, Sender

_READ_AHEAD: Final = 1 << 20
_MOST_ORDERS: Final = 256
_LOOK_NS: Final = SECOND // 4


@dataclass(frozen=True, slots=True)
class Sent:
    """Nothing more of a grant will be sent; *chunk_ns* is how long a chunk takes."""

    part: str
    serial: int
    chunk_ns: int


@dataclass(frozen=True, slots=True)
class Unsendable:
    """The broker refused a chunk of a part by this reason code."""

    part: str
    serial: int
    code: int


@dataclass(slots=True)
class _File:
    """A part's file; ``window`` holds what was read last, from ``at`` on."""

    fd: int
    at: int = 0
    window: bytes = b""

    def read(self, offset: int, size: int) -> memoryview:
        """So many octets from *offset*; fewer where the file is shorter. Raises OSError."""
        start = offset - self.at
        if not 0 <= start <= start + size <= len(self.window):
            self.window = os.pread(self.fd, max(size, _READ_AHEAD), offset)
            self.at, start = offset, 0
        return memoryview(self.window)[start : start + size]

    def close(self) -> None:
        os.close(self.fd)


class Pump:
    """The sending half of all grants of one box."""

    def __init__(
        self, device: str, low: int, high: int, tell: Callable[[Sent | Unsendable], None]
    ) -> None:
        """Chunks of *low* to *high* octets; *tell* is called in the connection's thread."""
        self._device = device
        self._low = low
        self._high = high
        self._tell = tell
        # Filled by any thread, emptied by the connection's.
        self._orders: deque[tuple[Grant, int] | str] = deque()
        # All below: the connection's thread's.
        self._sender = Sender()
        self._files: dict[str, _File] = {}
        self._bucket = pacing.Bucket(steady_ns())
        self._rate = pacing.Rate()
        self._limit: int | None = None
        self._limit_set: int | None = None  # any thread sets it, as a whole
        self.too_small = False
        """Whether the broker takes no chunk that is large enough."""

    # --- any thread ---

    def grant(self, grant: Grant, fd: int) -> None:
        """Send what *grant* says of the file at *fd*, which from now on is the pump's to close."""
        if len(self._orders) < _MOST_ORDERS:
            self._orders.append((grant, fd))
        else:  # whoever asks so fast is answered by the next offer
            os.close(fd)

    def release(self, part: str) -> None:
        """Send nothing more of *part*."""
        self._orders.append(part)

    def set_limit(self, octets: int | None) -> None:
        """At most so many octets a second; 0 sends nothing, None knows no limit."""
        self._limit_set = octets

    def rate(self) -> int:
        """What is acknowledged now, octets a second."""
        return self._rate.now(steady_ns())

    def pace(self) -> int:
        """What was acknowledged when something last was, octets a second."""
        return self._rate.last

    # --- the connection's thread ---

    def feed(self, limits: Limits, unacknowledged: int, now_ns: int) -> Publication | int | None:
        """The next chunk; or after how many ns to ask again, None: when something is granted."""
        self._take_orders(now_ns)
        self._end(now_ns)
        size = pacing.chunk_size(
            self._rate.last, self._limit, self._low, self._high, self._most(limits)
        )
        if size <= 0 or unacknowledged >= pacing.window(self._rate.last, size):
            return _LOOK_NS
        wait_ns = self._bucket.wait_ns(size, now_ns)
        if wait_ns is None or wait_ns:
            return wait_ns and min(wait_ns, _LOOK_NS)
        piece = self._sender.next(size, now_ns)
        if piece is None:
            return _LOOK_NS if self._files else None
        return self._read(piece, now_ns)

    def acked(self, event: Acked) -> None:
        """The broker answered a chunk."""
        piece = event.token
        if not isinstance(piece, Piece):
            return
        if event.code:
            self._drop(piece.part)
            self._tell(Unsendable(piece.part, piece.serial, event.code))
            return
        self._rate.add(piece.size, steady_ns())
        self._sender.acknowledged(piece)

    def fell(self) -> None:
        """The connection is gone, and with it all that was on its way."""
        self._take_orders(steady_ns())
        self._end(1 << 62)

    def _most(self, limits: Limits) -> int:
        most = limits.payload(topics.chunks(self._device, "x" * 32)) - chunk.HEAD_BYTES
        self.too_small = most < pacing.LEAST_CHUNK
        return 0 if self.too_small else most

    def _read(self, piece: Piece, now_ns: int) -> Publication | int:
        try:
            data = self._files[piece.part].read(piece.offset, piece.size)
            payload = chunk.encode(bytes.fromhex(piece.part), piece.offset, data)
            if len(data) != piece.size:
                raise chunk.BadChunk("the file has become shorter")
        except (OSError, chunk.BadChunk):  # it is offered again, and compared again
            self._drop(piece.part)
            self._tell(Sent(piece.part, piece.serial, 0))
            return 0
        self._bucket.take(piece.size, now_ns)
        return Publication(topics.chunks(self._device, piece.lane), payload, piece)

    def _take_orders(self, now_ns: int) -> None:
        if self._limit != self._limit_set:
            self._limit = self._limit_set
            self._bucket.set_rate(self._limit, now_ns)
        while True:
            try:
                order = self._orders.popleft()
            except IndexError:
                return
            if isinstance(order, str):
                self._drop(order)
                continue
            grant, fd = order
            old = self._files.pop(grant.part, None)
            if old is not None:
                old.close()
            self._files[grant.part] = _File(fd)
            self._sender.grant(grant)

    def _end(self, now_ns: int) -> None:
        for grant in self._sender.ended(now_ns):
            self._drop(grant.part)
            rate = self._rate.last
            chunk_ns = self._high * SECOND // rate if rate else 0
            self._tell(Sent(grant.part, grant.serial, chunk_ns))

    def _drop(self, part: str) -> None:
        self._sender.revoke(part)
        found = self._files.pop(part, None)
        if found is not None:
            with suppress(OSError):
                found.close()
