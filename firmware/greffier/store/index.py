"""The index: what the box has, quickly. Rebuilt from the files at any time and never the truth.

SQLite writes this one file by itself, with WAL and ``synchronous=FULL`` (NORMAL loses committed
rows at a power cut). A missing, old or damaged index is begun again, empty: then ``fresh`` is set
and :func:`greffier.store.rebuild.rebuild` fills it. Until it did, the file does not say that it is
an index: a process that is killed before leaves one that is begun again.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from greffier import canonical
from greffier.durable import Disk
from greffier.errors import AlreadyThere, IntegrityError, StorageFailed
from greffier.store.index_file import SCHEMA, TABLES, connected, sound
from greffier.store.search import Query, facets_of, search

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PUT_CALL = (
    "INSERT INTO calls VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (uid) DO UPDATE SET"
    " line = excluded.line, start_ns = excluded.start_ns, end_ns = excluded.end_ns,"
    " recording = excluded.recording, clear = excluded.clear, epoch = excluded.epoch,"
    " record = excluded.record, verdict = excluded.verdict, result = excluded.result,"
    " direction = excluded.direction"
)

DAY_NS = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class PartRow:
    """A part: what its header, its file and the shred store say.

    ``purposes`` maps a purpose to (minimum, maximum) days, a maximum of None being none.
    ``envelope`` says what can still open it: an entry of the shred ``store``, its own ``file``, or
    ``none`` any more.
    """

    part_id: str
    recording: str
    number: int
    line: str
    day: str
    codec: str
    epoch: str
    deletion: str
    created_ns: int
    purposes: Mapping[str, tuple[int, int | None]]
    size: int
    complete: bool
    envelope: Literal["store", "file", "none"]
    holds: tuple[str, ...] = ()
    synced: bool = False

    @property
    def min_until_ns(self) -> int:
        """Before this no purpose lets it go (its creation, when there is no purpose)."""
        days = max((least for least, _ in self.purposes.values()), default=0)
        return self.created_ns + days * DAY_NS

    @property
    def max_until_ns(self) -> int | None:
        """From here on no purpose keeps it; None if one has no maximum."""
        most = [most for _, most in self.purposes.values()]
        days = [one for one in most if one is not None]
        return None if len(days) < len(most) else self.created_ns + max(days, default=0) * DAY_NS


@dataclass(frozen=True, slots=True)
class CallRow:
    """A call: the clear part of its last record in the journal, where that is, and its parts."""

    uid: str
    line: str
    start_ns: int
    end_ns: int | None
    recording: str | None
    clear: Mapping[str, Any]
    epoch: str
    record: int
    parts: tuple[PartRow, ...] = field(default=())


class Index:
    """Made by :meth:`open`; the data directory's lock must be held to write. One thread owns it."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, disk: Disk | None, fresh: bool
    ) -> None:
        self._path = path
        self._db = connection
        self._disk = disk
        self.fresh = fresh

    @classmethod
    def open(cls, path: Path, disk: Disk, *, whole: bool = True) -> Self:
        """The index at *path*, begun again if it is missing, old or damaged.

        Not *whole*: damage is found where it is met; the file then goes, and the next opening
        begins it again. Raises StorageFailed.
        """
        connection = sound(path, whole=whole)
        if connection is not None:
            return cls(path, connection, disk, fresh=False)
        _remove(path, disk)
        with suppress(AlreadyThere):  # made here for its mode; SQLite would ask the umask
            disk.create(path).close()
        index = cls(path, connected(path), disk, fresh=True)
        index._make()
        return index

    def _make(self) -> None:
        with self._writing() as db:
            for statement in TABLES.split(";"):
                db.execute(statement)

    def close(self) -> None:
        """Let the file go."""
        self._db.close()

    def put(self, calls: Iterable[CallRow] = (), parts: Iterable[PartRow] = ()) -> None:
        """Add rows or replace those of the same id, all or none, durable. Raises StorageFailed."""
        with self._writing() as db:
            _insert(db, calls, parts)

    def mark_synced(self, part_ids: Iterable[str]) -> None:
        """Head office has these parts; all or none, durable. Raises StorageFailed."""
        with self._writing() as db:
            db.executemany("UPDATE parts SET synced = 1 WHERE id = ?", [(one,) for one in part_ids])

    def unsynced(self) -> Iterator[str]:
        """The id of every part that head office is not known to have. Raises StorageFailed."""
        with self._reading() as db:
            for (one,) in db.execute("SELECT id FROM parts WHERE NOT synced"):
                yield one

    def mark_held(self, holds: Mapping[str, Sequence[str]]) -> None:
        """These parts have these holds and no other; all or none, durable. Raises StorageFailed."""
        rows = [(json.dumps(list(names)), part) for part, names in holds.items()]
        with self._writing() as db:
            db.executemany("UPDATE parts SET holds = ? WHERE id = ?", rows)

    def rewrite_epoch(
        self, epoch: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> None:
        """Give each call of *epoch* another clear part; all or none, durable.

        Raises StorageFailed, IntegrityError.
        """
        with self._parsing(), self._writing() as db:
            found = db.execute("SELECT uid, clear FROM calls WHERE epoch = ?", (epoch,)).fetchall()
            rows = [
                (canonical.dump(dict(change(json.loads(clear)))).decode(), uid)
                for uid, clear in found
            ]
            db.executemany("UPDATE calls SET clear = ? WHERE uid = ?", rows)

    def held(self) -> dict[str, tuple[str, ...]]:
        """The holds of each part that has any. Raises StorageFailed."""
        with self._reading() as db:
            found = db.execute("SELECT id, holds FROM parts WHERE holds <> '[]'")
            return {part: tuple(json.loads(holds)) for part, holds in found}

    def places(self, uids: Iterable[str]) -> dict[str, tuple[str, int]]:
        """Where the record of each of *uids* lies, as far as there are rows. Raises StorageFailed.

        Epoch and number.
        """
        with self._reading() as db:
            found: dict[str, tuple[str, int]] = {}
            for uid in uids:
                row = db.execute("SELECT epoch, record FROM calls WHERE uid = ?", (uid,)).fetchone()
                if row is not None:
                    found[uid] = row[0], row[1]
            return found

    def have(self, part_ids: Iterable[str]) -> set[str]:
        """Which of *part_ids* have a row. Raises StorageFailed."""
        with self._reading() as db:
            rows = (db.execute("SELECT id FROM parts WHERE id = ?", (one,)) for one in part_ids)
            return {row[0] for found in rows for row in found}

    def remove_parts(self, part_ids: Iterable[str]) -> None:
        """Forget parts, all or none, durable. Raises StorageFailed."""
        with self._writing() as db:
            db.executemany("DELETE FROM parts WHERE id = ?", [(one,) for one in part_ids])

    def replace(self, calls: Iterable[CallRow], parts: Iterable[PartRow]) -> None:
        """Make these rows the whole index, all or none, durable; the last row of an id counts.

        They may be more than fit into memory. Raises StorageFailed.
        """
        with self._writing() as db:
            db.execute("DELETE FROM calls")
            db.execute("DELETE FROM facets")
            db.execute("DELETE FROM parts")
            _insert(db, calls, parts)
            db.execute(f"PRAGMA user_version = {SCHEMA}")

    def calls(self, line: str | None = None) -> list[CallRow]:
        """Every call with its parts, by start and uid. Raises StorageFailed, IntegrityError."""
        with self._reading() as db, self._parsing():
            by_recording: dict[str, list[PartRow]] = {}
            for row in db.execute("SELECT * FROM parts ORDER BY recording, number, id"):
                part = part_of(row)
                by_recording.setdefault(part.recording, []).append(part)
            found = db.execute(
                "SELECT * FROM calls WHERE ?1 IS NULL OR line = ?1 ORDER BY start_ns, uid", (line,)
            )
            return [call_of(row, by_recording) for row in found]

    def search(self, query: Query) -> list[CallRow]:
        """The calls that *query* asks for, the latest first. Raises StorageFailed, IntegrityError.

        It takes as long as the answer is, and not as the index: see greffier.store.search.
        """
        with self._reading() as db, self._parsing():
            found = []
            for uid in search(db, query):
                row = db.execute("SELECT * FROM calls WHERE uid = ?", (uid,)).fetchone()
                of = "SELECT * FROM parts WHERE recording = ? ORDER BY number, id"
                parts = [part_of(one) for one in db.execute(of, (row["recording"],))]
                found.append(call_of(row, {row["recording"]: parts}))
            return found

    def parts(self) -> list[PartRow]:
        """Every part, by recording, number and id. Raises StorageFailed, IntegrityError."""
        with self._reading() as db, self._parsing():
            found = db.execute("SELECT * FROM parts ORDER BY recording, number, id")
            return [part_of(row) for row in found]

    def recordings(self) -> Iterator[str]:
        """The id of every recording that has a part, ordered. Raises StorageFailed."""
        with self._reading() as db:
            for (one,) in db.execute("SELECT DISTINCT recording FROM parts ORDER BY recording"):
                yield one

    def orphans(self) -> list[str]:
        """Recordings that no call names (the recorder died before it wrote the call's record)."""
        with self._reading() as db:
            found = db.execute(
                "SELECT id FROM recordings WHERE id NOT IN"
                " (SELECT recording FROM calls WHERE recording IS NOT NULL) ORDER BY id"
            )
            return [one for (one,) in found]

    @contextmanager
    def _parsing(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            reason = "a row is none of ours; run `greffier index rebuild`"
            raise IntegrityError(what=self._path, reason=reason) from error

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._db
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", None)
            if self._disk is not None and code in _DAMAGED:  # else it is for reading only
                self._db.close()
                _remove(self._path, self._disk)
            raise StorageFailed(path=self._path, reason=str(error)) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")


def _remove(path: Path, disk: Disk) -> None:
    disk.remove([path.with_name(path.name + end) for end in ("", "-wal", "-shm", "-journal")])


def _insert(db: sqlite3.Connection, calls: Iterable[CallRow], parts: Iterable[PartRow]) -> None:
    for call in calls:
        before = db.execute(
            "SELECT line, start_ns, uid, clear FROM calls WHERE uid = ?", (call.uid,)
        ).fetchone()
        if before is not None:
            _forget_facets(db, before)
        # Updated in place: of a call that ends few indexes change.
        db.execute(_PUT_CALL, _call_values(call))
        db.executemany("INSERT OR REPLACE INTO facets VALUES (?,?,?,?,?)", _facets(call))
    db.executemany(
        "INSERT OR REPLACE INTO parts VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        map(_part_values, parts),
    )


def _forget_facets(db: sqlite3.Connection, before: sqlite3.Row) -> None:
    try:
        names = facets_of(json.loads(before["clear"]))
    except (ValueError, TypeError, AttributeError, RecursionError):
        names = []  # a row that is none of ours: a rebuild puts it right
    keys = [(before["line"], name, before["start_ns"], before["uid"]) for name in names]
    db.executemany(
        "DELETE FROM facets WHERE line = ? AND facet = ? AND start_ns = ? AND uid = ?", keys
    )


def _facets(one: CallRow) -> list[tuple[object, ...]]:
    direction = _word(one.clear, "direction")
    return [(one.line, name, one.start_ns, one.uid, direction) for name in facets_of(one.clear)]


def _word(clear: Mapping[str, Any], key: str) -> str:
    value = clear.get(key)
    return value if isinstance(value, str) else ""


def _call_values(one: CallRow) -> tuple[object, ...]:
    return (
        one.uid,
        one.line,
        one.start_ns,
        one.end_ns,
        one.recording,
        canonical.dump(dict(one.clear)).decode(),
        one.epoch,
        one.record,
        _word(one.clear, "record"),
        _word(one.clear, "result"),
        _word(one.clear, "direction"),
    )


def call_of(row: sqlite3.Row, parts: Mapping[str, list[PartRow]] | None = None) -> CallRow:
    """The call that *row* of the index says, with those of *parts* (by recording) that it has."""
    clear = json.loads(row["clear"])
    if not isinstance(clear, dict):
        raise TypeError("the clear part of a call is an object")
    return CallRow(
        uid=row["uid"],
        line=row["line"],
        start_ns=row["start_ns"],
        end_ns=row["end_ns"],
        recording=row["recording"],
        clear=clear,
        epoch=row["epoch"],
        record=row["record"],
        parts=tuple((parts or {}).get(row["recording"], ())),
    )


def _part_values(one: PartRow) -> tuple[object, ...]:
    return (
        one.part_id,
        one.recording,
        one.number,
        one.line,
        one.day,
        one.codec,
        one.epoch,
        one.deletion,
        one.created_ns,
        json.dumps(one.purposes, sort_keys=True),
        one.size,
        int(one.complete),
        one.envelope,
        json.dumps(one.holds),
        int(one.synced),
    )


def part_of(row: sqlite3.Row) -> PartRow:
    """The part that a row of the table says. Raises ValueError, TypeError, AttributeError."""
    purposes = json.loads(row["purposes"])
    return PartRow(
        part_id=row["id"],
        recording=row["recording"],
        number=row["number"],
        line=row["line"],
        day=row["day"],
        codec=row["codec"],
        epoch=row["epoch"],
        deletion=row["deletion"],
        created_ns=row["created_ns"],
        purposes={name: (least, most) for name, (least, most) in purposes.items()},
        size=row["bytes"],
        complete=bool(row["complete"]),
        envelope=row["envelope"],
        holds=tuple(json.loads(row["holds"])),
        synced=bool(row["synced"]),
    )
