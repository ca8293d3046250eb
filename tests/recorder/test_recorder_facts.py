"""Facts about calls: what each makes of a call that runs; what it takes away is nowhere left."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.recorder.desk import Desk
from tests.stories.box import RETAIL, Box, coded, payloads

from greffier.capture.datagram import Datagram
from greffier.control.facts import FactTaken
from greffier.seal.part import WriterClosed
from greffier_sim import captures
from greffier_sim.captures import MS, Plan

PLAN = Plan(ring_ms=200, talk_ms=9_000)
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


def play(desk: Desk, steps: Sequence[Step] = (), until_ms: int = 20_000) -> None:
    """Let the call come up to *until_ms*, a tick each 300 ms, and the facts at their times."""
    end_ns = PLAN.answer_ns + until_ms * MS
    ways: list[Datagram] = [one for one in captures.call(PLAN) if one.time_ns < end_ns]
    moments = [(PLAN.answer_ns + at * MS, 0, number) for number, (at, *_) in enumerate(steps)]
    moments += [(at, 1, 0) for at in range(PLAN.start_ns, end_ns, 300 * MS)]
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


def kept(box: Box) -> set[tuple[str, int]]:
    """Side and index of every packet that some part holds."""
    found = set()
    for part in box.opened():
        for one in payloads([part]):
            _, side, index, *_ = one.decode("ascii", "replace").split("/")
            found.add((side, int(index)))
    return found


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
    desk.hear([one for one in captures.call(PLAN) if one.time_ns >= PLAN.answer_ns + 8_000 * MS])
    desk.clock.move_to(PLAN.end_ns + 120_000 * MS)
    desk.tick()
    desk.tick()
    (report,) = desk.reports
    assert (report.clear["record"], report.clear["recording"]) == ("none", None)
    assert report.clear["codes"] == list(codes) and report.clear["result"] == "ok"
    assert desk.accounted["recorded"] == 0 == desk.accounted["lost"]
    desk.close()
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
