"""Random policies, packs and facts, and what must hold of every verdict on them.

Everything is drawn from one ``random.Random``, so a number and an example's index name it for ever.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any, Final

from greffier.policy import packs as law_packs
from greffier.policy import purposes, rules, words
from greffier.policy.cases import set_keys
from greffier.policy.combination import Law, for_staff, join_all, law_of
from greffier.policy.decision import decide, settle_ended
from greffier.policy.facts import DEFAULTS, PENDING, Facts
from greffier.policy.packs import Pack, Packs
from greffier.policy.site import Policy
from greffier.policy.verdict import Verdict
from greffier.recorder import plans
from greffier.recorder.rules import instants

PACKS: Final = law_packs.load()
NAMES: Final = sorted(PACKS.by_country)
LAWS: Final = [law_of(PACKS.of(name)) for name in NAMES]
EXAMPLES: Final = ("fr-retail", "paris-desk", "sdis18", "casa-desk")
_TABLES: Final = {name: rules.read_tables(rules.builtin(f"{name}.toml"))[0] for name in EXAMPLES}
_CODES: Final = frozenset(words.known_codes())
_EXCUSES: Final = {
    "quality": "SAMPLED_IN",
    "training": "SAMPLED_IN",
    "evidence": "EVIDENCE_SEGMENT",
    "incident": "INCIDENT_MANUAL",
}
_ACCEPTED: Final[Mapping[str, Any]] = {"announce": "ok", "consent": "in", "agent": ""}
START_NS: Final = 1_800_000_000 * 10**9
_CHOICES: Final[Mapping[str, tuple[Any, ...]]] = {
    "dir": ("in", "out", "int"),
    "consumer": (None, "ZZ", *NAMES),
    "consent": ("none", "in", "out", PENDING),
    "announce": ("ok", "fail", "assumed_ok", PENDING),
    "quota_used": (0, 3, 11, 12, 13),
    "contract": ("", "none", "oral", "written", "signed"),
    "consent_ref": ("", "C1"),
    "call_kind": ("business", "business", "business", "private"),
    "pause_s": (0.0, 180.0, 181.0),
    "mifid": ("", "yes", "no", "unknown"),
    "transfer": ("", "none", "15", "17", "18", "112"),
    "prospect": ("", "none", "interested", "refused"),
    "agent": ("", "a1", "a2", PENDING),
    "missing": ((), (), (), ("dpo_ref",), ("lia_ref",), ("scc_ref",)),
}
# Of what comes later, this alone can only take away.
_LOWERING: Final[tuple[Mapping[str, Any], ...]] = (
    {"consent": "out"},
    {"private": True},
    {"call_kind": "private"},
    {"announce": "fail"},
    {"quota_used": 99},
    {"window": False},
    {"healthy": False},
    {"missing": ("dpo_ref",)},
    {"agent": "a1"},
)
# This is of other purposes: quality and training do not depend on it.
_ELSEWHERE: Final[tuple[Mapping[str, Any], ...]] = (
    {"proof": True},
    {"threat": True},
    {"proof": True, "threat": True},
    {"contract": "oral"},
    {"contract": "signed"},
    {"card": True},
    {"card": True, "pause_s": 500.0},
    {"cold": True},
    {"prospect": "refused"},
)


class Broken(AssertionError):
    """A property does not hold."""


def need(holds: object, *what: object) -> None:
    """Raises Broken, with *what* was drawn, unless it *holds*."""
    if not holds:
        raise Broken("; ".join(map(str, what)))


def a_policy(draw: random.Random) -> Policy:
    """One of the examples, with some of its keys changed within what a policy may say."""
    name = draw.choice((*EXAMPLES, "fr-retail", "fr-retail", "fr-retail", "casa-desk"))
    changes: dict[str, Any] = {
        key: draw.choice(NAMES)
        for key in ("controller", "employee", "device", "market")
        if draw.random() < 0.4
    }
    if draw.random() < 0.6:
        changes["sampling.rate"] = round(draw.random(), 3)
        changes["sampling.method"] = draw.choice(("bernoulli", "bernoulli", "slots"))
        changes["consent.mode"] = draw.choice(law_packs.CONSENT_LEVELS)
        changes["retention.quality"] = draw.randint(1, 400)
        changes["agents"] = {"never": ["a1"], "rate": {"a2": 0.1}}
    if draw.random() < 0.8:  # what other countries ask for
        for reference in ("cndp_ref", "cndp_transfer_ref", "inpdp_ref", "scc_ref", "lia_ref"):
            changes[f"governance.{reference}"] = "R-1"
    if draw.random() < 0.3:
        changes["governance.lia_ref"] = None
    if draw.random() < 0.2:
        changes["fail_mode"] = draw.choice(rules.FAIL_MODES)
    return rules.parse(set_keys(_TABLES[name], changes))


def some_facts(draw: random.Random) -> Facts:
    """Facts of which one in four is drawn, and the others are as without anybody's word."""
    given: dict[str, Any] = {"u": draw.choice((0.0, 0.01, draw.random()))}
    for field in fields(Facts):
        name = field.name
        if draw.random() < 0.75 or name == "u":
            continue
        if name in _CHOICES:
            given[name] = draw.choice(_CHOICES[name])
        elif name.startswith("t_"):
            given[name] = START_NS + draw.randint(0, 600) * 10**9
        elif isinstance(DEFAULTS[name], bool):
            given[name] = draw.random() < 0.5
    return Facts(**{**given, "healthy": draw.random() < 0.95})


