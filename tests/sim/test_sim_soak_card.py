"""The proof for card data, short: a killed recorder keeps none of a card, and the search sees."""

from pathlib import Path

import pytest

from greffier_sim import card_calls, soak_card


@pytest.mark.parametrize("form", ("original", "flac"))
def test_a_card_that_is_keyed_in_is_kept_nowhere_though_the_recorder_is_killed(
    tmp_path: Path, form: str
) -> None:
    scenes = [card_calls.scene(0, form, killed=True)]
    found, kills = soak_card.run(tmp_path, form, scenes, log=None)
    assert kills == 1
    assert found.samples > 5 * card_calls.RATE
    assert (found.markers, found.keys, found.wrong, found.missing) == (0, 0, 0, 0)
    assert found.faults == []


def test_the_search_finds_the_marker_where_nothing_is_masked(tmp_path: Path) -> None:
    scenes = [card_calls.scene(1, "original", killed=False)]
    found, _ = soak_card.run(tmp_path, "original", scenes, log=None, masks=False)
    assert found.markers > 100
