"""Verdicts beyond the published cases: each fact on each class of line, and what never happens."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.policy import packs, purposes, rules
from greffier.policy.cases import set_keys
from greffier.policy.decision import Facts, Verdict, decide, metadata_days, settle_ended
from greffier.policy.facts import DEFAULTS

PACKS = packs.load()
POLICIES = {
    name: rules.load(rules.builtin(f"{name}.toml"))
    for name in ("fr-retail", "paris-desk", "sdis18", "casa-desk")
}
LINES = [(policy, line) for policy in POLICIES for line in (*POLICIES[policy].lines, "unknown")]


def changed(policy: str, changes: dict[str, Any]) -> rules.Policy:
    tables, _ = rules.read_tables(rules.builtin(f"{policy}.toml"))
    return rules.parse(set_keys(tables, changes))


def verdict(policy: str | rules.Policy, line: str, words: str = "") -> Verdict:
    site = POLICIES[policy] if isinstance(policy, str) else policy
    return decide(site, PACKS, line, Facts.from_words([words], site.timezone))


R, V, D, M = "fr-retail", "fr-retail", "paris-desk", "casa-desk"
ROWS = [
    # voluntary: what comes first
    (R, "accueil", "private=true dir=int", "none", "PRIVATE_MODE"),
    (R, "accueil", "call_kind=private", "none", "PRIVATE_MODE"),
    (R, "accueil", "private=true after_start=true", "none", "PRIVATE_MODE DISCARD_NOW"),
    (R, "vente", "private=true proof=true threat=true", "none", "PRIVATE_MODE"),
    (R, "accueil", "dir=int announce=fail", "none", "INTERNAL_OFF"),
    (R, "accueil", "missing=dpo_ref,lia_ref", "none", "POLICY_INACTIVE"),
    (R, "accueil", "missing=cndp_ref", "full", "SAMPLED_IN"),
    (R, "accueil", "missing=lia_ref", "none", "SAMPLED_IN CONSENT_MISSING"),
    (R, "accueil", "missing=lia_ref consent=in", "full", "SAMPLED_IN"),
    (R, "cse", "missing=dpo_ref", "none", "NEVER_RECORD"),
    (R, "accueil", "announce=fail consent=out", "none", "ANNOUNCE_FAILED"),
    (R, "accueil", "announce=assumed_ok", "full", "SAMPLED_IN"),
    (R, "accueil", "announce=fail contract_notice=true", "none", "ANNOUNCE_FAILED"),
    # the draw, the window, the quota
    (R, "accueil", "u=0.9 quota_used=12", "none", "SAMPLED_OUT"),
    (R, "accueil", "u=0.9 window=false", "none", "SAMPLED_OUT"),
    (R, "accueil", "quota_used=11", "full", "SAMPLED_IN"),
    (R, "accueil", "u=0.199999999999", "full", "SAMPLED_IN"),
    (R, "vente", "window=false proof=true contract=oral", "seg",
     "OUTSIDE_WINDOW EVIDENCE_SEGMENT"),
    (R, "vente", "quota_used=12 threat=true", "seg", "QUOTA_REACHED INCIDENT_MANUAL"),
    (R, "accueil", "u=0.9 consent=out", "none", "SAMPLED_OUT OBJECTED"),
    (R, "accueil", "u=0.9 consumer=DE", "none", "SAMPLED_OUT"),
    (R, "accueil", "proof=true threat=true u=0.5", "none", "SAMPLED_OUT"),
    # evidence and incidents
    (R, "vente", "u=0.9 proof=true", "seg", "SAMPLED_OUT EVIDENCE_SEGMENT"),
    (R, "vente", "u=0.9 proof=true contract=signed", "none", "SAMPLED_OUT EVIDENCE_NOT_NECESSARY"),
    (R, "vente", "u=0.9 proof=true cold=true", "seg", "SAMPLED_OUT EVIDENCE_SEGMENT"),
    (R, "vente", "u=0.9 proof=true consumer=DE", "none",
     "SAMPLED_OUT EVIDENCE_SEGMENT CONSENT_MISSING"),
    (R, "vente", "u=0.9 threat=true consumer=DE", "seg", "SAMPLED_OUT INCIDENT_MANUAL"),
    (R, "vente", "u=0.9 threat=true card=true", "seg", "SAMPLED_OUT INCIDENT_MANUAL PAUSE_SAD"),
    (R, "vente", "threat=true announce=fail", "none", "ANNOUNCE_FAILED"),
    (R, "vente", "u=0.9 proof=true consent=out t_proof=60 t_refusal=61", "seg",
     "SAMPLED_OUT EVIDENCE_SEGMENT OBJECTED EVIDENCE_KEPT_CLAIM"),
    (R, "vente", "u=0.9 proof=true consent=out t_proof=60 t_refusal=59", "none",
     "SAMPLED_OUT EVIDENCE_SEGMENT OBJECTED ALT_CHANNEL_WRITTEN"),
    (R, "vente", "u=0.9 proof=true consent=out after_start=true", "seg",
     "SAMPLED_OUT EVIDENCE_SEGMENT OBJECTED EVIDENCE_KEPT_CLAIM"),
    (R, "vente", "u=0.1 proof=true consent=out after_start=true", "none",
     "SAMPLED_IN EVIDENCE_SEGMENT OBJECTED DISCARD_NOW ALT_CHANNEL_WRITTEN"),
    (R, "vente", "u=0.1 proof=true consent=out t_proof=60 t_refusal=61", "seg",
     "SAMPLED_IN EVIDENCE_SEGMENT OBJECTED DISCARD_NOW EVIDENCE_KEPT_CLAIM"),
    (R, "vente", "card=true pause_s=180", "full", "SAMPLED_IN PAUSE_SAD"),
    (R, "vente", "card=true pause_s=181", "full", "SAMPLED_IN PAUSE_SAD PAUSE_OVERRUN"),
    # cold calls from 11 August 2026 on, French time
    (R, "vente", "u=0.9 dir=out cold=true t_start=2026-08-11", "none",
     "SAMPLED_OUT COLD_CALL_NO_CONSENT"),
    (R, "vente", "u=0.9 dir=out cold=true t_start=2026-08-10T23:59:59", "none", "SAMPLED_OUT"),
    (R, "vente", "u=0.9 dir=out cold=true t_start=2026-08-10T22:00:00+00:00", "none",
     "SAMPLED_OUT COLD_CALL_NO_CONSENT"),
    (R, "vente", "u=0.9 dir=out cold=true t_start=2026-09-01 consent_ref=C1", "none",
     "SAMPLED_OUT"),
    (R, "vente", "u=0.9 dir=in cold=true t_start=2026-09-01", "none", "SAMPLED_OUT"),
    (R, "vente", "u=0.9 dir=out cold=true t_start=2026-09-01 consumer=BE", "none", "SAMPLED_OUT"),
    (R, "vente", "u=0.9 dir=out cold=true proof=true t_start=2026-09-01", "none",
     "SAMPLED_OUT EVIDENCE_NOT_NECESSARY COLD_CALL_NO_CONSENT"),
    (R, "cse", "dir=out cold=true t_start=2026-09-01", "none", "NEVER_RECORD"),
    # a recorder that cannot record
    (R, "accueil", "healthy=false", "none", "RECORDER_DOWN"),
    (M, "assur", "healthy=false dir=out", "none", "RECORDER_DOWN"),
    ("sdis18", "l18", "healthy=false", "cont", "EMERGENCY_CONTINUOUS RECORDER_DOWN"),
    ("sdis18", "l99", "healthy=false", "cont", "FAIL_OPEN_EMERGENCY RECORDER_DOWN"),
    (D, "conseil", "healthy=false", "none", "RECORDER_DOWN"),
    # investment services
    (D, "desk", "announce=fail contract_notice=true", "full", "MANDATORY_MIFID"),
    (D, "desk", "call_kind=private", "full", "MANDATORY_MIFID PRIVATE_REFUSED_MANDATORY"),
    (D, "desk", "u=0.99 window=false quota_used=99", "full", "MANDATORY_MIFID"),
    (D, "desk", "missing=works_council_ref", "full", "MANDATORY_MIFID"),
    (D, "conseil", "mifid=yes", "full", "MANDATORY_MIFID"),
    (D, "conseil", "dir=int", "full", "MANDATORY_MIFID MIXED_PROVISIONAL"),
    (D, "conseil", "mifid=no card=true", "provisional_deleted", "MIXED_RECLASSIFIED_DELETE"),
    (D, "conseil", "mifid=no announce=fail", "none", "NOTICE_IMPOSSIBLE"),
    (D, "conseil", "consent=out", "full",
     "MANDATORY_MIFID MIXED_PROVISIONAL OBJECTION_VS_DUTY CHANNEL_DURABLE_MEDIUM"),
    (D, "desk", "consent=out action_confirmed=false", "full",
     "MANDATORY_MIFID OBJECTION_VS_DUTY CHANNEL_DURABLE_MEDIUM ACTION_UNCONFIRMED"),
    (D, "desk", "announce=fail action_confirmed=false", "full",
     "NOTICE_IMPOSSIBLE ACTION_UNCONFIRMED"),
    (D, "desk", "announce=pending", "full", "MANDATORY_MIFID"),
    (D, "unknown", "", "none", "LINE_UNCONFIGURED"),
    # insurance
    (M, "assur", "dir=out", "full", "MANDATORY_INSURANCE PENDING_CONTRACT_1M"),
    (M, "assur", "dir=out card=true", "full",
     "MANDATORY_INSURANCE PENDING_CONTRACT_1M PAUSE_SAD GAP_LOGGED"),
    (M, "assur", "dir=out announce=fail contract_notice=true", "none", "NOTICE_IMPOSSIBLE"),
    (M, "assur", "dir=out private=true", "full",
     "MANDATORY_INSURANCE PENDING_CONTRACT_1M PRIVATE_REFUSED_MANDATORY"),
    (M, "assur", "dir=out consent=out prospect=refused", "none",
     "MANDATORY_INSURANCE REFUSED_END_CALL DISCARD_NOW"),
    (M, "assur", "dir=out consent=out action_confirmed=false", "none",
     "MANDATORY_INSURANCE REFUSED_END_CALL DISCARD_NOW ACTION_UNCONFIRMED"),
    (M, "assur", "dir=int", "none", "NO_PURPOSE"),
    (M, "assur", "call_kind=private", "none", "NO_PURPOSE"),
    (M, "cd", "window=false u=0.1", "none", "OUTSIDE_WINDOW RATE_CLAMPED"),
    (M, "cd", "u=0.25 consumer=ZZ consent=in", "none", "SAMPLED_OUT RATE_CLAMPED"),
    # emergencies
    ("sdis18", "l18", "transfer=18", "cont", "EMERGENCY_CONTINUOUS"),
    ("sdis18", "l15", "transfer=18", "cont", "EMERGENCY_CONTINUOUS SHARED_PLATFORM_LONGEST"),
    ("sdis18", "l18", "private=true", "cont", "EMERGENCY_CONTINUOUS PRIVATE_REFUSED_MANDATORY"),
    ("sdis18", "l18", "announce=fail consent=out card=true transfer=17 dir=int u=0.9", "cont",
     "EMERGENCY_CONTINUOUS SHARED_PLATFORM_LONGEST NOTICE_NOT_REQUIRED OBJECTION_NOT_APPLICABLE "
     "PAUSE_DISABLED_EMERGENCY"),
    ("sdis18", "l99", "consent=out", "cont", "FAIL_OPEN_EMERGENCY OBJECTION_NOT_APPLICABLE"),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "line", "facts", "record", "codes"), ROWS)
def test_verdict_and_codes(policy: str, line: str, facts: str, record: str, codes: str) -> None:
    found = verdict(policy, line, facts)
    assert (found.record, " ".join(found.codes)) == (record, codes)


@pytest.mark.parametrize(
    ("policy", "line", "facts", "action"),
    [
        (R, "accueil", "healthy=false", "continue"),
        (D, "conseil", "healthy=false", "block_call"),
        (M, "assur", "healthy=false dir=out", "continue"),
        (D, "perso", "healthy=false", "continue"),
        (D, "unknown", "", "block_call"),
        (R, "unknown", "", "continue"),
        (D, "conseil", "consent=out", "end_call"),
        (D, "conseil", "mifid=no consent=out", "continue"),
        (M, "assur", "dir=out announce=fail", "end_call"),
        (R, "accueil", "consumer=CA-QC", "continue"),
        (R, "accueil", "consumer=CA-QC consent=out u=0.9", "offer_alternative"),
    ],
)
def test_what_the_outputs_are_told(policy: str, line: str, facts: str, action: str) -> None:
    assert verdict(policy, line, facts).action == action


@pytest.mark.parametrize("consumer", sorted(PACKS.by_country))
def test_every_consumer_of_a_french_shop(consumer: str) -> None:
    pack = PACKS.of(consumer)
    asked = verdict(R, "accueil", f"consumer={consumer} u=0.1")
    accepted = verdict(R, "accueil", f"consumer={consumer} u=0.1 consent=in")
    assert asked.record == ("full" if pack.floor <= packs.OPT_OUT else "none")
    assert accepted.record == "full"
    days = min(89, pack.max_days["quality"])
    assert dict(accepted.purposes) == {"quality": (0, days), "training": (0, days)}


def test_the_regulatory_minimum_is_never_lowered_and_an_order_raises_it() -> None:
    short = changed(D, {"retention.regulatory": 100, "retention.purge_grace": 0})
    assert verdict(short, "desk").purposes["regulatory"] == (1827, 1827)
    ordered = changed(D, {"authority_order.active": True})
    assert verdict(ordered, "desk").purposes["regulatory"] == (2557, 2587)


def test_union_and_personnel_lines_are_never_recorded_internally() -> None:
    for sector, code in (
        ("retail", "SAMPLED_IN"),
        ("union", "INTERNAL_OFF"),
        ("hr", "INTERNAL_OFF"),
    ):
        site = changed(R, {"lines.accueil.sector": sector, "lines.accueil.internal": True})
        assert verdict(site, "accueil", "dir=int").codes == (code,)


def test_an_insurer_may_choose_to_block_what_it_cannot_record() -> None:
    site = changed(M, {"fail_mode": "block_call"})
    assert verdict(site, "assur", "healthy=false dir=out").action == "block_call"
    assert verdict(site, "assur", "healthy=false dir=in").action == "continue"
    assert verdict(site, "cd", "healthy=false").action == "continue"


def test_open_without_an_emergency_line_opens_nothing() -> None:
    found = verdict(changed(R, {"fail_mode": "open"}), "fax")
    assert (found.record, found.codes) == ("none", ("LINE_UNCONFIGURED",))


def test_a_call_of_an_unknown_line_is_quarantined() -> None:
    assert verdict("sdis18", "l99").quarantined
    assert not verdict("sdis18", "l18").quarantined
    only_medical = changed("sdis18", {"lines.l18": None})
    assert dict(verdict(only_medical, "l99").purposes) == {"emergency_medical": (1827, 1857)}


def test_agents_lower_their_rate_or_are_never_recorded() -> None:
    site = changed(R, {"agents.never": ["a1"], "agents.rate": {"a2": 0.1, "a3": 0.9}})
    assert verdict(site, "accueil", "agent=a1").codes == ("NEVER_RECORD",)
    assert verdict(site, "accueil", "agent=a1").counted
    assert verdict(site, "accueil", "agent=a2 u=0.15").codes == ("SAMPLED_OUT",)
    assert verdict(site, "accueil", "agent=a3 u=0.25").codes == ("SAMPLED_OUT",)


def test_slots_take_the_place_of_the_draw() -> None:
    site = changed(R, {"sampling.method": "slots"})
    assert verdict(site, "accueil", "u=0").codes == ("SAMPLED_OUT",)
    assert verdict(site, "accueil", "u=0.9 slot=true").codes == ("SAMPLED_IN",)


def test_a_justified_rate_holds_until_it_expires() -> None:
    proof = {
        "document": "J1",
        "sha256": "0" * 64,
        "controller": "ACME",
        "expires": "2026-12-31",
        "impact_assessment": "DPIA-3",
    }
    changes = {"sampling.rate": 0.5, "sampling.rate_justification_ref": proof}
    site = changed(R, changes)
    for start, codes in (
        ("2026-12-31T23:59:00", "SAMPLED_IN"),
        ("2027-01-01T00:00:00", "SAMPLED_OUT RATE_CLAMPED"),
    ):
        found = verdict(site, "accueil", f"u=0.4 t_start={start}")
        assert " ".join(found.codes) == codes
    assert verdict(site, "accueil", "u=0.4").codes == ("SAMPLED_IN",)


def test_a_policy_that_lost_a_reference_keeps_its_duties_only() -> None:
    site = changed(M, {"governance.scc_ref": None})
    assert verdict(site, "cd", "consent=in").codes == ("POLICY_INACTIVE",)
    assert verdict(site, "assur", "dir=out").record == "full"


def test_one_line_may_serve_a_duty_and_a_choice() -> None:
    changes = {"lines.desk.purposes": ["regulatory", "quality"], "sampling.rate": 0.2}
    site = changed(D, {**changes, "retention.quality": 60})
    both = verdict(site, "desk", "u=0.1 consent=in")
    assert dict(both.purposes) == {"quality": (0, 60), "regulatory": (1827, 1857)}
    alone = verdict(site, "desk", "u=0.1")
    assert dict(alone.purposes) == {"regulatory": (1827, 1857)}
    assert alone.codes == ("MANDATORY_MIFID", "SAMPLED_IN", "CONSENT_MISSING")
    private = verdict(site, "desk", "u=0.1 consent=in private=true")
    assert dict(private.purposes) == {"regulatory": (1827, 1857)}
    mixed = replace(site, lines={"desk": replace(site.lines["desk"], mixed=True)})
    kept = verdict(mixed, "desk", "u=0.1 consent=in mifid=no")
    assert (kept.record, dict(kept.purposes)) == ("full", {"quality": (0, 60)})


@pytest.mark.parametrize(
    ("policy", "line", "facts", "begins"),
    [
        (R, "accueil", "u=0.1", {"quality": "notice_end agent", "training": "notice_end agent"}),
        (M, "cd", "u=0.1 consent=in", {"quality": "consent", "training": "consent"}),
        (R, "vente", "u=0.9 proof=true", {"evidence": "notice_end proof"}),
        (R, "vente", "u=0.9 threat=true", {"incident": "notice_end threat"}),
        (D, "desk", "", {"regulatory": "onset"}),
        (M, "assur", "dir=out", {"insurance": "onset"}),
        ("sdis18", "l18", "transfer=15",
         {"emergency_fire": "onset", "emergency_medical": "transfer"}),
    ],
)  # fmt: skip
def test_the_first_persisted_sample(
    policy: str, line: str, facts: str, begins: dict[str, str]
) -> None:
    found = verdict(policy, line, facts)
    assert {name: " ".join(instants) for name, instants in found.begins.items()} == begins


@pytest.mark.parametrize(
    ("policy", "line", "facts", "waiting", "settled"),
    [
        (R, "accueil", "u=0.1 announce=pending", "NOTICE_PENDING", "ANNOUNCE_FAILED"),
        (R, "accueil", "u=0.9 announce=pending", None, "SAMPLED_OUT"),
        (R, "accueil", "u=0.1 consent=pending", None, "SAMPLED_IN"),
        (M, "cd", "u=0.1 consent=pending", "CONSENT_PENDING",
         "SAMPLED_IN RATE_CLAMPED CONSENT_MISSING"),
        (M, "cd", "u=0.1 consent=pending announce=pending", "NOTICE_PENDING", "ANNOUNCE_FAILED"),
        (M, "cd", "u=0.1 consent=in agent=pending", None, "SAMPLED_IN RATE_CLAMPED"),
        (R, "accueil", "u=0.1 agent=pending", "AGENT_PENDING", "SAMPLED_IN AGENT_PENDING"),
        (R, "accueil", "u=0.9 agent=pending", None, "SAMPLED_OUT"),
        (R, "accueil", "u=0.1 window=false agent=pending", None, "OUTSIDE_WINDOW"),
    ],
)  # fmt: skip
def test_a_call_that_waits_and_how_it_ends(
    policy: str, line: str, facts: str, waiting: str | None, settled: str
) -> None:
    site = POLICIES[policy]
    known = Facts.from_words([facts], site.timezone)
    found = decide(site, PACKS, line, known)
    assert found.waiting == waiting
    if waiting:
        assert found.codes[-1] == waiting
        assert found.record == "none"
    ended = settle_ended(site, PACKS, line, known)
    assert (ended.waiting, " ".join(ended.codes)) == (None, settled)


def test_a_threat_does_not_wait_for_the_agent() -> None:
    found = verdict(R, "vente", "u=0.1 agent=pending threat=true")
    assert (found.waiting, found.record, list(found.purposes)) == (
        "AGENT_PENDING",
        "seg",
        ["incident"],
    )


def test_metadata_live_no_longer_than_the_longest_purpose() -> None:
    site = changed(R, {"retention.metadata": 60})
    for facts, days in (("u=0.9", 60), ("u=0.1", 60), ("u=0.1 consumer=BE", 28)):
        assert metadata_days(site, verdict(site, "accueil", facts)) == days


# --- what never happens -----------------------------------------------------------------------

times = st.none() | st.integers(-(2**65), 2**65)
FACTS: dict[str, st.SearchStrategy[Any]] = {
    "dir": st.sampled_from(["in", "out", "int"]),
    "consumer": st.none() | st.sampled_from([*sorted(PACKS.by_country), "ZZ"]),
    "consent": st.sampled_from(["none", "in", "out", "pending"]),
    "announce": st.sampled_from(["ok", "fail", "assumed_ok", "pending"]),
    "u": st.floats(0, 1),
    "quota_used": st.integers(0, 20),
    "contract": st.sampled_from(["", "none", "oral", "written", "signed"]),
    "consent_ref": st.sampled_from(["", "C1"]),
    "call_kind": st.sampled_from(["business", "private"]),
    "pause_s": st.floats(0, 1000),
    "mifid": st.sampled_from(["", "yes", "no", "unknown"]),
    "transfer": st.sampled_from(["", "none", "15", "17", "18", "112"]),
    "prospect": st.sampled_from(["", "none", "interested", "refused"]),
    "agent": st.sampled_from(["", "a1", "pending"]),
    "missing": st.lists(st.sampled_from(["dpo_ref", "lia_ref", "scc_ref"]), max_size=2).map(tuple),
    **{name: st.booleans() for name, value in DEFAULTS.items() if isinstance(value, bool)},
    **{name: times for name in DEFAULTS if name.startswith("t_")},
}
any_facts = st.builds(Facts, **FACTS)
any_line = st.sampled_from(LINES)
EXCUSES = {"SAMPLED_IN", "EVIDENCE_SEGMENT", "INCIDENT_MANUAL"}


def decided(place: tuple[str, str], facts: Facts) -> Verdict:
    return decide(POLICIES[place[0]], PACKS, place[1], facts)


def voluntary_of(found: Verdict) -> set[str]:
    return set(found.purposes) & set(purposes.VOLUNTARY)


def test_every_fact_is_drawn() -> None:
    assert FACTS.keys() == DEFAULTS.keys()


@settings(deadline=None, max_examples=600)
@given(any_line, any_facts)
def test_a_verdict_holds_together(place: tuple[str, str], facts: Facts) -> None:
    found = decided(place, facts)
    assert found.codes
    assert len(set(found.codes)) == len(found.codes)
    assert found.record in ("none", "seg", "full", "cont", "provisional_deleted")
    assert bool(found.purposes) == (found.record in ("seg", "full", "cont"))
    assert found.purposes.keys() == found.begins.keys()
    assert all(0 <= low <= high for low, high in found.purposes.values())
    assert found.pause == "-" or found.purposes
    if voluntary_of(found):
        assert set(found.codes) & EXCUSES
        assert facts.announce in ("ok", "assumed_ok")
    if "quality" in found.purposes:
        assert found.sampled_in
        assert facts.consent != "out"
    if "SAMPLED_OUT" in found.codes:
        assert not found.sampled_in
    assert settle_ended(POLICIES[place[0]], PACKS, place[1], facts).waiting is None


@settings(deadline=None, max_examples=300)
@given(any_facts)
def test_never_record_lines_record_and_count_nothing(facts: Facts) -> None:
    for place in ((R, "cse"), (D, "perso"), ("sdis18", "admin")):
        found = decided(place, facts)
        assert (found.record, found.counted, found.action) == ("none", False, "continue")
        assert set(found.codes) <= {"NEVER_RECORD", "RECORDER_DOWN"}


@settings(deadline=None, max_examples=300)
@given(any_line, any_facts, st.floats(0, 1), st.booleans(), st.integers(0, 99))
def test_a_duty_depends_on_no_draw(
    place: tuple[str, str], facts: Facts, u: float, window: bool, quota: int
) -> None:
    duties = set(purposes.MANDATORY)
    other = replace(facts, u=u, window=window, quota_used=quota)
    one, two = decided(place, facts), decided(place, other)
    assert {n: d for n, d in one.purposes.items() if n in duties} == {
        n: d for n, d in two.purposes.items() if n in duties
    }


@settings(deadline=None, max_examples=300)
@given(any_line, any_facts)
def test_a_refusal_only_takes_away(place: tuple[str, str], facts: Facts) -> None:
    before = decided(place, replace(facts, consent="in"))
    after = decided(place, replace(facts, consent="out"))
    assert voluntary_of(after) <= voluntary_of(before)
    assert after.purposes.keys() <= before.purposes.keys()
    assert "quality" not in after.purposes


@settings(deadline=None, max_examples=300)
@given(any_line, any_facts)
def test_the_private_key_ends_every_choice_and_no_duty(
    place: tuple[str, str], facts: Facts
) -> None:
    open_call = decided(place, replace(facts, private=False, call_kind="business"))
    private = decided(place, replace(facts, private=True, call_kind="business"))
    assert not voluntary_of(private)
    assert private.purposes.keys() - set(purposes.VOLUNTARY) == (
        open_call.purposes.keys() - set(purposes.VOLUNTARY)
    )


@settings(deadline=None, max_examples=300)
@given(any_facts)
def test_emergencies_are_always_recorded(facts: Facts) -> None:
    for line in ("l18", "l15", "l99"):
        found = decided(("sdis18", line), facts)
        assert (found.record, found.announce, found.pause) == ("cont", "web", "-")
        assert found.action == "continue"


@settings(deadline=None, max_examples=300)
@given(any_line, any_facts, st.sampled_from(sorted(PACKS.by_country)))
def test_no_consumer_is_treated_more_loosely_than_a_french_one(
    place: tuple[str, str], facts: Facts, consumer: str
) -> None:
    french = decided(place, replace(facts, consumer="FR", cold=False))
    other = decided(place, replace(facts, consumer=consumer, cold=False))
    assert voluntary_of(other) <= voluntary_of(french)
    for name in voluntary_of(other):
        assert other.purposes[name][1] <= french.purposes[name][1]
