"""The catalogue as the collector uses it: frozen rows, and the statements that read and write them.

Schema and meaning: greffier_office.schema. A :class:`Catalogue` is one connection; one thread owns
it. All that write in one process share one lock, so none waits in SQLite's own way (which sleeps).
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from greffier.durable import Disk
from greffier.merkle import HASH_BYTES, Frontier
from greffier.sync.messages import Presence
from greffier_office import deletions, migrations, schema
from greffier_office.migrations import transaction

MOST_FORKS = 64
"""Rows of evidence that are kept of one device: it can make as many as it likes."""


@dataclass(frozen=True, slots=True)
class Log:
    """The replicated log of a device: see greffier_office.schema.

    ``head`` and ``cosigned`` are signed notes, "" where there is none.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()
    head_size: int = 0
    head: str = ""
    cosigned_size: int = 0
    cosigned: str = ""
    cosigned_ns: int = 0

    def frontier(self) -> Frontier:
        """The tree so far, to be grown."""
        return Frontier(self.size, self.peaks)


@dataclass(frozen=True, slots=True)
class Part:
    """What the log says of a part, and whether it is here.

    ``envelope``, ``size`` (bytes) and ``sha256`` are None until the log says them; ``receipt`` is
    None until the part is stored. ``until_ns`` is the end that the log gave it, if it gave one
    and there is no hold on it;
    ``deleted`` is 1 where head office destroyed it, and there is a tombstone.
    """

    part: str
    recording: str
    number: int
    envelope: str | None
    commitment: str | None
    size: int | None
    sha256: str | None
    receipt: str | None
    until_ns: int | None = None
    deleted: int = 0


@dataclass(frozen=True, slots=True)
class BatchRow:
    """The object that holds the entries ``first`` .. ``end`` - 1 as frames."""

    first: int
    end: int
    object: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Unread:
    """An entry of the kind ``ev`` of which no row says what it says: a newer program wrote it."""

    seq: int
    ev: str


class Catalogue:
    """One connection. *writing* is shared by all connections of the process that write."""

    def __init__(
        self,
        path: Path,
        db: sqlite3.Connection,
        writing: AbstractContextManager[bool] | None = None,
    ) -> None:
        self.path = path
        self.db = db
        self._writing = writing or threading.Lock()
        # Never inside a commit that somebody waits for: see checkpoint.
        db.execute("PRAGMA wal_autocheckpoint = 0")

    @classmethod
    def open(
        cls, path: Path, disk: Disk, writing: AbstractContextManager[bool] | None = None
    ) -> Self:
        """The catalogue at *path*. Raises BadDatabase, StorageFailed."""
        return cls(path, migrations.connect(path, schema.CATALOGUE, disk), writing)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or none, durable at its end. Raises StorageFailed, BadDatabase."""
        with self._writing, transaction(self.db, self.path) as db:
            yield db

    def checkpoint(self) -> None:
        """Move what the write-ahead log holds into the file; commits go on meanwhile.

        What somebody still reads stays for the next time, as it does where this fails.
        """
        with suppress(sqlite3.Error):
            self.db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Let the file go."""
        self.db.close()

    def log_key(self, device: str) -> str | None:
        """The vkey line of the log of an enrolled *device*; None for a stranger, or a revoked."""
        row = self.db.execute(
            "SELECT log_key FROM devices WHERE device = ? AND revoked_ns IS NULL", (device,)
        ).fetchone()
        return row[0] if row else None

    def log(self, device: str) -> Log:
        """What is held of the log of *device*; an empty one at first."""
        row = self.db.execute("SELECT * FROM logs WHERE device = ?", (device,)).fetchone()
        if row is None:
            return Log()
        return Log(
            row["size"],
            _peaks(row["peaks"]),
            row["head_size"],
            row["head"],
            row["cosigned_size"],
            row["cosigned"],
            row["cosigned_ns"],
        )

    def peaks_before(self, device: str, size: int) -> tuple[int, tuple[bytes, ...]] | None:
        """The last batch that begins below *size* and has the peaks of the tree before it.

        (its first entry, the peaks); None where no row has them: older versions wrote none.
        """
        row = self.db.execute(
            "SELECT first, peaks FROM batches WHERE device = ? AND first < ? AND peaks IS NOT NULL"
            " ORDER BY first DESC LIMIT 1",
            (device, size),
        ).fetchone()
        return (row["first"], _peaks(row["peaks"])) if row else None

    def batches(self, device: str, first: int, end: int) -> list[BatchRow]:
        """The batches that hold the entries *first* .. *end* - 1, in order."""
        found = self.db.execute(
            "SELECT first, end, object, sha256, bytes FROM batches"
            " WHERE device = ? AND end > ? AND first < ? ORDER BY first",
            (device, first, end),
        )
        return [BatchRow(*row) for row in found]

    def unread(self) -> dict[str, list[Unread]]:
        """The entries of each device that are yet to be read, in order."""
        found: dict[str, list[Unread]] = {}
        for row in self.db.execute("SELECT device, seq, ev FROM unread ORDER BY device, seq"):
            found.setdefault(row["device"], []).append(Unread(row["seq"], row["ev"]))
        return found

    def part(self, device: str, part: str) -> Part | None:
        """What the log of *device* says of *part*; None if it says nothing."""
        row = self.db.execute(
            "SELECT part, recording, number, envelope, commitment, bytes, sha256, receipt,"
            # A part that is, or was, held may stay longer: then the rule decides when it is here.
            " CASE WHEN EXISTS (SELECT 1 FROM held AS h WHERE h.device = p.device"
            " AND h.name IN (p.part, p.recording)) THEN NULL ELSE until_ns END,"
            " EXISTS (SELECT 1 FROM deletions AS d"
            " WHERE d.device = p.device AND d.part = p.part)"
            " FROM parts AS p WHERE device = ? AND part = ?",
            (device, part),
        ).fetchone()
        return Part(*tuple(row)) if row else None

    def held(self, blocks: Sequence[str]) -> set[int]:
        """Which of *blocks* (SHA-256 in hex) are objects already, by their place."""
        found = set()
        for number, sha256 in enumerate(blocks):
            row = self.db.execute("SELECT 1 FROM blocks WHERE sha256 = ?", (sha256,)).fetchone()
            if row is not None:
                found.add(number)
        return found


