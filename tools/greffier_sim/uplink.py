"""A slow line for TCP in user space: rate, delay, one short queue; it can be cut and restored.

    python -m greffier_sim.uplink --listen 127.0.0.1:8884 --to 127.0.0.1:8883 \\
        --rate 1000000 --delay-ms 15

It accepts connections and makes one to the target for each. All connections share one line up (to
the target) and one down, whose queues they enter in turn, a packet each. A TCP stream cannot lose a
packet from the middle, so a full queue is pressure: nobody is read until there is room. Not shown:
the round trip of a handshake, lost packets, and what acknowledgements cost.
"""

import argparse
import contextlib
import fcntl
import selectors
import socket
import struct
import sys
import termios
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from queue import Empty, SimpleQueue
from typing import Self

from greffier_sim.uplink_schedule import HEADERS, PIECE, SECOND, Line

# One packet: all others wait in the queues of their connections, which take turns, who was silent
# first, as behind a router with a fair queue (RFC 8290). A modem with one deep queue for all has
# 64 KB and more.
QUEUE = PIECE + HEADERS
BEHIND = 65536  # octets that arrived and that the receiver does not take yet
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
Address = tuple[str, int]


class Cut(Enum):
    """How a line is dead."""

    RESET = "every connection is reset, and every new one"
    SILENT = "nothing arrives; nobody is told"


@dataclass(eq=False, slots=True)
class Way:
    """A direction that all connections share; the loop's thread owns it."""

    line: Line
    waiting: "deque[Flow]" = field(default_factory=deque)
    """Flows with octets to read, in the order in which they may enter the line."""
    flying: "deque[tuple[int, Flow, bytes]]" = field(default_factory=deque)
    """When it arrives, whose, what (nothing: the end of the stream)."""
    early_ns: int = 0
    """How long before its time anything was delivered at worst."""


@dataclass(eq=False, slots=True)
class Flow:
    """One direction of one connection; the loop's thread owns it."""

    source: socket.socket
    target: socket.socket
    way: Way
    since_ns: int | None = None
    """While it waits for room: since when octets have been there."""
    arrived: bytearray = field(default_factory=bytearray)
    ending: bool = False
    """Its source has said all."""
    over: bool = False
    """Its target has been told so."""


