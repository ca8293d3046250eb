"""The thread that carries parts: it does what the engine wants, and tells it what came of it."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, Final

from greffier.clock import SECOND, Clock
from greffier.control.board import Orders
from greffier.control.forms import BadMessage
from greffier.control.messages import Done, Failure
from greffier.control.transfer import SyncNow, SyncPause
from greffier.sync import messages, topics
from greffier.sync.actions import (
    Action,
    HandOver,
    Prepare,
    PublishOffer,
    Release,
    Send,
    Unprepared,
)
from greffier.sync.connection import Acked, Connection, Down, Event, Heard, Publication, Up
from greffier.sync.dialling import TOO_LARGE
from greffier.sync.errands import Errands
from greffier.sync.inbox import Inbox
from greffier.sync.messages import Collector, Later, Need, Offer, Refused
from greffier.sync.outbox import NOTHING, Outbox
from greffier.sync.parts import Parts
from greffier.sync.pump import Pump, Sent, Unsendable
from greffier.sync.receipts import MOST_HAND_OVERS
from greffier.sync.recorder_link import (
    Altered,
    Away,
    Gone,
    NotBelieved,
    Ready,
    RecorderLink,
)
from greffier.sync.stats import Stats, stats_of
from greffier.sync.waits import Draw

LONGEST_PAUSE_NS: Final = 31 * 86_400 * SECOND
"""A pause that a wrong clock would make longer than this is none."""
_LOOK_S: Final = 0.25
_SWEEP_NS: Final = 600 * SECOND
_LOOK_WORK_NS: Final = 5 * SECOND
_AWAY_NS: Final = 2 * SECOND
_COUNT_NS: Final = SECOND
_AHEAD_S: Final = 4
"""Parts are offered that take so long to send: head office keeps an offer waiting no longer."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of preparing a part: everything for its offer, or why not."""

    action: Prepare
    found: Ready | Unprepared


@dataclass(frozen=True, slots=True)
class Handed:
    """What the recorder made of receipts; nothing, where it did not answer."""

    action: HandOver
    results: tuple[str, ...] | None


