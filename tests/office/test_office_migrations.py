"""A database is after a whole number of steps, whatever happens while it is brought up."""

import multiprocessing
import sqlite3
import threading
from pathlib import Path

import pytest

from greffier.durable import Disk
from greffier.errors import BadDatabase, StorageFailed
from greffier_office import migrations, schema

ONE = "CREATE TABLE a (x INTEGER) STRICT; CREATE INDEX a_by_x ON a (x);"
TWO = "ALTER TABLE a ADD COLUMN y TEXT; INSERT INTO a VALUES (1, 'one; two');"
TRIGGER = """
CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE a SET y = 'z'; DELETE FROM a WHERE x = 9; END;
"""


def version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def rows(db: sqlite3.Connection) -> list[tuple[object, ...]]:
    return [tuple(row) for row in db.execute("SELECT * FROM a")]


def test_a_new_file_has_every_step_its_mode_and_its_settings(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    db = migrations.connect(path, [ONE, TWO, TRIGGER], Disk())
    assert version(db) == 3
    assert rows(db) == [(1, "one; two")]
    assert path.stat().st_mode & 0o777 == 0o600
    settings = {
        name: db.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "trusted_schema")
    }
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "trusted_schema": 0,
    }
    db.close()


def test_steps_are_done_once_and_new_ones_are_added(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    migrations.connect(path, [ONE], Disk()).close()
    for _again in range(2):
        db = migrations.connect(path, [ONE, TWO], Disk())
        assert (version(db), rows(db)) == (2, [(1, "one; two")])
        db.close()


def test_a_newer_schema_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "newer.sqlite"
    migrations.connect(path, [ONE, TWO], Disk()).close()
    before = path.read_bytes()
    with pytest.raises(BadDatabase) as refused:
        migrations.connect(path, [ONE], Disk())
    assert "\n" not in str(refused.value) and "2" in str(refused.value)
    assert path.read_bytes() == before


def test_a_foreign_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "foreign.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE of_others (x)")
    other.close()
    text = tmp_path / "text.sqlite"
    text.write_bytes(b"this is no database at all, but a long text" * 10)
    for one in (path, text):
        before = one.read_bytes()
        with pytest.raises(BadDatabase):
            migrations.connect(one, [ONE], Disk())
        assert one.read_bytes() == before


def test_a_step_that_fails_in_its_middle_is_not_done_at_all(tmp_path: Path) -> None:
    path = tmp_path / "half.sqlite"
    with pytest.raises(StorageFailed):
        migrations.connect(path, [ONE, "CREATE TABLE b (x); CREATE TABLE a (x);"], Disk())
    db = migrations.connect(path, [ONE], Disk())
    assert version(db) == 1
    assert [row[0] for row in db.execute("SELECT name FROM sqlite_schema ORDER BY name")] == [
        "a",
        "a_by_x",
    ]
    db.close()


def test_a_transaction_is_all_or_none(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite"
    db = migrations.connect(path, [ONE], Disk())
    with pytest.raises(KeyError), migrations.transaction(db, path):
        db.execute("INSERT INTO a VALUES (1)")
        raise KeyError
    assert rows(db) == [] and not db.in_transaction
    with migrations.transaction(db, path):
        db.execute("INSERT INTO a VALUES (2)")
    assert rows(db) == [(2,)]
    db.close()


def test_a_folder_that_is_missing_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed):
        migrations.connect(tmp_path / "none" / "x.sqlite", [ONE], Disk())


ROUNDS, PROCESSES = 20, 4


def _open_them(
    folder: Path, start: "threading.Barrier", answers: "multiprocessing.SimpleQueue[int]"
) -> None:
    for number in range(ROUNDS):
        start.wait(120)
        db = migrations.connect(folder / f"{number}.sqlite", schema.CATALOGUE, Disk())
        answers.put(version(db))


def test_processes_that_open_a_new_file_at_once_do_each_step_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.SimpleQueue[int] = context.SimpleQueue()
    start = context.Barrier(PROCESSES)
    several = [
        context.Process(target=_open_them, args=(tmp_path, start, answers))
        for _ in range(PROCESSES)
    ]
    for one in several:
        one.start()
    for one in several:
        one.join(120)
    assert [one.exitcode for one in several] == [0] * PROCESSES
    found = {answers.get() for _ in range(ROUNDS * PROCESSES)}
    assert found == {len(schema.CATALOGUE)}


def test_a_text_of_sql_is_cut_at_its_statements() -> None:
    assert list(migrations.statements(ONE)) == [one.strip() for one in ONE.split(";")[:-1]]
    assert len(list(migrations.statements(TWO))) == 2
    assert len(list(migrations.statements(TRIGGER))) == 1
    assert list(migrations.statements(" \n;; ")) == []
    with pytest.raises(ValueError, match="no end"):
        list(migrations.statements("SELECT 1; SELECT 'x"))


def test_the_catalogue_refuses_a_certificate_of_no_device(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    db = migrations.connect(path, schema.CATALOGUE, Disk())
    with pytest.raises(sqlite3.IntegrityError), migrations.transaction(db, path):
        db.execute("INSERT INTO certificates VALUES ('01', 'box-00000000', 'x', 1, NULL)")
    db.close()
