"""The live recorder: what it owns, its loop, and how it begins and ends.

One thread (the caller of :meth:`Live.run`) owns archive, sources and alarms; capture threads
only hand frames over, the control server only shows snapshots and brings orders. The archive's
writer alone waits for the disk; what :meth:`Live.run` does when that is not enough is the matter of
:mod:`greffier.recorder.service`.
"""

import threading
from collections.abc import Callable, Sequence
from functools import partial

from greffier import __version__
from greffier.audit.coverage import Account
from greffier.calls.events import CallStarted
from greffier.clock import BUILT_NS, SECOND, Clock, day_of
from greffier.config.records import Config
from greffier.control.board import Board
from greffier.control.facts import Tell
from greffier.control.messages import Failure, Pause, Replay, Resume
from greffier.control.notify import Notifier
from greffier.control.transfer import SyncReport
from greffier.policy.packs import Packs
from greffier.policy.site import Policy
from greffier.recorder import channels, desks, purger, recovery, trunk_rules
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.archive import Archive
from greffier.recorder.card import CardSource
from greffier.recorder.card_line import Cut
from greffier.recorder.cards import SoundCard
from greffier.recorder.channels import CutLines, cut_lines
from greffier.recorder.governing import Fixed, Governor
from greffier.recorder.head_office import HeadOffice
from greffier.recorder.intake import Intake
from greffier.recorder.key_facts import hand_on
from greffier.recorder.late_facts import LateFacts
from greffier.recorder.notices import Notices
from greffier.recorder.numbers import Numbers
from greffier.recorder.orders import obey
from greffier.recorder.outage import Outage, StorageWatch
from greffier.recorder.outcome import STORAGE
from greffier.recorder.pausable import hurried
from greffier.recorder.pausing import Pausing
from greffier.recorder.recall import Recall
from greffier.recorder.recovery import Recovered
from greffier.recorder.report import Report
from greffier.recorder.resume import RESUMABLE_NS, Resumable
from greffier.recorder.rules import Rules
from greffier.recorder.scrub import Scrub
from greffier.recorder.snapshot import snapshot_of
from greffier.recorder.taps import Port
from greffier.recorder.telling import Telling
from greffier.recorder.troubles import Troubles
from greffier.recorder.trunk import Source, Trunk
from greffier.trust import load_log_key

CALL_OCTETS = 20_000
"""A second of a call, both directions of G.711 as they came, sealed."""
HEARTBEAT_NS = 60_000_000_000
LATE_NS = 1_000_000_000
"""Between two ticks: more than what a power cut may take."""
HURRY_NS = 100_000_000
"""After a tick, the next one comes no sooner for the sake of receipts."""
LIVELY_NS = 20_000_000
"""How long the loop rests at most while receipts come."""
_MS = 1_000_000


