"""Several countries' laws at once: never looser than one of them, whatever the order."""

from dataclasses import replace
from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.policy import packs, rules
from greffier.policy.combination import (
    Law,
    consent_needed,
    emergency_days,
    for_staff,
    join,
    join_all,
    law_for,
    law_of,
    rate_cap,
    voluntary_days,
)

PACKS = packs.load()
NAMES = sorted(PACKS.by_country)
LAWS = [law_of(PACKS.of(name)) for name in NAMES]
POLICIES = [
    rules.load(rules.builtin(name))
    for name in ("fr-retail.toml", "casa-desk.toml", "paris-desk.toml", "sdis18.toml")
]
laws = st.lists(st.sampled_from(LAWS), min_size=1, max_size=5)


def not_looser(strict: Law, law: Law) -> bool:
    """Whether *strict* allows nothing that *law* forbids."""
    return (
        strict.floor >= law.floor
        and strict.default >= law.default
        and strict.rate_soft <= law.rate_soft
        and strict.rate_hard <= law.rate_hard
        and strict.max_days.keys() <= law.max_days.keys()
        and all(strict.max_days[name] <= law.max_days[name] for name in strict.max_days)
        and all(strict.min_days.get(kind, 0) >= days for kind, days in law.min_days.items())
        and strict.staff_duties >= law.staff_duties
        and strict.offer_alternative >= law.offer_alternative
    )


@pytest.mark.parametrize("one", LAWS, ids=NAMES)
def test_joining_is_idempotent_and_commutative(one: Law) -> None:
    assert join(one, one) == one
    for other in LAWS:
        assert join(one, other) == join(other, one)
        assert not_looser(join(one, other), one)


def test_joining_is_associative() -> None:
    for one, two, three in product(LAWS, repeat=3):
        assert join(join(one, two), three) == join(one, join(two, three))


@settings(deadline=None)
@given(laws, st.sampled_from(LAWS))
def test_one_more_law_never_loosens(some: list[Law], more: Law) -> None:
    assert not_looser(join_all([*some, more]), join_all(some))
    assert not_looser(join_all([*some, for_staff(more)]), join_all(some))


@settings(deadline=None, max_examples=30)
@given(laws)
def test_the_order_of_laws_is_irrelevant(some: list[Law]) -> None:
    first = join_all(some[:4])
    assert all(join_all(order) == first for order in permutations(some[:4]))


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.id)
@pytest.mark.parametrize("consumer", [*NAMES, "ZZ"])
def test_no_consumer_and_no_employee_loosens_what_france_alone_demands(
    policy: rules.Policy, consumer: str
) -> None:
    french = replace(policy, controller="FR", device="FR", market="FR", employee="FR")
    base = law_for(french, PACKS)
    for employee in NAMES:
        law = law_for(replace(french, employee=employee), PACKS, consumer)
        assert rate_cap(law, justified=False) <= rate_cap(base, justified=False)
        assert rate_cap(law, justified=True) <= rate_cap(base, justified=True)
        for basis in (True, False):
            needed = consent_needed(french, law, legitimate_interest=basis)
            assert needed >= consent_needed(french, base, legitimate_interest=basis)
        for purpose in law.max_days:
            assert voluntary_days(french, law, purpose) <= voluntary_days(french, base, purpose)
        for kind in ("fire", "medical", "police"):
            name = f"emergency_{kind}"
            low, high = emergency_days(french, PACKS, law, name)
            assert low >= emergency_days(french, PACKS, base, name)[0]
            assert low <= high


def test_the_employees_country_rules_the_staff_side_only() -> None:
    retail = POLICIES[0]
    german_staff = law_for(replace(retail, employee="DE"), PACKS)
    assert german_staff.floor == PACKS.of("FR").floor
    assert german_staff.max_days["quality"] == 89
    assert "works_council_or_consent" in german_staff.staff_duties


def test_a_memo_lifts_the_consent_of_the_devices_place_and_nothing_else() -> None:
    casa = POLICIES[1]
    law = law_for(casa, PACKS)
    lifted = law_for(replace(casa, device_law_memo="MEMO-1"), PACKS)
    assert (law.floor, lifted.floor) == (3, 2)
    assert (lifted.rate_soft, lifted.max_days) == (law.rate_soft, law.max_days)


def test_without_a_legal_basis_the_default_holds() -> None:
    retail = POLICIES[0]
    law = law_for(retail, PACKS)
    assert consent_needed(retail, law, legitimate_interest=True) == packs.OPT_OUT
    assert consent_needed(retail, law, legitimate_interest=False) == packs.OPT_IN


def test_the_operators_own_text_moves_a_default_but_no_minimum() -> None:
    fire = POLICIES[3]
    law = law_for(fire, PACKS)
    days = {"emergency_fire": 90, "emergency_medical": 2000}
    longer = replace(fire, retention=replace(fire.retention, days=days))
    assert emergency_days(longer, PACKS, law, "emergency_fire") == (0, 59)
    named = replace(longer, retention=replace(longer.retention, retention_ref="ARR-1"))
    assert emergency_days(named, PACKS, law, "emergency_fire") == (0, 90)
    assert emergency_days(named, PACKS, law, "emergency_medical") == (2000, 2030)
    short = replace(named, retention=replace(named.retention, days={"emergency_medical": 365}))
    assert emergency_days(short, PACKS, law, "emergency_medical") == (1827, 1857)


def test_an_unknown_country_gets_the_strict_pack() -> None:
    assert PACKS.of("ZZ") is PACKS.of("XX")
    assert (PACKS.of("ZZ").rate_soft, PACKS.of("ZZ").max_days["quality"]) == (0.20, 28)