def write_log(db: sqlite3.Connection, device: str, was: int, log: Log, root: bytes) -> bool:
    """Put *log* in place of the one of size *was*. False (nothing done) if it is not that one."""
    db.execute(
        "INSERT OR IGNORE INTO logs VALUES (?, 0, ?, ?, 0, '', 0, '', 0)",
        (device, Frontier().root(), b""),
    )
    done = db.execute(
        "UPDATE logs SET size = ?, root = ?, peaks = ?, head_size = ?, head = ?,"
        " cosigned_size = ?, cosigned = ?, cosigned_ns = ?"
        " WHERE device = ? AND size = ? AND cosigned_size <= ?",
        (
            log.size,
            root,
            b"".join(log.peaks),
            log.head_size,
            log.head,
            log.cosigned_size,
            log.cosigned,
            log.cosigned_ns,
            device,
            was,
            log.cosigned_size,
        ),
    )
    return done.rowcount == 1


def write_batch(
    db: sqlite3.Connection, device: str, batch: BatchRow, peaks: Sequence[bytes]
) -> None:
    """Say which object holds these entries; *peaks* are the tree's before the first of them."""
    db.execute(
        "INSERT INTO batches (device, first, end, object, sha256, bytes, peaks)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            *(device, batch.first, batch.end, batch.object),
            batch.sha256,
            batch.size,
            b"".join(peaks),
        ),
    )


def write_unread(db: sqlite3.Connection, device: str, unread: Iterable[Unread]) -> list[str]:
    """Note entries that this program cannot read; which of their kinds are new of *device*."""
    if not unread:
        return []
    known = db.execute("SELECT DISTINCT ev FROM unread WHERE device = ?", (device,)).fetchall()
    db.executemany(
        "INSERT INTO unread VALUES (?, ?, ?)", [(device, one.seq, one.ev) for one in unread]
    )
    return sorted({one.ev for one in unread} - {row["ev"] for row in known})


def write_fork(
    db: sqlite3.Connection, device: str, reason: str, ours: str, theirs: str, now_ns: int
) -> bool:
    """Keep both signed checkpoints. True if this contradiction was not known yet."""
    known = db.execute(
        "UPDATE forks SET last_ns = ?, times = times + 1"
        " WHERE device = ? AND reason = ? AND theirs = ?",
        (now_ns, device, reason, theirs),
    )
    if known.rowcount:
        return False
    (count,) = db.execute("SELECT count(*) FROM forks WHERE device = ?", (device,)).fetchone()
    if count >= MOST_FORKS:
        return False
    db.execute(
        "INSERT INTO forks VALUES (?, ?, ?, ?, ?, ?, 1)",
        (device, reason, theirs, ours, now_ns, now_ns),
    )
    return True


