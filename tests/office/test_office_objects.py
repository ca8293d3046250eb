"""Objects: made once, durable in a folder, the same by the URL of a store."""

from pathlib import Path

import pytest

from greffier.durable import Disk
from greffier.errors import StorageFailed
from greffier_office import place
from greffier_office.objects import Missing, Objects, batch_name, block_name
from greffier_sim.faults import FaultySystem

NAME = block_name("ab" * 32)


@pytest.fixture(params=["folder", "memory:///"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    return Objects(tmp_path if request.param == "folder" else request.param, Disk())


def test_an_object_is_read_back_whole_or_from_its_beginning(objects: Objects) -> None:
    assert objects.size(NAME) is None
    objects.put(NAME, bytearray(b"0123456789"))
    assert (objects.size(NAME), objects.get(NAME), objects.get(NAME, 4)) == (
        *(10, b"0123456789", b"0123"),
    )
    with pytest.raises(Missing):
        objects.get("blocks/no")
    with pytest.raises(Missing):
        objects.get("blocks/no", 3)


def test_one_that_is_there_is_success_and_one_that_is_torn_is_mended(objects: Objects) -> None:
    objects.put(NAME, b"0123456789")
    objects.put(NAME, b"0123456789")
    objects.put(batch_name("box", 0, 3, "cd" * 32), b"")
    assert objects.get("audit/box/000000000000-000000000003-cdcdcdcdcdcdcdcd") == b""
    objects.put("x", b"torn")
    objects.put("x", b"0123456789")
    assert objects.get("x") == b"0123456789"


def test_an_object_in_a_folder_is_synced_with_the_names_above_it(tmp_path: Path) -> None:
    system = FaultySystem()
    objects = Objects(tmp_path, Disk(system))
    objects.put(NAME, b"x")
    assert system.done.count("fsync") == 4  # two new folders' names, the object, its name
    system.done.clear()
    objects.put(block_name("ab" * 31 + "cd"), b"x")
    assert system.done.count("fsync") == 2


def test_a_store_that_nobody_knows_is_an_error(tmp_path: Path) -> None:
    for url in ("nonsense", "x://y"):
        with pytest.raises(StorageFailed):
            Objects(url, Disk())
    assert Objects(tmp_path, Disk()).free()
    assert Objects("memory:///", Disk()).free() is None


def test_the_store_stands_in_the_offices_file(tmp_path: Path) -> None:
    made = place.create(tmp_path / "office", Disk(), 1_800_000_000_000_000_000)
    path = made.path / "office.json"
    text = path.read_text()
    path.write_text(text[:-1] + ',"store":"s3://bucket/greffier"}')
    assert place.open(made.path).store == "s3://bucket/greffier"
    path.write_text(text[:-1] + ',"store":"objects"}')
    with pytest.raises(place.NotAnOffice):
        place.open(made.path)
