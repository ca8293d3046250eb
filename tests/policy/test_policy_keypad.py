"""What keys mean: consent, card data, star codes; and what they do not mean."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.calls.keys import KeyPressed
from greffier.clock import SECOND
from greffier.config.star_codes import USUAL
from greffier.policy import rules
from greffier.policy.keypad import (
    BURST_NS,
    ENTRY_NS,
    CardEntered,
    Keypad,
    KeyPlan,
    Meant,
    Whose,
    plan_of,
)
from greffier.policy.site import Policy

MS = 1_000_000
STARS = {name: code[1:] for name, code in USUAL.items()}
RETAIL = rules.load(rules.builtin("fr-retail.toml"))
DESK = rules.load(rules.builtin("paris-desk.toml"))
SDIS = rules.load(rules.builtin("sdis18.toml"))
PLAN = plan_of(RETAIL, "vente", STARS, dials=False)


def play(
    keys: list[tuple[int, str]], whose: Whose = "outside", plan: KeyPlan = PLAN
) -> list[Meant | CardEntered]:
    """What *keys*, by ms, mean when each is given with all that came before it clear."""
    keypad, found = Keypad(plan, 0), []
    for at, digit in keys:
        found += keypad.advance(at * MS)
        found += keypad.press(KeyPressed(0, 0, digit, at * MS), whose)
    return [*found, *keypad.finish()]


def typed(text: str, at: int = 0, apart: int = 300) -> list[tuple[int, str]]:
    return [(at + apart * number, digit) for number, digit in enumerate(text)]


def test_three_digits_within_four_seconds_are_a_card() -> None:
    assert play(typed("497")) == [CardEntered(0, 600 * MS)]
    assert play(typed("497", apart=2000)) == [CardEntered(0, 4 * SECOND)]
    assert play(typed("497", apart=2001)) == [Meant("refuse", 2001 * MS)]
    assert play(typed("4970101122334455")) == [CardEntered(0, 600 * MS)]
    assert play([(0, "4"), (100, "7")]) == []


def test_consent_keys_alone_are_no_card() -> None:
    assert play([(0, "9")]) == [Meant("refuse", 0)]
    assert play([(0, "1")]) == [Meant("accept", 0)]
    assert play(typed("999")) == [Meant("refuse", at * MS) for at in (0, 300, 600)]
    assert play([(0, "1"), (9000, "9")]) == [Meant("accept", 0), Meant("refuse", 9 * SECOND)]


def test_a_key_of_consent_in_a_card_refuses_nothing() -> None:
    assert play(typed("9145")) == [CardEntered(0, 600 * MS)]
    kinds = [type(one) for one in play([*typed("4970"), (9000, "9"), (23_000, "9")])]
    assert kinds == [CardEntered]
    assert play([*typed("4970"), (60_000, "9")])[1:] == [Meant("refuse", 60 * SECOND)]


def test_our_side_neither_agrees_nor_refuses() -> None:
    assert play([(0, "9"), (6000, "1")], "ours") == []
    assert play(typed("497"), "ours") == [CardEntered(0, 600 * MS)]


def test_star_codes_are_ours() -> None:
    for name, digit in STARS.items():
        expected = [Meant(name, 300 * MS)] if name in PLAN.stars.values() else []  # type: ignore[arg-type]
        assert play([(0, "*"), (300, digit)], "ours") == expected
    assert play([(0, "*"), (300, "2")]) == []
    assert play([(0, "*"), (5000, "2")], "ours") == []


def test_in_a_card_entry_only_its_end_is_heard() -> None:
    card = typed("4970")
    assert play([*card, (2000, "*"), (2200, "1")], "ours")[1:] == []
    assert play([*card, (2000, "*"), (2200, "5")], "ours")[1:] == [Meant("resume", 2200 * MS)]


def test_a_number_that_we_dial_is_no_card() -> None:
    dials = replace(PLAN, dials=True)
    number = typed("0612345678", at=3000)
    assert play(number, "unknown", dials) == []
    assert play([*number, *typed("4970", at=15_000)], "unknown", dials) == [
        CardEntered(15 * SECOND, 15_600 * MS)
    ]
    assert play(typed("4970", at=21_000), "unknown", dials) != []


def test_lines_that_need_no_keys_listen_for_none() -> None:
    nothing = (RETAIL, "cse"), (RETAIL, "fax"), (SDIS, "l18"), (DESK, "perso")
    assert all(plan_of(policy, line, STARS, dials=False).nothing for policy, line in nothing)
    desk = plan_of(DESK, "desk", STARS, dials=False)
    assert desk.cards
    assert set(desk.stars.values()) == {"private"}  # no agent's key on the desk


def without(policy: Policy, *sources: str) -> Policy:
    return replace(policy, pause=replace(policy.pause, sources=sources))


def test_cards_are_listened_for_where_the_policy_says_so() -> None:
    plan = plan_of(without(RETAIL, "api"), "vente", STARS, dials=False)
    assert not plan.cards
    assert play(typed("4970"), plan=plan) == [Meant("refuse", 300 * MS)]


keys = st.lists(st.tuples(st.integers(50, 6000), st.sampled_from("0123456789*#A")), max_size=40)


@settings(deadline=None)
@given(keys=keys, whose=st.sampled_from(("outside", "ours", "unknown")))
def test_no_key_of_a_card_entry_means_anything(keys: list[tuple[int, str]], whose: Whose) -> None:
    at, given_ = 0, []
    for apart, digit in keys:
        at += apart
        given_.append((at, digit))
    found = play(given_, whose)
    entries = [one for one in found if isinstance(one, CardEntered)]
    for one in found:
        if isinstance(one, Meant) and one.deed != "resume":
            consent = one.deed in ("accept", "refuse")
            since = [(card.from_ns if consent else card.at_ns, card.at_ns) for card in entries]
            assert not any(low <= one.at_ns < last + ENTRY_NS for low, last in since)
    for card in entries:
        assert card.at_ns - card.from_ns <= BURST_NS
    digits = [(t, d) for t, d in given_ if d in "0123456789"]
    if whose == "outside":  # no star code takes a digit away
        for (first, a), (_, b), (last, c) in zip(digits, digits[1:], digits[2:], strict=False):
            if last - first <= 4000 and not {a, b, c} <= {"1", "9"}:
                covered = any(
                    c_.from_ns <= last * MS < c_.at_ns + ENTRY_NS + 40 * ENTRY_NS for c_ in entries
                )
                assert covered
