"""The retention engine of the running recorder: what is due goes by itself, orders are obeyed.

One thread, which may wait for the disk and a TPM: nobody waits for it. It reads the index through a
connection of its own, decides, tells the log, and lets the writer do what only the owner of the
stores may, one batch between two commits. Purges, holds and erasures are orders of this one thread,
so a hold is never placed between a decision and its deed.

Once a day, in the quiet hour of the site's zone, what is due goes; also soon after a start, and
once trusted time has come back, where something has been due for more than a day.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Final

from greffier.audit.requests import SOON_NS
from greffier.clock import SECOND, day_of
from greffier.control.board import Board
from greffier.control.messages import Answer, Failure
from greffier.control.retention import (
    MOST_TOLD,
    AskHolds,
    AskTold,
    Enter,
    Erase,
    HoldStates,
    PlaceHold,
    Purge,
    ReleaseHold,
    Ticket,
)
from greffier.errors import IntegrityError, StorageFailed
from greffier.policy import archives
from greffier.policy.lifecycle import DAY_NS
from greffier.policy.packs import Packs
from greffier.policy.purposes import METADATA_DAYS
from greffier.policy.site import Policy
from greffier.recorder import purge
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.archive import Archive
from greffier.recorder.purge import Blocked, Hands
from greffier.recorder.retention import Order, Report, Retention, state_of

QUIET_HOUR: Final = 3
LOOK_S: Final = 60.0
OVERDUE_LOOK_NS: Final = 3600 * SECOND
"""So often it looks whether something is overdue."""
OVERDUE_NS: Final = 22 * 3600 * SECOND
"""What was due so long ago does not wait for the quiet hour: with the look above, a day is kept,
also one of 25 hours.
"""
PACE_S: Final = 1.0
"""Between two batches: what waits is committed meanwhile, and frames are written."""
MOST_ORDERS: Final = 16
MOST_KEPT: Final = 16
"""Answers that are kept for who asks for them."""
MASS: Final = "retention.mass"
FAILED: Final = "retention.failed"
REVIEW: Final = "hold.review"
REQUEST_SOON: Final = "request.due"
REQUEST_LATE: Final = "request.late"
BROKEN_GLASS: Final = "access.broken_glass"


@dataclass(frozen=True, slots=True)
class Freed:
    """What became of a wish for space: so many octets of parts went, of so many parts."""

    octets: int
    parts: int


@dataclass(slots=True)
class _Job:
    """An order, and what became of it so far."""

    order: Order | Callable[[Hands], None]
    told: Report = field(default_factory=Report)


class Purger:
    """One for an opened archive, from :meth:`start` until :meth:`stop`."""

    def __init__(
        self,
        archive: Archive,
        alarms: AlarmRoom,
        zone: tzinfo,
        blocked: Blocked = lambda row: False,
        metadata_days: int = METADATA_DAYS,
    ) -> None:
        """*blocked* says of a part whether a visa of the archives is missing."""
        self._archive = archive
        self._alarms = alarms
        self._zone = zone
        self._blocked = blocked
        self._days = metadata_days
        self._retention = Retention(
            archive,
            blocked,
            metadata_days,
            archive.perform,
            self._between,
            lambda wrong: alarms.set(wrong, MASS),
        )
        # Guards what stands below, where the threads meet.
        self._door = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._kept: OrderedDict[int, _Job] = OrderedDict()
        self._tickets = 0
        self._wanted: tuple[int, Callable[[Freed], None]] | None = None
        self._stopping = False
        # Its own thread's.
        self._day = self._quiet_day()  # local, whose quiet hour is over; a start is none
        self._overdue_ns = 0  # when it looks for what is overdue, monotonic
        self._thread = threading.Thread(target=self._run, name="purger", daemon=True)

    # --- the recorder's thread ---

    def start(self, board: Board) -> None:
        """Begin; the archive's writer has been started."""
        writer = self._archive.writer
        if writer is not None:
            self._retention.hands = writer.perform
        self._thread.start()
        board.route(dict.fromkeys((Purge, PlaceHold, ReleaseHold, Erase, Enter), self.order))
        board.route({AskTold: self.told, AskHolds: self.holds})

    def adopt(self, policy: Policy, packs: Packs) -> None:
        """Visa and metadata are those of *policy* from now on."""
        self._blocked, self._days = _blocked(policy, packs), policy.retention.metadata
        self._retention.adopt(self._blocked, self._days)

    def stop(self, patience_s: float) -> None:
        """Take no more orders, and wait at most so long until nothing is under way."""
        with self._door:
            self._stopping = True
            self._door.notify()
        if self._thread.is_alive():
            self._thread.join(patience_s)

    # --- any thread ---

    def want(self, octets: int, done: Callable[[Freed], None] = lambda freed: None) -> bool:
        """Ask for *octets* of parts to go, by the rule; False where that is asked for already.

        Returns at once. *done* is called by the purger's thread, once, and must not wait; nothing
        freed means that by the rule nothing more may go now, or that the disk failed. At most a
        fifth of all parts goes at a time.
        """
        with self._door:
            if self._wanted is not None or self._stopping:
                return False
            self._wanted = octets, done
            self._door.notify()
        return True

    def order(self, request: Any, _uid: int) -> Answer:
        """Take an order; its ticket."""
        with self._door:
            if self._stopping or not self._thread.is_alive():
                return Failure("busy", "stopping")
            if len(self._jobs) >= MOST_ORDERS:
                return Failure("busy", "too_many_orders")
            self._tickets += 1
            job = self._kept[self._tickets] = _Job(request)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            self._jobs.append(job)
            self._door.notify()
            return Ticket(self._tickets)

    def lend(self, work: Callable[[Hands], None]) -> Failure | None:
        """Let the engine's thread do *work*, before the next batch; why it does not."""
        with self._door:
            if self._stopping or not self._thread.is_alive():
                return Failure("busy", "stopping")
            if len(self._jobs) >= MOST_ORDERS:
                return Failure("busy", "too_many_orders")
            self._jobs.append(_Job(work))
            self._door.notify()
        return None

    def told(self, request: AskTold, _uid: int) -> Answer:
        """What became of the order of a ticket so far."""
        with self._door:
            job = self._kept.get(request.ticket)
        if job is None:
            return Failure("refused", "no_such_order")
        return job.told.page(request.after, self._archive.clock.lower_bound())

    def holds(self, _request: AskHolds, _uid: int) -> Answer:
        """The holds that stand."""
        found = [one for one in self._archive.holds if one.until_ns is None]
        return HoldStates(tuple(map(state_of, found[:MOST_TOLD])))

    # --- its own thread ---

    def _run(self) -> None:
        try:
            self._work_on()
        except BaseException:  # a slip of ours: nobody else would notice that nothing goes
            self._alarms.set(True, FAILED)
            raise

    def _work_on(self) -> None:
        while True:
            with self._door:
                if not (self._jobs or self._wanted or self._stopping):
                    self._door.wait(LOOK_S)
                if self._stopping:
                    return
            self._serve()
            self._look()

    def _serve(self) -> None:
        """Carry out all orders that have come."""
        while True:
            with self._door:
                job = self._jobs.popleft() if self._jobs else None
                wanted = None
                if job is None:
                    wanted, self._wanted = self._wanted, None
            if job is not None:
                self._do(job)
            elif wanted is not None:
                octets, done = wanted
                done(self._free(octets))
            else:
                return

    def _between(self) -> bool:
        """Between two batches: holds and the like go first; False at the end."""
        with self._door:
            if not self._stopping:
                self._door.wait(PACE_S)
            waiting = [job for job in self._jobs if not isinstance(job.order, Purge)]
            for job in waiting:
                self._jobs.remove(job)
            stopping = self._stopping
        for job in waiting:
            self._do(job)
        return not stopping

    def _do(self, job: _Job) -> None:
        if callable(job.order):
            job.order(self._retention.hands)
            return
        self._retention.carry_out(job.order, job.told)

    def _free(self, octets: int) -> Freed:
        try:
            done = self._retention.purge(octets)
        except (StorageFailed, IntegrityError, OSError):
            return Freed(0, 0)
        return Freed(sum(one.row.size for one in done), len(done))

    # --- of itself ---

    def _look(self) -> None:
        """Work where the quiet hour has come, or something is overdue."""
        clock = self._archive.clock
        self._archive.pace.now(clock)  # often, so that it notices when trusted time jumps
        self._look_at_people(clock.wall_ns())
        day = self._quiet_day()
        quiet = day > self._day
        if not (quiet or clock.monotonic_ns() >= self._overdue_ns):
            return
        self._overdue_ns = clock.monotonic_ns() + OVERDUE_LOOK_NS
        try:
            if quiet or self._is_overdue():
                self._work()
        except (StorageFailed, IntegrityError, OSError):
            self._alarms.set(True, FAILED)
            return
        self._day = day  # also back, where the wall clock was ahead
        self._alarms.set(False, FAILED)

    def _look_at_people(self, now_ns: int) -> None:
        """What is owed to data subjects is an alarm; so is a broken glass, for a day."""
        due = [one.due_ns for one in self._archive.register if one.is_open]
        self._alarms.set(any(one < now_ns for one in due), REQUEST_LATE)
        soon = any(now_ns <= one < now_ns + SOON_NS for one in due)
        self._alarms.set(soon, REQUEST_SOON)
        broken_ns = self._archive.register.grants.broken_ns
        self._alarms.set(bool(broken_ns) and now_ns < broken_ns + DAY_NS, BROKEN_GLASS)

    def _quiet_day(self) -> str:
        """The last local day whose quiet hour has begun."""
        clock = self._archive.clock
        return day_of(clock.wall_ns() - QUIET_HOUR * 3600 * SECOND, self._zone)

    def _is_overdue(self) -> bool:
        """Whether something was due long ago, or was begun and is not done."""
        deletions = self._archive.deletions
        if deletions.unfinished or deletions.unfinished_epochs:
            return True
        now_ns = self._archive.clock.lower_bound().t_ns - OVERDUE_NS
        if deletions.epochs_due(now_ns, self._days):
            return True
        return purge.has_due(self._archive, now_ns, self._blocked)

    def _work(self) -> None:
        """What a day asks for."""
        self._retention.purge(0)
        self._retention.forget()
        now_ns = self._archive.clock.lower_bound().t_ns
        late = any(
            one.until_ns is None and 0 < one.review_ns < now_ns for one in self._archive.holds
        )
        self._alarms.set(late, REVIEW)


def of_site(
    archive: Archive, alarms: AlarmRoom, zone: tzinfo, policy: Policy, packs: Packs
) -> Purger:
    """The purger of a recorder with *policy*, where clocks show the time of *zone*."""
    return Purger(archive, alarms, zone, _blocked(policy, packs), policy.retention.metadata)


def _blocked(policy: Policy, packs: Packs) -> Blocked:
    lacking = archives.lacking(policy, packs)
    return lambda row: lacking(row.line, row.purposes)
