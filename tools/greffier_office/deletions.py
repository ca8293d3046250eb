"""Deleted parts in the catalogue: what a tombstone makes of the rows, and what is still to be done.

The file of tombstones (:mod:`greffier_office.tombstones`) is the truth; these rows follow it, and
are made again from it after the catalogue was restored from a backup.
"""

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from greffier.clock import SECOND
from greffier_office.tombstones import Deleted, Done, Record

LINGER_NS: Final = 3600 * SECOND
"""So long after an object was removed no part is stored with its block: who looked at it before
that must have ended by then."""
OFFSET: Final = "tombstones"
"""In ``keeping``: the octets of the file that these rows follow."""


@dataclass(frozen=True, slots=True)
class Gone:
    """An object that is to be removed."""

    sha256: str
    object: str


def kept(db: sqlite3.Connection, name: str) -> int:
    """A number of ours; 0 at first."""
    row = db.execute("SELECT value FROM keeping WHERE name = ?", (name,)).fetchone()
    return int(row[0]) if row else 0


def keep(db: sqlite3.Connection, name: str, value: int) -> None:
    """Remember it."""
    db.execute("INSERT OR REPLACE INTO keeping VALUES (?, ?)", (name, value))


def apply(db: sqlite3.Connection, records: Iterable[Record], now_ns: int) -> None:
    """Make the rows what *records*, in order, say; inside the caller's transaction.

    A part that is here although it was done (the catalogue is of a backup) is to be done again.
    """
    for one in records:
        if isinstance(one, Done):
            db.execute(
                "UPDATE deletions SET done_ns = ? WHERE device = ? AND part = ?",
                (one.at_ns, one.device, one.part),
            )
        else:
            db.execute(
                "INSERT OR IGNORE INTO deletions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
                (
                    *(one.device, one.part, one.recording, one.at_ns, one.rule, one.reason),
                    *(one.deletion, one.size, one.sha256, one.envelope),
                ),
            )
    for key in {(one.device, one.part) for one in records}:
        if bury(db, *key, now_ns):
            reopen(db, [key])


def bury(db: sqlite3.Connection, device: str, part: str, now_ns: int) -> bool:
    """The part is not here any more, and objects that nothing else names are doomed.

    Whether it was here.
    """
    done = db.execute(
        "UPDATE parts SET stored_ns = NULL, receipt = NULL"
        " WHERE device = ? AND part = ? AND stored_ns IS NOT NULL",
        (device, part),
    )
    blocks = db.execute(
        "SELECT sha256 FROM part_blocks WHERE device = ? AND part = ?", (device, part)
    ).fetchall()
    db.execute("DELETE FROM part_blocks WHERE device = ? AND part = ?", (device, part))
    doom(db, {row["sha256"] for row in blocks}, now_ns)
    return bool(done.rowcount or blocks)


def doom(db: sqlite3.Connection, blocks: Collection[str], now_ns: int) -> int:
    """Have the objects of *blocks* (SHA-256) removed that no part names; how many there are."""
    count = 0
    for sha256 in blocks:
        done = db.execute(
            "INSERT OR REPLACE INTO gone_blocks SELECT sha256, object, ?2, NULL FROM blocks"
            " WHERE sha256 = ?1 AND NOT EXISTS (SELECT 1 FROM part_blocks WHERE sha256 = ?1)",
            (sha256, now_ns),
        )
        if done.rowcount:
            db.execute("DELETE FROM blocks WHERE sha256 = ?", (sha256,))
            count += 1
    return count


def reopen(db: sqlite3.Connection, keys: Iterable[tuple[str, str]]) -> None:
    """Something of these deleted parts came back: it is to be destroyed again."""
    db.executemany("UPDATE deletions SET done_ns = NULL WHERE device = ? AND part = ?", keys)


def pending(db: sqlite3.Connection, most: int) -> list[tuple[str, str]]:
    """(device, part) that are not done, oldest first."""
    rows = db.execute(
        "SELECT device, part FROM deletions WHERE done_ns IS NULL ORDER BY at_ns LIMIT ?", (most,)
    )
    return [(row["device"], row["part"]) for row in rows]


def doomed_objects(db: sqlite3.Connection, most: int) -> list[Gone]:
    """Objects that are still to be removed."""
    rows = db.execute(
        "SELECT sha256, object FROM gone_blocks WHERE removed_ns IS NULL LIMIT ?", (most,)
    )
    return [Gone(row["sha256"], row["object"]) for row in rows]


def removed(db: sqlite3.Connection, gone: Sequence[Gone], now_ns: int) -> None:
    """These are."""
    db.executemany(
        "UPDATE gone_blocks SET removed_ns = ? WHERE sha256 = ?",
        [(now_ns, one.sha256) for one in gone],
    )


def any_to_forget(db: sqlite3.Connection, now_ns: int) -> bool:
    """Whether :func:`forget` has something to do."""
    found = db.execute(
        "SELECT 1 FROM gone_blocks WHERE removed_ns < ? LIMIT 1", (now_ns - LINGER_NS,)
    ).fetchone()
    return found is not None


def forget(db: sqlite3.Connection, now_ns: int) -> None:
    """Forget what was removed so long ago that nobody can have looked at it before."""
    db.execute("DELETE FROM gone_blocks WHERE removed_ns < ?", (now_ns - LINGER_NS,))


def is_deleted(db: sqlite3.Connection, device: str, part: str) -> bool:
    """Whether there is a tombstone of it."""
    found = db.execute(
        "SELECT 1 FROM deletions WHERE device = ? AND part = ?", (device, part)
    ).fetchone()
    return found is not None


def any_gone(db: sqlite3.Connection, blocks: Iterable[str]) -> bool:
    """Whether one of *blocks* is being removed, or was a moment ago."""
    return any(
        db.execute("SELECT 1 FROM gone_blocks WHERE sha256 = ?", (one,)).fetchone()
        for one in blocks
    )


def find(db: sqlite3.Connection, part: str, device: str | None) -> list[tuple[Deleted, int | None]]:
    """Each tombstone of *part* (of *device*), and when it was done."""
    rows = db.execute(
        "SELECT * FROM deletions WHERE part = ?1 AND (?2 IS NULL OR device = ?2)", (part, device)
    )
    return [(as_record(row), row["done_ns"]) for row in rows]


def as_record(row: sqlite3.Row) -> Deleted:
    """The tombstone that the row was made from."""
    return Deleted(
        *(row["device"], row["part"], row["recording"], row["at_ns"], row["rule"]),
        *(row["reason"], row["class"], row["bytes"], row["sha256"], row["envelope"]),
    )
