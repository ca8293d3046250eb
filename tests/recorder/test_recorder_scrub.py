"""What rotted in files that no start reads is found, and told."""

import shutil
from pathlib import Path

import pytest
from tests.recorder.test_recorder_summary import Run, busy

from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.scrub import PLACES, Scrub, looked_through
from greffier.recorder.troubles import Troubles


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A recorder that goes on in a box that ran before; one of its journals is of long ago."""
    run = Run(busy(tmp_path / "box"))
    calls = run.folder / "vault" / "calls"
    shutil.copy(max(calls.iterdir(), key=_size), calls / "2020-01-01.00000000.gcalls")
    return run


def _size(path: Path) -> int:
    return path.stat().st_size


def damage(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at : at + 16] = bytes(one ^ 255 for one in data[at : at + 16])
    path.write_bytes(data)


def found(run: Run) -> dict[str, bool]:
    steps: list[int] = []
    told = looked_through(run.archive, steps.append)
    assert len(steps) >= len(PLACES)
    return told


def test_a_sound_box_is_sound(run: Run) -> None:
    assert found(run) == dict.fromkeys(PLACES, True)
    run.let_go()


@pytest.mark.parametrize(
    ("place", "name", "at"),
    [
        ("log", "audit/entries-0000000000.glog", 100),
        ("log", "audit/leaves", 40),
        ("journal", "vault/calls/2020-*", 200),
        ("shred", "shred/a/????-??-??.*", 60),
        ("shred", "shred/b/????-??-??.*", 12),
        ("index", "index.sqlite", 4096),
    ],
)
def test_damage_is_found_where_it_is(run: Run, place: str, name: str, at: int) -> None:
    run.archive.shred.close()  # as if nothing was ever put: an open bucket is not looked at
    run.archive.index._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage(next(run.folder.glob(name)), at)
    assert found(run) == {**dict.fromkeys(PLACES, True), place: False}
    run.let_go()


def test_what_was_found_is_an_alarm_until_it_is_sound_again(run: Run) -> None:
    alarms = AlarmRoom(run.archive.clock, "0" * 32)
    scrub = Scrub(run.archive, Troubles(alarms, run.archive.clock))
    for whole in (False, True):
        scrub._found = {"log": True, "journal": whole}
        scrub.look()
        standing = {(one.name, one.subject) for one in alarms.view().alarms}
        assert standing == (set() if whole else {("storage.rotten", "journal")})
    run.let_go()
