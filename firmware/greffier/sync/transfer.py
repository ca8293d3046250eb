"""Everything that runs once a box is enrolled: two connections, the log, parts; wired together.

Each callback says whose thread it is called in. The main thread owns the rest.
"""

import random
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509

from greffier import __version__
from greffier.clock import SECOND, Clock
from greffier.config.records import Config
from greffier.durable import Disk
from greffier.errors import GreffierError
from greffier.sync import messages, topics
from greffier.sync.connection import Acked, Broker, Connection, Down, Event, Heard, Publication, Up
from greffier.sync.dialling import Identity
from greffier.sync.errands import Errands
from greffier.sync.folder import Enrolment, SyncFolder
from greffier.sync.log_carrier import LogCarrier, Urge
from greffier.sync.messages import Presence
from greffier.sync.outbox import Outbox
from greffier.sync.parts_carrier import PartsCarrier
from greffier.sync.pump import Pump

PRESENCE_NS: Final = 60 * SECOND
STUCK_NS: Final = 120 * SECOND
"""A thread of ours that did not go round for so long: the process ends, and is started again."""
_KEEPALIVE_S: Final = 30


class Stuck(GreffierError):
    """A thread of ours ended or hangs."""

    cause = "the transfer to head office cannot go on: {reason}"
    step = "its service begins again by itself; if it does not, see its journal"


