"""Clocks that are set, lost and lied about: the short version of `./build.sh soak clock`."""

import pytest

from greffier_sim import soak_clock
from greffier_sim.soak_clock import A_BOX, run


def quiet(_: str) -> None:
    """Nobody watches."""


def test_nothing_is_deleted_early_nor_kept_late_whatever_the_clocks_do() -> None:
    found = run(3 * A_BOX, 7, quiet)
    assert found.early == found.late == found.adrift_duty_early == 0, found.first
    assert found.deleted > 50 and found.lost_clocks and found.steps
    assert 0 < found.latest_h <= 24.1


@pytest.mark.slow
def test_who_holds_both_clocks_and_who_believes_the_wall_clock_are_noticed() -> None:
    assert run(2 * A_BOX, 2, quiet, both=True).early
    with soak_clock._credulous():
        assert run(2 * A_BOX, 2, quiet).early
