"""The collector: two connections, and the threads behind them.

control, bulk: each owns its connection to the broker; what comes goes into bounded queues.
audit: owns the replicas of the logs and a connection to the catalogue; no part of a recording ever
stands before an entry of a log.
desk: owns the uploads and a connection that only reads; three storing threads work for it.
committer: writes the envelopes and the rows of parts; receipts go out from it.
purge: deletes what is due, with connections of its own (greffier_office.purger).

The thread that made it only looks whether they live (:meth:`Collector.troubles`).
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from greffier.control.forms import BadMessage
from greffier.durable import Disk
from greffier.errors import Busy
from greffier.sync import messages, topics
from greffier.sync.messages import Collector as CollectorMessage
from greffier.sync.messages import Fork, Have, Later, Need, Presence, Refused
from greffier_office.audit_desk import AuditDesk
from greffier_office.broker import Address
from greffier_office.catalogue import Catalogue
from greffier_office.committer import Committer, Heard
from greffier_office.connection import Connection, Will, tls_context
from greffier_office.desk import Desk
from greffier_office.envelopes import Envelopes
from greffier_office.log_keeper import LogKeeper
from greffier_office.objects import Objects
from greffier_office.place import Office
from greffier_office.purger import Purger
from greffier_office.purging import Purging
from greffier_office.steps import Finish
from greffier_office.sweeping import Sweeping
from greffier_office.uploads import BUDGET, Uploads

NEED_EXPIRY_S: Final = 30
REPLAY_TRIES: Final = 60
REPLAY_WAIT_S: Final = 0.5
DROPPED: Final = "$SYS/broker/publish/messages/dropped"
"""Where mosquitto says how many messages it dropped because a queue was full."""
SILENT_S: Final = 120.0
"""A thread that has not gone round for so long is dead: the process ends and is started again."""
SHARE: Final = "$share/office/"
_ALL: Final = f"{topics.ROOT}/+/up"


@dataclass(frozen=True, slots=True)
class Settings:
    """How ``serve`` was asked to work. ``budget`` and ``reserve`` are octets.

    Sound comes from the broker at ``bulk``, everything else goes by the one at ``address``.
    """

    address: Address
    bulk: Address
    lane: str
    budget: int = BUDGET
    reserve: int = 1 << 30


@dataclass(slots=True)
class _Voice:
    """Messages to boxes, by the control connection; lost while there is none."""

    control: Connection | None = field(default=None)

    def audit(self, device: str, message: Have | Fork) -> None:
        self._say(topics.down(device, "audit"), messages.write(message))

    def need(self, device: str, message: Need | Later | Refused) -> None:
        self._say(topics.down(device, "need"), messages.write(message), NEED_EXPIRY_S)

    def receipt(self, device: str, receipt: bytes) -> None:
        self._say(topics.down(device, "receipt"), receipt)

    def _say(self, topic: str, payload: bytes, expiry_s: int | None = None) -> None:
        if self.control is not None:
            self.control.say(topic, payload, expiry_s=expiry_s)


class Collector:
    """Made, started, looked after and stopped by one thread.

    *told* takes one line for people, from any thread. Raises BadKeyFile, BadDatabase,
    StorageFailed.
    """

    def __init__(
        self, office: Office, settings: Settings, disk: Disk, told: Callable[[str], None]
    ) -> None:
        self._office = office
        self._settings = settings
        self._disk = disk
        self._told = told
        self._writing = threading.Lock()
        self._open_catalogue().close()  # migrations, and every error of them, before any thread
        self._replay()
        self.purger = Purger(self._purging, bool(office.archives_visa), told)
        objects = Objects(office.store or office.objects, disk)
        voice = _Voice()
        witness = office.witness_signer()
        self.committer = Committer(
            lambda: (self._open_catalogue(), self._open_envelopes()),
            office.receipt_signer(),
            voice,
            self._finished,
        )
        self.desk = Desk(
            self._open_catalogue,
            objects,
            Uploads(settings.lane, settings.budget),
            self.committer.put,
            voice,
            self._hears_chunks,
            settings.reserve,
        )
        self.audit = AuditDesk(lambda: self._keeper(objects, witness), voice, told)
        self.control, self.bulk = self._connections()
        voice.control = self.control
        self.counts: Counter[str] = Counter()
        self._dropped: int | None = None  # the control thread's
        self._telling = threading.Lock()
        self._online = False  # under it: what boxes were told last

    @property
    def ready(self) -> bool:
        """Whether both connections have their subscriptions."""
        return self.control.ready.is_set() and self.bulk.ready.is_set()

    def start(self) -> None:
        """Start every thread; those that answer before those that ask."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Say goodbye, finish what was taken, end every thread."""
        with self._telling:
            if self.control.ready.is_set():
                self._be_present(online=False)
        for connection in (self.bulk, self.control):
            connection.stop()
            connection.join(5.0)
        for thread in (self.purger, self.audit, self.desk, self.committer):
            thread.stop()
            thread.join(15.0)

    def troubles(self) -> list[str]:
        """Which threads are dead or stand still; nothing to do then but end."""
        now = time.monotonic()
        return [
            thread.name
            for thread in self._threads
            if not thread.is_alive() or now - thread.beat > SILENT_S
        ]

    def status(self) -> Mapping[str, Any]:
        """Figures for the log: what was dropped, what is under way."""
        counts: Counter[str] = Counter()
        for one in (self.counts, self.desk.counts, self.audit.counts, self.purger.counts):
            counts.update(dict.copy(one))  # in one step: other threads count meanwhile
        failed = dict.copy(self.committer.counts)
        counts.update({f"commit: {name}": count for name, count in failed.items()})
        seen = {name: count for name, count in counts.items() if count}
        return {"ready": self.ready, "lane": self._settings.lane, "counts": seen}

    @property
    def _threads(self) -> tuple[Committer | Desk | AuditDesk | Connection | Purger, ...]:
        return (self.committer, self.desk, self.audit, self.control, self.bulk, self.purger)

    def _replay(self) -> None:
        """What was deleted stays deleted, whatever backup the databases are of: before anything.

        Another collector may be deleting just now: it is waited for a while. Raises Busy.
        """
        purging = Purging.of(self._office, self._disk)
        try:
            for left in reversed(range(REPLAY_TRIES)):
                try:
                    purging.replay()
                    return
                except Busy:
                    if not left:
                        raise
                    time.sleep(REPLAY_WAIT_S)
        finally:
            purging.close()

    def _purging(self) -> tuple[Purging, Sweeping]:
        office, disk = self._office, self._disk
        return (
            Purging.of(office, disk, time.time_ns, self._writing),
            Sweeping.of(office, disk, time.time_ns, self._writing),
        )

    def _connections(self) -> tuple[Connection, Connection]:
        ca = self._office.ca_certificate
        lane = self._settings.lane
        gone = CollectorMessage(online=False, lane=lane, at_ns=time.time_ns())
        control = Connection(
            "control",
            self._settings.address,
            tls_context(ca, *self._office.collector()),
            (f"{SHARE}{_ALL}/offer", f"{SHARE}{_ALL}/audit", f"{_ALL}/p", DROPPED),
            self._control_heard,
            self._changed,
            Will(topics.collector(lane), messages.write(gone)),
        )
        bulk = Connection(
            "bulk",
            self._settings.bulk,
            tls_context(ca, *self._office.collector(bulk=True)),
            (f"{_ALL}/c/{lane}",),
            self._bulk_heard,
            self._changed,
        )
        return control, bulk

    def _control_heard(self, topic: str, payload: bytes) -> None:
        if topic == DROPPED:
            self._broker_dropped(payload)
            return
        sender = topics.sender(topic)
        if sender is None or len(payload) > topics.LARGEST_PAYLOAD:
            self.counts["malformed"] += 1
            return
        device, what, _lane = sender
        if what == "audit":
            self.audit.batch(device, payload)
        elif what == "offer":
            self.desk.offer(device, payload)
        elif what == "p":
            self._present(device, payload)

    def _bulk_heard(self, topic: str, payload: bytes) -> None:
        sender = topics.sender(topic)
        if sender is None or sender[1] != "c" or len(payload) > topics.LARGEST_PAYLOAD:
            self.counts["malformed"] += 1
            return
        self.desk.chunk(sender[0], payload)

    def _broker_dropped(self, payload: bytes) -> None:
        """Nothing is lost by it, but its queues are too short for what is asked for at once."""
        if payload.isdigit() and len(payload) < 16:
            before, self._dropped = self._dropped, int(payload)
            if before is not None and self._dropped > before:
                self._told(f"the broker dropped {self._dropped - before} messages")

    def _present(self, device: str, payload: bytes) -> None:
        try:
            said = messages.read(payload)
        except BadMessage:
            self.counts["malformed"] += 1
            return
        if isinstance(said, Presence):
            self.committer.put(Heard(device, said))

    def _changed(self) -> None:
        """A connection came or went: boxes are told when both are there, and when no longer."""
        with self._telling:
            if not self.control.ready.is_set():
                self._online = False  # the Will says so
            elif self.bulk.ready.is_set() != self._online:
                self._be_present(online=not self._online)

    def _be_present(self, *, online: bool) -> None:
        self._online = online
        said = CollectorMessage(online, self._settings.lane, time.time_ns())
        topic = topics.collector(self._settings.lane)
        self.control.say(topic, messages.write(said), retain=True)

    def _hears_chunks(self) -> bool:
        return self.bulk.ready.is_set()

    def _finished(self, part: Finish, outcome: str) -> None:
        self.desk.finished(part, outcome)

    def _keeper(self, objects: Objects, witness: Any) -> tuple[LogKeeper, Catalogue]:
        rows = self._open_catalogue()
        return LogKeeper(rows, objects, witness, time.time_ns), rows

    def _open_catalogue(self) -> Catalogue:
        return Catalogue.open(self._office.catalogue, self._disk, self._writing)

    def _open_envelopes(self) -> Envelopes:
        return self._office.open_envelopes(self._disk)