def reset(sock: socket.socket) -> None:
    """Close *sock* with a reset: SO_LINGER with no time, socket(7)."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Uplink:
    """The forwarder: a thread from ``start`` (or ``with``) to ``close``. Any thread may use it."""

    def __init__(
        self,
        to: Address,
        *,
        listen: Address = ("127.0.0.1", 0),
        rate: int = 1_000_000,
        down: int | None = None,
        delay_ms: float = 15,
        queue: int = QUEUE,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Bits a second towards *to* and back (*down*, else the same), delay each way, octets.

        Raises OSError where it cannot listen, ValueError for a line that cannot exist.
        """
        delay_ns = round(delay_ms * 1e6)
        self.up = Way(Line(rate, delay_ns, queue))
        self.down = Way(Line(down or rate, delay_ns, queue))
        self.accepted = 0
        """How many connections have come; the loop's thread counts."""
        self._to = to
        self._now_ns = now_ns
        self._server = socket.create_server(listen, backlog=64)
        self._server.setblocking(False)
        self.port = int(self._server.getsockname()[1])
        """Where it listens."""
        self._orders: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._woken, self._wake = socket.socketpair()
        self._woken.setblocking(False)
        self._selector = selectors.SelectSelector()  # epoll's time-out is whole milliseconds
        self._selector.register(self._woken, READ)
        self._selector.register(self._server, READ)
        # Of each socket: the flow that reads from it, and the flow that writes to it.
        self._flows: dict[socket.socket, tuple[Flow, Flow]] = {}
        self._forgotten: list[socket.socket] = []
        self._dead: Cut | None = None
        self._open = True
        self._thread = threading.Thread(target=self._run, name="uplink", daemon=True)

    # --- for everybody --------------------------------------------------------------------

    @property
    def sent(self) -> int:
        """Octets of payload that entered the line towards the target."""
        return self.up.line.sent

    @property
    def returned(self) -> int:
        """Octets of payload that entered the line back."""
        return self.down.line.sent

    def start(self) -> Self:
        """Begin to forward."""
        self._thread.start()
        return self

    def cut(self, how: Cut = Cut.RESET) -> None:
        """Cut the line; returns when it is cut."""
        self._order(lambda: self._cut(how))

    def restore(self, *, forget: bool = False) -> None:
        """Mend it. Connections that hung go on; with *forget* they hang for good, untold."""
        self._order(lambda: self._restore(forget))

    def close(self) -> None:
        """Reset what is connected, and end the thread."""
        self._order(self._stop)
        self._thread.join()

    def join(self) -> None:
        """Wait until another thread closes it."""
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _order(self, order: Callable[[], None]) -> None:
        done = threading.Event()
        self._orders.put(order)
        self._orders.put(done.set)
        self._wake.send(b"x")
        while not done.wait(1) and self._thread.is_alive():
            pass

    # --- the loop's thread ----------------------------------------------------------------

    def _run(self) -> None:
        while self._open:
            due = self._turn()
            seconds = None if due is None else max(0, due - self._now_ns()) / SECOND
            for key, events in self._selector.select(seconds):
                sock = key.fileobj
                if sock is self._woken:
                    self._obey()
                elif sock is self._server:
                    self._accept()
                elif isinstance(sock, socket.socket) and sock in self._flows:
                    self._serve(sock, events)
        self._drop_all()
        for sock in (self._server, self._woken, self._wake, *self._forgotten):
            sock.close()
        self._selector.close()

    def _obey(self) -> None:
        self._woken.recv(4096)
        with contextlib.suppress(Empty):
            while True:
                self._orders.get_nowait()()

    def _stop(self) -> None:
        self._open = False

    def _turn(self) -> int | None:
        """Deliver and admit what is due; returns when to look again (None: at an event)."""
        if self._dead is Cut.SILENT:
            return None
        dues = []
        for way in (self.up, self.down):
            self._deliver(way)
            self._admit(way)
            if way.flying:
                dues.append(way.flying[0][0])
            if way.waiting:
                dues.append(way.line.room_ns(PIECE))
        return min(dues, default=None)

    def _deliver(self, way: Way) -> None:
        while way.flying and way.flying[0][0] <= (now := self._now_ns()):
            due, flow, piece = way.flying.popleft()
            way.early_ns = max(way.early_ns, due - now)
            if flow.target in self._flows:
                flow.arrived += piece
                flow.over = not piece
                self._hand_over(flow)

    def _hand_over(self, flow: Flow) -> None:
        """Write what arrived; what the receiver does not take waits until it does."""
        try:
            while flow.arrived:
                del flow.arrived[: flow.target.send(flow.arrived)]
            if flow.over:
                flow.target.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            pass
        except OSError:
            self._drop(flow.target)
            return
        reading, _ = self._flows[flow.target]
        if flow.over and reading.over and not flow.arrived and not reading.arrived:
            self._drop(flow.target, socket.socket.close)
            return
        self._watch(flow.target)
        self._watch(flow.source)

    def _admit(self, way: Way) -> None:
        now = self._now_ns()
        while way.waiting and (room := way.line.room_ns(PIECE)) <= now:
            flow = way.waiting.popleft()
            since, flow.since_ns = flow.since_ns, None
            if flow.source not in self._flows or since is None:
                continue
            try:
                piece = flow.source.recv(PIECE)
            except BlockingIOError:
                self._watch(flow.source)
                continue
            except OSError:
                self._drop(flow.source)
                continue
            # The loop may be late, the line is not: what was there entered when it had room.
            entered = max(room, since)
            flow.ending = not piece
            arrives = way.line.enter(len(piece), entered) if piece else self._last(way, entered)
            way.flying.append((arrives, flow, piece))
            if piece and self._more(flow):
                self._queue(flow, since)
            else:
                self._watch(flow.source)

    @staticmethod
    def _last(way: Way, entered_ns: int) -> int:
        """When the end of a stream arrives: behind everything else, and it takes no time."""
        return max(way.line.free_ns, entered_ns) + way.line.delay_ns

    @staticmethod
    def _more(flow: Flow) -> bool:
        """Whether octets of *flow* lie in the kernel and its receiver keeps pace."""
        if len(flow.arrived) >= BEHIND:
            return False
        (count,) = struct.unpack("i", fcntl.ioctl(flow.source, termios.FIONREAD, bytes(4)))
        return bool(count)

    def _queue(self, flow: Flow, since_ns: int, *, new: bool = False) -> None:
        flow.since_ns = since_ns
        (flow.way.waiting.appendleft if new else flow.way.waiting.append)(flow)
        self._watch(flow.source)

    def _serve(self, sock: socket.socket, events: int) -> None:
        reading, writing = self._flows[sock]
        if events & READ and reading.since_ns is None and not reading.ending:
            self._queue(reading, self._now_ns(), new=True)
        if events & WRITE:
            self._hand_over(writing)

    def _watch(self, sock: socket.socket) -> None:
        """Ask the kernel for what *sock* waits for now."""
        reading, writing = self._flows[sock]
        idle = reading.since_ns is None and not reading.ending and len(reading.arrived) < BEHIND
        events = (READ if idle else 0) | (WRITE if writing.arrived else 0)
        known = self._selector.get_map().get(sock)
        if known is not None and not events:
            self._selector.unregister(sock)
        elif known is None and events:
            self._selector.register(sock, events)
        elif known is not None and known.events != events:
            self._selector.modify(sock, events)

    def _accept(self) -> None:
        near, _ = self._server.accept()
        if self._dead:
            reset(near)
            return
        far = socket.socket()
        for sock in (near, far):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far.connect_ex(self._to)
        up, down = Flow(near, far, self.up), Flow(far, near, self.down)
        self._flows[near], self._flows[far] = (up, down), (down, up)
        self.accepted += 1
        self._watch(near)
        self._watch(far)

    def _drop(self, sock: socket.socket, end: Callable[[socket.socket], None] = reset) -> None:
        """End the connection that *sock* belongs to."""
        for each in (sock, self._flows[sock][0].target):
            self._forget(each)
            end(each)

    def _forget(self, sock: socket.socket) -> None:
        del self._flows[sock]
        if sock in self._selector.get_map():
            self._selector.unregister(sock)

    def _drop_all(self) -> None:
        while self._flows:
            self._drop(next(iter(self._flows)))

    def _cut(self, how: Cut) -> None:
        if how is Cut.RESET:
            self._drop_all()
        elif self._dead is not how:
            self._selector.unregister(self._server)
        self._dead = how

    def _restore(self, forget: bool) -> None:
        if self._dead is Cut.SILENT:
            self._selector.register(self._server, READ)
        if forget:
            self._forgotten += self._flows
            for sock in list(self._flows):
                self._forget(sock)
        now = self._now_ns()
        for way in (self.up, self.down):
            for flow in way.waiting:
                flow.since_ns = now  # the time of the cut was no time on the line
        self._dead = None


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host or "127.0.0.1", int(port)


def main(words: Sequence[str] | None = None) -> int:
    """Forward until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m greffier_sim.uplink")
    parser.add_argument("--listen", type=_address, required=True, help="[HOST:]PORT")
    parser.add_argument("--to", type=_address, required=True, help="[HOST:]PORT")
    parser.add_argument("--rate", type=int, default=1_000_000, help="bits a second towards --to")
    parser.add_argument("--down", type=int, help="bits a second back; else as --rate")
    parser.add_argument("--delay-ms", type=float, default=15, help="each way")
    parser.add_argument("--queue", type=int, default=QUEUE, help="octets that wait at most")
    asked = parser.parse_args(words)
    shape = {"rate": asked.rate, "down": asked.down, "queue": asked.queue}
    with Uplink(asked.to, listen=asked.listen, delay_ms=asked.delay_ms, **shape) as uplink:
        print(f"listening on port {uplink.port}", file=sys.stderr, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            uplink.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
