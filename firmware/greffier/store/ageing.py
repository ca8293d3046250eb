"""The index as the retention engine reads it: by age, a few rows at a time, and never all at once.

A connection of its own that cannot write, so that nobody waits for its reader and its reader for
nobody: any thread may open one, that thread owns it.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from greffier.errors import IntegrityError, StorageFailed
from greffier.store.index import CallRow, Index, PartRow, call_of, part_of
from greffier.store.index_file import check_filled

CHUNK: Final = 1000
"""Rows that are read at once."""
_END: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Kindred:
    """Parts that have the very same purposes and days; ``key`` is what the index calls them."""

    purposes: Mapping[str, tuple[int, int | None]]
    key: str


class Ageing:
    """Made by :meth:`open`; a context manager lets it go."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._db = connection

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the index at *path*, which its owner has open. Raises StorageFailed."""
        return cls(path, _filled(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._db.close()

    def kindreds(self) -> list[Kindred]:
        """What parts are kept for, each once. Raises StorageFailed, IntegrityError."""
        found: list[Kindred] = []
        key = ""
        while True:
            with self._reading():
                row = self._db.execute("SELECT min(purposes) FROM parts WHERE purposes > ?", (key,))
                key = row.fetchone()[0]
                if key is None:
                    return found
                days = {name: (least, most) for name, (least, most) in json.loads(key).items()}
            found.append(Kindred(days, key))

    def count(self) -> int:
        """How many parts there are. Raises StorageFailed."""
        with self._reading():
            count: int = self._db.execute("SELECT count(*) FROM parts").fetchone()[0]
            return count

    def older(self, kindred: Kindred, until_ns: int, since_ns: int = -1) -> Iterator[PartRow]:
        """Parts of *kindred* that were created no later than *until_ns*, after *since_ns*.

        Oldest first. Raises StorageFailed, IntegrityError.
        """
        # One statement would be one long transaction, and the write-ahead log could not be folded.
        seen: tuple[int, str] = (since_ns, "~")  # behind every id
        while True:
            with self._reading():
                found = self._db.execute(
                    "SELECT * FROM parts WHERE purposes = ? AND created_ns <= ?"
                    " AND (created_ns, id) > (?, ?) ORDER BY created_ns, id LIMIT ?",
                    (kindred.key, until_ns, *seen, CHUNK),
                ).fetchall()
                rows = [part_of(row) for row in found]
            yield from rows
            if len(rows) < CHUNK:
                return
            seen = rows[-1].created_ns, rows[-1].part_id

    def oldest(self) -> Iterator[PartRow]:
        """Every part, oldest first. Raises StorageFailed, IntegrityError."""
        return merge(*(self.older(one, _END) for one in self.kindreds()), key=_age)

    def count_since(self, since_ns: int) -> int:
        """How many parts were created after *since_ns*. Raises StorageFailed."""
        with self._reading():
            return sum(
                self._db.execute(
                    "SELECT count(*) FROM parts WHERE purposes = ? AND created_ns > ?",
                    (one.key, since_ns),
                ).fetchone()[0]
                for one in self.kindreds()
            )

    def of(self, name: str) -> list[PartRow]:
        """The parts of the recording *name*, or the part of that name."""
        with self._reading():
            found = self._db.execute(
                "SELECT * FROM parts WHERE recording = ?1"
                " UNION SELECT * FROM parts WHERE id = ?1 ORDER BY number, id",
                (name,),
            )
            return [part_of(row) for row in found]

    def call(self, name: str) -> CallRow | None:
        """The call of that uid in the journal, or that recording: the latest that there is."""
        with self._reading():
            found = self._db.execute(
                "SELECT * FROM calls WHERE uid = ?1 OR recording = ?1"
                " ORDER BY start_ns DESC LIMIT 1",
                (name,),
            ).fetchone()
            return None if found is None else call_of(found)

    def ids(self) -> Iterator[str]:
        """The id of every part. Raises StorageFailed."""
        last = ""
        while True:
            with self._reading():
                found = self._db.execute(
                    "SELECT id FROM parts WHERE id > ? ORDER BY id LIMIT ?", (last, CHUNK)
                ).fetchall()
            yield from (one for (one,) in found)
            if len(found) < CHUNK:
                return
            last = found[-1][0]

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageFailed(path=self._path, reason=str(error)) from error
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            reason = "a row is none of ours; run `greffier index rebuild`"
            raise IntegrityError(what=self._path, reason=reason) from error


def open_reading(path: Path) -> Index:
    """The index at *path* for reading only, beside its owner. Raises StorageFailed."""
    return Index(path, _filled(path), None, fresh=False)


def open_as_it_is(path: Path) -> Index:
    """As :func:`open_reading`; it goes on saying what it says now, whatever its owner writes.

    As long as it is open the write-ahead log cannot be folded. Raises StorageFailed.
    """
    db = _read_only(path)
    try:
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # only now it stands still
    except sqlite3.Error as error:
        db.close()
        raise StorageFailed(path=path, reason=str(error)) from error
    return Index(path, db, None, fresh=False)


def _filled(path: Path) -> sqlite3.Connection:
    db = _read_only(path)
    try:
        check_filled(db, path)
    except StorageFailed:
        db.close()
        raise
    return db


def _read_only(path: Path) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        db.execute("PRAGMA trusted_schema = OFF")
    except sqlite3.Error as error:
        raise StorageFailed(path=path, reason=str(error)) from error
    db.row_factory = sqlite3.Row
    return db


def _age(row: PartRow) -> tuple[int, str]:
    return row.created_ns, row.part_id
