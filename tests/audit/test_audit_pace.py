"""What a box can explain of trusted time by what it lived through."""

import pytest

from greffier.audit.pace import DAY_NS, OFF_NS, SLACK_NS, Pace

T = 1_800_000_000 * 10**9


def seen(*looks: tuple[str, int, int, str]) -> list[int]:
    """What is credible, in days after T, after each look (boot, days of boot clock, days, who)."""
    pace = Pace()
    days = []
    for boot, mono, bound, source in looks:
        credible = pace.look(boot, mono * DAY_NS, T + bound * DAY_NS, source)
        days.append(round((credible - T) / DAY_NS))
    return days


def test_time_that_the_box_ran_is_credible() -> None:
    assert seen(("a", 0, 0, "cosignature"), ("a", 400, 400, "cosignature")) == [0, 400]


def test_a_month_off_is_credible_and_ten_years_are_not() -> None:
    off = [("a", 0, 0, "cosignature"), ("b", 0, 0, "persisted")]
    assert seen(*off, ("b", 0, 31, "cosignature"))[-1] == 31
    assert seen(*off, ("b", 0, 3650, "cosignature"))[-1] == 0


def test_a_running_box_cannot_explain_a_jump() -> None:
    start = [("a", 0, 0, "cosignature"), ("a", 1, 1, "cosignature")]
    pace = Pace()
    for boot, mono, bound, source in start:
        pace.look(boot, mono * DAY_NS, T + bound * DAY_NS, source)
    # What it may have been off before is used up once.
    first = pace.look("a", 1 * DAY_NS, T + DAY_NS + OFF_NS, "cosignature")
    assert first == T + DAY_NS + OFF_NS
    beyond = T + DAY_NS + 2 * OFF_NS
    assert pace.look("a", 1 * DAY_NS, beyond, "cosignature") == first
    assert pace.look("a", 2 * DAY_NS, beyond + DAY_NS, "cosignature") == first + DAY_NS


def test_before_anybody_vouched_any_time_may_be_right() -> None:
    looks = [("a", 0, 0, "build"), ("b", 0, 0, "persisted"), ("b", 0, 700, "cosignature")]
    assert seen(*looks) == [0, 0, 700]


@pytest.mark.parametrize("ppm", [0, 100])
def test_a_slow_quartz_needs_no_allowance(ppm: int) -> None:
    pace = Pace()
    hour = 3600 * 10**9
    mono = 0
    for step in range(24 * 50):
        mono += hour - hour * ppm // 1_000_000
        bound = T + step * hour
        assert pace.look("a", mono, bound, "cosignature") == bound
    assert SLACK_NS < OFF_NS
