"""Each finding of the compiler has its case, and the examples have no more than theirs."""

import tomllib
from datetime import date
from typing import Any

import pytest

from greffier.policy import packs, rules
from greffier.policy.cases import set_keys
from greffier.policy.check import check, labels

PACKS = packs.load()
A, B, C, D = "fr-retail.toml", "paris-desk.toml", "sdis18.toml", "casa-desk.toml"
DATED = {
    "document": "J1",
    "sha256": "0" * 64,
    "controller": "ACME",
    "expires": "2026-12-31",
    "impact_assessment": "DPIA-3",
}
D_RAISED = ["C_CONSENT_RAISED"]


def found(policy: str, changes: dict[str, Any], today: date | None = None) -> list[str]:
    tables, _ = rules.read_tables(rules.builtin(policy))
    return labels(check(set_keys(tables, changes), PACKS, today))


ROWS: list[tuple[str, dict[str, Any], list[str]]] = [
    (A, {}, []),
    (B, {}, []),
    (C, {}, []),
    (A, {"sampling.rate": 0.3}, []),
    (A, {"sampling.rate": 0.31}, ["C_RATE_CLAMPED_SOFT"]),
    (A, {"sampling.rate": 0.5, "sampling.rate_justification_ref": "J1"}, []),
    (A, {"sampling.rate": 0.5, "sampling.rate_justification_ref": " "}, ["C_RATE_CLAMPED_SOFT"]),
    (A, {"sampling.rate": 0.6, "sampling.rate_justification_ref": "J"}, ["C_RATE_CLAMPED_SOFT"]),
    (A, {"sampling.rate": 1.0}, ["C_RATE_FULL_VOLUNTARY"]),
    (A, {"sampling.rate": 0.2, "market": "ZZ"}, ["C_CONSENT_RAISED", *[
        f"C_RETENTION_CLAMPED:{name}" for name in ("quality", "training", "incident")]]),
    (A, {"market": "DE"}, ["C_CONSENT_RAISED", "C_RETENTION_CLAMPED:incident"]),
    (A, {"governance.lia_ref": None}, ["C_CONSENT_RAISED"]),
    (A, {"consent.mode": "none"}, ["C_CONSENT_RAISED"]),
    (A, {"consent.mode": "opt_in"}, []),
    (D, {"sampling.rate": 0.3, "governance.device_law_memo": "M"}, []),
    (D, {"sampling.rate": 0.3, "device_law_memo": "M"}, []),
    (A, {"retention.evidence": 1826}, ["C_RETENTION_CLAMPED:evidence"]),
    (A, {"retention.derived": 366}, ["C_RETENTION_CLAMPED:derived"]),
    (A, {"retention.quality": 180, "retention.training": 181}, ["C_RETENTION_CLAMPED:training"]),
    (A, {"sampling.decide_at": "end"}, ["C_DECIDE_AT_END_FORBIDDEN"]),
    (A, {"sampling.pre_roll_s": 5}, ["C_PREROLL_FORBIDDEN"]),
    (A, {"capture.pre_roll_s": 5}, ["C_PREROLL_FORBIDDEN"]),
    (A, {"governance.works_council_ref": ""}, ["C_NO_WORKS_COUNCIL"]),
    (A, {"governance.register_ref": None}, ["C_NO_REGISTER"]),
    (A, {"governance.dpo_ref": None}, ["C_NO_DPO"]),
    (A, {"governance.employee_notice_on": None}, ["C_NO_STAFF_NOTICE"]),
    (A, {"governance": None}, ["C_NO_REGISTER", "C_NO_DPO", "C_NO_STAFF_NOTICE",
        "C_NO_WORKS_COUNCIL", "C_FOUR_EYES", "C_CONSENT_RAISED"]),
    (A, {"governance.changed_by": ["admin-01"]}, ["C_FOUR_EYES"]),
    (A, {"governance.changed_by": ["admin-01", " admin-01 "]}, ["C_FOUR_EYES"]),
    (A, {"governance.changed_by": None}, ["C_FOUR_EYES"]),
    (A, {"analytics.emotion_inference": True}, ["C_EMOTION_FORBIDDEN"]),
    (A, {"analytics.screen_capture": "screenshots"}, ["C_SCREENSHOT_FORBIDDEN"]),
    (A, {"analytics.screen_capture": "screenshot"}, ["C_SCREENSHOT_FORBIDDEN"]),
    (A, {"analytics.screen_capture": "video"}, ["C_SCREEN_VIDEO_TRAINING_ONLY"]),
    (A, {"analytics.screen_capture": "video", "lines.vente": None,
         "lines.accueil.purposes": ["training"]}, []),
    (A, {"analytics.screen_capture": "video", "lines.vente": None, "windows": None,
         "lines.accueil.purposes": ["training"]}, ["C_SCREEN_VIDEO_TRAINING_ONLY"]),
    (A, {"pause.auto_resume": True}, ["C_AUTORESUME_FORBIDDEN"]),
    (A, {"capture.continuous": True}, ["C_CONTINUOUS_SECTOR"]),
    (C, {"lines.admin.purposes": ["quality"], "sampling": {"rate": 0.1}}, ["C_CONTINUOUS_SECTOR",
        "C_CONSENT_RAISED"]),
    (C, {"lines.l15": None, "lines.l18": None}, ["C_CONTINUOUS_SECTOR", "C_PREROLL_FORBIDDEN"]),
    (C, {"controller": "BE", "device": "BE"}, ["C_CONTINUOUS_SECTOR"]),
    (C, {"controller": "BE", "device": "BE", "retention.retention_ref": "ARR"}, []),
    (C, {"controller": "BE", "device": "BE", "retention.retention_ref": "ARR",
         "governance.legal_basis_ref": None}, ["C_CONTINUOUS_SECTOR"]),
    (C, {"retention.emergency_fire": 90}, ["C_RETENTION_CLAMPED:emergency_fire"]),
    (C, {"retention.emergency_fire": 90, "retention.retention_ref": "ARR-1"}, []),
    (B, {"retention.regulatory": 1826}, ["C_MIFID_RETENTION_SHORT"]),
    (B, {"retention.regulatory": None}, []),
    (C, {"retention.emergency_medical": 1826}, ["C_SAMU_RETENTION_SHORT"]),
    (A, {"sync.destination": "MA"}, ["C_TRANSFER_NO_SCC"]),
    (A, {"sync.destination": "TN", "governance.scc_ref": "CCT"}, []),
    (A, {"sync.destination": "US"}, ["C_TRANSFER_NO_SCC"]),
    (A, {"sync.destination": "BE"}, []),
    (D, {"sampling.rate": 0.3, "governance.cndp_ref": None}, [*D_RAISED, "C_NO_CNDP"]),
    (D, {"sampling.rate": 0.3, "governance.cndp_transfer_ref": None}, [*D_RAISED, "C_NO_CNDP"]),
    (D, {"sampling.rate": 0.3, "employee": "TN", "device": "TN"}, [*D_RAISED, "C_NO_INPDP"]),
    (D, {"sampling.rate": 0.3, "employee": "TN", "device": "TN", "governance.inpdp_ref": "I"},
        D_RAISED),
    (A, {"market": "MA", "consent.mode": "opt_in"}, []),
    (A, {"employee": "IT", "governance.works_council_ref": None,
         "governance.union_agreement_ref": "U"}, ["C_NO_WORKS_COUNCIL"]),
    (A, {"controller": "IT", "employee": "IT", "device": "IT", "consent.mode": "opt_in",
         "governance.works_council_ref": None, "governance.union_agreement_ref": "U"}, []),
    (A, {"controller": "UK", "employee": "UK", "device": "UK",
         "governance.works_council_ref": None}, []),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "changes", "expected"), ROWS)
