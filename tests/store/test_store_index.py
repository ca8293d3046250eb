"""The index: never the truth, so losing it changes nothing that anyone can see."""

import hashlib
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.clock import SystemClock
from greffier.durable import Disk
from greffier.errors import StorageFailed
from greffier.seal.frames import Meta
from greffier.seal.part import PartWriter
from greffier.store import journal, layout
from greffier.store.ageing import Ageing, open_reading
from greffier.store.index import DAY_NS, CallRow, Index, PartRow
from greffier.store.layout import DataDirectory
from greffier.store.rebuild import Rebuilt, _compared, call_row, part_row, rebuild
from greffier.store.room import waiting_at
from greffier.store.shred import ShredStore
from greffier.store.shred_format import PART, Entry, Name

DAY = "2026-03-01"
START = 1_795_305_600_000_000_000


def identifier(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]


def made(folder: Path) -> tuple[DataDirectory, ShredStore]:
    directory = layout.create(folder / "data", Disk(), SystemClock(), b"# office\n")
    return directory, directory.shred_store(Disk())


def add_part(
    directory: DataDirectory, shred: ShredStore, name: str, number: int, **meta: Any
) -> None:
    fields = {
        "line": "front",
        "codec": "opus",
        "epoch": "e1",
        "deletion": "C",
        "created_ns": str(START),
        "purposes": {"quality": [0, 60]},
    }
    part = identifier(f"{name}/{number}")
    shred.put(DAY, [Entry(Name(PART, part), "C", b"envelope")])
    seal = PartWriter(
        part_id=part,
        recording_id=identifier(name),
        number=number,
        meta=fields | meta,
        content_key=bytes(32),
    )
    vault = directory.vault(Disk())
    one = vault.create(part.hex(), DAY, seal.header)
    one.append(seal.seal(Meta({"x": "y"})))
    one.append(seal.finish("end").frame)
    vault.close(one)


def clear(uid: str, name: str | None, at: int, **more: Any) -> dict[str, Any]:
    return {
        "uid": identifier(uid).hex(),
        "line": "front",
        "start_ns": str(START + at),
        "end_ns": str(START + at + 5),
        "recording": identifier(name).hex() if name else None,
    } | more


def filled(folder: Path) -> tuple[DataDirectory, ShredStore]:
    directory, shred = made(folder)
    for name, number in (("one", 0), ("one", 1), ("two", 0), ("lone", 0)):
        add_part(directory, shred, name, number)
    first = journal.Journal.create(directory.calls, Disk(), "e1", START, bytes(32))
    first.append(clear("b", "two", 7, end_ns=None, result="ok"), {"from": "0600000000"})
    first.append(clear("c", None, 7, codes=["SAMPLED_OUT"]), {})
    first.append(clear("a", "one", 3), {})
    first.close()
    later = journal.Journal.create(directory.calls, Disk(), "e0", START + 1, bytes(32))
    later.append(clear("b", "two", 7, result="degraded"), {})
    later.close()
    return directory, shred


def listing(directory: DataDirectory) -> tuple[list[CallRow], list[PartRow], list[str], list[str]]:
    index = Index.open(directory.index, Disk())
    try:
        return index.calls(), index.parts(), list(index.recordings()), index.orphans()
    finally:
        index.close()


def test_a_rebuilt_index_lists_what_the_files_say(tmp_path: Path) -> None:
    directory, shred = filled(tmp_path)
    assert rebuild(directory, Disk(), shred) == Rebuilt(3, 3, 0)
    calls, parts, recordings, orphans = listing(directory)
    assert [one.uid for one in calls] == [
        identifier("a").hex(),
        *sorted(identifier(uid).hex() for uid in "bc"),
    ]
    b = next(one for one in calls if one.uid == identifier("b").hex())
    assert (b.clear["result"], b.epoch, b.record, b.end_ns) == ("degraded", "e0", 0, START + 12)
    assert [part.number for part in calls[0].parts] == [0, 1]
    assert {one.envelope for one in parts} == {"store"}
    assert all(one.complete for one in parts)
    assert parts[0].purposes == {"quality": (0, 60)}
    assert recordings == sorted(identifier(name).hex() for name in ("one", "two", "lone"))
    assert orphans == [identifier("lone").hex()]


