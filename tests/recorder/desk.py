"""A recorder without threads: calls on a line, a clock that the test moves, orders, ticks."""

import secrets
from collections.abc import Iterable, Mapping
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
from greffier.control.board import Order, Reply
from greffier.control.facts import Tell
from greffier.control.messages import Answer, Pause, Resume, Stop
from greffier.recorder import recovery
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.archive import Archive
from greffier.recorder.call import Call
from greffier.recorder.intake import Intake, Report
from greffier.recorder.late_facts import LateFacts
from greffier.recorder.numbers import Numbers
from greffier.recorder.pausing import Pausing
from greffier.recorder.resume import Resumable
from greffier.recorder.rules import Rules
from greffier.recorder.telling import Telling
from greffier.recorder.troubles import Troubles
from greffier_sim.captures import MS

BATCH_NS = 200 * MS


class Desk:
    """One line of *box* under *policy*, live from *start_ns* on; also the loop's only source."""

    name, blind = "desk", False

    def __init__(
        self,
        box: Box,
        line: str,
        policy: Path,
        start_ns: int,
        consent: str = "none",
        *,
        u: float = 0.0,
        pending: Iterable[str] = (),
        given: Mapping[str, object] | None = None,
    ) -> None:
        self.box = box
        self.clock = CaptureClock(start_ns, SystemClock())
        self.archive = Archive.open(box.data, self.clock)
        self.found = recovery.recover(self.archive)
        self.archive.open_epoch()
        told = {"window": "true", **({} if "consent" in pending else {"consent": consent})}
        told |= dict(given or {})
        self.rules = Rules(loaded(policy), PACKS, line, told, u, pending=frozenset(pending))
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
        parsed = config.parse(table)
        troubles = Troubles(self.alarms, self.clock)
        self.pausing = Pausing(
            parsed,
            self.rules.policy,
            self.archive,
            troubles,
            [self],
        )
        self.answers: list[Answer] = []
        self.told: list[Reply] = []
        late = LateFacts(self.archive, self.rules.policy, lambda work: work(self.archive.perform))
        self.telling = Telling(parsed, self.archive, troubles, [self], self.pausing, late)

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

    def fetch(self, call: Call) -> None:
        """Nothing is lent."""

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

    def tell(self, fact: str, value: str, **more: Any) -> Reply | None:
        """Tell a fact about the only call that runs, or another; its answer, if it is there."""
        named = {"id": secrets.token_hex(16), "source": "key", **more}
        if not {"call", "line", "recording"} & named.keys():
            named["line"] = self.rules.line
        before = len(self.told)
        self.telling.obey(
            Tell(fact=fact, value=value, **named), Order(Stop(), 1000, self.told.append)
        )
        return self.told[-1] if len(self.told) > before else None

    def tick(self) -> None:
        """What the loop does when a tick is due."""
        now = self.clock.wall_ns()
        self.intake.take(self.tracker.advance(now))
        for call in self.intake.running:
            call.release(now)
        self.archive.tick()
        self.pausing.watch(now)
        self.pausing.answer()
        self.telling.answer()
        self.telling.watch()

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