def test_exactly_these_findings(policy: str, changes: dict[str, Any], expected: list[str]) -> None:
    assert set(found(policy, changes)) == set(expected)


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        (None, []),
        (date(2026, 12, 31), []),
        (date(2027, 1, 1), ["C_RATE_CLAMPED_SOFT"]),
    ],
)
def test_an_expired_justification_gives_the_soft_cap(
    today: date | None, expected: list[str]
) -> None:
    changes = {"sampling.rate": 0.5, "sampling.rate_justification_ref": DATED}
    assert found(A, changes, today) == expected


def test_a_minimum_above_a_maximum_needs_the_name_of_the_law_that_wins() -> None:
    tables = tomllib.loads(rules.builtin("packs.toml").read_text())
    tables["US-1P"]["emergency"]["fire"] = [100, 200]
    laws = packs.parse(tables)
    policy, _ = rules.read_tables(rules.builtin(C))
    assert labels(check({**policy, "market": "US-1P"}, laws)) == ["C_MIN_ABOVE_MAX:emergency_fire"]
    assert labels(check({**policy, "market": "US-1P", "conflict_ref": "FR"}, laws)) == []


def test_severities() -> None:
    tables, _ = rules.read_tables(rules.builtin(D))
    assert {finding.severity for finding in check(tables, PACKS)} == {"warning"}
    without = set_keys(tables, {"governance.scc_ref": None})
    assert [f.code for f in check(without, PACKS) if f.severity == "error"] == ["C_TRANSFER_NO_SCC"]


def test_a_loaded_policy_gives_the_same_findings_as_its_tables() -> None:
    for name in (A, B, C, D):
        tables, _ = rules.read_tables(rules.builtin(name))
        assert check(rules.load(rules.builtin(name)), PACKS) == check(tables, PACKS)
