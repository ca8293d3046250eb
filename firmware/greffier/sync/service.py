"""The sync process: its threads, what it says of itself, and who may ask.

Threads: one for each connection, one for the log, one for parts, the control socket's; this module
is the main thread, which looks after all of them. Each may fail; then the process ends with an
error and is started again: everything that counts is with the recorder and at head office.
"""

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from greffier.clock import SECOND, Clock
from greffier.config.bandwidth import limit_at
from greffier.config.records import Config
from greffier.control import access
from greffier.control.board import Desk
from greffier.control.messages import Failure
from greffier.control.notify import Notifier
from greffier.control.server import Server
from greffier.control.transfer import AskSync, SyncNow, SyncPause, SyncReport, SyncState
from greffier.errors import BadSync
from greffier.language import translate
from greffier.sync import troubles
from greffier.sync.folder import SyncFolder
from greffier.sync.recorder_link import Away, RecorderLink
from greffier.sync.transfer import Transfer

REPORT_NS: Final = 30 * SECOND
_TURN_S: Final = 0.5
_FLEETING_NS: Final = 60 * SECOND
_ENROLLED_LOOK_NS: Final = 5 * SECOND


@dataclass(slots=True)
class _Standing:
    """A trouble that stands since then (monotonic ns)."""

    since_ns: int


