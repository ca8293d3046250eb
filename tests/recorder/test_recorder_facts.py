"""Facts about calls: what each makes of a call that runs; what it takes away is nowhere left."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.recorder.desk import Desk
from tests.stories.box import DESK, RETAIL, SDIS, Box, coded, payloads

from greffier.capture.datagram import Datagram
from greffier.control.facts import FactTaken
from greffier.policy.lifecycle import DAY_NS
from greffier.policy.rules import builtin
from greffier.recorder import purge
from greffier.recorder.tellings import Tellings
from greffier.seal.part import WriterClosed
from greffier.store.ageing import Ageing
from greffier.store.playback import OpenedPart
from greffier_sim import captures
from greffier_sim.captures import MS, Plan

PLAN = Plan(ring_ms=200, talk_ms=9_000)
CASA = builtin("casa-desk.toml")
Step = tuple[int, str, str]
"""When (ms after the answer), fact and value."""


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def still(folder: Path, policy: Path = RETAIL) -> Path:
    """A policy under which no sound waits, and packets are kept as they came."""
    text = (coded(folder, "original") if policy is RETAIL else policy).read_text()
    path = folder / "still.toml"
    path.write_text(re.sub(r"(?m)^sources = .*$", "sources = []", text))
    return path


def play(
    desk: Desk, steps: Sequence[Step] = (), until_ms: int = 140_000, plan: Plan = PLAN
) -> None:
    """Let the call come up to *until_ms*, a tick each 300 ms, and the facts at their times."""
    end_ns = plan.answer_ns + until_ms * MS
    ways: list[Datagram] = [one for one in captures.call(plan) if one.time_ns < end_ns]
    moments = [(plan.answer_ns + at * MS, 0, number) for number, (at, *_) in enumerate(steps)]
    moments += [(at, 1, 0) for at in range(plan.start_ns, end_ns, 300 * MS)]
    for at, is_tick, number in sorted(moments):
        due = [one for one in ways if one.time_ns < at]
        ways = ways[len(due) :]
        desk.hear(due)
        desk.clock.move_to(at)
        if is_tick:
            desk.tick()
        else:
            desk.tell(*steps[number][1:])
            desk.tick()
    desk.hear(ways)
    desk.tick()
    desk.tick()


def rest(desk: Desk, since_ms: int, plan: Plan = PLAN) -> None:
    """Let the rest of the call come, and its end."""
    since_ns = plan.answer_ns + since_ms * MS
    desk.hear([one for one in captures.call(plan) if one.time_ns >= since_ns])
    desk.clock.move_to(plan.end_ns + 120_000 * MS)
    desk.tick()
    desk.tick()
    desk.close()


def kept_in(part: OpenedPart) -> set[tuple[str, int]]:
    """Side and index of every packet that *part* holds."""
    found = set()
    for one in payloads([part]):
        _, side, index, *_ = one.decode("ascii", "replace").split("/")
        found.add((side, int(index)))
    return found


def kept(box: Box) -> set[tuple[str, int]]:
    """The same of all parts."""
    return {one for part in box.opened() for one in kept_in(part)}


def left(box: Box, *needles: bytes) -> list[str]:
    """The files of the data directory that hold one of *needles*."""
    return [
        str(path) for path, content in box.contents().items() for one in needles if one in content
    ]


def indices(found: set[tuple[str, int]]) -> tuple[int, int]:
    numbers = [index for _, index in found]
    return min(numbers), max(numbers)


@pytest.mark.parametrize(
    ("fact", "value", "reason", "codes"),
    [
        ("consent", "out", "refused", ("SAMPLED_IN", "OBJECTED", "DISCARD_NOW")),
        ("private", "true", "private", ("PRIVATE_MODE", "DISCARD_NOW")),
        ("announce", "fail", "refused", ("ANNOUNCE_FAILED",)),
    ],
)
@pytest.mark.parametrize("waits", [False, True])
def test_what_a_fact_takes_away_is_nowhere_any_more(
    box: Box, fact: str, value: str, reason: str, codes: tuple[str, ...], waits: bool
) -> None:
    policy = coded(box.folder, "original") if waits else still(box.folder)
    desk = Desk(box, "accueil", policy, PLAN.start_ns)
    play(desk, until_ms=8_000)
    (path,) = box.parts
    name, sealed = path.stem, path.read_bytes()
    (call,) = desk.running
    (tape,) = call._tapes
    commitment, envelopes = tape.commitment, tape.envelopes
    assert len(sealed) > 1_000
    assert desk.tell(fact, value) is None  # not before it is durable
    assert path.exists()
    desk.tick()
    assert desk.told == [FactTaken("taken", "", codes)]
    assert not path.exists() and box.parts == []
    assert not left(box, sealed[600:640], envelopes[-64:])
    with pytest.raises(WriterClosed):
        tape.writer.finish("end")
    rest(desk, 8_000)
    (report,) = desk.reports
    assert (report.clear["record"], report.clear["recording"]) == ("none", None)
    assert report.clear["codes"] == list(codes) and report.clear["result"] == "ok"
    assert desk.accounted["recorded"] == 0 == desk.accounted["lost"]
    assert box.parts == [] and not left(box, sealed[600:640], envelopes[-64:])
    said = [entry for entry in box.entries() if entry.ev in ("call.fact", "key.shredded")]
    assert [one.ev for one in said] == ["call.fact", "key.shredded", "key.shredded"]
    assert said[0].data["codes"] == list(codes) and said[0].data["captured"]
    for one in said[1:]:
        assert (one.data["reason"], one.data["parts"]) == (reason, [name])
    assert [one.data.get("outcome") for one in said[1:]] == [None, "done"]
    opened = next(one for one in box.entries() if one.ev == "part.opened")
    assert opened.data["commitment"] == commitment
    assert box.verified()["ok"]


def test_a_threat_after_an_objection_begins_a_part_from_that_moment(box: Box) -> None:
    desk = Desk(box, "vente", still(box.folder), PLAN.start_ns)
    play(desk, [(3_000, "consent", "out"), (5_000, "threat", "true"), (6_000, "threat", "true")])
    desk.close()
    (part,) = box.opened()
    assert part.header.meta["purposes"] == {"incident": [0, 89]}
    first, last = indices(kept(box))
    assert first in (249, 250) and last == 449
    assert desk.told[1] == desk.told[2] and "INCIDENT_MANUAL" in desk.told[1].codes
    assert box.verified()["ok"]


def test_evidence_outlives_a_refusal_that_follows_it_and_none_that_comes_before(box: Box) -> None:
    for turn, (proof, refusal) in enumerate([(2_000, 5_000), (5_000, 2_000)]):
        (box.folder / str(turn)).mkdir()
        here = Box(box.folder / str(turn))
        desk = Desk(here, "vente", still(box.folder), PLAN.start_ns, u=0.9)
        steps = [(proof, "proof", "true"), (refusal, "consent", "out")]
        play(desk, sorted(steps))
        desk.close()
        codes = set(desk.reports[0].clear["codes"])
        if proof < refusal:
            assert codes == {"SAMPLED_OUT", "EVIDENCE_SEGMENT", "OBJECTED", "EVIDENCE_KEPT_CLAIM"}
            assert indices(kept(here)) in ((99, 449), (100, 449))
        else:
            assert {"OBJECTED", "ALT_CHANNEL_WRITTEN"} <= codes and here.parts == []
        assert here.verified()["ok"]


def test_the_same_fact_twice_is_known_and_another_under_its_id_refused(box: Box) -> None:
    desk = Desk(box, "vente", still(box.folder), PLAN.start_ns)
    play(desk, until_ms=3_000)
    at_ns = desk.clock.wall_ns()
    for value, fact in [("true", "threat"), ("true", "threat"), ("true", "proof")]:
        desk.tell(fact, value, id="a" * 32, at_ns=at_ns)
        desk.tick()
    assert [one.state for one in desk.told] == ["taken", "known", "refused"]
    desk.die()
    again = Desk(box, "vente", still(box.folder), at_ns)
    assert again.archive.tellings.find("a" * 32) is not None
    (cut,) = again.found.calls
    assert [one["fact"] for one in cut.facts] == ["threat"]
    again.close()
    assert sum(entry.ev == "call.fact" for entry in box.entries()) == 1


def test_a_fact_of_an_unknown_call_is_refused(box: Box) -> None:
    desk = Desk(box, "accueil", still(box.folder), PLAN.start_ns)
    assert desk.tell("private", "true") == FactTaken("refused", "no_such_call")
    assert desk.tell("private", "true", line="nowhere") == FactTaken("refused", "no_such_line")
    call = f"{box.device}/accueil/0000000009"
    assert desk.tell("private", "true", line="", call=call) == FactTaken("refused", "no_such_call")
    assert desk.tell("private", "true", line="", recording="0" * 32) == FactTaken(
        "refused", "no_such_recording"
    )
    desk.close()


def test_what_waits_for_an_acceptance_is_held_and_begins_with_it(box: Box) -> None:
    """Nothing before the acceptance is kept, though the facts come late and out of order."""
    for turn, waits in enumerate((False, True)):
        (box.folder / f"in{turn}").mkdir()
        here = Box(box.folder / f"in{turn}")
        policy = coded(box.folder, "original") if waits else still(box.folder)
        given = {"consumer": "DE"}
        desk = Desk(
            here, "vente", policy, PLAN.start_ns, pending=("consent", "announce"), given=given
        )
        play(desk, until_ms=6_000)
        (call,) = desk.running
        assert call.holding and not call.captured and here.parts == []
        assert call.verdict.waiting == "NOTICE_PENDING"
        at_ns = PLAN.answer_ns + 4_000 * MS
        desk.tell("consent", "in", at_ns=at_ns)
        assert call.holding and call.verdict.waiting == "NOTICE_PENDING"
        desk.tell("announce", "ok", at_ns=PLAN.answer_ns + 2_000 * MS)
        assert not call.holding
        rest(desk, 6_000)
        assert desk.reports[0].clear["codes"] == ["SAMPLED_IN"]
        assert indices(kept(here)) == (200, 449)
        assert desk.accounted["lost"] == 0 and desk.accounted["recorded"] == 500
        assert here.verified()["ok"]


@pytest.mark.parametrize(
    ("line", "pending", "code"),
    [
        ("accueil", "announce", "ANNOUNCE_FAILED"),
        ("accueil", "consent", "CONSENT_MISSING"),
        ("accueil", "agent", "AGENT_PENDING"),
    ],
)
def test_a_call_that_ends_waiting_keeps_nothing(
    box: Box, line: str, pending: str, code: str
) -> None:
    desk = Desk(
        box, line, still(box.folder), PLAN.start_ns, pending=(pending,), given={"consumer": "DE"}
        if pending == "consent" else {},
    )  # fmt: skip
    play(desk, until_ms=3_000)
    rest(desk, 3_000)
    (report,) = desk.reports
    assert report.clear["record"] == "none" and code in report.clear["codes"]
    assert desk.accounted["not_recorded"] == 900 == desk.accounted["received"]
    assert box.parts == [] and box.verified()["ok"]


def test_what_is_held_for_more_than_a_minute_is_zeroed_and_counted(box: Box) -> None:
    plan = replace(PLAN, talk_ms=70_000)
    desk = Desk(box, "vente", still(box.folder), plan.start_ns, pending=("announce",))
    play(desk, until_ms=69_000, plan=plan)
    (call,) = desk.running
    assert call.holding and 440 * 2 < call.zeroed < 460 * 2
    desk.tell("announce", "ok", at_ns=plan.answer_ns + 1_000 * MS)
    rest(desk, 69_000, plan)
    first, last = indices(kept(box))
    assert 400 < first < 460 and last == 3_499
    assert box.verified()["ok"]


def test_a_person_cannot_accept_for_another_where_that_is_needed(box: Box) -> None:
    given = {"consumer": "DE"}
    desk = Desk(box, "accueil", still(box.folder), PLAN.start_ns, pending=("consent",), given=given)
    play(desk, until_ms=1_000)
    for source in ("desk", "console", "gpio"):
        assert desk.tell("consent", "in", source=source) == FactTaken(
            "refused", "proof_needed", ("SAMPLED_IN", "CONSENT_PENDING")
        )
    future = desk.clock.wall_ns() + 60_000 * MS
    refused = desk.tell("consent", "in", at_ns=future)
    assert isinstance(refused, FactTaken) and refused.code == "in_the_future"
    for fact, value in [("u", "0"), ("quota_used", "0"), ("healthy", "true"), ("window", "true")]:
        refused = desk.tell(fact, value)
        assert isinstance(refused, FactTaken) and refused.code == "unknown_fact"
    desk.close()


def test_a_kill_between_the_entry_and_its_effect_is_finished_by_the_next_start(box: Box) -> None:
    desk = Desk(box, "accueil", still(box.folder), PLAN.start_ns)
    play(desk, until_ms=4_000)
    (path,) = box.parts
    sealed = path.read_bytes()[600:640]
    desk.tell("consent", "out", id="b" * 32)
    desk.archive.log.commit()  # and no more
    at_ns = desk.clock.wall_ns()
    desk.die()
    assert path.exists()
    again = Desk(box, "accueil", still(box.folder), at_ns)
    assert not path.exists() and not left(box, sealed)
    again.hear([one for one in captures.call(PLAN) if one.time_ns >= at_ns])
    again.clock.move_to(PLAN.end_ns + 120_000 * MS)
    again.tick()
    again.tick()
    assert again.tell("consent", "out", id="b" * 32, source="key") is None
    again.tick()
    assert again.told == [FactTaken("known")]
    again.close()
    assert box.parts == [] and box.verified()["ok"]


def test_what_was_told_of_a_call_holds_over_a_restart(box: Box) -> None:
    """What was kept of a run before goes with what is kept of this one, and nothing comes after."""
    plan = replace(PLAN, talk_ms=40_000)
    desk = Desk(box, "accueil", still(box.folder), plan.start_ns)
    play(desk, until_ms=2_000, plan=plan)
    first_ns = desk.clock.wall_ns()
    desk.die()
    second = Desk(box, "accueil", still(box.folder), first_ns)
    ways = [one for one in captures.call(plan) if one.time_ns >= first_ns]
    middle = first_ns + 15_000 * MS
    second.hear([one for one in ways if one.time_ns < middle])
    second.tick()
    second.tick()
    assert len(box.parts) == 2
    second.tell("private", "true")
    second.tick()
    second.tick()
    assert box.parts == []
    second.die()
    third = Desk(box, "accueil", still(box.folder), middle)
    third.hear([one for one in ways if one.time_ns >= middle])
    third.clock.move_to(plan.end_ns + 120_000 * MS)
    third.tick()
    third.tick()
    (report,) = third.reports
    assert report.clear["codes"] == ["PRIVATE_MODE", "DISCARD_NOW"]
    third.close()
    assert box.parts == [] and box.verified()["ok"]


def over(box: Box, line: str, policy: Path, steps: Sequence[Step] = ()) -> tuple[Desk, str, str]:
    """A call that is over: the recorder, its number, its recording."""
    desk = Desk(box, line, policy, PLAN.start_ns)
    play(desk, steps)
    clear = desk.reports[0].clear
    return desk, str(clear["number"]), str(clear["recording"])


def test_a_late_refusal_takes_quality_and_leaves_evidence(box: Box) -> None:
    desk, uid, recording = over(box, "vente", still(box.folder), [(2_000, "proof", "true")])
    assert len(box.parts) == 2
    taken = desk.tell("consent", "out", call=uid, id="c" * 32)
    assert isinstance(taken, FactTaken) and taken.state == "late"
    with Ageing.open(desk.archive.data.index) as ageing:
        (row,) = ageing.of(recording)
    assert row.purposes == {"evidence": (0, 365)} and [one.stem for one in box.parts] == [
        row.part_id
    ]
    assert desk.tell("consent", "out", call=uid, id="c" * 32) is None  # known: when it is durable
    desk.tick()
    assert desk.told[-1] == FactTaken("known")
    taken = desk.tell("private", "true", recording=recording)
    assert isinstance(taken, FactTaken) and taken.state == "late"
    assert box.parts == []
    desk.close()
    assert box.verified()["ok"]


def test_no_investment_service_needs_two_persons(box: Box) -> None:
    desk, uid, _ = over(box, "conseil", DESK)
    assert len(box.parts) == 1
    for actor, codes in [("anne", "second_person_needed"), ("anne", "second_person_needed")]:
        taken = desk.tell("mifid", "no", call=uid, actor=actor)
        assert isinstance(taken, FactTaken) and taken.code == codes
        assert len(box.parts) == 1
    assert desk.archive.tellings.unclassified(2**62) == 1
    taken = desk.tell("mifid", "no", call=uid, actor="bruno")
    assert taken == FactTaken("late", "", ("MANDATORY_MIFID", "MIXED_PROVISIONAL"))
    assert box.parts == [] and desk.archive.tellings.unclassified(2**62) == 0
    desk.close()
    assert {one.data["reason"] for one in box.entries() if one.ev == "key.shredded"} == {
        "reclassified"
    }
    assert box.verified()["ok"]


def test_a_mixed_call_is_reclassified_while_it_runs(box: Box) -> None:
    desk = Desk(box, "conseil", still(box.folder, DESK), PLAN.start_ns)
    play(desk, until_ms=3_000)
    assert len(box.parts) == 1
    for actor in ("anne", "bruno"):
        desk.tell("mifid", "no", actor=actor)
        desk.tick()
    assert box.parts == [] and desk.told[-1] == FactTaken(
        "taken", "", ("MIXED_RECLASSIFIED_DELETE",)
    )
    desk.tell("mifid", "yes")
    rest(desk, 3_000)
    assert indices(kept(box))[0] in (149, 150, 151)
    assert box.verified()["ok"]


def test_an_authority_order_keeps_longer_what_is_there(box: Box) -> None:
    desk, uid, recording = over(box, "desk", DESK)
    taken = desk.tell("authority_order", "true", call=uid)
    assert isinstance(taken, FactTaken) and taken.state == "late"
    with Ageing.open(desk.archive.data.index) as ageing:
        (row,) = ageing.of(recording)
    created_ns = desk.archive.origins.created_ns(row.part_id, row.created_ns)
    assert created_ns is not None
    assert desk.archive.tellings.kept_until_ns(recording) == created_ns + 2557 * DAY_NS
    for days, code in [(1860, "KEEP_HOLD"), (2556, "KEEP_HOLD"), (2558, "NOT_RECEIVED")]:
        now = created_ns + days * DAY_NS
        assert purge.judge(desk.archive, row, now, blocked=False).code == code
    desk.close()


def test_a_transfer_is_a_part_of_its_own_from_then_on(box: Box) -> None:
    desk = Desk(box, "l18", SDIS, PLAN.start_ns)
    play(desk, [(4_000, "transfer", "15")])
    desk.close()
    fire, medical = box.opened()
    assert fire.header.meta["purposes"] == {"emergency_fire": [0, 59]}
    assert medical.header.meta["purposes"] == {"emergency_medical": [1827, 1857]}
    assert min(indices(kept_in(medical))) in (199, 200)
    assert "SHARED_PLATFORM_LONGEST" in desk.reports[0].clear["codes"]
    assert box.verified()["ok"]


@pytest.mark.parametrize(
    ("fact", "value", "code"),
    [("consent", "out", "REFUSED_END_CALL"), ("prospect", "refused", "PROSPECT_NOT_INTERESTED")],
)
def test_a_solicitation_that_is_refused_is_destroyed(
    box: Box, fact: str, value: str, code: str
) -> None:
    desk = Desk(box, "assur", still(box.folder, CASA), PLAN.start_ns, given={"dir": "out"})
    play(desk, until_ms=4_000)
    (path,) = box.parts
    sealed = path.read_bytes()[600:640]
    desk.tell(fact, value)
    desk.tick()
    assert isinstance(desk.told[-1], FactTaken) and {code, "DISCARD_NOW"} <= {*desk.told[-1].codes}
    assert box.parts == [] and not left(box, sealed)
    rest(desk, 4_000)
    assert desk.reports[0].clear["record"] == "none" and box.verified()["ok"]


def test_a_signature_keeps_a_solicitation_for_two_years_from_then_on(box: Box) -> None:
    desk = Desk(box, "assur", CASA, PLAN.start_ns, given={"dir": "out"})
    play(desk)
    clear = desk.reports[0].clear
    taken = desk.tell("contract", "signed", call=str(clear["number"]))
    assert isinstance(taken, FactTaken) and taken.state == "late"
    with Ageing.open(desk.archive.data.index) as ageing:
        (row,) = ageing.of(str(clear["recording"]))
    created_ns = desk.archive.origins.created_ns(row.part_id, row.created_ns)
    assert created_ns is not None and row.purposes == {"insurance": (31, 32)}
    for days, code in [(40, "KEEP_HOLD"), (730, "KEEP_HOLD"), (732, "NOT_RECEIVED")]:
        now = created_ns + days * DAY_NS
        assert purge.judge(desk.archive, row, now, blocked=False).code == code
    desk.close()


def test_an_agent_who_takes_away_far_more_calls_than_others_stands_out(box: Box) -> None:
    desk = Desk(box, "accueil", still(box.folder), PLAN.start_ns, given={"agent": "zoe"})
    play(desk, until_ms=1_000)
    desk.tell("private", "true", source="desk", actor="zoe")
    desk.tick()
    desk.close()
    (entry,) = [one for one in box.entries() if one.ev == "call.fact"]
    agent = entry.data["agent"]
    tellings = Tellings()
    for number in range(7):
        tellings.read(replace(entry, data={**entry.data, "id": f"{number:032x}"}))
    assert tellings.unpicks(agent) == 7 and tellings.outliers(10) == 0
    tellings.read(entry)
    assert tellings.outliers(10) == 1 == Tellings.load(tellings.dump()).outliers(10)
    assert tellings.outliers(1) == 0  # nobody to compare with
    for number in range(3):
        other = {**entry.data, "id": f"{number:032x}", "agent": "b" * 32}
        tellings.read(replace(entry, data=other))
    assert tellings.outliers(2) == 0
