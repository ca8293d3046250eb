"""One connection to a broker that is there again whenever it can be (docs/sync-protocol.md 2).

A thread of its own makes a new client for each connection, so nothing of an earlier one can be
sent again or stop the next; it alone touches the client. Others put publications into a bounded
queue, and hear by a sink. :meth:`Connection.look_after` replaces a thread that died or hangs.
Nothing here decides anything: what is lost is asked for again by whoever needs it.
"""

import logging
import random
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from greffier.clock import SECOND, steady_ns
from greffier.sync import dialling, troubles
from greffier.sync.dialling import Identity, Limits, Link
from greffier.sync.waits import Backoff

__all__ = [
    "Acked",
    "Broker",
    "Connection",
    "Down",
    "Heard",
    "Identity",
    "Limits",
    "Publication",
    "Up",
]

MOST_QUEUED: Final = 64
_LEAST_WAIT_S: Final = 1.0
MOST_WAIT_S: Final = 30.0
"""Where it may pass by itself: who has mended a router or a broker sees within half a minute
whether that helped. Not less: 10,000 boxes that come back in such a time keep a core of the broker
busy for two thirds of it (1.8 ms a handshake)."""
MOST_WAIT_FOR_A_PERSON_S: Final = 120.0
"""Where it cannot (a certificate, an access list), and ``sync now`` is at hand for who mends it."""
_NETWORK_LOOK_S: Final = 2.0
_HANG_S: Final = 60.0
_STEADY_NS: Final = 30 * SECOND
"""A connection that stood for so long was a good one: the next wait is short again."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a broker listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Publication:
    """A message to be published by QoS 1; *token* comes back in :class:`Acked`."""

    topic: str
    payload: bytes
    token: object
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Up:
    """The connection stands, and what was asked for is subscribed."""

    limits: Limits


@dataclass(frozen=True, slots=True)
class Down:
    """It does not (any more): why, as a name of :mod:`greffier.sync.troubles`, and in detail."""

    trouble: str
    detail: str


@dataclass(frozen=True, slots=True)
class Heard:
    """A message came."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Acked:
    """The broker answered a publication by this reason code of MQTT 5 (0x95 also from here)."""

    token: object
    code: int


Event = Up | Down | Heard | Acked
Sink = Callable[[Event], None]
"""Called in the connection's thread; it must not wait."""
Feed = Callable[[Limits, int, int], Publication | int | None]
"""``feed(limits, unacknowledged, now_ns)``: the next publication when there is one, or after how
many ns to ask again, None: when :meth:`Connection.poke` is called."""


def most_wait_s(trouble: str) -> float:
    """How long to wait at most before the next attempt after *trouble*, seconds."""
    return MOST_WAIT_S if troubles.may_pass(trouble) else MOST_WAIT_FOR_A_PERSON_S


class Connection:
    """Kept up from :meth:`start` to :meth:`stop`."""

    def __init__(
        self,
        identity: Identity,
        brokers: Sequence[Broker],
        sink: Sink,
        *,
        feed: Feed | None = None,
        will: Callable[[], Publication] | None = None,
        subscriptions: Sequence[str] = (),
        keepalive_s: int = 30,
    ) -> None:
        """*feed* is asked for what goes out beside what is queued, *will* for each connection."""
        self.identity = identity
        self.brokers = tuple(brokers)
        self.sink = sink
        self.feed = feed
        self.will = will
        self.subscriptions = tuple(subscriptions)
        self.keepalive_s = keepalive_s
        self.trouble = ""
        """What is wrong now; empty while it is up. Written by its thread."""
        self.detail = ""
        self._run: _Run | None = None

    @property
    def up(self) -> bool:
        """Whether it stands."""
        run = self._run
        return run is not None and run.up

    def start(self) -> None:
        """Begin."""
        self._run = _Run(self)
        self._run.thread.start()

    def stop(self) -> None:
        """End in order: the broker is told, where that can be done at once."""
        run, self._run = self._run, None
        if run is not None:
            run.end(orderly=True)
            run.thread.join(2 * dialling.TIMEOUT_S)

    def publish(self, publication: Publication) -> bool:
        """Send it soon; False where it is not up, or too much waits: then nothing was done."""
        run = self._run
        if run is None or not run.up or len(run.outgoing) >= MOST_QUEUED:
            return False
        run.outgoing.append(publication)
        run.wake()
        return True

    def poke(self) -> None:
        """The feed has something."""
        run = self._run
        if run is not None:
            run.wake()

    def hurry(self) -> None:
        """Connect at once, if it waits to."""
        run = self._run
        if run is not None:
            run.hurry.set()
            run.wake()

    def look_after(self) -> bool:
        """Replace a thread that died or hangs; whether that was so. The owner's thread calls it."""
        run = self._run
        if run is None or (run.thread.is_alive() and not run.hangs()):
            return False
        _log.warning("the connection's thread is replaced")
        run.end(orderly=False)
        was_up = run.up
        self._run = _Run(self)
        if was_up:
            self.sink(Down("sync.lost", "its thread was replaced"))
        self._run.thread.start()
        return True


