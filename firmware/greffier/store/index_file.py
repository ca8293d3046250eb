"""The file of the index: its schema, and whether a file is one."""

import sqlite3
from functools import cache
from pathlib import Path

from greffier.errors import StorageFailed

SCHEMA = 3
TABLES = """
CREATE TABLE calls (
    uid TEXT PRIMARY KEY,
    line TEXT NOT NULL,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER,
    recording TEXT,
    clear TEXT NOT NULL,
    epoch TEXT NOT NULL,
    record INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    result TEXT NOT NULL,
    direction TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX calls_by_start ON calls (start_ns, uid, verdict, result, direction);
CREATE INDEX calls_by_line ON calls (line, start_ns, uid, verdict, result, direction);
CREATE TABLE facets (
    line TEXT NOT NULL,
    facet TEXT NOT NULL,
    start_ns INTEGER NOT NULL,
    uid TEXT NOT NULL,
    direction TEXT NOT NULL,
    PRIMARY KEY (line, facet, start_ns, uid)
) STRICT, WITHOUT ROWID;
CREATE TABLE parts (
    id TEXT PRIMARY KEY,
    recording TEXT NOT NULL,
    number INTEGER NOT NULL,
    line TEXT NOT NULL,
    day TEXT NOT NULL,
    codec TEXT NOT NULL,
    epoch TEXT NOT NULL,
    deletion TEXT NOT NULL,
    created_ns INTEGER NOT NULL,
    purposes TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    complete INTEGER NOT NULL,
    envelope TEXT NOT NULL,
    holds TEXT NOT NULL,
    synced INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX parts_unsynced ON parts (id) WHERE NOT synced;
CREATE INDEX parts_by_recording ON parts (recording, number, id);
CREATE INDEX parts_by_age ON parts (purposes, created_ns, id);
CREATE VIEW recordings AS
    SELECT recording AS id, min(line) AS line, min(created_ns) AS created_ns,
           count(*) AS parts, sum(bytes) AS bytes
    FROM parts GROUP BY recording;
"""


def connected(path: Path) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            isolation_level=None,
            check_same_thread=False,  # it may change its owner: one thread at a time
        )
    except sqlite3.Error as error:
        raise StorageFailed(path=path, reason=str(error)) from error
    db.row_factory = sqlite3.Row
    try:
        db.execute("PRAGMA trusted_schema = OFF")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error as error:
        db.close()
        raise StorageFailed(path=path, reason=str(error)) from error
    return db


def _schema(db: sqlite3.Connection) -> set[tuple[str, ...]]:
    """Every table, index, view and trigger: kind, name, table, text."""
    found = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema")
    return {tuple(row) for row in found}


@cache
def _our_schema() -> set[tuple[str, ...]]:
    db = sqlite3.connect(":memory:")
    db.executescript(TABLES)
    try:
        return _schema(db)
    finally:
        db.close()


def sound(path: Path, *, whole: bool) -> sqlite3.Connection | None:
    """A connection to an index of this schema at *path*, or None.

    *whole*: every page of it is looked at, a second for each gigabyte and more.

    Nothing of the file is run before its schema is seen to be ours, text for text: a view in place
    of a table could work for ever, a trigger change what is written.
    """
    if path.is_symlink() or not path.is_file() or path.stat().st_size == 0:
        return None
    try:
        db = connected(path)
    except StorageFailed:
        return None
    try:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        ours = version == SCHEMA and _schema(db) == _our_schema()
        if ours and (not whole or is_whole(db)):
            return db
    except (sqlite3.Error, UnicodeDecodeError):
        pass  # not an index: begun again by the caller
    db.close()
    return None


def check_filled(db: sqlite3.Connection, path: Path) -> None:
    """Refuse the index of *db* as long as nobody filled it: what it lacks is no answer.

    Raises StorageFailed.
    """
    try:
        version = db.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as error:
        raise StorageFailed(path=path, reason=str(error)) from error
    if version != SCHEMA:
        reason = "it is not filled yet, or of another version; run `greffier index rebuild`"
        raise StorageFailed(path=path, reason=reason)


def is_whole(db: sqlite3.Connection) -> bool:
    """Whether all pages of the index are what they must be. Raises sqlite3.Error."""
    return bool(db.execute("PRAGMA quick_check").fetchone()[0] == "ok")
