"""A box with many short calls of many days: what thieves and purges are tried on.

The calls go through the recorder's own rooms (tracker, intake, tapes, archive). Each has a number
of its own and sound that nobody else has. Sampled calls are voluntary, those of the desk a duty.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from greffier.calls.events import CallStarted
from greffier.calls.tracker import Tracker
from greffier.capture.datagram import Address, Datagram
from greffier.clock import BUILT_NS, SystemClock
from greffier.policy import packs, rules
from greffier.policy.lifecycle import DAY_NS
from greffier.recorder import recovery
from greffier.recorder.archive import Archive
from greffier.recorder.intake import Intake
from greffier.recorder.numbers import Numbers
from greffier.recorder.report import Report
from greffier.recorder.rules import Rules
from greffier.store.index import PartRow
from greffier_sim import captures
from greffier_sim.captures import MS, PCMA, Plan

VOLUNTARY: Final = "vente"
DUTY: Final = "desk"
TALK_MS: Final = 100
_TICK: Final = 20  # calls between two commits
_FIRST_NS: Final = BUILT_NS + DAY_NS // 3
_LINES = {VOLUNTARY: "fr-retail.toml", DUTY: "paris-desk.toml"}


def plans(line: str, day: int, count: int, seed: int = 1) -> list[Plan]:
    """*count* calls of the *day*-th day, one after another."""
    found = []
    for number in range(count):
        draw = random.Random(f"{seed} {line} {day} {number}")
        found.append(
            Plan(
                call_id=f"{line}-{day}-{number}@many",
                start_ns=_FIRST_NS + day * DAY_NS + number * 1000 * MS,
                ring_ms=40,
                talk_ms=TALK_MS,
                caller_media=Address("10.1.0.1", 4000 + 2 * (number % 1000)),
                callee_media=Address("10.2.0.1", 4000 + 2 * (number % 1000)),
                caller_ssrc=draw.getrandbits(32),
                callee_ssrc=draw.getrandbits(32),
                codings=(PCMA,),
                from_number=f"+336{draw.randrange(10**8):08}",
                to_number=f"+331{draw.randrange(10**8):08}",
            )
        )
    return found


def traffic(plan: Plan) -> list[Datagram]:
    """Its signalling, and speech that is noise: no two packets of all calls are alike."""
    every = captures.opening(plan) + captures.closing(plan)
    for side in ("caller", "callee"):
        draw = random.Random(f"{plan.call_id} {plan.from_number} {side}")
        payload = [draw.randbytes(160) for _ in range(plan.talk_ms // plan.ptime_ms)]
        every += captures.speech(plan, side, payload=payload.__getitem__)
    return captures.in_order(every)


class ManyCalls:
    """A run of the archive over the data directory *data*; a context manager."""

    def __init__(self, data: Path) -> None:
        self.clock = SystemClock()
        self.archive = Archive.open(data, self.clock)
        recovery.recover(self.archive)
        self.archive.open_epoch()
        self.reports: list[Report] = []
        self._rules = {line: _rules(line, policy) for line, policy in _LINES.items()}
        numbers = Numbers.of(self.archive.data)
        self._intake = Intake(self.archive, self._rules_of, numbers, self.reports.append)

    def _rules_of(self, call: CallStarted) -> Rules:
        return self._rules[(call.call_id or "").split("-")[0]]

    def record(self, calls: Sequence[Plan]) -> None:
        """Take *calls*; at return they are durable."""
        tracker = Tracker()
        for number, plan in enumerate(calls, 1):
            for datagram in traffic(plan):
                self._intake.take(tracker.feed(datagram))
            if number % _TICK == 0:
                self.archive.tick()
        self._intake.take(tracker.finish(calls[-1].end_ns + 60_000 * MS))
        self.archive.tick()
        self.archive.tick()

    def move_to(self, day: int) -> None:
        """Trusted time is now the end of the *day*-th day."""
        self.clock.witnessed(BUILT_NS + (day + 1) * DAY_NS, "statement")

    def rows(self, line: str, days: Iterable[int]) -> list[PartRow]:
        """The parts of *line* that were made on *days*, oldest first."""
        wanted = set(days)
        return sorted(
            (
                row
                for row in self.archive.index.parts()
                if row.line == line and (row.created_ns - BUILT_NS) // DAY_NS in wanted
            ),
            key=lambda row: (row.created_ns, row.part_id),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.archive.__exit__(kind, error, at)


def _rules(line: str, policy: str) -> Rules:
    """The built-in policy of *line*, whose calls are all drawn and kept as they come."""
    found = rules.load(rules.builtin(policy))
    lines = dict(found.lines)
    lines[line] = replace(lines[line], codec="original")
    found = replace(found, lines=lines)
    return Rules(found, packs.load(), line, {"window": "true"}, 0.0)