class Live:
    """One run of the recorder."""

    def __init__(
        self,
        config: Config,
        policy: Policy,
        packs: Packs,
        clock: Clock,
        archive: Archive,
        board: Board,
        alarms: AlarmRoom,
        recall: Recall | None = None,
        governor: Governor | None = None,
    ) -> None:
        """*recall* is given where it is older than this run; a *governor* names what runs."""
        self.recall = Recall(policy, config.lines, clock) if recall is None else recall
        self._shortened = self.recall.shortened  # what is known of that
        board.route({Replay: self.recall.play})
        self.config = config
        self.policy = policy
        self.clock = clock
        self.archive = archive
        self.packs = packs
        self._governor = governor or Fixed(policy)
        self._board = board
        self._alarms = alarms
        self._stop = threading.Event()
        self._notifier = Notifier()
        self._resumable = Resumable(())
        self._troubles = Troubles(alarms, clock)
        self.storage = StorageWatch(archive, alarms, config.storage, policy)
        self.sources: list[Source] = []
        self._gap: tuple[str, str | None] = ("off", None)  # what the time before this run was
        self._pausing = Pausing(config, policy, archive, self._troubles, self.sources)
        self._desks = desks.of_live(self, alarms, self._troubles)
        self._office = HeadOffice(archive, board, self._troubles)
        self.purger = purger.of_site(archive, alarms, config.timezone, policy, packs)
        self._scrub = Scrub(archive, self._troubles)
        self._late = LateFacts(archive, policy, self.purger.lend)
        told = (self.sources, self._pausing, self._late)
        self.telling = Telling(config, archive, self._troubles, *told)
        self.notices = Notices(config, archive, self.telling, self._troubles, self.sources)
        self.notices.know(policy)
        self._due_ns = 0  # of the next tick, monotonic
        self._ticked_ns = 0  # when the last one was done, monotonic
        self._until_ns = 0  # how long a cut call may be heard of again, monotonic

    def stop(self) -> None:
        """Ask for an end in good order. Any thread, or a signal handler, may call this."""
        self._stop.set()

    # --- the beginning ---

    def begin(
        self,
        taps: Sequence[Port],
        cards: Sequence[SoundCard] = (),
        outage: Outage | None = None,
        *,
        patience: int = 1,
    ) -> None:
        """Recover, open an epoch, account for the time before, and listen.

        *outage* is given where this process itself ran before, and its disk failed: then that time
        is lost, and not off. *patience* is CardSource's. Raises IntegrityError, StorageFailed.
        """
        found = recovery.recover(self.archive, self._notifier.busy)
        self._gap = ("lost", STORAGE) if outage else ("off", None)
        if found.cut_off:
            self._troubles.happened("recorder.restarted")
        self.archive.open_epoch()
        self._troubles.set(self.archive.sealing.orphaned, "operator.none")
        # The kernel keeps frames for us since a tap was opened, whatever recovery takes.
        now = min([tap.since_ns for tap in taps], default=self.clock.wall_ns())
        last_ns = min(found.last_ns, now)
        self.archive.log.append(
            "recorder.started",
            None,
            {
                "version": __version__,
                "config_sha256": self.config.sha256,
                "last_ns": last_ns or None,
            },
        )
        self.recall.attach(self.archive.log)
        self._office.meet(found.trusted)
        if outage is not None:
            self.archive.log.append("storage.outage", None, outage.entry(now))
        self._adopt(self._governor.meet(self.archive, self._troubles, self._board))
        recovery.list_cut(self.archive, [call for call in found.calls if call.ended is not None])
        cut = [call for call in found.calls if call.ended is None]
        recovery.list_open(self.archive, cut)
        lines = cut_lines(self.config.analogue, cut, load_log_key(self.archive.data.log_key))
        cut = [recovery.account_for(self.archive, call, last_ns) for call in lines.rest]
        self._resumable = Resumable(cut, now, self._gap)
        recovery.list_cut(self.archive, lines.stale)
        numbers = Numbers(self.archive.data.identity.device, found.numbers)
        for tap in taps:
            # A start settles its outage before it is logged itself: nothing may lie between them.
            since = found.settled.get(tap.name, found.settled[""])
            if since:
                recovery.tell_tap(self.archive, tap.name, since, last_ns, now, self._gap)
            intake = Intake(
                self.archive, self._rules_of(tap.name), numbers, self._ended, self._resumable,
                self._has_room, self.recall, self._refuses,
            )  # fmt: skip
            account = Account(tap.name, tap.name, now)
            self.sources.append(Trunk(self.config, tap, intake, account, self._troubles))
        for card in cards:
            self.sources.append(self._card(card, numbers, found, lines, (last_ns, now), patience))
        self.archive.tick()
        for source in self.sources:
            source.start()
        self._until_ns = self.clock.monotonic_ns() + RESUMABLE_NS

    def _card(
        self,
        card: SoundCard,
        numbers: Numbers,
        found: Recovered,
        cut: CutLines,
        outage: tuple[int, int],
        patience: int,
    ) -> CardSource:
        """The source over a sound card; *outage*: when the last run ended, and this one began."""
        last_ns, now = outage
        rules_of = self.notices.with_prompts(partial(channels.rules_of, self))
        intake = Intake(
            self.archive, rules_of, numbers, self._ended, self._resumable,
            self._has_room, self.recall, self._refuses,
        )  # fmt: skip
        ledgers = {}
        for line in card.lines:
            never = self.policy.never_records(line.line)
            running = cut.calls.get(line.name)
            ledgers[line.name] = channels.ledger_of(
                line, never, found, running, last_ns, now, self._gap
            )
        cuts = {name: Cut(call, last_ns) for name, call in cut.calls.items()}
        return channels.source_of(
            card, self.config, self.archive, intake, ledgers, cuts, self.policy, self.clock,
            self._troubles, patience,
        )  # fmt: skip

    def _adopt(self, policy: Policy) -> None:
        """Calls that begin from now on are recorded under *policy*."""
        self.policy = policy
        for one in (self.recall, self._pausing, self._late, self._desks, self.storage):
            one.adopt(policy)
        self.purger.adopt(policy, self.packs)

    def _has_room(self) -> bool:
        """Whether one more call may be recorded."""
        running = sum(not call.left_out for source in self.sources for call in source.running)
        if running < self.config.limits.calls:
            return True
        self._troubles.happened("calls.limit")
        return False

    def _refuses(self) -> bool:
        """Whether the disk has room for duties alone."""
        return self.storage.space.refuses

    def _rules_of(self, tap: str) -> Callable[[CallStarted], Rules]:
        unknown = partial(self._troubles.happened, "line.unknown")
        return self.notices.with_prompts(partial(trunk_rules.rules_of, self, tap, unknown))

    def _ended(self, call: Report) -> None:
        """A call is over: what somebody should look at becomes an alarm."""
        if "ONE_WAY_AUDIO" in call.clear["warnings"]:
            self._troubles.happened("line.silent", call.clear["line"])

    def run(self) -> None:
        """Work until :meth:`stop`. Raises StorageFailed: only a new opening may help."""
        limits = self.config.limits
        self.archive.keep_reserve(self.config.storage.reserve_mib << 20)
        self.archive.start_writer(limits.stall_s, limits.calls * limits.stall_s * CALL_OCTETS)
        self.storage.start()
        self.purger.start(self._board)
        self._scrub.start()
        self._notifier.ready("recording")
        heartbeat = self.clock.monotonic_ns() + HEARTBEAT_NS
        while not self._stop.wait(self._pause_s()):
            now = self.clock.wall_ns()
            for source in self.sources:
                source.work(now)
            hidden = hurried(call for source in self.sources for call in source.running)
            if hand_on(self.telling, self.sources) or hidden:
                self._due_ns = 0  # what was said holds, whatever happens now
            if self.clock.monotonic_ns() >= self._due_ns:
                self._tick(now)
            if self.clock.monotonic_ns() >= heartbeat:
                heartbeat += HEARTBEAT_NS
                self._beat(now)
            self._obey()

    def _pause_s(self) -> float:
        """How long nothing is to be done: no longer than until the next tick."""
        if any(one.behind for one in self.sources):
            return 0.0
        left_ns = self._due_ns - self.clock.monotonic_ns()
        if self._office.lively:
            left_ns = min(left_ns, LIVELY_NS)
        return max(0.0, min(self.config.tick_ms * _MS // 4, left_ns) / SECOND)

    def _tick(self, now: int) -> None:
        self.notices.look(now)
        for source in self.sources:
            source.release(now)
            source.collect(now)
        self.recall.age()
        if self.recall.shortened > self._shortened:
            self._troubles.happened("replay.short")
        self._shortened = self.recall.shortened
        self.archive.tick()
        done_ns = self.clock.monotonic_ns()
        if self._ticked_ns and done_ns - self._ticked_ns > LATE_NS:
            self._troubles.happened("recorder.late")
        self._ticked_ns = done_ns
        self._due_ns = done_ns + self.config.tick_ms * _MS
        if len(self._resumable) and self.clock.monotonic_ns() >= self._until_ns:
            recovery.list_cut(self.archive, self._resumable.rest())
        for source in self.sources:
            source.watch()
            if source.owes:
                self._settle(source, now)
        self._pausing.watch(now)
        self.telling.watch()
        self._desks.watch(now)
        self._scrub.look()
        self._troubles.calm()
        self.storage.look()
        self._board.publish(snapshot_of(self, self._alarms.view()))
        self._notifier.alive()
        self._office.watch()
        if self.archive.writer is not None:
            self.archive.writer.check()

    def _beat(self, now: int) -> None:
        """Account for the last minute of each source, look at clock and calendar."""
        earliest = max(BUILT_NS, self.clock.lower_bound().t_ns)
        self._troubles.set(now < earliest, "clock.wrong")
        for source in self.sources:
            self._settle(source, now)
        epoch = self.archive.epoch
        if epoch is not None and day_of(now) != day_of(epoch.opened_ns):
            self.archive.renew_epoch()
        self._office.beat()
        if (wanted := self.storage.space.wanted) > 0:
            self.purger.want(wanted, self.storage.space.freed)

    def _settle(self, source: Source, now: int) -> None:
        for interval in source.settle(now):
            self.archive.log.append("coverage", None, interval.data)

    def _obey(self) -> None:
        for order in self._board.take():
            request = order.request
            if isinstance(request, Pause | Resume):
                self._pausing.obey(request, order)
                self._due_ns = 0  # its answer waits for the commit
            elif isinstance(request, Tell):
                self.telling.obey(request, order)
                self._due_ns = 0  # the same
            elif isinstance(request, SyncReport):
                self._office.report(request, order)
            elif not self._desks.obey(order):
                refusal = Failure("refused", "not_supported")
                order.done(obey(request, self.stop, self._alarms, refusal))
        self._pausing.answer()
        self.telling.answer()
        self._desks.answer()
        if self._governor.step(self._adopt):
            self._due_ns = 0  # its answer waits for the commit
        if self._office.step():
            # Receipts come by the dozen: one commit is for all of a moment.
            self._due_ns = min(self._due_ns, self._ticked_ns + HURRY_NS)

    # --- the end ---

    def end(self) -> None:
        """Seal the parts, and let running calls be resumed. Raises StorageFailed."""
        self._notifier.stopping()
        self._office.leave()
        self._governor.leave()
        self._scrub.stop()
        self.storage.stop()
        self.purger.stop(self.config.limits.stall_s)
        self.recall.close()
        now = self.clock.wall_ns()
        for source in self.sources:
            source.stop(now)
        recovery.list_cut(self.archive, self._resumable.rest())
        self._beat(now)
        self.archive.log.append("recorder.stopped", None, {"reason": "asked"})
        self.archive.tick()
        self.archive.stop_writer(self.config.limits.stall_s)
        self.archive.tick()
        self._office.answer()

    def drop(self) -> None:
        """End at once, after a failure of the disk: nothing is ended, nothing is suspended.

        What can be replayed stays, and so do entries of replays that are not durable.
        """
        self._office.leave()
        self._governor.leave()
        self.purger.stop(0)
        self._scrub.stop()
        self.recall.detach()
        for source in self.sources:
            source.drop()
        self._troubles.leave()
