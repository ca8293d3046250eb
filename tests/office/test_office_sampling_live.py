"""The running recorder's own log, with facts and agents that come while calls run, is believed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.recorder.desk import Desk
from tests.stories.box import PACKS, PAIR, RETAIL, Box, loaded

from greffier.audit import verify
from greffier.audit.entry import Entry
from greffier.recorder.adoption import adopted
from greffier.seal.keys import Keyring
from greffier_office import draw_check
from greffier_office.draw_result import Result
from greffier_sim import captures
from greffier_sim.captures import MS, Plan

MONDAY = 1_772_443_800_000_000_000
Steps = Sequence[tuple[int, str, str]]


class Branch:
    """One line under a policy with a quota of one call an agent and month."""

    def __init__(self, folder: Path, *, agent: str | None = None) -> None:
        self.box = Box(folder)
        self.policy = folder / "policy.toml"
        text = RETAIL.read_text().replace("agent_quota_month = 12", "agent_quota_month = 1")
        self.policy.write_text(text.replace("rate = 0.20", "rate = 0.30"))
        self.desk = Desk(self.box, "vente", self.policy, MONDAY, pending={"consent", "agent"})
        given = {"dir": "in", **({} if agent is None else {"agent": agent})}
        self.desk.rules = replace(self.desk.rules, given=given, fixed_draw=None)
        log = self.desk.archive.log
        log.append("recorder.started", None, {"version": "1.0.0"})
        log.append("policy.adopted", None, adopted(loaded(self.policy)))
        self.calls = 0

    def call(self, steps: Steps) -> None:
        """A call to which *steps* (ms after its answer, fact, value) are told."""
        start_ns = MONDAY + self.calls * 30_000 * MS
        self.calls += 1
        plan = Plan(call_id=f"{self.calls}@sim", start_ns=start_ns, ring_ms=200, talk_ms=3_000)
        wire = captures.call(plan)
        moments = [(plan.answer_ns + at * MS, fact, value) for at, fact, value in steps]
        for at, fact, value in moments:
            self.desk.hear([one for one in wire if one.time_ns < at])
            wire = [one for one in wire if one.time_ns >= at]
            self.desk.clock.move_to(at)
            self.desk.tick()
            self.desk.tell(fact, value)
            self.desk.tick()
        self.desk.hear(wire)
        self.desk.clock.move_to(plan.end_ns + 20_000 * MS)
        self.desk.tick()

    def checked(self) -> tuple[list[Entry], Result]:
        self.desk.close()
        log = list(verify.entries(self.box.data))
        policy = loaded(self.policy)
        replays = draw_check.replays_of({policy.sha256: policy}, PACKS)
        device = self.desk.archive.data.identity.device
        return log, draw_check.check(device, log, replays, opener=Keyring([PAIR]))


STORIES: list[Steps] = [
    [(500, "agent", "anne")],
    [(500, "agent", "anne"), (1_000, "agent", "anne"), (1_500, "consent", "in")],
    [(500, "agent", "paul"), (1_500, "consent", "out")],
    [(500, "agent", "paul"), (1_500, "private", "true")],
    [(1_000, "threat", "true")],
    [(500, "agent", "anne"), (1_000, "proof", "true"), (1_500, "contract", "oral")],
    [],
]


@pytest.mark.parametrize("agent", [None, "anne"])
def test_what_a_running_recorder_logs_is_believed(tmp_path: Path, agent: str | None) -> None:
    branch = Branch(tmp_path, agent=agent)
    for _ in range(3):
        for steps in STORIES:
            branch.call(steps)
    log, result = branch.checked()
    assert [(one.code, one.detail) for one in result.findings] == []
    assert result.unknown == set()
    value = result.as_json()
    assert value["calls"] == branch.calls == 21
    counted = [one for one in log if one.ev == "call.counted" or "used" in one.data]
    assert counted and {one.data["month"] for one in counted} == {"2026-03"}


def test_an_agent_who_is_told_twice_counts_once(tmp_path: Path) -> None:
    branch = Branch(tmp_path)
    for _ in range(12):
        branch.call(STORIES[1])
    log, result = branch.checked()
    assert result.state == "authentic"
    kept = [one for one in log if one.ev == "call.ended" and one.data["record"] == "full"]
    assert len(kept) <= 1
    assert any(one.ev == "call.counted" for one in log)