class Service:
    """The whole process."""

    def __init__(self, config: Config, clock: Clock, say: Callable[[str], None]) -> None:
        """*say* is told, in one line, what is wrong when that changes."""
        self._config = config
        self._clock = clock
        self._say = say
        self._folder = SyncFolder(config.sync.folder)
        self._notifier = Notifier()
        self._stop = threading.Event()
        self._transfer: Transfer | None = None
        self._enrolled_ns = 0
        self._unenrolled = "sync.not_enrolled"
        self._standing: dict[str, _Standing] = {}
        self._said = ""
        self._report_ns = 0
        self._reported: tuple[str, ...] = ()
        self._link = RecorderLink(config.control.socket, 3.0)
        self._began_ns = clock.wall_ns()
        self._desk = Desk(
            {
                AskSync: lambda request, uid: self.state(),
                SyncNow: lambda request, uid: Failure("busy", "not_enrolled"),
                SyncPause: lambda request, uid: Failure("busy", "not_enrolled"),
            }
        )

    def stop(self) -> None:
        """Ask for an end in good order. Any thread, or a signal handler, may call this."""
        self._stop.set()

    def run(self) -> None:
        """Carry until :meth:`stop`. Raises Stuck, AlreadyThere, StorageFailed, BadConfig."""
        config = self._config
        sys.setswitchinterval(0.001)  # the log must not wait 5 ms for a chunk
        with Server(config.sync.socket, self._desk, access.of_config(config), self._clock):
            self._notifier.ready(self._line())
            try:
                while not self._stop.is_set():
                    self._turn()
                    self._stop.wait(_TURN_S)
            finally:
                self._notifier.stopping()
                if self._transfer is not None:
                    self._transfer.stop()

    def state(self) -> SyncState:
        """How it goes. Any thread."""
        now = self._clock.wall_ns()
        transfer = self._transfer
        if transfer is None:
            return _nothing(self._unenrolled.removeprefix("sync."), now)
        stats, keeper = transfer.parts.stats, transfer.log.keeper
        flying = stats.offered + stats.sending + stats.waiting
        limit = self._limit()
        return SyncState(
            device=transfer.control.identity.client,
            state=self._word(transfer),
            queued=max(0, stats.backlog.parts - flying - stats.backlog.refused),
            offered=stats.offered,
            sending=stats.sending,
            waiting=stats.waiting,
            refused=stats.backlog.refused,
            size=stats.backlog.size,
            oldest_ns=stats.backlog.oldest_ns,
            rate_bps=8 * transfer.pump.rate(),
            limit_bps=limit or 0,
            log_size=keeper.size,
            head_size=keeper.head or 0,
            cosigned_size=keeper.cosigned,
            last_receipt_ns=stats.last_receipt_ns,
            last_cosigned_ns=transfer.log.last_cosigned_ns,
            cosign_ms=transfer.log.cosign_ms,
            received=stats.received,
            pause_until_ns=stats.pause_until_ns,
            trouble=troubles.first_of(self._standing.keys()).removeprefix("sync."),
            clock_ns=now,
        )

    def _word(self, transfer: Transfer) -> str:
        stats = transfer.parts.stats
        if not transfer.control.up:
            return "offline" if transfer.control.trouble else "connecting"
        if stats.pause_until_ns or (self._limit() == 0 and stats.backlog.parts):
            return "paused"
        flying = stats.offered + stats.sending + stats.waiting
        return "sending" if flying else "idle"

    def _limit(self) -> int | None:
        at = datetime.fromtimestamp(self._clock.wall_ns() / SECOND, self._config.timezone)
        return limit_at(self._config.sync.limits, at)

    def _turn(self) -> None:
        now = self._clock.monotonic_ns()
        if self._transfer is None and now >= self._enrolled_ns:
            self._enrolled_ns = now + _ENROLLED_LOOK_NS
            self._begin()
        if self._transfer is not None:
            self._transfer.look_after(self._limit())
        self._judge(now)
        self._notifier.alive()

    def _begin(self) -> None:
        """Start what needs an enrolment, once there is one."""
        try:
            enrolment = self._folder.read_enrolment()
        except BadSync as error:
            there = self._folder.enrolment.exists()
            self._unenrolled = "sync.certificate_unusable" if there else "sync.not_enrolled"
            if there:
                self._tell(str(error))
            return
        transfer = Transfer(self._config, self._folder, enrolment, self._clock)
        self._desk.route({SyncNow: transfer.parts.orders, SyncPause: transfer.parts.orders})
        transfer.start()
        self._transfer = transfer

    def _judge(self, now: int) -> None:
        """What is wrong, since when, and whom to tell."""
        transfer = self._transfer
        found = transfer.troubles if transfer else {self._unenrolled}
        if transfer is not None and self._is_late(transfer):
            found.add("sync.late")
        for name in list(self._standing):
            if name not in found:
                del self._standing[name]
        for name in found:
            self._standing.setdefault(name, _Standing(now))
        line = self._line()
        if line != self._said:
            self._tell(line)
        alarms = {
            troubles.alarm_of(name)
            for name, one in self._standing.items()
            if name != "sync.recorder"
            and (name not in troubles.FLEETING or now - one.since_ns >= _FLEETING_NS)
        }
        if transfer is not None and transfer.parts.stats.pause_until_ns:
            alarms.add("sync.paused")
        if transfer is not None and (
            tuple(sorted(alarms)) != self._reported or now >= self._report_ns
        ):
            self._report(transfer, tuple(sorted(alarms)), now)

    def _report(self, transfer: Transfer, alarms: tuple[str, ...], now: int) -> None:
        backlog = transfer.parts.stats.backlog
        report = SyncReport(
            transfer.control.up,
            backlog.parts,
            backlog.size,
            backlog.oldest_ns,
            alarms,
        )
        self._report_ns = now + REPORT_NS
        try:
            self._link.report(report)
        except Away:
            self._report_ns = now + 5 * SECOND
            return
        self._reported = alarms

    def _is_late(self, transfer: Transfer) -> bool:
        """Whether parts wait, and nothing was received for longer than is right."""
        stats = transfer.parts.stats
        if not stats.backlog.parts or not stats.backlog.oldest_ns:
            return False
        last = max(stats.last_receipt_ns, stats.backlog.oldest_ns)
        hours = self._config.sync.alarm_hours
        return self._clock.wall_ns() - last > hours * 3600 * SECOND

    def _line(self) -> str:
        name = troubles.first_of(self._standing.keys())
        if not name:
            return translate("connected to head office") if self._transfer else ""
        transfer = self._transfer
        detail = ""
        if transfer is not None:
            for one in (transfer.control, transfer.bulk):
                detail = detail or one.detail
        text = translate(troubles.TEXTS.get(name, name))
        return f"{text} ({detail})" if detail else text

    def _tell(self, line: str) -> None:
        self._said = line
        if line:
            self._say(line)
            self._notifier.status(line)


def _nothing(trouble: str, now: int) -> SyncState:
    """The state of a process that is not enrolled."""
    counts = dict.fromkeys(
        (
            "queued",
            "offered",
            "sending",
            "waiting",
            "refused",
            "size",
            "oldest_ns",
            "rate_bps",
            "limit_bps",
            "log_size",
            "head_size",
            "cosigned_size",
            "last_receipt_ns",
            "last_cosigned_ns",
            "cosign_ms",
            "received",
            "pause_until_ns",
        ),
        0,
    )
    return SyncState(
        device="unknown", state="not_enrolled", trouble=trouble, clock_ns=now, **counts
    )
