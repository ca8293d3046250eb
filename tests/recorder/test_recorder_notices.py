"""Our side of a call is listened to: the notice that was said, and the one that was not."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.recorder.desk import Desk
from tests.recorder.test_recorder_facts import kept, still
from tests.stories.box import Box, loaded, policy_with

from greffier.calls.learning import learn
from greffier.capture.datagram import Datagram
from greffier.config import recorder as config
from greffier.encode import core
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.checks_notice import look
from greffier.recorder.notice_ear import WHOLE_NS
from greffier.recorder.notices import Notices, assumed, named
from greffier.recorder.troubles import Troubles
from greffier_sim import captures
from greffier_sim.captures import MS, Plan

RATE = 8000
PLAN = Plan(ring_ms=200, talk_ms=12_000)
PROMPT_S = 5


def babble(seed: int, seconds: float) -> NDArray[np.int16]:
    """Noise whose colour and loudness change by syllables."""
    rng = np.random.default_rng(seed)
    out: list[NDArray[np.float64]] = []
    while sum(map(len, out)) < seconds * RATE:
        n = int(rng.uniform(0.06, 0.22) * RATE)
        spectrum = np.fft.rfft(rng.standard_normal(n))
        hertz = np.arange(len(spectrum)) * RATE / n
        shape = np.exp(-(((hertz - rng.uniform(300, 2800)) / 250) ** 2)) + 0.02
        out.append(np.fft.irfft(spectrum * shape, n) * rng.uniform(0.1, 1))
    made = np.concatenate(out)[: int(seconds * RATE)]
    return np.asarray(made / np.abs(made).max() * 12_000, np.int16)


def silence(seconds: float) -> NDArray[np.int16]:
    return np.zeros(int(seconds * RATE), np.int16)


PROMPT = babble(1, PROMPT_S)
KNOWN = learn(PROMPT, RATE, b"prompt")


@pytest.fixture
def box(tmp_path: Path) -> Box:
    (tmp_path / "notices").mkdir()
    (tmp_path / "notices" / "A-1.notice").write_bytes(KNOWN.to_bytes())
    return Box(tmp_path)


def prompted(box: Box, line: str = "accueil", prompt: str = "A-1") -> Path:
    head = f"[lines.{line}]"
    return policy_with(box.folder, still(box.folder), (head, f'{head}\nprompt = "{prompt}"'))


class Room:
    """A desk at which somebody listens."""

    def __init__(self, box: Box, policy: Path, line: str = "accueil", u: float = 0.0) -> None:
        self.desk = Desk(box, line, policy, PLAN.start_ns, u=u, pending=["announce"])
        tables = {
            "schema": "recorder/1",
            "data": str(box.data),
            "policy": str(policy),
            "notices": str(box.folder / "notices"),
            "taps": {"trunk": {"interface": "tap"}},
        }
        self.alarms = AlarmRoom(self.desk.clock, "0" * 32)
        self.notices = Notices(
            config.parse(tables),
            self.desk.archive,
            self.desk.telling,
            Troubles(self.alarms, self.desk.clock),
            [self.desk],
        )
        self.notices.know(loaded(policy))
        self.desk.rules = self.notices._with_prompt(self.desk.rules)

    def play(self, ways: Sequence[Datagram], until_ns: int) -> None:
        rest = list(ways)
        last_ns = min(ways[-1].time_ns + 1_000 * MS, until_ns)
        for at in [*range(PLAN.start_ns, last_ns, 300 * MS), until_ns]:
            due = [one for one in rest if one.time_ns < at]
            rest = rest[len(due) :]
            self.desk.hear(due)
            self.desk.clock.move_to(at)
            self.desk.tick()
            self.notices.look(at)
        self.desk.hear(rest)
        self.desk.tick()
        self.desk.tick()

    def listens(self) -> bool:
        return any(call.notice_ear is not None for call in self.desk.running)


def call_with(
    sound: NDArray[np.int16], plan: Plan = PLAN, *, side: captures.Side = "callee"
) -> list[Datagram]:
    """The plan's call, in which *side* says *sound* from its first packet on."""
    octets = core.encode_g711("PCMA", np.concatenate((sound, silence(plan.talk_ms / 1000))))
    spoken = [
        one._replace(payload=one.payload[:12] + octets[at * 160 : at * 160 + 160])
        for at, one in enumerate(captures.speech(plan, side))
    ]
    other: captures.Side = "caller" if side == "callee" else "callee"
    rest = [*captures.opening(plan), *captures.speech(plan, other), *captures.closing(plan)]
    return captures.in_order([*rest, *spoken])


