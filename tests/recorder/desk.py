"""A recorder without threads: calls on a line, a clock that the test moves, orders, ticks."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.stories.box import PACKS, Box, loaded

from greffier.audit.coverage import Account
from greffier.audit.intervals import Interval
from greffier.calls.events import CallStarted
from greffier.calls.limits import Limits
from greffier.calls.tracker import Tracker
from greffier.capture.datagram import Datagram
from greffier.clock import CaptureClock, SystemClock
from greffier.config import recorder as config
from greffier.control.board import Order
from greffier.control.messages import Answer, Pause, Resume
from greffier.recorder import recovery
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.archive import Archive
from greffier.recorder.call import Call
from greffier.recorder.intake import Intake, Report
from greffier.recorder.numbers import Numbers
from greffier.recorder.pausing import Pausing
from greffier.recorder.resume import Resumable
from greffier.recorder.rules import Rules
from greffier.recorder.troubles import Troubles
from greffier_sim.captures import MS

BATCH_NS = 200 * MS


class Desk:
    """One line of *box* under *policy*, live from *start_ns* on; also the loop's only source."""

    name, blind = "desk", False

    def __init__(
        self, box: Box, line: str, policy: Path, start_ns: int, consent: str = "none"
    ) -> None:
        self.box = box
        self.clock = CaptureClock(start_ns, SystemClock())
        self.archive = Archive.open(box.data, self.clock)
        self.found = recovery.recover(self.archive)
        self.archive.open_epoch()
        self.rules = Rules(loaded(policy), PACKS, line, {"window": "true", "consent": consent}, 0.0)
        self.reports: list[Report] = []
        self.resumable = Resumable(self.found.calls, start_ns)
        numbers = Numbers.of(self.archive.data)
        self.intake = Intake(
            self.archive, self._rules_of, numbers, self.reports.append, self.resumable
        )
        self.tracker = Tracker(Limits(batch_ns=BATCH_NS))
        self.alarms = AlarmRoom(self.clock, "0" * 32)
        table = {
            "schema": "recorder/1",
            "data": str(box.data),
            "policy": str(policy),
            "policy_signers": "signers",
            "taps": {"trunk": {"interface": "tap"}},
            "match": [{"line": line}],
        }
        self.pausing = Pausing(
            config.parse(table),
            self.rules.policy,
            self.archive,
            Troubles(self.alarms, self.clock),
            [self],
        )
        self.answers: list[Answer] = []

    def _rules_of(self, _call: CallStarted) -> Rules:
        return self.rules

    # --- what a source is ---

    @property
    def running(self) -> list[Call]:
        return list(self.intake.running)

    def start(self) -> None:
        """Nothing begins."""

    def work(self, now_ns: int) -> None:
        """Nothing comes by itself."""

    def watch(self) -> None:
        """Nothing can break."""

    def settle(self, now_ns: int) -> list[Interval]:
        return list(Account("desk", "desk", now_ns - 1).settle(now_ns))

    def stop(self, now_ns: int) -> None:
        self.intake.suspend(now_ns)

    # --- what a test does ---

    def hear(self, datagrams: Iterable[Datagram]) -> None:
        """Let *datagrams* come, each at its time."""
        for datagram in datagrams:
            self.clock.move_to(datagram.time_ns)
            self.intake.take(self.tracker.feed(datagram))

    def order(self, request: Pause | Resume) -> Answer | None:
        """Give an order; its answer where there is one at once."""
        before = len(self.answers)
        self.pausing.obey(request, Order(request, 1000, self.answers.append))
        return self.answers[-1] if len(self.answers) > before else None

    def tick(self) -> None:
        """What the loop does when a tick is due."""
        now = self.clock.wall_ns()
        self.intake.take(self.tracker.advance(now))
        for call in self.intake.running:
            call.release(now)
        self.archive.tick()
        self.pausing.watch(now)
        self.pausing.answer()

    def close(self) -> None:
        """End in good order."""
        self.intake.suspend(self.clock.wall_ns())
        self.archive.tick()
        self.archive.tick()
        self.archive.close()

    def die(self) -> None:
        """End as a kill would: nothing more is written."""
        self.archive.index.close()
        self.archive.shred.close()
        self.archive.log.close()
        self.archive.lock.release()

    @property
    def accounted(self) -> Any:
        """What became of the packets of the only call that ended."""
        (report,) = self.reports
        return report.clear["accounted"]
