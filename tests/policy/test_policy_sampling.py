"""The draw: vectors, and what nobody can do to it."""

from dataclasses import replace
from datetime import date

import pytest

from greffier.policy import rules, sampling

KEY = bytes(range(32))
RETAIL = rules.load(rules.builtin("fr-retail.toml"))
DRAWS = {
    1: "0.824835823979",
    2: "0.420325199494",
    3: "0.841151131768",
    4: "0.466072562694",
    5: "0.185864512380",
    6: "0.823760367924",
    7: "0.267405152162",
    8: "0.456158775203",
    12: "0.271940774836",
}


def draw(number: int) -> sampling.Draw:
    return sampling.draw(KEY, "accueil/in", sampling.call_uid("box-0007", "l1", number))


def test_the_commitment_is_the_published_one() -> None:
    expected = "ceda95dd12f231e476463f829bde8ef8001ea715706b2f931e7c28b597d68d76"
    assert sampling.commit("2026-03-02", KEY) == expected


@pytest.mark.parametrize(("number", "u"), DRAWS.items())
def test_the_draw_is_the_published_one(number: int, u: str) -> None:
    assert f"{draw(number).u:.12f}" == u
    assert draw(number).u * 2**53 == draw(number).numerator


def test_at_the_published_rates_the_published_calls_are_drawn() -> None:
    assert [n for n in range(1, 13) if draw(n).u < 0.20] == [5]
    assert [n for n in range(1, 13) if draw(n).u < 0.30] == [5, 7, 12]


def test_a_hundred_thousand_calls_reach_the_rate() -> None:
    assert sum(draw(number).u < 0.20 for number in range(1, 100_001)) == 20_095


def test_the_slots_are_the_published_ones() -> None:
    days = sampling.working_days(RETAIL, 2026, 3)
    found = sampling.slots(KEY, "agent-12", days, count=4, window_start=32400, day_length=32400)
    assert [(slot.day, slot.second) for slot in found] == [
        (date(2026, 3, 2), 49190),
        (date(2026, 3, 16), 63211),
        (date(2026, 3, 20), 49477),
        (date(2026, 3, 24), 33252),
    ]


def test_slots_stay_inside_their_group_and_window() -> None:
    days = sampling.working_days(RETAIL, 2026, 2)
    for agent in range(50):
        found = sampling.slots(
            KEY, f"agent-{agent}", days, count=4, window_start=32400, day_length=32400
        )
        assert [days.index(slot.day) // 5 for slot in found] == [0, 1, 2, 3]
        assert all(32400 <= slot.second < 64800 for slot in found)


def test_fewer_days_than_groups_give_fewer_slots() -> None:
    days = [date(2026, 3, 2), date(2026, 3, 3)]
    found = sampling.slots(KEY, "a", days, count=4, window_start=0, day_length=10)
    assert [slot.day for slot in found] == days
    assert sampling.slots(KEY, "a", [], count=4, window_start=0, day_length=10) == []


def test_working_days_follow_the_windows_of_the_policy() -> None:
    assert len(sampling.working_days(RETAIL, 2026, 3)) == 22
    assert len(sampling.working_days(replace(RETAIL, windows=()), 2026, 12)) == 23


def test_each_part_of_the_input_changes_the_draw() -> None:
    uid = sampling.call_uid("box-0007", "l1", 5)
    same = sampling.draw(KEY, "accueil/in", uid)
    assert same == draw(5)
    others = {
        sampling.draw(bytes(32), "accueil/in", uid),
        sampling.draw(KEY, "accueil/out", uid),
        sampling.draw(KEY, "accueil/in", sampling.call_uid("box-0008", "l1", 5)),
        sampling.draw(KEY, "accueil/in", sampling.call_uid("box-0007", "l2", 5)),
        same,
    }
    assert len(others) == 5


def test_the_name_of_a_call_holds_no_time() -> None:
    assert sampling.call_uid("box-0007", "l1", 4) == "box-0007/l1/0000000004"


def test_strata_keep_their_order() -> None:
    assert sampling.stratum(RETAIL, "accueil", "in") == "accueil/in"
    reversed_strata = replace(RETAIL.sampling, strata=("direction", "queue"))
    assert sampling.stratum(replace(RETAIL, sampling=reversed_strata), "accueil", "in") == (
        "accueil/in"
    )
    only = replace(RETAIL, sampling=replace(RETAIL.sampling, strata=("direction",)))
    assert sampling.stratum(only, "accueil", "in") == "in"


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        sampling.draw(bytes(length), "s", "u")
    with pytest.raises(ValueError, match="32 bytes"):
        sampling.commit("e", bytes(length))
