"""What is held stays, in any order of deeds: the short version of `./build.sh soak holds`."""

import pytest

from greffier_sim.soak_clock_world import A_BOX, Figures
from greffier_sim.soak_holds import Counted, blind, run


def quiet(_: str) -> None:
    """Nobody watches."""


def enough(_figures: Figures, found: Counted) -> bool:
    """Whether so much was held, let go and refused, and so much went, that it proves something."""
    return (
        found.placed > 10
        and found.released > 5
        and found.refused > 5
        and found.raced > 2
        and found.kept_held > 100
        and found.gone_due > 10
        and found.gone_space > 5
        and found.suspended > 0
    )


def test_no_held_part_goes_whatever_is_asked_in_whatever_order() -> None:
    figures, found = run(2 * A_BOX, 1, quiet, enough)
    assert found.held_purged == figures.early == 0, found.first + figures.first
    assert enough(figures, found), found


@pytest.mark.slow
def test_a_purge_that_looks_at_no_hold_is_noticed() -> None:
    with blind():
        _, found = run(A_BOX, 1, quiet, lambda _, found: found.held_purged > 0)
    assert found.held_purged


def test_a_run_is_the_same_whatever_ids_the_machine_draws() -> None:
    assert run(A_BOX // 2, 3, quiet) == run(A_BOX // 2, 3, quiet)
