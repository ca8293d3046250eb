"""The control socket's server: one thread, a selector, bounded everything.

Clients come and go, hang, or send nonsense; none of that reaches the recorder, whose threads only
meet the :class:`greffier.control.board.Desk`.
"""

import contextlib
import errno
import os
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Self

from greffier.clock import SECOND, Clock
from greffier.control.access import Access, peer_uid
from greffier.control.board import Desk, Handed, Reply
from greffier.control.budget import Allowance, Budget
from greffier.control.forms import BadMessage
from greffier.control.messages import Failure, Request
from greffier.control.session import Session
from greffier.errors import AlreadyThere, StorageFailed

MOST_CLIENTS = 16
# One user cannot take every place: root and the console still get in.
MOST_OF_ONE_USER = 8
# How often deadlines are looked at, and a listener that failed is tried again.
SWEEP_NS = SECOND // 2
# After a connection of a user who has asked too much, the next one is taken so much later.
PENALTY_NS = SECOND // 20
_CHUNK = 4096
_BACKLOG = 16


class _Client:
    """A connection, its session and its user. Only the server's thread touches it."""

    def __init__(self, connection: socket.socket, uid: int, now_ns: int) -> None:
        self.connection = connection
        self.uid = uid
        self.session = Session(now_ns)
        # The number of the order that waits; answers to older ones come too late.
        self.order = 0
        # What goes out with the first byte of the answer, and is closed then.
        self.fd: int | None = None
        # What its user has to wait with.
        self.held: Request | None = None
        self.waits = False

    def send(self) -> int:
        """Send what can be sent at once of the answer; how much. Raises OSError."""
        output = self.session.output
        if self.fd is None:
            return self.connection.send(output)
        count = socket.send_fds(self.connection, [output], [self.fd])
        self.let_go()
        return count

    def let_go(self) -> None:
        """Close the descriptor that was to be sent."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


class Server:
    """Listens on *path* from :meth:`start` to :meth:`stop`. A context manager does both."""

    def __init__(
        self,
        path: Path,
        desk: Desk,
        access: Access,
        clock: Clock,
        budget: Budget | None = None,
    ) -> None:
        """*budget* is the usual one unless given: root's and our own user's is without limit."""
        self._budget = budget or Budget(Allowance(), frozenset({0, os.geteuid()}))
        self._deaf_until_ns = 0  # before that, no connection is taken
        self._path = path
        self._desk = desk
        self._access = access
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._clients: dict[int, _Client] = {}
        self._orders = 0
        self._stopping = False
        self._swept_ns = 0
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None
        # Answers from other threads: appended there, popped here; the event wakes us.
        self._answers: deque[tuple[int, int, Handed]] = deque()
        self._event = -1
        # Set by the server's thread when nothing is delivered any more; others read it.
        self._closed = False

    def start(self) -> None:
        """Listen. Raises AlreadyThere where somebody else does, StorageFailed."""
        self._listener = _listen(self._path)
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._event, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, and forget every client."""
        self._stopping = True
        if self._thread is not None:
            self._wake()
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- the server's thread ---

    def _run(self) -> None:
        try:
            while not self._stopping:
                for key, events in self._selector.select(self._rest_s()):
                    self._serve(key.fd, events)
                self._deliver()
                self._let_on()
                self._sweep()
            self._deliver()
            for client in self._clients.values():
                # A last answer (to "stop") goes out where it can go at once.
                with contextlib.suppress(OSError):
                    client.send()
        finally:
            self._close()

    def _serve(self, fd: int, events: int) -> None:
        if self._listener is not None and fd == self._listener.fileno():
            self._accept(self._listener)
        elif fd == self._event:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._event)
        elif fd in self._clients:
            self._talk(self._clients[fd], events)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:  # it has gone again, or no descriptor is free
            self._selector.unregister(listener)
            self._deaf_until_ns = self._clock.monotonic_ns() + SWEEP_NS
            return
        connection.setblocking(False)
        try:
            uid = peer_uid(connection)
        except OSError:
            connection.close()
            return
        now = self._clock.monotonic_ns()
        if self._budget.wait_ns(uid, now):
            # Connecting is work too, and whose it is shows only afterwards.
            self._selector.unregister(listener)
            self._deaf_until_ns = now + PENALTY_NS
            connection.close()
            return
        self._budget.spend(uid, 1, 0, now)
        of_user = sum(client.uid == uid for client in self._clients.values())
        if len(self._clients) >= MOST_CLIENTS or of_user >= MOST_OF_ONE_USER:
            connection.close()
            return
        client = _Client(connection, uid, now)
        self._clients[connection.fileno()] = client
        self._selector.register(connection, selectors.EVENT_READ)

    def _talk(self, client: _Client, events: int) -> None:
        now = self._clock.monotonic_ns()
        request = None
        try:
            if events & selectors.EVENT_WRITE and client.session.output:
                count = client.send()
                self._budget.spend(client.uid, 0, count, now)
                request = client.session.sent(count, now)
            elif events & selectors.EVENT_READ and client.session.wants_input:
                data = client.connection.recv(_CHUNK)
                self._budget.spend(client.uid, 0, len(data), now)
                request = client.session.receive(data, now)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._drop(client)
            return
        if request is not None:
            self._take(client, request, now)
        self._rearm(client)

    def _take(self, client: _Client, request: Request, now: int) -> None:
        """Handle *request*, now or when its user may ask again."""
        if self._budget.wait_ns(client.uid, now):
            client.held = request
            return
        self._budget.spend(client.uid, 1, 0, now)
        self._handle(client, request, now)

    def _let_on(self) -> None:
        """Serve those who have waited long enough."""
        now = self._clock.monotonic_ns()
        listener = self._listener
        deaf = listener is not None and listener not in self._selector.get_map()
        if listener is not None and deaf and now >= self._deaf_until_ns:
            self._selector.register(listener, selectors.EVENT_READ)
        for client in list(self._clients.values()):
            if not client.waits or self._budget.wait_ns(client.uid, now):
                continue
            if client.held is not None:
                request, client.held = client.held, None
                self._take(client, request, now)
            self._rearm(client)

    def _rest_s(self) -> float:
        """How long there may be nothing to do: until somebody who waits has waited enough."""
        now = self._clock.monotonic_ns()
        waits = [self._budget.wait_ns(one.uid, now) for one in self._clients.values() if one.waits]
        if self._deaf_until_ns > now:
            waits.append(self._deaf_until_ns - now)
        return min([SWEEP_NS, *(max(wait, SECOND // 1000) for wait in waits if wait)]) / SECOND

    def _handle(self, client: _Client, request: Request, now: int) -> None:
        if not self._access.allows(client.uid, request):
            client.session.answer(Failure("not_allowed", "not_allowed"), now)
            return
        self._orders += 1
        client.order = self._orders
        done = self._later(client.connection.fileno(), self._orders)
        reply = self._desk.serve(request, client.uid, now, done)
        if reply is not None:
            self._reply(client, _handed(reply), now)

    def _later(self, fd: int, number: int) -> Callable[[Reply], None]:
        """What another thread calls to answer the request *number* of the client at *fd*."""

        def done(reply: Reply) -> None:
            self._answers.append((fd, number, _handed(reply)))
            if self._closed:
                self._forget_answers()
            else:
                self._wake()

        return done

    def _reply(self, client: _Client, handed: Handed, now: int) -> None:
        client.fd = handed.fd
        try:
            client.session.answer(handed.answer, now)
        except BadMessage:  # the recorder published what the wire cannot carry
            client.let_go()
            client.session.answer(Failure("refused", "not_expressible"), now)

    def _deliver(self) -> None:
        while self._answers:
            fd, number, handed = self._answers.popleft()
            client = self._clients.get(fd)
            if client is not None and client.order == number and client.session.waiting:
                self._reply(client, handed, self._clock.monotonic_ns())
                self._rearm(client)
            else:
                handed.drop()

    def _forget_answers(self) -> None:
        """Nobody is there to take them. Any thread may find one; each is found once."""
        with contextlib.suppress(IndexError):
            while True:
                self._answers.popleft()[2].drop()

    def _sweep(self) -> None:
        now = self._clock.monotonic_ns()
        if now - self._swept_ns < SWEEP_NS:
            return
        self._swept_ns = now
        for client in list(self._clients.values()):
            if client.session.late(now):
                if client.session.waiting:
                    client.held = None
                    client.session.answer(Failure("busy", "late"), now)
                    self._rearm(client)
                else:
                    self._drop(client)

    def _rearm(self, client: _Client) -> None:
        if client.session.over:
            self._drop(client)
            return
        # A client that waits is watched too, else its going would be noticed only at a deadline;
        # but what it sends meanwhile would wake us for ever, so nothing is asked for.
        events = selectors.EVENT_WRITE if client.session.output else 0
        client.waits = self._budget.wait_ns(client.uid, self._clock.monotonic_ns()) > 0
        events |= selectors.EVENT_READ if client.session.wants_input and not client.waits else 0
        fd = client.connection.fileno()
        watched = fd in self._selector.get_map()
        if events and watched:
            self._selector.modify(client.connection, events)
        elif events:
            self._selector.register(client.connection, events)
        elif watched:
            self._selector.unregister(client.connection)

    def _drop(self, client: _Client) -> None:
        fd = client.connection.fileno()
        self._clients.pop(fd, None)
        if fd in self._selector.get_map():
            self._selector.unregister(client.connection)
        client.connection.close()
        client.let_go()

    def _close(self) -> None:
        for client in list(self._clients.values()):
            self._drop(client)
        self._closed = True
        self._forget_answers()
        self._selector.close()
        if self._listener is not None:
            self._listener.close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        # The descriptor of the event stays: an answer that comes late must not write elsewhere.

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is awake already
            os.eventfd_write(self._event, 1)


def _handed(reply: Reply) -> Handed:
    return reply if isinstance(reply, Handed) else Handed(reply)


def _listen(path: Path) -> socket.socket:
    """A listening socket at *path*; the socket of a dead process there is replaced."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    listener.setblocking(False)
    try:
        if path.is_socket() and not _answers(path):
            path.unlink()
        listener.bind(str(path))
        # Who may ask what is decided for each request, by the kernel's word on who it is.
        path.chmod(0o666)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise AlreadyThere(path=path) from None
        raise StorageFailed(path=path, reason=error.strerror or type(error).__name__) from error
    return listener


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except BlockingIOError:
            return True  # its backlog is full: somebody is there
        except OSError:
            return False
    return True
