"""Who keeps every byte that was ever written: what does today's effaceable key still open for him?

The thief of this file has each version that each file of the store ever had, and everything that
the TPM holds today, and tries every 32 octets of both as a key. What he opens is not deleted.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from greffier.durable import Disk
from greffier.store.shred import ShredStore
from greffier.store.shred_format import (
    PART,
    BadBucket,
    BadRoot,
    Entry,
    Name,
    Root,
    open_root,
    walk,
)
from greffier.trust import EffaceableRoot, FileRoot
from greffier.trust.tpm import TpmRoot, find_place
from greffier_sim.emulated_tpm import EmulatedTpm
from greffier_sim.soak_missing import Missing

DAYS = ("2026-03-01", "2026-03-02")


@pytest.fixture
def tpm(tmp_path: Path) -> Iterator[EmulatedTpm]:
    made = EmulatedTpm(tmp_path / "tpm")
    try:
        made.start()
    except Missing as error:
        pytest.skip(str(error))
    yield made
    made.stop()


class Remembered:
    """Every version of every file below a folder, by the file's name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.versions: dict[str, set[bytes]] = {}

    def look(self) -> None:
        """Keep what is there now. Each version lives longer than one deed of the store."""
        for path in self._folder.rglob("*"):
            if path.is_file():
                self.versions.setdefault(path.name, set()).add(path.read_bytes())

    def roots(self, keys: Iterable[bytes]) -> list[Root]:
        """Every root that one of *keys* opens."""
        slots = self.versions["root.0"] | self.versions["root.1"]
        found = []
        for key in keys:
            for slot in slots:
                with suppress(BadRoot):
                    found.append(open_root(slot, key))
        return found

    def opened(self, keys: Iterable[bytes]) -> set[Name]:
        """Every entry that one of *keys* leads to."""
        found: set[Name] = set()
        for root in self.roots(keys):
            for day, key in root.buckets.items():
                for data in self.versions.get(f"{day}.{key.generation}", set()):
                    with suppress(BadBucket):
                        found |= {one.entry.name for one in walk([data], day, key).placed}
        return found

    def windows(self) -> set[bytes]:
        return windows(one for versions in self.versions.values() for one in versions)


def windows(blobs: Iterable[bytes]) -> set[bytes]:
    """Every 32 octets in a row."""
    return {blob[at : at + 32] for blob in blobs for at in range(len(blob) - 31)}


def entry(number: int) -> Entry:
    return Entry(Name(PART, number.to_bytes(16, "big")), "A", bytes([number % 256]) * 40)


def lived(folder: Path, keys: EffaceableRoot, memory: Remembered) -> ShredStore:
    """A store of two days with six entries."""
    store = ShredStore.create(folder, Disk(), keys)
    memory.look()
    for number in range(6):
        store.put(DAYS[number % 2], [entry(number)])
        memory.look()
    return store


def names(*numbers: int) -> set[Name]:
    return {entry(number).name for number in numbers}


def test_with_a_tpm_nothing_that_was_ever_written_opens_what_was_destroyed(
    tpm: EmulatedTpm, tmp_path: Path
) -> None:
    folder = tmp_path / "shred"
    keys = TpmRoot(find_place(tpm.connect), tpm.connect)
    keys.make()
    memory = Remembered(folder)
    store = lived(folder, keys, memory)
    before = windows([tpm.state])
    store.destroy(names(0, 1, 2))
    memory.look()
    assert memory.opened(windows([tpm.state])) == names(3, 4, 5)
    assert memory.roots(memory.windows()) == []  # no key is on the disk, nor ever was
    # The positive control: whoever had copied the TPM before the purge opens all of it.
    assert memory.opened(before) == names(0, 1, 2, 3, 4, 5)
    store.destroy(names(3, 4, 5))
    memory.look()
    assert memory.opened(windows([tpm.state])) == set()


def test_a_thousand_destroyed_entries_stay_shut_and_a_thousand_others_open(
    tpm: EmulatedTpm, tmp_path: Path
) -> None:
    folder = tmp_path / "shred"
    keys = TpmRoot(find_place(tpm.connect), tpm.connect)
    keys.make()
    memory = Remembered(folder)
    store = ShredStore.create(folder, Disk(), keys)
    for day in (0, 1):
        store.put(DAYS[day], [entry(number) for number in range(day, 2000, 2)])
        memory.look()
    before = windows([tpm.state])
    gone = names(*range(0, 2000, 4), *range(1, 2000, 4))
    assert len(gone) == 1000
    store.destroy(gone)
    memory.look()
    opened = memory.opened(windows([tpm.state]))
    assert len(opened & gone) == 0
    assert len(opened - gone) == 1000
    assert len(memory.opened(before) & gone) == 1000  # the positive control


def test_with_a_file_all_of_it_opens_which_is_why_that_is_class_c(tmp_path: Path) -> None:
    folder = tmp_path / "shred"
    memory = Remembered(folder)
    keys = FileRoot(Disk(), folder / "a" / "effaceable.key", folder / "b" / "effaceable.key")
    store = lived(folder, keys, memory)
    store.destroy(names(0, 1, 2))
    memory.look()
    assert store.names() == sorted(names(3, 4, 5))
    assert memory.opened(windows(memory.versions["effaceable.key"])) == names(0, 1, 2, 3, 4, 5)