def test_losing_the_index_changes_nothing_that_anyone_sees(tmp_path: Path) -> None:
    directory, shred = filled(tmp_path)
    rebuild(directory, Disk(), shred)
    before = listing(directory)
    assert rebuild(directory, Disk(), shred) == Rebuilt(3, 0, 0)
    assert listing(directory) == before
    directory.index.unlink()
    assert rebuild(directory, Disk(), shred) == Rebuilt(3, 3, 0)
    assert listing(directory) == before


def test_an_index_that_grew_equals_one_that_was_rebuilt(tmp_path: Path) -> None:
    directory, shred = filled(tmp_path)
    index = Index.open(directory.index, Disk())
    assert index.fresh
    index.replace([], [])
    for stored in reversed(directory.vault(Disk()).parts()):
        index.put(parts=[part_row(stored, shred)])
    for record in journal.everything(directory.calls):
        index.put(calls=[call_row(record)])
    index.close()
    grown = listing(directory)
    assert rebuild(directory, Disk(), shred) == Rebuilt(3, 0, 0)
    assert listing(directory) == grown


def test_a_rebuild_counts_what_came_and_what_went(tmp_path: Path) -> None:
    directory, shred = filled(tmp_path)
    rebuild(directory, Disk(), shred)
    directory.vault(Disk()).remove([identifier("lone/0").hex(), identifier("one/0").hex()])
    add_part(directory, shred, "new", 0)
    assert rebuild(directory, Disk(), shred) == Rebuilt(3, 1, 1)


def test_a_shredded_part_says_that_nothing_opens_it(tmp_path: Path) -> None:
    directory, shred = filled(tmp_path)
    shred.destroy([Name(PART, identifier("two/0"))])
    rebuild(directory, Disk(), shred)
    found = {one.part_id: one.envelope for one in listing(directory)[1]}
    assert found[identifier("two/0").hex()] == "none"
    assert list(found.values()).count("store") == 3


def test_holds_and_receipts_are_told_from_outside(tmp_path: Path) -> None:
    directory, shred = filled(tmp_path)
    part = identifier("two/0").hex()
    holds = {part: ("case-7",)}
    rebuild(directory, Disk(), shred, lambda name, _recording: holds.get(name, ()), {part})
    row = next(one for one in listing(directory)[1] if one.part_id == part)
    assert (row.holds, row.synced) == (("case-7",), True)


def test_a_part_with_a_broken_header_is_named_and_passed_over(tmp_path: Path) -> None:
    directory, shred = filled(tmp_path)
    path = directory.vault(Disk()).path_of(identifier("lone/0").hex())
    path.write_bytes(b"X" + path.read_bytes()[1:])
    assert rebuild(directory, Disk(), shred).unreadable == (identifier("lone/0").hex(),)


@pytest.mark.parametrize("content", [b"", b"garbage" * 999, b"SQLite format 3\0" + bytes(5000)])
def test_a_damaged_index_is_begun_again(tmp_path: Path, content: bytes) -> None:
    directory, shred = filled(tmp_path)
    rebuild(directory, Disk(), shred)
    before = listing(directory)
    directory.index.write_bytes(content)
    index = Index.open(directory.index, Disk())
    assert (index.fresh, index.calls(), index.parts()) == (True, [], [])
    index.close()
    rebuild(directory, Disk(), shred)
    assert listing(directory) == before


def test_every_damaged_page_is_noticed_or_harmless(tmp_path: Path) -> None:
    directory, shred = filled(tmp_path)
    rebuild(directory, Disk(), shred)
    before = listing(directory)
    good = directory.index.read_bytes()
    for at in range(0, len(good), 512):
        directory.index.write_bytes(good[:at] + b"\xff" * 64 + good[at + 64 :])
        rebuild(directory, Disk(), shred)
        assert listing(directory) == before


def test_an_index_of_another_version_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.execute("CREATE TABLE calls (x)")
    db.close()
    index = Index.open(path, Disk())
    assert index.fresh
    index.replace([], [])
    index.close()
    again = Index.open(path, Disk())
    assert not again.fresh
    again.close()


def test_an_index_that_was_begun_and_not_filled_is_begun_again_and_nobody_reads_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "index.sqlite"
    for _ in range(2):  # a kill between the two must not leave an empty index behind
        begun = Index.open(path, Disk())
        assert begun.fresh
        begun.put(calls=[row("a")])
        for read in (Ageing.open, open_reading):
            with pytest.raises(StorageFailed, match="is not filled"):
                read(path)
        with pytest.raises(StorageFailed, match="is not filled"):
            waiting_at(path, START)
        begun.close()
    begun = Index.open(path, Disk())
    begun.replace([], [])
    begun.close()
    again = Index.open(path, Disk())
    assert not again.fresh and again.calls() == []
    again.close()
    with Ageing.open(path) as ageing:
        assert ageing.count() == waiting_at(path, START) == 0
    open_reading(path).close()


