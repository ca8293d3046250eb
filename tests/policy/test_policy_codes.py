"""Each code has a policy or a call of its own that gives it, and one fact less gives it no more."""

from typing import Any

import pytest

from greffier.policy import packs, rules
from greffier.policy.cases import set_keys
from greffier.policy.check import WARNINGS, check, labels
from greffier.policy.decision import Facts, decide, settle_ended
from greffier.policy.words import known_codes

PACKS = packs.load()
RETAIL, DESK, FIRE, CASA = "fr-retail.toml", "paris-desk.toml", "sdis18.toml", "casa-desk.toml"

FINDINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "C_RATE_CLAMPED_SOFT": (RETAIL, {"sampling.rate": 0.301}),
    "C_CONSENT_RAISED": (RETAIL, {"governance.lia_ref": None}),
    "C_RETENTION_CLAMPED": (RETAIL, {"retention.quality": 181}),
    "C_RATE_FULL_VOLUNTARY": (RETAIL, {"sampling.rate": 1.0}),
    "C_DECIDE_AT_END_FORBIDDEN": (RETAIL, {"sampling.decide_at": "end"}),
    "C_PREROLL_FORBIDDEN": (RETAIL, {"sampling.pre_roll_s": 1}),
    "C_NO_WORKS_COUNCIL": (RETAIL, {"governance.works_council_ref": None}),
    "C_NO_REGISTER": (RETAIL, {"governance.register_ref": "  "}),
    "C_NO_DPO": (RETAIL, {"governance.dpo_ref": ""}),
    "C_NO_STAFF_NOTICE": (RETAIL, {"governance.employee_notice_on": None}),
    "C_FOUR_EYES": (RETAIL, {"governance.changed_by": ["x", "x"]}),
    "C_EMOTION_FORBIDDEN": (RETAIL, {"analytics.emotion_inference": True}),
    "C_SCREENSHOT_FORBIDDEN": (RETAIL, {"analytics.screen_capture": "screenshot"}),
    "C_SCREEN_VIDEO_TRAINING_ONLY": (RETAIL, {"analytics.screen_capture": "video"}),
    "C_AUTORESUME_FORBIDDEN": (RETAIL, {"pause.auto_resume": True}),
    "C_CONTINUOUS_SECTOR": (RETAIL, {"capture.continuous": True}),
    "C_MIFID_RETENTION_SHORT": (DESK, {"retention.regulatory": 1826}),
    "C_SAMU_RETENTION_SHORT": (FIRE, {"retention.emergency_medical": 1826}),
    "C_TRANSFER_NO_SCC": (RETAIL, {"sync.destination": "MA"}),
    "C_NO_CNDP": (RETAIL, {"device": "MA", "consent.mode": "opt_in", "governance.scc_ref": "S"}),
    "C_NO_INPDP": (RETAIL, {"device": "TN", "consent.mode": "opt_in", "governance.scc_ref": "S"}),
}
CALLS: dict[str, tuple[str, str, str, str]] = {
    # code: policy, line, facts with which it comes, facts with which it does not
    "SAMPLED_IN": (RETAIL, "accueil", "u=0.19", "u=0.2"),
    "SAMPLED_OUT": (RETAIL, "accueil", "u=0.2", "u=0.19"),
    "QUOTA_REACHED": (RETAIL, "accueil", "quota_used=12", "quota_used=11"),
    "OUTSIDE_WINDOW": (RETAIL, "accueil", "window=false", ""),
    "RATE_CLAMPED": (CASA, "cd", "u=0.1", "u=0.1 private=true"),
    "OBJECTED": (RETAIL, "accueil", "consent=out", "consent=none"),
    "CONSENT_MISSING": (CASA, "cd", "u=0.1", "u=0.1 consent=in"),
    "DISCARD_NOW": (RETAIL, "accueil", "consent=out after_start=true", "consent=out"),
    "ALT_CHANNEL_WRITTEN": (RETAIL, "vente", "u=0.9 proof=true consent=out", "consent=out"),
    "ANNOUNCE_FAILED": (RETAIL, "accueil", "announce=fail", "announce=ok"),
    "INTERNAL_OFF": (RETAIL, "accueil", "dir=int", "dir=out"),
    "PRIVATE_MODE": (RETAIL, "accueil", "private=true", ""),
    "NEVER_RECORD": (RETAIL, "cse", "", "healthy=false"),
    "NO_PURPOSE": (CASA, "assur", "dir=in", "dir=out"),
    "LINE_UNCONFIGURED": (RETAIL, "fax", "", ""),
    "POLICY_INACTIVE": (RETAIL, "accueil", "missing=register_ref", "missing=cndp_ref"),
    "EVIDENCE_SEGMENT": (RETAIL, "vente", "proof=true contract=oral", "contract=oral"),
    "EVIDENCE_NOT_NECESSARY": (RETAIL, "vente", "proof=true contract=written", "proof=true"),
    "EVIDENCE_KEPT_CLAIM": (
        RETAIL, "vente", "proof=true consent=out t_proof=9 t_refusal=10",
        "proof=true consent=out t_proof=10 t_refusal=9",
    ),
    "INCIDENT_MANUAL": (RETAIL, "vente", "threat=true", ""),
    "NOTICE_PENDING": (RETAIL, "accueil", "announce=pending", "announce=pending u=0.9"),
    "CONSENT_PENDING": (CASA, "cd", "consent=pending", "consent=pending u=0.9"),
    "AGENT_PENDING": (RETAIL, "accueil", "agent=pending", "agent=pending u=0.9"),
    "COLD_CALL_NO_CONSENT": (
        RETAIL, "vente", "dir=out cold=true t_start=2026-08-11",
        "dir=out cold=true t_start=2026-08-11 consent_ref=C7",
    ),
    "PAUSE_SAD": (RETAIL, "accueil", "card=true", "card=true u=0.9"),
    "GAP_LOGGED": (DESK, "desk", "card=true", ""),
    "PAUSE_OVERRUN": (DESK, "desk", "card=true pause_s=181", "card=true pause_s=180"),
    "MANDATORY_MIFID": (DESK, "desk", "", "announce=fail"),
    "MIFID_LINE_FORCED": (DESK, "desk", "mifid=no", "mifid=yes"),
    "MIXED_PROVISIONAL": (DESK, "conseil", "", "mifid=yes"),
    "MIXED_RECLASSIFIED_DELETE": (DESK, "conseil", "mifid=no", "mifid=unknown"),
    "OBJECTION_VS_DUTY": (DESK, "desk", "consent=out", "consent=in"),
    "CHANNEL_DURABLE_MEDIUM": (DESK, "desk", "consent=out", ""),
    "NOTICE_IMPOSSIBLE": (DESK, "desk", "announce=fail", "announce=fail contract_notice=true"),
    "RECORDER_DOWN": (DESK, "desk", "healthy=false", ""),
    "ACTION_UNCONFIRMED": (
        DESK, "desk", "consent=out action_confirmed=false", "action_confirmed=false",
    ),
    "PRIVATE_REFUSED_MANDATORY": (DESK, "desk", "private=true", ""),
    "MANDATORY_INSURANCE": (CASA, "assur", "dir=out", "dir=in"),
    "PENDING_CONTRACT_1M": (CASA, "assur", "dir=out", "dir=out contract=signed"),
    "KEEP_2Y_FROM_SIGNATURE": (CASA, "assur", "dir=out contract=signed", "dir=out contract=oral"),
    "REFUSED_END_CALL": (CASA, "assur", "dir=out consent=out", "dir=out"),
    "PROSPECT_NOT_INTERESTED": (
        CASA, "assur", "dir=out prospect=refused", "dir=out prospect=interested",
    ),
    "PRIVATE_EXCLUDED": (CASA, "assur", "dir=out call_kind=private", "dir=out private=true"),
    "EMERGENCY_CONTINUOUS": (FIRE, "l18", "", "healthy=true"),
    "OBJECTION_NOT_APPLICABLE": (FIRE, "l18", "consent=out", ""),
    "SHARED_PLATFORM_LONGEST": (FIRE, "l18", "transfer=15", "transfer=18"),
    "PAUSE_DISABLED_EMERGENCY": (FIRE, "l18", "card=true", ""),
    "NOTICE_NOT_REQUIRED": (FIRE, "l18", "announce=fail", ""),
    "FAIL_OPEN_EMERGENCY": (FIRE, "l99", "", ""),
}  # fmt: skip
ALWAYS = {"LINE_UNCONFIGURED", "EMERGENCY_CONTINUOUS", "FAIL_OPEN_EMERGENCY"}
"""Codes that hang on the line and on no fact."""