def write_block(db: sqlite3.Connection, sha256: str, size: int, object_: str, now_ns: int) -> None:
    """A block is a durable object."""
    db.execute("INSERT OR IGNORE INTO blocks VALUES (?, ?, ?, ?)", (sha256, size, object_, now_ns))


def write_stored(
    db: sqlite3.Connection,
    device: str,
    part: Part,
    about: Mapping[str, object],
    blocks: Iterable[str],
    receipt: str,
    now_ns: int,
) -> str | None:
    """A part of which every block is an object, and whose envelope is durable, is here.

    Returns the receipt that counts: *receipt*, or the one that another collector gave before. None
    if the log's row is not (any more) what *part* says, if it was deleted here, or if one of its
    blocks may have been removed since it was looked at.
    """
    blocks = tuple(blocks)
    if deletions.is_deleted(db, device, part.part) or deletions.any_gone(db, blocks):
        return None
    purposes = about.get("purposes")
    done = db.execute(
        "UPDATE parts SET stored_ns = ?, receipt = ?, line = ?, codec = ?, epoch = ?,"
        " created_ns = coalesce(created_ns, ?), deletion = ?, purposes = ?, due_ns = NULL"
        " WHERE device = ? AND part = ? AND sha256 = ? AND bytes = ? AND envelope = ?"
        " AND stored_ns IS NULL",
        (
            now_ns,
            receipt,
            _text(about, "line"),
            _text(about, "codec"),
            _text(about, "epoch"),
            _time(about),
            _text(about, "deletion"),
            json.dumps(purposes if isinstance(purposes, dict) else {}, sort_keys=True),
            device,
            part.part,
            part.sha256,
            part.size,
            part.envelope,
        ),
    )
    if done.rowcount:
        db.executemany(
            "INSERT OR IGNORE INTO part_blocks VALUES (?, ?, ?, ?)",
            [(device, part.part, number, one) for number, one in enumerate(blocks)],
        )
        return receipt
    row = db.execute(
        "SELECT receipt FROM parts"
        " WHERE device = ? AND part = ? AND sha256 = ? AND bytes = ? AND envelope = ?",
        (device, part.part, part.sha256, part.size, part.envelope),
    ).fetchone()
    return row[0] if row else None


def write_presence(db: sqlite3.Connection, device: str, said: Presence, now_ns: int) -> None:
    """What *device* says of itself; the Will of a session that is over says nothing new.

    What a broker kept and says again was heard when it was said first.
    """
    db.execute(
        "INSERT INTO presence SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10"
        " WHERE EXISTS (SELECT 1 FROM devices WHERE device = ?1)"
        " ON CONFLICT (device) DO UPDATE SET online = ?2, session = ?3, version = ?4,"
        " log_size = ?5, parts = ?6, bytes = ?7, oldest_ns = ?8, at_ns = ?9,"
        " heard_ns = CASE WHEN at_ns = ?9 AND online = ?2 THEN heard_ns ELSE ?10 END"
        " WHERE ?2 OR session = ?3",
        (
            device,
            int(said.online),
            said.session,
            said.version,
            said.log_size,
            said.parts,
            said.size,
            said.oldest_ns,
            said.at_ns,
            now_ns,
        ),
    )


def write_refusal(
    db: sqlite3.Connection, device: str, part: str, reason: str, times: int, now_ns: int
) -> None:
    """Offers were refused, that of *part* last."""
    db.execute(
        "INSERT INTO refusals VALUES (?1, ?2, ?5, ?3, ?4) ON CONFLICT (device, reason)"
        " DO UPDATE SET times = times + ?5, part = ?3, last_ns = ?4",
        (device, reason, part, now_ns, times),
    )


def _peaks(raw: bytes) -> tuple[bytes, ...]:
    return tuple(raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES))


def _text(about: Mapping[str, object], key: str) -> str | None:
    value = about.get(key)
    return value if isinstance(value, str) and len(value) <= 256 else None


def _time(about: Mapping[str, object]) -> int | None:
    value = about.get("created_ns")
    if not isinstance(value, str) or not value.isascii() or not value.isdigit():
        return None
    return int(value) if len(value) <= 19 and int(value) < 2**63 else None
