"""Who opened what at head office: chained lines, one before each opening."""

from pathlib import Path

import pytest

from greffier.errors import IntegrityError
from greffier_office import accesses
from greffier_office.accesses import FILE, Opening


def three(folder: Path) -> Path:
    for number in range(3):
        accesses.note(
            folder, Opening(f"{number}" * 32, "ab" * 8, "Zoé", "legal", "evidence", "L 1")
        )
    return folder / FILE


def test_each_line_names_the_one_before(tmp_path: Path) -> None:
    three(tmp_path)
    found = accesses.read(tmp_path)
    assert [one["seq"] for one in found] == [0, 1, 2]
    assert found[0]["previous"] == accesses.FIRST != found[1]["previous"]
    assert found[2]["by"] == "Zoé" and found[2]["outcome"] == "asked"


@pytest.mark.parametrize("harm", ["changed", "removed", "moved", "spaced", "garbage"])
def test_a_line_that_was_changed_or_removed_shows_and_nothing_is_added(
    tmp_path: Path, harm: str
) -> None:
    path = three(tmp_path)
    first, second, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(
        {
            "changed": first + second.replace(b"legal", b"admin") + third,
            "removed": first + third,
            "moved": second + first + third,
            "spaced": first.replace(b'","', b'", "') + second + third,
            "garbage": first + b"[1]\n" + third,
        }[harm]
    )
    harmed = path.read_bytes()
    with pytest.raises(IntegrityError):
        accesses.read(tmp_path)
    with pytest.raises(IntegrityError):
        accesses.note(tmp_path, Opening("3" * 32, "ab" * 8))
    assert path.read_bytes() == harmed


def test_a_line_that_a_power_cut_left_half_is_none(tmp_path: Path) -> None:
    path = three(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert len(accesses.read(tmp_path)) == 2
    accesses.note(tmp_path, Opening("4" * 32, "ab" * 8))
    assert [one["target"][0] for one in accesses.read(tmp_path)] == ["0", "1", "4"]


def test_where_nobody_opened_anything_the_register_is_empty(tmp_path: Path) -> None:
    assert accesses.read(tmp_path) == []