def said(box: Box, *kinds: str) -> list[dict[str, Any]]:
    return [dict(entry.data) for entry in box.entries() if entry.ev in kinds]


def first_of_caller(box: Box) -> int:
    found = set()
    for part in box.opened():
        for frame in part.audio:
            for one in frame.coded:
                text = one.data.decode("ascii", "replace").split("/")
                if len(text) > 2 and text[1] == "caller":
                    found.add(int(text[2]))
    return min(found)


END = PLAN.end_ns + 90_000 * MS


def test_what_is_kept_begins_with_the_end_of_the_notice(box: Box) -> None:
    room = Room(box, prompted(box))
    room.play(call_with(np.concatenate((silence(1), PROMPT))), END)
    room.desk.close()
    (heard,) = said(box, "notice.heard")
    ended_ms = (heard["at_ns"] - PLAN.answer_ns) / MS
    assert abs(ended_ms - 6_010) <= 60
    assert heard["notice"] == KNOWN.digest
    assert 900 <= heard["score"] <= 1000
    (fact,) = said(box, "call.fact")
    assert (fact["fact"], fact["value"], fact["source"]) == ("announce", "ok", "sound")
    assert fact["at_ns"] == heard["at_ns"]
    (report,) = room.desk.reports
    assert report.clear["record"] == "full"
    assert box.verified()["ok"]
    (part,) = box.opened()
    assert int(part.header.meta["created_ns"]) == heard["at_ns"]


def test_a_call_in_which_it_was_not_said_keeps_nothing(box: Box) -> None:
    room = Room(box, prompted(box))
    room.play(call_with(np.concatenate((silence(1), babble(2, 9)))), END)
    room.desk.close()
    assert said(box, "notice.heard", "call.fact") == []
    (report,) = room.desk.reports
    assert (report.clear["record"], "ANNOUNCE_FAILED" in report.clear["codes"]) == ("none", True)
    assert box.parts == []


