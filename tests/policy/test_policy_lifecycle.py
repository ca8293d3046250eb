"""How long a recording stays, and who may hear it: the edges of each rule."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.policy.access import ROLES, Request, access, may_reclassify
from greffier.policy.lifecycle import (
    BLOCKED_VISA,
    DAY_NS,
    DELETE_DUE,
    DELETE_SPACE,
    KEEP,
    KEEP_HOLD,
    KEEP_MANDATORY,
    NOT_RECEIVED,
    Hold,
    disposal,
    erase,
    limits,
    retention,
    space_floor,
)
from greffier.policy.purposes import MANDATORY, VOLUNTARY

QUALITY = {"quality": (0, 89)}
MIFID = {"regulatory": (1827, 1857)}
FIRE = {"emergency_fire": (0, 59)}
MEDICAL = {"emergency_medical": (1827, 1857)}
INSURANCE = {"insurance": (731, 761)}


@pytest.mark.parametrize(
    ("day", "purposes", "hold", "expected"),
    [
        (0, QUALITY, None, "KEEP"),
        (1826, MIFID, None, "KEEP_MANDATORY"),
        (1827, MIFID, None, "KEEP"),
        (1857, MIFID, None, "KEEP"),
        (1858, MIFID, None, "DELETE_DUE"),
        (10, MIFID, Hold(0), "KEEP_MANDATORY"),
        (90, {**QUALITY, "evidence": (0, 365)}, None, "KEEP"),
        (366, {**QUALITY, "evidence": (0, 365)}, None, "DELETE_DUE"),
        (60, QUALITY, Hold(50), "KEEP_HOLD"),
        (49, QUALITY, Hold(50), "KEEP"),
        (109, QUALITY, Hold(50, 110), "KEEP_HOLD"),
        (110, QUALITY, Hold(50, 110), "KEEP"),
        (111, QUALITY, Hold(50, 110), "DELETE_DUE"),
        (80, QUALITY, Hold(10, 20), "KEEP"),
        (90, QUALITY, Hold(10, 20), "DELETE_DUE"),
        (119, FIRE, Hold(30, 90, "suspend"), "KEEP"),
        (1886, MEDICAL, Hold(100, 160, "suspend"), "KEEP_MANDATORY"),
        (1917, MEDICAL, Hold(100, 160, "suspend"), "KEEP"),
        (1918, MEDICAL, Hold(100, 160, "suspend"), "DELETE_DUE"),
        (120, FIRE, Hold(100, 110, "suspend"), "DELETE_DUE"),
        (5, {}, None, "DELETE_DUE"),
    ],
)
def test_what_is_due_on_a_day(
    day: int, purposes: dict[str, tuple[int, int]], hold: Hold | None, expected: str
) -> None:
    assert retention(day, purposes, hold) == expected


def test_the_visa_concerns_only_public_bodies_and_only_what_is_due() -> None:
    assert retention(60, FIRE, public=True, visa=False) == "DELETE_BLOCKED_ARCHIVES_VISA"
    assert retention(60, FIRE, public=True, visa=True) == "DELETE_DUE"
    assert retention(60, FIRE, public=False, visa=False) == "DELETE_DUE"
    assert retention(59, FIRE, public=True, visa=False) == "KEEP"


pairs = st.tuples(st.integers(0, 2000), st.integers(0, 100)).map(lambda p: (p[0], p[0] + p[1]))
some_purposes = st.dictionaries(st.sampled_from((*VOLUNTARY, *MANDATORY)), pairs, min_size=1)
holds = st.none() | st.builds(
    Hold,
    st.integers(0, 2500),
    st.none() | st.integers(0, 3000),
    st.sampled_from(["floor", "suspend"]),
)


@settings(deadline=None)
@given(st.integers(0, 4000), some_purposes, holds)
def test_nothing_is_due_before_a_minimum_or_under_a_hold(
    day: int, purposes: dict[str, tuple[int, int]], hold: Hold | None
) -> None:
    verdict = retention(day, purposes, hold)
    if day < max(low for low, _ in purposes.values()):
        assert verdict == "KEEP_MANDATORY"
    if hold is not None and hold.holds_on(day):
        assert verdict != "DELETE_DUE"
    if hold is None:
        assert (verdict == "DELETE_DUE") == (day > max(high for _, high in purposes.values()))


@settings(deadline=None)
@given(some_purposes, holds)
def test_a_hold_never_shortens(purposes: dict[str, tuple[int, int]], hold: Hold | None) -> None:
    low, high = limits(purposes)
    held_low, held_high = limits(purposes, hold)
    assert held_low >= low
    assert held_high >= high


def test_lack_of_space_takes_duties_only_after_their_maximum() -> None:
    assert space_floor(QUALITY) == 0
    assert space_floor(MIFID) == 1858
    assert space_floor(FIRE) == 60
    assert space_floor({**FIRE, **MEDICAL}) == 1858


def test_erasure_answers_by_purpose() -> None:
    assert erase({**QUALITY, "evidence": (0, 365)}).status == "erased"
    assert dict(erase(INSURANCE).purposes) == {"insurance": "REFUSED_LEGAL_OBLIGATION"}
    mixed = erase({**QUALITY, **MIFID})
    assert mixed.status == "partial"
    assert mixed.purposes["quality"] == "ERASED"
    assert erase({}).status == "nothing_held"
    assert erase(QUALITY, reachable=False).status == "pending"
    assert erase(FIRE, reachable=False).status == "refused"


def test_a_hold_placed_after_the_request_needs_the_dpo() -> None:
    assert erase(QUALITY, hold=True, hold_after_request=True).status == "erased"
    agreed = erase(QUALITY, hold=True, hold_after_request=True, dpo_agreed=True)
    assert agreed.status == "refused"


def request(role: str, purpose: str, **more: object) -> Request:
    purposes = {**QUALITY, "evidence": (0, 365), **MIFID, **FIRE, **INSURANCE}
    values: dict[str, object] = {"purposes": purposes, "age_days": 3, **more}
    return Request(role=role, purpose=purpose, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (request("evaluator", "quality"), "ALLOW"),
        (request("evaluator", "evidence"), "DENY_ROLE"),
        (request("evaluator", "incident"), "DENY_PURPOSE_MISMATCH"),
        (request("evaluator", "quality", age_days=89), "ALLOW"),
        (request("evaluator", "quality", age_days=90), "DENY_PURPOSE_EXPIRED"),
        (request("evaluator", "quality", hold=True), "DENY_HOLD"),
        (request("legal", "dispute", hold=True, age_days=400), "ALLOW"),
        (request("legal", "evidence", hold=True, age_days=400), "DENY_PURPOSE_EXPIRED"),
        (request("legal", "dispute"), "DENY_PURPOSE_MISMATCH"),
        (request("claims", "dispute", hold=True), "DENY_HOLD"),
        (request("compliance_officer", "regulatory"), "ALLOW"),
        (request("team_lead", "regulatory"), "DENY_CO_AGREEMENT"),
        (request("team_lead", "regulatory", co_agreed=True), "ALLOW"),
        (request("trainer", "regulatory", co_agreed=True), "DENY_ROLE"),
        (request("agent_self", "quality", own=False), "DENY_NOT_OWN"),
        (request("agent_self", "quality"), "ALLOW"),
        (request("team_lead", "quality", own_team=False), "DENY_NOT_TEAM"),
        (request("dpo", "quality"), "ALLOW_DSAR"),
        (request("dpo", "dsar"), "ALLOW_DSAR"),
        (request("dpo", "insurance"), "ALLOW_DSAR"),
        (request("dpo", "quality", age_days=90), "DENY_PURPOSE_EXPIRED"),
        (request("evaluator", "dsar"), "DENY_PURPOSE_MISMATCH"),
        (request("legal", "insurance"), "DENY_AUTHORITY_ONLY"),
        (request("compliance_officer", "insurance"), "DENY_AUTHORITY_ONLY"),
        (request("authority_export", "insurance"), "ALLOW"),
        (request("admin", "insurance"), "DENY_ROLE"),
        (request("auditor", "quality"), "DENY_ROLE"),
        (request("stranger", "quality"), "DENY_ROLE"),
        (request("operator", "emergency_fire", replay_s=600), "ALLOW"),
        (request("operator", "emergency_fire", replay_s=601), "DENY_REPLAY_WINDOW"),
        (request("operator", "emergency_fire"), "DENY_REPLAY_WINDOW"),
        (request("operator", "emergency_fire", replay_s=-1), "DENY_REPLAY_WINDOW"),
        (request("operator", "emergency_fire", replay_s=60, own=False), "DENY_NOT_OWN"),
        (request("operator", "emergency_fire", replay_s=43200, break_glass="address"), "ALLOW"),
        (
            request("operator", "emergency_fire", replay_s=43201, break_glass="address"),
            "DENY_REPLAY_WINDOW",
        ),
        (request("operator", "quality", replay_s=1), "DENY_ROLE"),
        (request("duty_officer", "emergency_fire"), "ALLOW"),
        (request("evaluator", "quality", country="MA"), "DENY_TRANSFER"),
        (request("evaluator", "quality", country="TN", scc_ref="CCT"), "ALLOW"),
        (request("evaluator", "quality", country="BE"), "ALLOW"),
    ],
)
def test_the_first_reason_to_deny_wins(asked: Request, expected: str) -> None:
    assert access(asked) == expected


@pytest.mark.parametrize("role", ["admin", "auditor"])
@pytest.mark.parametrize("purpose", [*VOLUNTARY, *MANDATORY, "dispute", "dsar"])
def test_who_configures_or_audits_never_listens(role: str, purpose: str) -> None:
    asked = Request(role, purpose, {purpose: (0, 9999)}, 0, co_agreed=True, hold=True)
    assert access(asked) == "DENY_ROLE"


@pytest.mark.parametrize("role", sorted(ROLES))
def test_nobody_hears_an_investment_call_without_the_officers_agreement(role: str) -> None:
    answer = access(request(role, "regulatory"))
    assert answer != "ALLOW" or role == "compliance_officer"


def test_declaring_a_call_outside_the_duty_takes_compliance_or_two() -> None:
    assert may_reclassify("compliance_officer")
    assert may_reclassify("team_lead", "legal-01")
    assert not may_reclassify("team_lead", " ")


@pytest.mark.parametrize(
    ("days", "purposes", "flags", "code"),
    [
        (0, {"quality": (0, 89)}, "", KEEP),
        (-3, {"quality": (0, 89)}, "", KEEP),
        (88, {"quality": (0, 89)}, "", KEEP),
        (89, {"quality": (0, 89)}, "", DELETE_DUE),
        (89, {"quality": (0, 89)}, "held", KEEP_HOLD),
        (89, {"quality": (0, 89)}, "blocked", BLOCKED_VISA),
        (89, {"quality": (0, 89), "evidence": (0, 365)}, "", KEEP),
        (5, {"quality": (0, 89)}, "space", NOT_RECEIVED),
        (5, {"quality": (0, 89)}, "space received", DELETE_SPACE),
        (5, {"quality": (0, 89)}, "space received held", KEEP_HOLD),
        (5, {"quality": (0, 89)}, "space received blocked", BLOCKED_VISA),
        (1826, {"regulatory": (1827, 1857)}, "space received", KEEP_MANDATORY),
        (1826, {"regulatory": (1827, 1857)}, "", KEEP_MANDATORY),
        (1827, {"regulatory": (1827, 1857)}, "received", KEEP),
        (1827, {"regulatory": (1827, 1857)}, "space", KEEP_MANDATORY),
        (1827, {"regulatory": (1827, 1857)}, "space received", KEEP_MANDATORY),
        (1856, {"insurance": (731, 761), "quality": (0, 9999)}, "space received", KEEP_MANDATORY),
        (5, {"of_a_newer_version": (0, 89)}, "space received", KEEP_MANDATORY),
        (1857, {"regulatory": (1827, 1857)}, "", NOT_RECEIVED),
        (1857, {"regulatory": (1827, 1857)}, "received", DELETE_DUE),
        (1857, {"regulatory": (1827, 1857), "quality": (0, 89)}, "", NOT_RECEIVED),
        (5000, {"regulatory": (1827, None)}, "received", KEEP),
        (58, {"emergency_fire": (0, 59)}, "space received", KEEP_MANDATORY),
        (59, {"emergency_fire": (0, 59)}, "", NOT_RECEIVED),
        (59, {"emergency_fire": (0, 59)}, "received", DELETE_DUE),
        (9999, {}, "space received", KEEP),
        (9999, {"of a later version": (0, 1)}, "", NOT_RECEIVED),
    ],
)  # fmt: skip
def test_a_part_goes_when_time_duty_and_receipt_allow_it(
    days: int, purposes: dict[str, tuple[int, int | None]], flags: str, code: str
) -> None:
    said = dict.fromkeys(flags.split(), True)
    words = {"received": False, "held": False, "blocked": False, "space": False} | said
    assert disposal(days * DAY_NS, purposes, **words) == code


@given(
    st.integers(-10, 4000),
    st.dictionaries(
        st.sampled_from(["quality", "evidence", "regulatory", "emergency_fire"]),
        st.tuples(st.integers(0, 2000), st.none() | st.integers(0, 2000)),
        max_size=3,
    ),
    st.booleans(),
    st.booleans(),
)
def test_nothing_under_a_duty_goes_without_a_receipt_nor_before_its_minimum(
    days: int, purposes: dict[str, tuple[int, int | None]], received: bool, space: bool
) -> None:
    code = disposal(days * DAY_NS, purposes, received=received, space=space)
    if code.startswith("DELETE"):
        assert days >= max(least for least, _ in purposes.values()) or days < 0
        duty = bool({"regulatory", "emergency_fire"} & purposes.keys())
        assert received or (not duty and code == DELETE_DUE)
        assert "emergency_fire" not in purposes or code == DELETE_DUE
    held = disposal(days * DAY_NS, purposes, received=received, space=space, held=True)
    assert not held.startswith("DELETE")