class _Run:
    """One life of the thread. ``outgoing`` is filled by others; all else is the thread's."""

    def __init__(self, owner: Connection) -> None:
        self._owner = owner
        # A pair of sockets and no eventfd: a number that was closed may be somebody else's.
        self._event, self._bell = socket.socketpair()
        self._event.setblocking(False)
        self._bell.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._event, selectors.EVENT_READ)
        self._backoff = Backoff(_LEAST_WAIT_S, MOST_WAIT_FOR_A_PERSON_S, random.random)
        self._turn = sum(owner.identity.client.encode()) % max(1, len(owner.brokers))
        self._abandoned = False
        self._beat_ns = steady_ns()
        self.outgoing: deque[Publication] = deque()
        self.hurry = threading.Event()
        self.ending = threading.Event()
        self.up = False
        self.thread = threading.Thread(
            target=self._live, name=f"mqtt {owner.identity.client}", daemon=True
        )

    def wake(self) -> None:
        """Make the thread look round. Any thread."""
        with suppress(OSError):  # full: it will look round anyway
            self._bell.send(b"!")

    def end(self, orderly: bool) -> None:
        """Ask the thread to end; what an abandoned one says is heard by nobody."""
        self._abandoned = not orderly
        self.ending.set()
        self.wake()

    def hangs(self) -> bool:
        """Whether the thread has not gone round for too long."""
        return steady_ns() - self._beat_ns > _HANG_S * SECOND

    def _live(self) -> None:
        try:
            while not self.ending.is_set():
                link = self._dial()
                if link is not None:
                    self._survive(link)
                if not self.ending.is_set():
                    self._rest()
        finally:
            self.up = False
            self._selector.close()
            self._event.close()
            self._bell.close()

    def _say(self, event: Event) -> None:
        if not self._abandoned:
            self._owner.sink(event)

    def _dial(self) -> Link | None:
        owner = self._owner
        broker = owner.brokers[self._turn % len(owner.brokers)]
        will = owner.will() if owner.will else None
        self._beat_ns = steady_ns()
        try:
            return dialling.dial(
                owner.identity,
                broker.host,
                broker.port,
                owner.keepalive_s,
                (will.topic, will.payload) if will else None,
            )
        except (OSError, ValueError) as error:
            self._turn += 1
            self._fell(troubles.of_error(error), f"{broker.host}:{broker.port}: {error}")
            return None

    def _survive(self, link: Link) -> None:
        """Whatever a broker says that the library trips over ends this connection, not the next."""
        begun = steady_ns()
        try:
            self._serve(link)
        except Exception:  # noqa: BLE001 - whatever it is, the next connection may be better
            _log.exception("a connection ended by an error in the program")
        if steady_ns() - begun > _STEADY_NS:
            self._backoff.reset()

    def _serve(self, link: Link) -> None:
        """Go round until the link falls."""
        self._selector.register(link.fileno, selectors.EVENT_READ)
        said = False
        try:
            while not self.ending.is_set():
                self._beat_ns = steady_ns()
                if link.ready and not said:
                    said = self._rise(link)
                self._pass_on(link)
                wait_ns = self._send(link) if said else None
                if link.fallen():
                    return
                self._wait(link, wait_ns)
            if not self._abandoned:
                self._send(link)
                link.leave()
        finally:
            self.up = False
            self._selector.unregister(link.fileno)
            self._pass_on(link)
            link.close()
            if not self.ending.is_set():
                self._turn += not said
                self._fell(link.trouble or "sync.lost", link.detail)

    def _rise(self, link: Link) -> bool:
        link.subscribe(self._owner.subscriptions)
        if not link.subscribed:
            return False
        self._owner.trouble = self._owner.detail = ""
        self.outgoing.clear()
        self.up = True
        self._say(Up(link.limits))
        return True

    def _fell(self, trouble: str, detail: str) -> None:
        if self._abandoned:
            return
        self.outgoing.clear()
        self._owner.trouble, self._owner.detail = trouble, detail
        self._say(Down(trouble, detail))

    def _pass_on(self, link: Link) -> None:
        for topic, payload in link.heard():
            self._say(Heard(topic, payload))
        for token, code in link.acknowledged():
            self._say(Acked(token, code))

    def _send(self, link: Link) -> int | None:
        """Publish what there is and may be; after how many ns to look again."""
        while self.outgoing and link.room and not link.over:
            self._publish(link, self.outgoing.popleft())
        feed = self._owner.feed
        while feed is not None and link.room and not link.over:
            found = feed(link.limits, link.unacknowledged, steady_ns())
            if not isinstance(found, Publication):
                return found
            self._publish(link, found)
        return None

    def _publish(self, link: Link, one: Publication) -> None:
        if not link.publish(one.topic, one.payload, one.token, one.retain):
            self._say(Acked(one.token, dialling.TOO_LARGE))

    def _wait(self, link: Link, wait_ns: int | None) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if link.wants_write else 0)
        self._selector.modify(link.fileno, events)
        seconds = 1.0 if wait_ns is None else min(1.0, wait_ns / SECOND)
        ready = 0
        if link.pending:
            seconds, ready = 0.0, selectors.EVENT_READ
        for key, mask in self._selector.select(seconds):
            if key.fileobj is self._event:
                self._drain()
            else:
                ready |= mask
        link.turn(bool(ready & selectors.EVENT_READ), bool(ready & selectors.EVENT_WRITE))

    def _rest(self) -> None:
        """Wait with full jitter; a network that changed, or somebody in a hurry, ends it."""
        end_ns = steady_ns() + self._backoff.next_ns(most_wait_s(self._owner.trouble))
        before = _network()
        while not self.ending.is_set() and not self.hurry.is_set():
            self._beat_ns = steady_ns()
            left = (end_ns - self._beat_ns) / SECOND
            if left <= 0:
                break
            for _key, _mask in self._selector.select(min(left, _NETWORK_LOOK_S)):
                self._drain()
            if _network() != before:
                self._backoff.reset()
                break
        self.hurry.clear()

    def _drain(self) -> None:
        with suppress(OSError):
            self._event.recv(4096)


def _network() -> tuple[bytes, ...]:
    """What tells that a network came or went: the routes."""
    found = []
    for name in ("/proc/net/route", "/proc/net/ipv6_route"):
        with suppress(OSError):
            found.append(Path(name).read_bytes())
    return tuple(found)