def a_place(draw: random.Random, policy: Policy) -> str:
    """A line of *policy*, mostly one that may record, or one that it does not know."""
    recording = [name for name, line in policy.lines.items() if not line.never]
    return draw.choice([*policy.lines, *(recording * 4), "unknown"])


def sampled(verdict: Verdict) -> set[str]:
    """Which of quality and training are kept."""
    return set(verdict.purposes) & set(purposes.SAMPLED)


def tightened(pack: Pack, more: Pack) -> Pack:
    """*pack*, with everything in which *more* is stricter."""
    law: Law = join_all((law_of(pack), law_of(more)))
    return replace(
        pack,
        floor=law.floor,
        default=law.default,
        rate_soft=law.rate_soft,
        rate_hard=law.rate_hard,
        max_days=law.max_days,
        offer_alternative=law.offer_alternative,
    )


# --- the properties ---------------------------------------------------------------------------


def a_pack_never_loosens(draw: random.Random) -> None:
    """One law more: consent and minima only rise; rates, ceilings and purposes only shrink."""
    some, more = [draw.choice(LAWS) for _ in range(draw.randint(1, 4))], draw.choice(LAWS)
    before, after = join_all(some), join_all([*some, draw.choice((more, for_staff(more)))])
    need(after.floor >= before.floor and after.default >= before.default, some, more)
    need(after.rate_soft <= before.rate_soft and after.rate_hard <= before.rate_hard, some, more)
    need(after.max_days.keys() <= before.max_days.keys(), some, more)
    need(all(days <= before.max_days[name] for name, days in after.max_days.items()), some, more)
    need(all(after.min_days[kind] >= low for kind, low in before.min_days.items()), some, more)
    need(after.staff_duties >= before.staff_duties, some, more)


def a_pack_never_adds_to_a_verdict(draw: random.Random) -> None:
    """A stricter pack in the place of one: no voluntary purpose more, none longer."""
    policy, facts = a_policy(draw), some_facts(draw)
    line, place, more = a_place(draw, policy), policy.controller, draw.choice(NAMES)
    packs = {**PACKS.by_country, place: tightened(PACKS.of(place), PACKS.of(more))}
    before = decide(policy, PACKS, line, facts)
    after = decide(policy, Packs(MappingProxyType(packs)), line, facts)
    kept = {name: days for name, days in after.purposes.items() if name in purposes.VOLUNTARY}
    need(kept.keys() <= before.purposes.keys(), policy, facts, more)
    need(all(high <= before.purposes[name][1] for name, (_, high) in kept.items()), facts, more)


def order_is_irrelevant(draw: random.Random) -> None:
    """Laws join to the same in any order, and a law twice is that law once."""
    some = [draw.choice(LAWS) for _ in range(draw.randint(2, 6))]
    other = [*some, draw.choice(some)]
    draw.shuffle(other)
    need(join_all(some) == join_all(other), some)


def every_decision_has_a_code(draw: random.Random) -> None:
    """At least one, none twice, each with a sentence; also of a call that ended waiting."""
    policy, facts = a_policy(draw), some_facts(draw)
    line = a_place(draw, policy)
    for verdict in (
        decide(policy, PACKS, line, facts),
        settle_ended(policy, PACKS, line, facts),
    ):
        need(verdict.codes, policy, facts)
        need(len(set(verdict.codes)) == len(verdict.codes), verdict.codes)
        need(_CODES.issuperset(verdict.codes), verdict.codes)
    need(settle_ended(policy, PACKS, line, facts).waiting is None, facts)