def test_a_rebuild_keeps_no_day_of_the_shred_store_in_memory(tmp_path: Path) -> None:
    directory, shred = filled(tmp_path)
    shred.close()
    shred = directory.shred_store(Disk(), whole=False)
    rebuild(directory, Disk(), shred)
    assert not shred._days and not shred._where
    assert len(shred.names()) == 4 and shred.get(Name(PART, identifier("two/0")))


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_what_came_and_what_went_is_counted_without_holding_either(
    before: set[int], after: set[int]
) -> None:
    names = [iter([f"{one:02}" for one in sorted(some)]) for some in (before, after)]
    assert _compared(*names) == (len(after), len(after - before), len(before - after))


def test_an_index_is_for_the_owner_only_and_commits_fully(tmp_path: Path) -> None:
    index = Index.open(tmp_path / "index.sqlite", Disk())
    index.put(calls=[row("a")])
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    db = index._db
    assert db.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    index.close()


def row(uid: str, at: int = 0) -> CallRow:
    fields = clear(uid, None, at)
    return CallRow(fields["uid"], "front", START + at, None, None, fields, "e1", 0)


def test_a_failed_write_leaves_the_rows_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    index = Index.open(path, Disk())
    index.put(calls=[row("a")])
    wrong = replace(row("b"), start_ns="not a number")  # type: ignore[arg-type]
    for act in (index.put, index.replace):
        with pytest.raises(StorageFailed):
            act([row("c"), wrong], [])
        assert [one.uid for one in index.calls()] == [identifier("a").hex()]
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    index._db.execute("PRAGMA busy_timeout = 0")
    with pytest.raises(StorageFailed):
        index.put(calls=[row("c")])
    holder.close()
    index.put(calls=[row("c")])
    assert len(index.calls()) == 2
    index.close()


@settings(deadline=None, max_examples=25)
@given(order=st.permutations([("a", 5), ("b", 5), ("c", 1), ("d", 9)]))
def test_the_order_of_a_listing_does_not_depend_on_the_order_of_writing(
    tmp_path_factory: pytest.TempPathFactory, order: list[tuple[str, int]]
) -> None:
    index = Index.open(tmp_path_factory.mktemp("index") / "index.sqlite", Disk())
    for uid, at in order:
        index.put(calls=[row(uid, at)])
    found = [(one.start_ns, one.uid) for one in index.calls()]
    assert found == sorted(found)
    assert len(index.calls(line="front")) == 4
    assert index.calls(line="back") == []
    index.close()


@pytest.mark.parametrize(
    ("purposes", "least", "most"),
    [
        ({}, 0, 0),
        ({"quality": (0, 60)}, 0, 60),
        ({"quality": (0, 60), "evidence": (30, 365)}, 30, 365),
        ({"quality": (0, 60), "emergency": (90, None)}, 90, None),
    ],
)
def test_a_part_stays_for_its_longest_purpose(
    purposes: dict[str, tuple[int, int | None]], least: int, most: int | None
) -> None:
    part = PartRow(
        part_id="p", recording="r", number=0, line="l", day=DAY, codec="opus", epoch="e",
        deletion="C", created_ns=START, purposes=purposes, size=1, complete=True, envelope="store",
    )  # fmt: skip
    assert part.min_until_ns == START + least * DAY_NS
    assert part.max_until_ns == (None if most is None else START + most * DAY_NS)


@pytest.mark.parametrize(
    "meta",
    [
        {"purposes": None},
        {"purposes": {"q": 5}},
        {"purposes": {"q": [5]}},
        {"purposes": {"q": [True, 5]}},
        {"purposes": {"q": [-1, 5]}},
        {"purposes": {"q": ["1", 5]}},
        {"created_ns": 5},
        {"created_ns": "-5"},
        {"created_ns": "9" * 40},
        {"line": ["x"]},
        {"codec": None},
    ],
)
def test_a_strange_header_never_breaks_the_index(tmp_path: Path, meta: dict[str, Any]) -> None:
    directory, shred = made(tmp_path)
    add_part(directory, shred, "odd", 0, **meta)
    assert rebuild(directory, Disk(), shred) == Rebuilt(1, 1, 0)
    (part,) = listing(directory)[1]
    assert part.purposes in ({}, {"quality": (0, 60)})
