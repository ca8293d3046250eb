"""What waits for head office: ids and states, never a byte of a part and never an envelope.

SQLite writes this one file by itself (WAL, ``synchronous=FULL``). It is no truth: the recorder's
``work`` says what waits, so the file may be deleted at any time, and is begun again when it is
missing, damaged or of another version. Where its disk takes nothing, the outbox goes on in memory
with a bounded number of parts (``degraded``), and looks for the disk again now and then.

All waits are monotonic nanoseconds and end with the process; what head office refused is kept with
its wall time. One thread owns an instance.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from greffier.clock import SECOND
from greffier.control.transfer import Sealed
from greffier.durable import Disk
from greffier.errors import AlreadyThere, StorageFailed
from greffier.sync.shares import Share

DAY_NS: Final = 86_400 * SECOND
REFUSED_NS: Final = DAY_NS
"""After this a part that head office refused is offered again."""
SOON_NS: Final = 2 * DAY_NS
"""A part that is destroyed within this time goes before the others of its share."""
MOST_IN_MEMORY: Final = 4096
"""Parts that are held while there is no disk for them; the rest stays known to the recorder."""
RETRY_NS: Final = 60 * SECOND
_CACHE_KIB: Final = 2048
STEPS: Final = (
    """
    CREATE TABLE parts (
        part TEXT PRIMARY KEY,
        recording TEXT NOT NULL,
        seq INTEGER NOT NULL,
        size INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        created_ns INTEGER NOT NULL,
        until_ns INTEGER NOT NULL,
        urgent INTEGER NOT NULL,
        first INTEGER NOT NULL DEFAULT 0,
        refused_ns INTEGER NOT NULL DEFAULT 0,
        wait_ns INTEGER NOT NULL DEFAULT 0,
        sweep INTEGER NOT NULL,
        rank INTEGER GENERATED ALWAYS AS (2 * first + urgent) VIRTUAL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX parts_by_age ON parts (rank, created_ns);
    CREATE INDEX parts_by_end ON parts (until_ns) WHERE until_ns > 0;
    CREATE INDEX parts_by_seq ON parts (sweep, seq);
    CREATE INDEX parts_refused ON parts (refused_ns) WHERE refused_ns > 0;
    CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    """,
)
_COLUMNS = "part, recording, seq, size, sha256, created_ns, until_ns, urgent"
_READY = "wait_ns <= :now"


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits: how many parts, of how many octets, the oldest created then (0: none waits)."""

    parts: int
    size: int
    oldest_ns: int
    refused: int


NOTHING: Final = Backlog(0, 0, 0, 0)


class Outbox:
    """Made by :meth:`open`. Nothing here raises for a disk: see ``degraded``."""

    def __init__(self, path: Path | None, disk: Disk) -> None:
        """Use :meth:`open`."""
        self._path = path
        self._disk = disk
        self._db: sqlite3.Connection = _memory()
        self._retry_ns = 0
        self.degraded = ""
        """Why there is no disk for it; empty where there is one."""
        self.begun = 0
        """How often it was begun anew: then the recorder is to be asked for everything again."""

    @classmethod
    def open(cls, path: Path | None, disk: Disk, now_ns: int, wall_ns: int) -> "Outbox":
        """The outbox at *path* (None: in memory only), begun again if it cannot be used."""
        outbox = cls(path, disk)
        outbox._begin(now_ns, wall_ns)
        return outbox

    def close(self) -> None:
        """Let the file go; what was not committed is lost, and found again."""
        self._db.close()

    # --- what the recorder says ---

    def sight(self, parts: Iterable[Sealed], sweep: int) -> int:
        """Know these *parts* of the recorder's, seen in this *sweep*; how many were taken.

        Fewer than there are only where memory must do, and is full. States are kept.
        """
        taken = 0
        room = MOST_IN_MEMORY - self._count() if self._in_memory else 1 << 62
        with self._writing():
            for one in parts:
                known = self._db.execute(
                    "UPDATE parts SET until_ns = ?, urgent = ?, sweep = ? WHERE part = ?",
                    (one.until_ns, one.urgent, sweep, one.part),
                ).rowcount
                if not known and room <= 0:
                    break
                if not known:
                    room -= 1
                    self._insert(one, sweep)
                taken += 1
        return taken

    def swept(self, sweep: int, seq: int) -> None:
        """Forget the parts up to entry *seq* that the recorder did not name in this *sweep*."""
        with self._writing():
            self._db.execute("DELETE FROM parts WHERE sweep < ? AND seq <= ?", (sweep, seq))

    def forget(self, parts: Collection[str]) -> None:
        """These are received, or destroyed."""
        with self._writing():
            self._db.executemany("DELETE FROM parts WHERE part = ?", [(one,) for one in parts])

    # --- what becomes of them ---

    def wait(self, waits: Iterable[tuple[str, int]]) -> None:
        """Do not offer (part, until this monotonic time)."""
        with self._writing():
            self._db.executemany(
                "UPDATE parts SET wait_ns = ? WHERE part = ?", [(at, one) for one, at in waits]
            )

    def refuse(self, part: str, now_ns: int, wall_ns: int) -> None:
        """Head office refused it: not before a day has gone by."""
        with self._writing():
            self._db.execute(
                "UPDATE parts SET refused_ns = ?, wait_ns = ? WHERE part = ?",
                (max(1, wall_ns), now_ns + REFUSED_NS, part),
            )

    def accept(self, part: str) -> None:
        """Head office wants what it refused before."""
        with self._writing():
            self._db.execute(
                "UPDATE parts SET refused_ns = 0 WHERE part = ? AND refused_ns > 0", (part,)
            )

    def put_first(self, part: str) -> bool:
        """This one before all others; whether it is known."""
        with self._writing():
            known = self._db.execute("UPDATE parts SET first = 1 WHERE part = ?", (part,)).rowcount
        return bool(known)

    def forget_waits(self, refused: bool = False) -> None:
        """Everything may be offered at once; what was *refused* too where that is said."""
        which = "" if refused else " AND refused_ns = 0"
        with self._writing():
            self._db.execute(
                f"UPDATE parts SET wait_ns = 0, refused_ns = 0 WHERE wait_ns > 0{which}"  # noqa: S608 - words of ours
            )

    # --- what goes next ---

    def next_of(
        self, share: Share, most: int, now_ns: int, wall_ns: int, without: Collection[str]
    ) -> list[Sealed]:
        """At most *most* parts of *share*, in the order in which they should go."""
        limit = most + len(without)
        day = wall_ns - DAY_NS
        named = {"now": now_ns, "day": day, "soon": wall_ns + SOON_NS, "limit": limit}
        where, order = self._order(share, named)
        rows = self._rows(
            f"SELECT {_COLUMNS} FROM parts INDEXED BY parts_by_end"  # noqa: S608 - words of ours
            f" WHERE until_ns > 0 AND until_ns < :soon AND {where}"
            f" AND {_READY} ORDER BY until_ns LIMIT :limit",
            named,
        )
        rows += self._rows(
            f"SELECT {_COLUMNS} FROM parts WHERE {where} AND {_READY}"  # noqa: S608 - words of ours
            f" ORDER BY {order} LIMIT :limit",
            named,
        )
        found: dict[str, Sealed] = {}
        for row in rows:
            if row[0] not in without:
                found.setdefault(row[0], _sealed(row))
        return list(found.values())[:most]

    def _order(self, share: Share, named: dict[str, int]) -> tuple[str, str]:
        if share == "urgent":
            return "rank > 0", "first DESC, created_ns"
        if share == "old":
            return "rank = 0 AND created_ns < :day", "created_ns"
        old = self._rows("SELECT 1 FROM parts WHERE rank = 0 AND created_ns < :day LIMIT 1", named)
        way = "created_ns DESC" if old else "created_ns"
        return "rank = 0 AND created_ns >= :day", way

    def known(self, part: str) -> Sealed | None:
        """What the recorder said of *part*; None where it does not wait."""
        rows = self._rows(f"SELECT {_COLUMNS} FROM parts WHERE part = :part", {"part": part})  # noqa: S608 - words of ours
        return _sealed(rows[0]) if rows else None

    def backlog(self) -> Backlog:
        """What waits, all together."""
        rows = self._rows(
            "SELECT count(*), ifnull(sum(size), 0), ifnull(min(created_ns), 0),"
            " (SELECT count(*) FROM parts WHERE refused_ns > 0) FROM parts",
            {},
        )
        return Backlog(*rows[0]) if rows else NOTHING

    def fact(self, name: str) -> int:
        """A number that was kept under *name*, 0 where there is none."""
        rows = self._rows("SELECT value FROM facts WHERE name = :name", {"name": name})
        return int(rows[0][0]) if rows else 0

    def keep(self, facts: dict[str, int]) -> None:
        """Keep these numbers."""
        with self._writing():
            self._db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", list(facts.items()))

    # --- the file ---

    def look_again(self, now_ns: int, wall_ns: int) -> None:
        """Where memory must do: try the disk again now and then."""
        if not self.degraded or self._path is None or now_ns < self._retry_ns:
            return
        self._retry_ns = now_ns + RETRY_NS
        found = self._opened(now_ns, wall_ns)
        if found is None:
            return
        facts = self._rows("SELECT name, value FROM facts", {})
        self._db.close()
        self._db = found
        self.degraded = ""
        self.begun += 1
        self.keep({str(name): int(value) for name, value in facts})

    @property
    def _in_memory(self) -> bool:
        return self._path is None or bool(self.degraded)

    def _begin(self, now_ns: int, wall_ns: int) -> None:
        found = self._opened(now_ns, wall_ns)
        self._db = found or _made(_memory())
        self._retry_ns = now_ns + RETRY_NS

    def _opened(self, now_ns: int, wall_ns: int) -> sqlite3.Connection | None:
        """The file, begun again where it is none of ours; None where there is no disk for it."""
        path = self._path
        if path is None:
            return None
        files = [path.with_name(path.name + end) for end in ("", "-wal", "-shm", "-journal")]
        for again in (False, True):
            try:
                if again:
                    self._disk.remove([one for one in files if one.exists()])
                with suppress(AlreadyThere):  # made here for its mode; SQLite would ask the umask
                    self._disk.create(path).close()
                found = _sound(path, now_ns, wall_ns)
            except (sqlite3.Error, StorageFailed, OSError) as error:
                self.degraded = str(error) or type(error).__name__
            else:
                self.degraded = ""
                return found
        return None

    def _insert(self, one: Sealed, sweep: int) -> None:
        self._db.execute(
            f"INSERT INTO parts ({_COLUMNS}, sweep) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - words of ours
            (
                one.part,
                one.recording,
                one.seq,
                one.size,
                one.sha256,
                one.created_ns,
                one.until_ns,
                int(one.urgent),
                sweep,
            ),
        )

    def _count(self) -> int:
        rows = self._rows("SELECT count(*) FROM parts", {})
        return int(rows[0][0]) if rows else 0

    def _rows(self, sql: str, named: dict[str, int] | dict[str, str]) -> list[tuple]:  # type: ignore[type-arg]
        try:
            return self._db.execute(sql, named).fetchall()
        except sqlite3.Error as error:
            self._degrade(error)
            return []

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """All or none, durable at its end. A disk that takes nothing is given up."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
        except sqlite3.Error as error:
            self._degrade(error)

    def _degrade(self, error: sqlite3.Error) -> None:
        """Go on in memory, with what can still be read of the numbers that were kept."""
        facts: Sequence[tuple[str, int]] = []
        with suppress(sqlite3.Error):
            facts = self._db.execute("SELECT name, value FROM facts").fetchall()
        with suppress(sqlite3.Error):
            self._db.close()
        self.degraded = str(error)
        self.begun += 1
        self._db = _made(_memory())
        self._db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts)


def _memory() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)


def _sealed(row: tuple) -> Sealed:  # type: ignore[type-arg]
    sealed = Sealed(*row)
    return replace(sealed, urgent=bool(sealed.urgent))


def _sound(path: Path, now_ns: int, wall_ns: int) -> sqlite3.Connection:
    """The database at *path* with our schema, its waits forgotten. Raises sqlite3.Error."""
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        db.execute("PRAGMA trusted_schema = OFF")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        (problem,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if problem != "ok":
            raise sqlite3.DatabaseError(str(problem))
        _made(db)
        db.execute(
            "UPDATE parts SET sweep = 0, wait_ns = CASE WHEN refused_ns = 0 THEN 0"
            " ELSE :now + max(0, min(:day, refused_ns + :day - :wall)) END",
            {"now": now_ns, "day": REFUSED_NS, "wall": wall_ns},
        )
    except BaseException:
        db.close()
        raise
    return db


def _made(db: sqlite3.Connection) -> sqlite3.Connection:
    """Bring *db* to our schema. Raises sqlite3.Error, also for a newer one."""
    db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    (had,) = db.execute("PRAGMA user_version").fetchone()
    if had > len(STEPS):
        raise sqlite3.DatabaseError("made by a newer version")
    for number, step in enumerate(STEPS[had:], had + 1):
        db.executescript(f"BEGIN; {step}; PRAGMA user_version = {number}; COMMIT;")
    return db
