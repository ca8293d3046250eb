"""A file whose old and new content change places: old or new after any fault and any power cut."""

import errno
import os
import random
from pathlib import Path

import pytest

from greffier.durable import Disk, LinuxSystem, Turns
from greffier.errors import StorageFailed
from greffier_sim.faults import Fault, FaultySystem, PowerCut
from greffier_sim.power import VolatileSystem

WORDS = (b"one", b"two, longer", b"three", b"four, and longer", b"five")
REUSED = ["write", "fdatasync", "exchange", "open", "fsync"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_from_the_third_time_on_no_file_is_made_and_none_removed(tmp_path: Path) -> None:
    system = FaultySystem()
    turns = Turns(Disk(system), tmp_path / "file")
    made = []
    for word in (b"aaa", b"bbb", b"ccc", b"ddd"):
        system.done.clear()
        turns.put(word)
        made.append(list(system.done))
        assert (tmp_path / "file").read_bytes() == word
    assert made[0] == ["open", "write", "fdatasync", "rename", "open", "fsync"]
    assert made[1] == ["open", *REUSED]
    assert made[2] == made[3] == REUSED
    assert names(tmp_path) == [".file.tmp", "file"]
    turns.close()
    assert names(tmp_path) == ["file"]


def test_a_shorter_content_leaves_nothing_of_the_longer_one(tmp_path: Path) -> None:
    turns = Turns(Disk(), tmp_path / "file")
    for word in WORDS:
        turns.put(word)
        assert (tmp_path / "file").read_bytes() == word
    turns.close()


def test_what_a_reader_opened_stays_what_it_was_until_the_next_but_one(tmp_path: Path) -> None:
    turns = Turns(Disk(), tmp_path / "file")
    turns.put(b"aaa")
    with (tmp_path / "file").open("rb") as reader:
        turns.put(b"bbb")
        assert reader.read() == b"aaa"
    turns.close()


class Old(LinuxSystem):
    """A file system that cannot exchange names."""

    def exchange(self, one: str, other: str) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def test_where_names_cannot_be_exchanged_a_new_file_is_renamed(tmp_path: Path) -> None:
    turns = Turns(Disk(Old()), tmp_path / "file")
    for word in WORDS:
        turns.put(word)
        assert (tmp_path / "file").read_bytes() == word
        assert names(tmp_path) == ["file"]
    turns.close()


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT, Fault.SHORT])
def test_at_every_fault_it_is_old_or_new_and_the_next_put_makes_a_new_file(
    tmp_path: Path, fault: Fault
) -> None:
    before = len(names(Path("/proc/self/fd")))
    for at in range(1, 100):
        folder = tmp_path / str(at)
        folder.mkdir()
        system = FaultySystem(at=at, fault=fault)
        turns = Turns(Disk(system), folder / "file")
        old = None
        for word in WORDS:
            try:
                turns.put(word)
            except StorageFailed:
                now = (folder / "file").read_bytes() if (folder / "file").exists() else None
                assert now in (old, word)
                system.done.clear()
                turns.put(word)
                assert system.done[0] == "open"  # never into a file of which nobody knows
            assert (folder / "file").read_bytes() == word
            old = word
        turns.close()
        assert names(folder)[-1:] == ["file"]  # a failed unlink leaves the other
        if system.count < at:
            assert at > 20
            break
    assert len(names(Path("/proc/self/fd"))) == before


@pytest.mark.parametrize("seed", range(4))
def test_after_a_power_cut_it_is_the_last_that_was_put_or_the_one_in_hand(
    tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)
    for at in range(1, 40):
        folder = tmp_path / str(at)
        folder.mkdir()
        (folder / "file").write_bytes(b"zero")
        system = VolatileSystem(
            at=at, fault=draw.choice([Fault.CUT, Fault.CUT_AFTER]), folder=folder
        )
        turns = Turns(Disk(system), folder / "file")
        promised, in_hand = b"zero", b"zero"
        try:
            for word in WORDS:
                in_hand = word
                turns.put(word)
                promised = word
        except PowerCut:
            pass
        system.lose(draw)
        assert (folder / "file").read_bytes() in (promised, in_hand)


def test_a_sync_of_its_folder_that_is_forgotten_is_noticed(tmp_path: Path) -> None:
    draw = random.Random(1)
    lost = 0
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        system = VolatileSystem(folder=folder, forgets=frozenset({"dir"}))
        turns = Turns(Disk(system), folder / "file")
        for word in WORDS:
            turns.put(word)
        system.lose(draw)
        path = folder / "file"
        lost += not path.exists() or path.read_bytes() != WORDS[-1]
    assert lost > 0