class PartsCarrier:
    """Everything here is its thread's, but ``inbox``, ``orders``, and what is read as a whole."""

    def __init__(
        self,
        device: str,
        socket: Path,
        outbox: Outbox,
        clock: Clock,
        draw: Draw,
        connection: Callable[[], Connection],
        bulk: Callable[[], Connection],
        pump: Pump,
        urged: Callable[[], None],
    ) -> None:
        """*urged* is called for ``sync now``."""
        self._device = device
        self._clock = clock
        self._connection = connection
        self._bulk = bulk
        self._pump = pump
        self._urged = urged
        self._outbox = outbox
        self._link = RecorderLink(socket)
        fetcher = RecorderLink(socket)
        self._files: dict[str, int] = {}
        self._reached = 0
        self._sweep = 1
        self._begun = outbox.begun
        self._cursor = 0
        self._sweeping = True
        self._sweep_ns = 0
        self._work_ns = 0
        self._count_ns = 0
        self._written = 0
        self._backlog = NOTHING
        self._complete = False
        self._pause_ns = outbox.fact("pause_until_ns")
        self.engine = Parts(outbox, draw)
        self.inbox: Inbox[Event | Sent | Unsendable | Fetched | Handed] = Inbox()
        self._fetching: Errands[Prepare, Fetched] = Errands(
            lambda one: _fetched(fetcher, one), self._came
        )
        self._handing: list[Errands[HandOver, Handed]] = [
            Errands(partial(_handed, RecorderLink(socket)), self.inbox.put)
            for _ in range(MOST_HAND_OVERS)
        ]
        self._porters = cycle(self._handing)
        self.orders = Orders(wake=self.inbox.ring)
        self.limit: int | None = None
        """Octets a second that may be sent now; set by the service."""
        self.away = False
        self.stats = Stats()
        self.beat_ns = clock.monotonic_ns()
        self.malformed = 0

    @property
    def troubles(self) -> set[str]:
        """What is wrong with parts or the outbox."""
        found = set(self.engine.troubles)
        if self._outbox.degraded:
            found.add("sync.outbox")
        if self._pump.too_small:
            found.add("sync.too_large")
        if self.stats.backlog.refused:
            found.add("sync.refused")
        return found

    @property
    def errands(self) -> "tuple[tuple[str, Errands[Any, Any]], ...]":
        """What else has to run, each in a thread of this name."""
        return (("fetching", self._fetching), *(("handing", one) for one in self._handing))

    def log_reached(self, size: int) -> None:
        """Head office has so many entries of the log. Any thread."""
        self._reached = size
        self.inbox.ring()

    def work_grew(self) -> None:
        """There may be new parts. Any thread."""
        self._work_ns = 0
        self.inbox.ring()

    def run(self, stop: threading.Event) -> None:
        """Carry until *stop*."""
        try:
            while not stop.is_set():
                self.beat_ns = self._clock.monotonic_ns()
                for event in self.inbox.take(0 if self._busy else _LOOK_S):
                    self._hear(event)
                for order in self.orders.take():
                    order.done(self._obey(order.request))
                self._look()
                self._step()
                self._publish_stats()
        finally:
            self.engine.flush()
            for fd in self._files.values():
                os.close(fd)
            self._files.clear()

    @property
    def _busy(self) -> bool:
        return self._sweeping and not self.away and not self._work_ns

    # --- what it hears ---

    def _hear(self, event: Event | Sent | Unsendable | Fetched | Handed) -> None:
        now = self._clock.monotonic_ns()
        if isinstance(event, Up):
            self.engine.connected()
        elif isinstance(event, Down):
            self.engine.disconnected()
        elif isinstance(event, Sent):
            self.engine.sent(event.part, event.serial, event.chunk_ns, now)
        elif isinstance(event, Unsendable):
            self.engine.unsendable(event.part, event.serial, event.code, now)
        elif isinstance(event, Fetched):
            self._fetched(event, now)
        elif isinstance(event, Handed):
            self._handed(event, now)
        elif isinstance(event, Acked):
            if isinstance(event.token, int):
                self.engine.acknowledged(event.token, event.code, now)
        else:
            self._read(event, now)

    def _read(self, event: Heard, now: int) -> None:
        try:
            if event.topic.endswith("/down/receipt"):
                self.engine.receipt(event.payload.decode())
                return
            message = messages.read(event.payload)
        except (BadMessage, UnicodeDecodeError):
            self.malformed += 1
            return
        if isinstance(message, Need):
            self.engine.need(message, now)
        elif isinstance(message, Later):
            self.engine.later(message, now)
        elif isinstance(message, Refused):
            self.engine.refused(message, now, self._clock.wall_ns())
        elif isinstance(message, Collector):
            if message.online:
                self.engine.collector_there()
        else:
            self.malformed += 1

    def _obey(self, request: object) -> Done | Failure:
        if isinstance(request, SyncNow):
            self._pause(0)
            known = self.engine.urge(request.part)
            self._urged()
            return Done() if known else Failure("refused", "no_such_part")
        if isinstance(request, SyncPause):
            until = request.until_ns
            if until - self._clock.wall_ns() > LONGEST_PAUSE_NS:
                return Failure("refused", "pause_too_long")
            changed = until != self._pause_ns
            self._pause(until)
            return Done(changed)
        return Failure("refused", "not_supported")

    def _pause(self, until_ns: int) -> None:
        if until_ns != self._pause_ns:
            self._pause_ns = until_ns
            self._outbox.keep({"pause_until_ns": until_ns})

    @property
    def paused_until_ns(self) -> int:
        """Until when (wall) no parts are sent; 0 where they are."""
        left = self._pause_ns - self._clock.wall_ns()
        return self._pause_ns if 0 < left <= LONGEST_PAUSE_NS else 0

    # --- what the recorder has ---

    def _look(self) -> None:
        now, wall = self._clock.monotonic_ns(), self._clock.wall_ns()
        self._outbox.look_again(now, wall)
        if self._outbox.begun != self._begun:
            self._begun = self._outbox.begun
            self._begin_sweep()
        if self._complete and not self._sweeping and now >= self._sweep_ns:
            self._begin_sweep()
        if now < self._work_ns:
            return
        self._work_ns = now + _LOOK_WORK_NS
        try:
            work = self._link.work(self._cursor)
            if work.device != self._device:
                raise Away("another box was enrolled")
        except Away:
            self.away = True
            self._work_ns = self._clock.monotonic_ns() + _AWAY_NS
            return
        self.away = False
        taken = self._outbox.sight(work.parts, self._sweep)
        if taken:
            self._cursor = max(self._cursor, work.parts[taken - 1].seq)
            self.engine.seen()
        if work.more and taken:
            self._work_ns = 0
            return
        self._count_ns = 0
        if taken < len(work.parts):  # memory is full: what is left comes when there is room
            self._sweeping, self._complete = False, True
            self._sweep_ns = self._clock.monotonic_ns() + _SWEEP_NS
        elif self._sweeping:
            self._outbox.swept(self._sweep, max(self._cursor, work.log_size))
            self._sweeping, self._complete = False, True
            self._sweep_ns = self._clock.monotonic_ns() + _SWEEP_NS

    def _begin_sweep(self) -> None:
        """Ask for everything again: what is urgent, when it ends, and what waits no more."""
        self._sweep += 1
        self._cursor = 0
        self._sweeping = True
        self._work_ns = 0

    # --- what is to be done ---

    def _step(self) -> None:
        # Without a way for chunks nothing is offered: what is asked for then waits for its ttl.
        may_send = not self.paused_until_ns and self.limit != 0
        self.engine.allowed = may_send and self._bulk().up
        self.engine.ahead = _AHEAD_S * self._pump.pace()
        self.engine.reached = self._reached
        for action in self.engine.step(self._clock.monotonic_ns(), self._clock.wall_ns()):
            self._do(action)

    def _do(self, action: Action) -> None:
        if isinstance(action, Prepare):
            self._fetching.put(action)
        elif isinstance(action, PublishOffer):
            self._offer(action)
        elif isinstance(action, Send):
            self._send(action)
        elif isinstance(action, Release):
            self._release(action.part)
        else:
            next(self._porters).put(action)

    def _offer(self, action: PublishOffer) -> None:
        try:
            payload = messages.write(Offer(action.parts))
        except BadMessage:  # one part of more blocks than a message can name
            self.engine.acknowledged(action.token, TOO_LARGE, self._clock.monotonic_ns())
            return
        topic = topics.up(self._device, "offer")
        self._connection().publish(Publication(topic, payload, ("parts", action.token)))

    def _send(self, action: Send) -> None:
        fd = self._files.get(action.grant.part)
        bulk = self._bulk()
        if fd is not None and bulk.up:
            self._pump.grant(action.grant, os.dup(fd))
            bulk.poke()

    def _release(self, part: str) -> None:
        fd = self._files.pop(part, None)
        if fd is not None:
            os.close(fd)
            self._pump.release(part)
            self._bulk().poke()

    def _handed(self, event: Handed, now: int) -> None:
        parts = tuple(part for part, _ in event.action.receipts)
        if event.results is None:
            self.engine.not_taken(parts, now)
            return
        taken = tuple(zip(parts, event.results, strict=True))
        self.engine.taken(taken, now, self._clock.wall_ns())

    def _fetched(self, event: Fetched, now: int) -> None:
        part = event.action.sealed.part
        if not isinstance(event.found, Ready):
            self.engine.unprepared(part, event.found, now)
        elif self.engine.is_preparing(part):
            self._release(part)
            self._files[part] = event.found.fd
            self.engine.prepared(event.found.offered, now)
        else:
            os.close(event.found.fd)

    def _came(self, event: Fetched) -> None:
        """In the thread that fetches."""
        if not self.inbox.put(event) and isinstance(event.found, Ready):
            os.close(event.found.fd)

    def _publish_stats(self) -> None:
        now = self._clock.monotonic_ns()
        if now >= self._count_ns or self.engine.written != self._written:
            self._written = self.engine.written
            self._count_ns = now + _COUNT_NS
            self._backlog = self._outbox.backlog()
        self.stats = stats_of(self.engine, self._backlog, self.paused_until_ns, self._complete)


def _fetched(link: RecorderLink, action: Prepare) -> Fetched:
    try:
        return Fetched(action, link.part(action.sealed))
    except Gone:
        return Fetched(action, "gone")
    except Altered:
        return Fetched(action, "altered")
    except Away:
        return Fetched(action, "away")
    except ValueError:
        return Fetched(action, "large")


def _handed(link: RecorderLink, action: HandOver) -> Handed:
    try:
        return Handed(action, link.receipts(tuple(text for _, text in action.receipts)))
    except Away:
        return Handed(action, None)
    except NotBelieved:
        return Handed(action, ("garbled",) * len(action.receipts))