def nothing_voluntary_without_its_code(draw: random.Random) -> None:
    """Quality and training need SAMPLED_IN, evidence its segment, an incident its key."""
    policy, facts = a_policy(draw), some_facts(draw)
    verdict = decide(policy, PACKS, a_place(draw, policy), facts)
    for name in set(verdict.purposes) & set(purposes.VOLUNTARY):
        need(_EXCUSES[name] in verdict.codes, name, verdict, facts)


def later_facts_only_lower_the_draw(draw: random.Random) -> None:
    """But for an acceptance, nothing that comes later adds quality or training."""
    policy, facts = a_policy(draw), some_facts(draw)
    line = a_place(draw, policy)
    hopeful = {name: _ACCEPTED[name] for name in _ACCEPTED if getattr(facts, name) == PENDING}
    possible = sampled(decide(policy, PACKS, line, replace(facts, **hopeful)))
    later = replace(facts, **draw.choice(_LOWERING))
    need(sampled(decide(policy, PACKS, line, later)) <= possible, policy, facts, later)
    beside = replace(facts, **draw.choice(_ELSEWHERE))
    before = decide(policy, PACKS, line, facts)
    if line in policy.lines and policy.lines[line].duty is None:
        need(sampled(decide(policy, PACKS, line, beside)) == sampled(before), policy, facts, beside)


def proof_and_threat_begin_parts_of_their_own(draw: random.Random) -> None:
    """Evidence begins no earlier than the proof, an incident no earlier than the threat; neither
    shares a part with quality or training.
    """
    policy, facts = a_policy(draw), replace(some_facts(draw), announce="ok", private=False)
    facts = replace(facts, proof=True, threat=True, call_kind="business")
    verdict = decide(policy, PACKS, a_place(draw, policy), facts)
    when = _instants(draw, facts)
    for part in (*plans.at_onset(verdict, when), *plans.at_answer(verdict, when)):
        for purpose, instant in (("evidence", "proof"), ("incident", "threat")):
            if purpose in part.purposes:
                need(part.start_ns >= when[instant], part, when)
                need(not set(part.purposes) & set(purposes.SAMPLED), part)


def nothing_before_its_instant(draw: random.Random) -> None:
    """First stored sample: a duty's is the onset; nothing voluntary before the end of the notice,
    nor before the acceptance where one is needed, nor before the agent where one is counted.
    """
    policy, facts = a_policy(draw), some_facts(draw)
    line = a_place(draw, policy)
    verdict, when = decide(policy, PACKS, line, facts), _instants(draw, facts)
    for part in plans.at_onset(verdict, when):
        need(not set(part.purposes) & set(purposes.VOLUNTARY), part)
    counted = policy.sampling.method == "slots" or policy.sampling.agent_quota_month is not None
    for part in plans.at_answer(verdict, when):
        for purpose in set(part.purposes) & set(purposes.VOLUNTARY):
            begins = verdict.begins[purpose]
            heard = "consent" if "consent" in begins else "notice_end"
            need(part.start_ns >= when[heard], part, when)
            if purpose in purposes.SAMPLED and counted:
                need(part.start_ns >= when["agent"], part, when)
    if verdict.waiting is not None:
        need(not sampled(verdict), verdict, facts)


def _instants(draw: random.Random, facts: Facts) -> dict[str, int]:
    when = instants(facts, START_NS, START_NS + draw.randint(0, 60) * 10**9)
    return {
        name: at + draw.randint(0, 60) * 10**9 if name != "onset" else at
        for name, at in when.items()
    }


PROPERTIES: Final[tuple[Callable[[random.Random], None], ...]] = (
    a_pack_never_loosens,
    a_pack_never_adds_to_a_verdict,
    order_is_irrelevant,
    every_decision_has_a_code,
    nothing_voluntary_without_its_code,
    later_facts_only_lower_the_draw,
    proof_and_threat_begin_parts_of_their_own,
    nothing_before_its_instant,
)


def hold(check: Callable[[random.Random], None], examples: int, seed: int = 1) -> int:
    """Try *check* on so many examples; how many were tried. Raises Broken, naming the example."""
    name = getattr(check, "__name__", "property")
    for index in range(examples):
        try:
            check(random.Random(f"{seed}/{name}/{index}"))
        except Broken as error:
            raise Broken(f"{name}, seed {seed}, example {index}: {error}") from None
    return examples