def findings(policy: str, changes: dict[str, Any]) -> list[str]:
    tables, _ = rules.read_tables(rules.builtin(policy))
    return [label.partition(":")[0] for label in labels(check(set_keys(tables, changes), PACKS))]


def codes(policy: str, line: str, facts: str) -> tuple[str, ...]:
    site = rules.load(rules.builtin(policy))
    return decide(site, PACKS, line, Facts.from_words([facts], site.timezone)).codes


def test_every_code_of_the_compiler_and_of_a_call_is_below() -> None:
    known = set(known_codes())
    compiled = {code for code in known if code.startswith("C_")}
    # A minimum above a maximum takes packs of its own: test_policy_check has it.
    assert compiled == {*FINDINGS, "C_MIN_ABOVE_MAX"}
    assert CALLS.keys() <= known


@pytest.mark.parametrize("code", FINDINGS)
def test_a_policy_with_one_fault_has_one_finding(code: str) -> None:
    policy, changes = FINDINGS[code]
    before = set(findings(policy, {}))
    assert code not in before
    assert set(findings(policy, changes)) - before == {code}


@pytest.mark.parametrize("code", FINDINGS)
def test_only_three_findings_are_warnings(code: str) -> None:
    policy, changes = FINDINGS[code]
    tables, _ = rules.read_tables(rules.builtin(policy))
    severity = {one.code: one.severity for one in check(set_keys(tables, changes), PACKS)}[code]
    assert severity == ("warning" if code in WARNINGS else "error")


