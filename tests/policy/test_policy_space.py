"""The ladder: steps, hysteresis, how much goes; the gauge; figures that cannot be true."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.policy.space import FALL_PERCENT, Ladder, Pace, Space, Step, hours_to_loss

LADDER = Ladder()


def used(percent: float, total: int = 10_000) -> Space:
    return Space(round(total * (100 - percent) / 100), total)


@pytest.mark.parametrize(
    ("percent", "step"),
    [
        (0, Step.NORMAL),
        (84.99, Step.NORMAL),
        (85, Step.ALARM),
        (91.99, Step.ALARM),
        (92, Step.REFUSE),
        (96.99, Step.REFUSE),
        (97, Step.DUTIES),
        (100, Step.DUTIES),
    ],
)
def test_each_step_begins_where_it_is_published(percent: float, step: Step) -> None:
    assert LADDER.step(Step.NORMAL, used(percent)) == step


@pytest.mark.parametrize(
    ("before", "percent", "step"),
    [
        (Step.ALARM, 83, Step.ALARM),
        (Step.ALARM, 82.99, Step.NORMAL),
        (Step.REFUSE, 90, Step.REFUSE),
        (Step.REFUSE, 89.99, Step.ALARM),
        (Step.DUTIES, 95, Step.DUTIES),
        (Step.DUTIES, 94.99, Step.REFUSE),
        (Step.DUTIES, 10, Step.NORMAL),
    ],
)
def test_a_step_is_left_two_points_below(before: Step, percent: float, step: Step) -> None:
    assert LADDER.step(before, used(percent)) == step


@given(
    st.sampled_from(list(Step)),
    st.lists(st.integers(0, 10_000), min_size=1, max_size=40),
)
@settings(deadline=None)
def test_the_same_figure_again_changes_nothing(before: Step, free: list[int]) -> None:
    for one in free:
        space = Space(one, 10_000)
        step = LADDER.step(before, space)
        assert LADDER.step(step, space) == step
        assert LADDER.step(step, space) >= LADDER.step(Step.NORMAL, space)
        before = step


@pytest.mark.parametrize("free", [-1, 10_001])
@pytest.mark.parametrize("step", list(Step))
def test_a_figure_that_cannot_be_true_moves_and_deletes_nothing(free: int, step: Step) -> None:
    for space in (Space(free, 10_000), Space(0, 0), Space(0, -1)):
        assert LADDER.step(step, space) == step
        assert LADDER.wanted(step, space) == 0


@given(st.integers(0, 1 << 45), st.integers(1, 1 << 45), st.sampled_from(list(Step)))
@settings(deadline=None)
def test_what_is_wanted_ends_the_alarm_and_is_no_more_than_that(
    free: int, total: int, before: Step
) -> None:
    space = Space(min(free, total), total)
    step = LADDER.step(before, space)
    wanted = LADDER.wanted(step, space)
    if step == Step.NORMAL:
        assert wanted == 0
        return
    after = Space(space.free + wanted, total)
    assert after.sane
    assert LADDER.step(step, after) == Step.NORMAL
    assert wanted <= (100 - LADDER.alarm + FALL_PERCENT) * total // 100 + total % 100 + 2


def test_the_gauge_counts_what_may_be_written_at_the_pace_of_late() -> None:
    pace = Pace(24 * 3600)
    assert pace.octets_per_s is None
    pace.add(1000 * 599, 599)
    assert pace.octets_per_s is None, "ten minutes are the least"
    pace.add(1000 * 3001, 3001)
    assert pace.octets_per_s == pytest.approx(1000, rel=0.02)
    room = LADDER.room(used(50, 1 << 30), voluntary=True)
    assert hours_to_loss(room, 1000.0, None) == (92 - 50) * (1 << 30) // 100 // 1000 // 3600
    assert LADDER.room(used(50, 1 << 30), voluntary=False) == 1 << 29


def test_a_pace_forgets() -> None:
    pace = Pace(3600)
    pace.add(3_600_000, 3600)
    for _ in range(100):
        pace.add(0, 3600)
    known = pace.octets_per_s
    assert known is not None and known < 1e-3


@pytest.mark.parametrize(
    ("room", "pace", "due_s", "hours"),
    [
        (1, None, None, None),
        (1, 0.0, None, None),
        (0, None, None, 0),
        (7200, 1.0, None, 2),
        (7199, 1.0, None, 1),
        (7200, 1.0, 3600.0, 1),
        (7200, None, 3600.0, 1),
        (7200, 1.0, -5.0, 0),
        (1 << 60, 1e-9, None, 87_600),
    ],
)
def test_the_gauge_says_the_first_loss_or_that_nobody_knows(
    room: int, pace: float | None, due_s: float | None, hours: int | None
) -> None:
    assert hours_to_loss(room, pace, due_s) == hours
