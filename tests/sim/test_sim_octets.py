"""What recording writes: the sums are near what was measured, and the document's are these."""

import math
import re
from pathlib import Path

import pytest

from greffier_sim.octets import BLOCK, octets_a_day, years

DOCUMENT = Path(__file__).parents[2] / "docs" / "storage.md"
TB = 1e12
MEASURED = [
    # tick, channels, blocks, of calls of 180 s
    (500, 1, 1802),
    (500, 2, 2392),
    (500, 8, 6189),
    (750, 1, 1317),
    (750, 8, 4858),
    (500, 8, 6429),
    (750, 8, 5022),
]


@pytest.mark.parametrize(("tick_ms", "channels", "blocks"), MEASURED)
def test_the_sums_are_at_most_a_tenth_above_what_was_measured(
    tick_ms: int, channels: int, blocks: int
) -> None:
    told = octets_a_day(channels, hours=0.05, tick_ms=tick_ms)
    assert 1.0 <= told / (blocks * BLOCK) <= 1.1


def test_nothing_recorded_is_nothing_written_and_lasts_for_ever() -> None:
    assert octets_a_day(0) == octets_a_day(8, hours=0) == 0
    assert math.isinf(years(TB, 0))
    assert octets_a_day(3, hours=12) == pytest.approx(octets_a_day(3) / 2)


def rows(number: int) -> list[list[str]]:
    """The rows of the document's compared table *number*."""
    text = DOCUMENT.read_text().split("<!-- table:")[number]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_octets_a_day_of_the_document_are_these() -> None:
    for row in rows(1):
        channels = int(row[0])
        usual = octets_a_day(channels)
        found = [usual / 1e9, octets_a_day(channels, tick_ms=750) / 1e9, usual * 365.25 / TB]
        assert row[1:] == [f"{one:.1f}" for one in found]


def test_the_years_of_the_document_are_these() -> None:
    for row in rows(2):
        assert re.search(r"\w", row[-1]), "a figure without a source"
        found = [years(float(row[1]) * TB, octets_a_day(channels)) for channels in (1, 2, 4, 8)]
        assert row[2:6] == [f"{one:.1f}" for one in found]