@pytest.mark.parametrize("code", CALLS)
def test_a_call_gets_the_code_and_another_call_does_not(code: str) -> None:
    policy, line, with_it, without = CALLS[code]
    assert code in codes(policy, line, with_it)
    assert code in ALWAYS or code not in codes(policy, line, without)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ("quota_used=12 window=false", ("QUOTA_REACHED",)),
        ("quota_used=12 u=0.9", ("SAMPLED_OUT",)),
        ("window=false u=0.9", ("SAMPLED_OUT",)),
        ("window=false", ("OUTSIDE_WINDOW",)),
    ],
)
def test_draw_then_quota_then_window(facts: str, expected: tuple[str, ...]) -> None:
    assert codes(RETAIL, "accueil", facts) == expected


def test_every_output_that_does_not_confirm_is_told() -> None:
    unconfirmed = "action_confirmed=false"
    for policy, line, facts in (
        (DESK, "desk", "consent=out"),
        (DESK, "desk", "healthy=false"),
        (DESK, "fax", ""),
        (RETAIL, "accueil", "consumer=CA-QC consent=out"),
    ):
        assert "ACTION_UNCONFIRMED" in codes(policy, line, f"{facts} {unconfirmed}")
        assert "ACTION_UNCONFIRMED" not in codes(policy, line, facts)
    assert "ACTION_UNCONFIRMED" not in codes(RETAIL, "accueil", unconfirmed)


@pytest.mark.parametrize(
    ("country", "pack"),
    [("GB", "UK"), ("US", "US-AP"), ("US-CA", "US-AP"), ("US-1P", "US-1P"), ("USX", "XX")],
)
def test_a_country_may_have_two_names_and_a_state_none(country: str, pack: str) -> None:
    assert PACKS.of(country).name == pack


@pytest.mark.parametrize("controller", ["NL", "PT", "NO", "GB", "CH"])
def test_clauses_are_asked_of_every_controller_under_the_regulation(controller: str) -> None:
    changes = {"controller": controller, "sync.destination": "MA"}
    assert "C_TRANSFER_NO_SCC" in findings(RETAIL, changes)
    assert "C_TRANSFER_NO_SCC" not in findings(RETAIL, {"controller": controller})


def test_a_call_that_ends_waiting_says_what_never_came() -> None:
    site = rules.load(rules.builtin(RETAIL))
    for facts, code in (
        ("announce=pending", "ANNOUNCE_FAILED"),
        ("agent=pending", "AGENT_PENDING"),
    ):
        ended = settle_ended(site, PACKS, "accueil", Facts.from_words([facts]))
        assert (ended.record, ended.codes[-1]) == ("none", code)
