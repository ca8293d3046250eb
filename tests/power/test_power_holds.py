"""What is held stays, in any order of deeds: the short version of `./build.sh soak holds`."""

import pytest

from greffier_sim.soak_clock import A_BOX
from greffier_sim.soak_holds import blind, run


def quiet(_: str) -> None:
    """Nobody watches."""


def test_no_held_part_goes_whatever_is_asked_in_whatever_order() -> None:
    figures, found = run(2 * A_BOX, 1, quiet)
    assert found.held_purged == figures.early == 0, found.first + figures.first
    assert found.placed > 10 and found.released > 5 and found.refused > 5
    assert found.kept_held > 100 and found.gone_due + found.gone_space > 20


@pytest.mark.slow
def test_a_purge_that_looks_at_no_hold_is_noticed() -> None:
    with blind():
        assert run(2 * A_BOX, 1, quiet)[1].held_purged
