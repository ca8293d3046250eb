"""Facts in any order: where each part begins, that it goes where it must, and what codes say."""

from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.recorder.desk import Desk
from tests.recorder.test_recorder_facts import Step, kept_in, play, rest, still
from tests.stories.box import PACKS, Box

from greffier.policy.decision import decide
from greffier.policy.facts import PENDING, Facts
from greffier.policy.rules import builtin, load
from greffier.policy.site import Policy
from greffier.recorder.live_facts import (
    TELLABLE,
    Known,
    NotTaken,
    Said,
    allows_sampled,
    checked,
    raises,
    told,
)
from greffier_sim.captures import Plan

PLAN = Plan(ring_ms=100, talk_ms=3_000)
TELLING = {
    "quality": "SAMPLED_IN",
    "training": "SAMPLED_IN",
    "evidence": "EVIDENCE_SEGMENT",
    "incident": "INCIDENT_MANUAL",
}
FACTS = (
    ("announce", "ok"),
    ("announce", "fail"),
    ("consent", "out"),
    ("private", "true"),
    ("proof", "true"),
    ("threat", "true"),
)


def expected(steps: list[Step], drawn: bool) -> dict[str, int]:
    """When (ms after the answer) each purpose's sound begins that is left in the end."""
    notice: int | None = None
    proof: int | None = None
    threat: int | None = None
    refused: int | None = None
    for at, fact, value in steps:
        if (fact, value) == ("private", "true") or (fact, value) == ("announce", "fail"):
            return {}
        if fact == "announce" and notice is None:
            notice = at
        elif fact == "proof" and proof is None:
            proof = at
        elif fact == "threat" and threat is None:
            threat = at
        elif fact == "consent" and refused is None:
            refused = at
    found: dict[str, int] = {}
    if notice is None:
        return found
    if drawn and refused is None:
        found["quality"] = notice
    if proof is not None and (refused is None or max(proof, notice) < refused):
        found["evidence"] = max(proof, notice)
    if threat is not None:
        found["incident"] = max(threat, notice)
    return found


@settings(deadline=None, max_examples=10)
@given(
    moments=st.lists(
        st.tuples(st.integers(1, 140), st.sampled_from(FACTS)),
        max_size=6,
        unique_by=lambda one: one[0],
    ),
    drawn=st.booleans(),
)
def test_each_part_begins_at_its_instant_and_goes_when_it_must(
    moments: list[tuple[int, tuple[str, str]]], drawn: bool
) -> None:
    steps = sorted((20 * at, *told) for at, told in moments)
    with TemporaryDirectory() as folder:
        box = Box(Path(folder))
        u = 0.0 if drawn else 0.9
        desk = Desk(box, "vente", still(box.folder), PLAN.start_ns, u=u, pending=("announce",))
        play(desk, steps, until_ms=2_999, plan=PLAN)
        rest(desk, 2_999, PLAN)
        begun = {}
        for part in box.opened():
            (first,) = {min(index for side, index in kept_in(part))}
            begun[min(set(part.header.meta["purposes"]) - {"training"})] = first
        wanted = {name: -(-(at - 10) // 20) for name, at in expected(steps, drawn).items()}
        assert begun == wanted
        codes = {code for entry in box.entries() for code in entry.data.get("codes", ())}
        for entry in box.entries():
            for purpose in entry.data.get("purposes", ()) if entry.ev == "part.opened" else ():
                assert TELLING[purpose] in codes
        assert box.verified()["ok"]


POLICIES = [load(builtin(f"{name}.toml")) for name in ("fr-retail", "paris-desk", "casa-desk")]
VALUES = ("in", "out", "ok", "fail", "true", "false", "oral", "written", "signed", "yes", "no",
          "15", "refused", "interested", "private", "business", "DE", "zoe")  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(
    policy=st.sampled_from(POLICIES),
    line=st.integers(0, 3),
    u=st.sampled_from((0.0, 0.25, 0.9)),
    pending=st.sets(st.sampled_from(("announce", "consent", "agent"))),
    facts=st.lists(st.tuples(st.sampled_from(TELLABLE), st.sampled_from(VALUES)), max_size=12),
)
def test_later_facts_only_lower_what_was_sampled_but_for_an_acceptance(
    policy: Policy, line: int, u: float, pending: set[str], facts: list[tuple[str, str]]
) -> None:
    name = sorted(policy.lines)[line % len(policy.lines)]
    known = Known(Facts(u=u, **dict.fromkeys(pending, PENDING)))  # type: ignore[arg-type]
    verdict = decide(policy, PACKS, name, known.facts)
    ever = allows_sampled(verdict)
    clock = count(1_000_000_000, 1_000)
    for fact, value in facts:
        try:
            after = told(known, Said(fact, checked(fact, value), next(clock), captured=True))
        except NotTaken:
            continue
        later = decide(policy, PACKS, name, after.facts)
        assert later.codes
        if raises(verdict, later, fact):
            continue  # it is refused
        if fact == "consent" and value == "in":
            ever = ever or allows_sampled(later)
        assert ever or not allows_sampled(later)
        ever = allows_sampled(later)
        known, verdict = after, later
