"""A shred store that recovers its buckets as they are needed answers as one read whole."""

import secrets
import shutil
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.durable import Disk
from greffier.errors import AlreadyThere, NotFound, StorageFailed
from greffier.store.shred import ShredStore
from greffier.store.shred_format import PART, Entry, Name
from greffier.trust.effaceable import FileRoot
from greffier_sim.faults import FaultySystem

DAYS = ("2026-03-01", "2026-03-02", "2026-03-03")


def key_in(folder: Path, disk: Disk) -> FileRoot:
    return FileRoot(disk, folder / "a" / "effaceable.key", folder / "b" / "effaceable.key")


def opened(folder: Path, *, whole: bool) -> ShredStore:
    disk = Disk(FaultySystem())
    return ShredStore.open(folder, disk, key_in(folder, disk), whole=whole)


def entry(number: int) -> Entry:
    return Entry(Name(PART, bytes([number]) * 16), "C", bytes([number]) * 40)


def made(folder: Path) -> Path:
    """Three days with three entries each."""
    disk = Disk(FaultySystem())
    store = ShredStore.create(folder, disk, key_in(folder, disk))
    for number in range(9):
        store.put(DAYS[number % 3], [entry(number)])
    store.close()
    return folder


def buckets(folder: Path, day: str) -> list[Path]:
    return sorted(folder.glob(f"?/{day}.*"))


OPERATIONS = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(DAYS), st.integers(9, 14)),
    st.tuples(st.just("destroy"), st.sampled_from((*DAYS, "2026-03-09")), st.integers(0, 14)),
    st.tuples(st.just("get"), st.sampled_from(DAYS), st.integers(0, 14)),
    st.tuples(st.just("read"), st.sampled_from(DAYS), st.integers(0, 14)),
    st.tuples(st.just("day_of"), st.just(""), st.integers(0, 14)),
    st.tuples(st.just("tear"), st.sampled_from(DAYS), st.integers(0, 1)),
    st.tuples(st.just("reopen"), st.just(""), st.just(0)),
)


def answer(store: ShredStore, word: str, day: str, number: int) -> object:
    name = entry(number).name
    try:
        if word == "put":
            return store.put(day, [entry(number)])
        if word == "destroy":  # the day that is told may be wrong
            gone = store.destroy([name], {name: day})
            return gone.names, gone.absent
        if word == "get":
            return store.get(name, day)
        if word == "read":
            return store.read(name, day)
        return store.day_of(name)
    except (AlreadyThere, NotFound) as error:
        return type(error)


@settings(max_examples=40, deadline=None)
@given(st.lists(OPERATIONS, max_size=14))
def test_it_answers_as_one_that_was_read_whole(operations: list[tuple[str, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        base = made(Path(name) / "base")
        folders = [Path(shutil.copytree(base, Path(name) / which)) for which in "ab"]
        stores = [opened(folder, whole=at == 0) for at, folder in enumerate(folders)]
        # A name is put once: where it stands already, only who knows all of them can say so.
        put: set[int] = set(range(9))
        for word, day, number in operations:
            if word == "put" and number in put:
                continue
            if word == "reopen":
                for store in stores:
                    store.close()
                stores = [opened(folder, whole=at == 0) for at, folder in enumerate(folders)]
                continue
            if word == "tear":
                for folder in folders:
                    for path in buckets(folder, day)[: number + 1]:
                        with path.open("ab") as file:
                            file.write(b"torn")
                for store in stores:
                    store.close()
                stores = [opened(folder, whole=at == 0) for at, folder in enumerate(folders)]
                continue
            put |= {number} if word == "put" else set()
            first, second = (answer(store, word, day, number) for store in stores)
            assert first == second
        assert stores[0].names() == stores[1].names()
        for store in stores:
            store.close()
        for folder in folders:
            for day in DAYS:
                pair = [path.read_bytes() for path in buckets(folder, day)]
                assert len(set(pair)) <= 1


def test_a_start_opens_no_bucket_and_a_use_opens_one(tmp_path: Path) -> None:
    folder = made(tmp_path / "shred")
    for path in buckets(folder, DAYS[0]):
        with path.open("ab") as file:
            file.write(b"torn")
    store = opened(folder, whole=False)
    assert store.take_reports() == []
    store.put(DAYS[2], [entry(20)])
    assert store.take_reports() == []
    assert store.get(entry(0).name, DAYS[0]) == entry(0)
    assert [(one.day, one.kind) for one in store.take_reports()] == [(DAYS[0], "torn")]
    store.close()


def test_a_part_that_is_not_where_it_is_said_to_be_is_destroyed_all_the_same(
    tmp_path: Path,
) -> None:
    folder = made(tmp_path / "shred")
    store = opened(folder, whole=False)
    name = entry(4).name
    assert store.destroy([name], {name: DAYS[0]}).names == (name,)
    store.close()
    assert name not in opened(folder, whole=True).names()


@pytest.mark.parametrize("copy", [0, 1])
def test_a_comparison_finds_one_damaged_copy_and_the_owner_mends_it(
    tmp_path: Path, copy: int
) -> None:
    folder = made(tmp_path / "shred")
    path = buckets(folder, DAYS[1])[copy]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    store = opened(folder, whole=False)
    assert [store.compare(day) for day in DAYS] == [True, False, True]
    assert path.read_bytes() == data
    assert store.day_of(entry(0).name) == DAYS[0]  # whatever the owner does next
    assert [(one.day, one.kind) for one in store.take_reports()] == [(DAYS[1], "repaired")]
    assert store.compare(DAYS[1])
    store.close()


def test_others_read_buckets_that_the_owner_never_opened_while_it_destroys(
    tmp_path: Path,
) -> None:
    folder = made(tmp_path / "shred")
    store = opened(folder, whole=False)
    seen: list[object] = []

    def look() -> None:
        for number in range(9):
            known = None
            while known is None:
                try:
                    found = store.read(entry(number).name, secrets.choice(DAYS))
                    known = found == entry(number)
                except NotFound:
                    known = number % 3 == 0
                except StorageFailed:  # while E is replaced nobody knows; whoever asks, asks again
                    continue
            seen.append(known)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in (0, 3, 6):
        store.destroy([entry(number).name], {entry(number).name: DAYS[0]})
    for thread in threads:
        thread.join()
    assert len(seen) == 27 and all(seen)
    store.close()