def test_that_it_was_not_said_is_told_when_the_bound_is_reached(box: Box) -> None:
    plan = replace(PLAN, talk_ms=WHOLE_NS // MS + 3_000)
    room = Room(box, prompted(box))
    room.play(call_with(babble(2, 20), plan), plan.end_ns - 1_000 * MS)
    assert not room.listens()
    (fact,) = said(box, "call.fact")
    assert (fact["fact"], fact["value"], fact["source"]) == ("announce", "fail", "sound")
    assert "ANNOUNCE_FAILED" in fact["codes"]
    room.desk.close()
    assert box.parts == []


def test_the_caller_who_plays_it_back_gives_no_notice(box: Box) -> None:
    room = Room(box, prompted(box))
    room.play(call_with(np.concatenate((silence(1), PROMPT)), side="caller"), END)
    room.desk.close()
    assert said(box, "notice.heard") == []
    assert box.parts == []


def test_a_call_that_was_not_drawn_is_listened_to_since_a_proof_may_come(box: Box) -> None:
    room = Room(box, prompted(box, "vente"), "vente", u=0.9)
    ways = call_with(np.concatenate((silence(1), PROMPT)))
    cut = PLAN.answer_ns + 9_000 * MS
    room.play([one for one in ways if one.time_ns < cut], cut)
    assert len(said(box, "notice.heard")) == 1
    room.desk.tell("proof", "true")
    room.desk.tick()
    (call,) = room.desk.running
    assert "EVIDENCE_SEGMENT" in call.verdict.codes
    room.desk.close()


def test_somebody_who_says_it_first_ends_the_listening(box: Box) -> None:
    room = Room(box, prompted(box))
    ways = call_with(babble(2, 9))
    cut = PLAN.answer_ns + 3_000 * MS
    room.play([one for one in ways if one.time_ns < cut], cut)
    assert room.listens()
    room.desk.tell("announce", "ok")
    room.notices.look(cut)
    assert not room.listens()
    room.desk.close()


def test_a_leg_is_not_lent_while_somebody_listens(box: Box) -> None:
    room = Room(box, prompted(box))
    ways = call_with(np.concatenate((silence(1), PROMPT)))
    cut = PLAN.answer_ns + 3_000 * MS
    room.play([one for one in ways if one.time_ns < cut], cut)
    (call,) = room.desk.running
    assert room.listens()
    for leg in (0, 1):
        assert not call.may_lend(leg)
    room.desk.close()


@pytest.mark.parametrize("prompt", ["A-2", "../A-1", "A-1.notice"])
def test_a_prompt_that_is_not_there_is_an_alarm_and_is_never_heard(box: Box, prompt: str) -> None:
    room = Room(box, prompted(box, prompt=prompt))
    names = [(one.name, one.subject) for one in room.alarms.view().alarms]
    assert names == [("notice.unknown", "accueil")]
    room.play(call_with(np.concatenate((silence(1), PROMPT))), END)
    room.desk.close()
    (report,) = room.desk.reports
    assert "ANNOUNCE_FAILED" in report.clear["codes"]
    assert box.parts == []


def test_which_lines_are_listened_to_and_which_notices_are_assumed(box: Box) -> None:
    policy = loaded(prompted(box))
    tables = {
        "schema": "recorder/1",
        "data": "d",
        "policy": "p",
        "taps": {"trunk": {"interface": "tap"}},
    }
    (one,) = named(config.parse(tables), policy)
    assert (one.line, one.path) == ("accueil", Path("/etc/greffier/notices/A-1.notice"))
    assert assumed(policy) == ["vente"]


def test_a_line_without_a_prompt_says_that_its_notice_is_assumed(box: Box) -> None:
    policy = still(box.folder)
    desk = Desk(box, "accueil", policy, PLAN.start_ns, given={"announce": "assumed_ok"})
    desk.hear(captures.opening(PLAN))
    desk.close()
    (decided,) = said(box, "call.decided")
    assert decided["notice"] == "assumed"
    assert "announce" not in decided.get("given", [])


def test_a_call_of_before_a_restart_is_not_listened_to(box: Box) -> None:
    policy = prompted(box)
    room = Room(box, policy)
    ways = call_with(np.concatenate((silence(1), PROMPT)))
    cut = PLAN.answer_ns + 3_000 * MS
    room.play([one for one in ways if one.time_ns < cut], cut)
    room.desk.die()
    again = Room(box, policy)
    again.desk.hear([one for one in ways if one.time_ns >= cut])
    assert not again.listens()
    again.desk.close()
    assert said(box, "notice.heard") == []
    assert kept(box) == set()


def test_the_doctor_says_which_prompts_are_missing_and_which_notices_are_assumed(box: Box) -> None:
    tables = {
        "schema": "recorder/1",
        "data": "d",
        "policy": "p",
        "notices": str(box.folder / "notices"),
        "taps": {"trunk": {"interface": "tap"}},
    }
    for prompt, state in (("A-1", "ok"), ("A-2", "fail")):
        found = list(look(config.parse(tables), loaded(prompted(box, prompt=prompt))))
        assert [one.state for one in found] == [state, "ok"]
        assert "vente" in found[1].cause