class Transfer:
    """What runs once the box is enrolled. Owned by the main thread."""

    def __init__(self, config: Config, folder: SyncFolder, enrolment: Enrolment, clock: Clock):
        draw = random.random
        device = enrolment.device
        self._device = device
        self._clock = clock
        self._folder = folder
        self._stop = threading.Event()
        self._session = secrets.token_hex(16)
        self._presence_ns = 0
        now, wall = clock.monotonic_ns(), clock.wall_ns()
        outbox = Outbox.open(folder.outbox, Disk(), now, wall)
        sync = config.sync
        self.pump = Pump(
            device, sync.least_chunk_kib * 1024, sync.most_chunk_kib * 1024, self._from_pump
        )
        self.log = LogCarrier(
            device,
            config.control.socket,
            clock,
            draw,
            lambda: self.control,
            self._work_grew,
            self._log_reached,
        )
        self.parts = PartsCarrier(
            device,
            config.control.socket,
            outbox,
            clock,
            draw,
            lambda: self.control,
            lambda: self.bulk,
            self.pump,
            self._urge,
        )
        self.control = Connection(
            _identity(folder, device, bulk=False),
            _brokers(enrolment.brokers),
            self._from_control,
            will=self._will,
            subscriptions=[
                *(topics.down(device, one) for one in ("audit", "need", "receipt")),
                topics.collector("+"),
            ],
            keepalive_s=_KEEPALIVE_S,
        )
        self.bulk = Connection(
            _identity(folder, device + topics.BULK, bulk=True),
            _brokers(enrolment.bulk_brokers or enrolment.brokers),
            self._from_bulk,
            feed=self.pump.feed,
            keepalive_s=_KEEPALIVE_S,
        )
        self._failed: list[BaseException] = []
        self._runs: tuple[tuple[str, LogCarrier | PartsCarrier | Errands[Any, Any]], ...] = (
            ("log", self.log),
            ("parts", self.parts),
            *self.log.errands,
            *self.parts.errands,
        )
        self._threads = [
            threading.Thread(target=self._guard, args=(one.run,), name=name, daemon=True)
            for name, one in self._runs
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()
        self.control.start()
        self.bulk.start()

    def stop(self) -> None:
        """End in order."""
        self._say_presence(online=False)
        self._stop.set()
        for thread in self._threads:
            thread.join(STUCK_NS / SECOND)
        self.control.stop()
        self.bulk.stop()

    def look_after(self, limit_bps: int | None) -> None:
        """Once a turn: the limit of the hour, presence, threads. Raises Stuck."""
        octets = None if limit_bps is None else limit_bps // 8
        self.parts.limit = octets
        self.pump.set_limit(octets)
        self.control.look_after()
        self.bulk.look_after()
        now = self._clock.monotonic_ns()
        if self.control.up and now >= self._presence_ns:
            self._say_presence(online=True)
        late = now - STUCK_NS
        if self._failed or any(one.beat_ns < late for _, one in self._runs):
            raise Stuck(reason=repr(self._failed[0]) if self._failed else "-")

    @property
    def troubles(self) -> set[str]:
        """Everything that is wrong now."""
        found = self.parts.troubles | self.log.keeper.troubles
        for connection, bulk in ((self.control, False), (self.bulk, True)):
            if connection.trouble:
                found.add(self._exact(connection.trouble, bulk))
        if self.log.foreign:
            found.add("sync.other_box")
        elif self.log.away or self.parts.away:
            found.add("sync.recorder")
        return found

    def _exact(self, trouble: str, bulk: bool) -> str:
        """What our own certificate says of a *trouble* that has to do with TLS."""
        if trouble not in ("sync.tls", "sync.lost", "sync.certificate_refused"):
            return trouble
        try:
            own = x509.load_pem_x509_certificate(self._folder.certificate(bulk).read_bytes())
        except (OSError, ValueError):
            return "sync.certificate_unusable"
        now = datetime.fromtimestamp(self._clock.wall_ns() // SECOND, UTC)
        if now > own.not_valid_after_utc:
            return "sync.certificate_expired"
        return "sync.certificate_early" if now < own.not_valid_before_utc else trouble

    # --- what comes from the connections' threads ---

    def _from_control(self, event: Event) -> None:
        if isinstance(event, Acked):
            kind, token = event.token if isinstance(event.token, tuple) else ("", 0)
            inbox = {"log": self.log.inbox, "parts": self.parts.inbox}.get(kind)
            if inbox is not None:
                inbox.put(Acked(token, event.code))  # type: ignore[attr-defined]
            return
        if isinstance(event, Up | Down):
            if isinstance(event, Up) and not self.bulk.up:
                self.bulk.hurry()  # the way to the broker is there; never the other way round too
            self._presence_ns = 0
            self.log.inbox.put_surely(event)
            self.parts.inbox.put_surely(event)
            return
        topic = event.topic
        if topic not in (topics.down(self._device, "need"), topics.down(self._device, "receipt")):
            self.log.inbox.put(event)
        if topic != topics.down(self._device, "audit"):
            self.parts.inbox.put(event)

    def _from_bulk(self, event: Event) -> None:
        if isinstance(event, Down):
            self.pump.fell()
        elif not isinstance(event, Up | Heard):
            self.pump.acked(event)

    def _from_pump(self, event: object) -> None:
        self.parts.inbox.put(event)  # type: ignore[arg-type]

    def _work_grew(self) -> None:
        self.parts.work_grew()

    def _log_reached(self, size: int) -> None:
        self.parts.log_reached(size)

    def _urge(self) -> None:
        self.log.inbox.put(Urge())
        self.control.hurry()
        self.bulk.hurry()

    # --- presence ---

    def _will(self) -> Publication:
        """Called for each connection: what the broker says when it is lost."""
        self._session = secrets.token_hex(16)
        return self._presence(online=False)

    def _say_presence(self, online: bool) -> None:
        self._presence_ns = self._clock.monotonic_ns() + PRESENCE_NS
        self.control.publish(self._presence(online))

    def _presence(self, online: bool) -> Publication:
        backlog = self.parts.stats.backlog
        presence = Presence(
            online,
            self._session,
            __version__,
            self.log.log_size,
            backlog.parts,
            backlog.size,
            backlog.oldest_ns,
            self._clock.wall_ns(),
        )
        topic = topics.up(self._device, "p")
        return Publication(topic, messages.write(presence), ("presence", 0), retain=True)

    def _guard(self, run: Callable[[threading.Event], None]) -> None:
        try:
            run(self._stop)
        except BaseException as error:
            self._failed.append(error)
            raise


def _identity(folder: SyncFolder, client: str, bulk: bool) -> Identity:
    return Identity(client, folder.certificate(bulk), folder.key(bulk), folder.authority)


def _brokers(addresses: tuple[str, ...]) -> list[Broker]:
    found = []
    for address in addresses:
        host, _, port = address.rpartition(":")
        found.append(Broker(host.strip("[]"), int(port)))
    return found
