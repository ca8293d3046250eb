"""Clocks that are set, lost and lied about: the short version of `./build.sh soak clock`."""

import pytest

from greffier_sim import soak_clock
from greffier_sim.soak_clock import run
from greffier_sim.soak_clock_world import A_BOX, TOLERANCE_NS, Figures

LATEST_H = 24 + TOLERANCE_NS / 3600e9


def quiet(_: str) -> None:
    """Nobody watches."""


def enough(found: Figures) -> bool:
    """Whether so much went, and clocks were so wrong, that it proves something."""
    return found.deleted > 50 and found.lost_clocks > 2 and found.steps > 5 and found.latest_h > 0


def test_nothing_is_deleted_early_nor_kept_late_whatever_the_clocks_do() -> None:
    found = run(3 * A_BOX, 7, quiet, enough)
    assert found.early == found.late == found.adrift_duty_early == 0, found.first
    assert enough(found), found
    assert found.latest_h <= LATEST_H


@pytest.mark.slow
def test_who_holds_both_clocks_and_who_believes_the_wall_clock_are_noticed() -> None:
    def noticed(found: Figures) -> bool:
        return found.early > 0

    assert run(A_BOX, 2, quiet, noticed, both=True).early
    with soak_clock._credulous():
        assert run(A_BOX, 2, quiet, noticed).early
