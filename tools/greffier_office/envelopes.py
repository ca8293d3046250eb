"""Head office's envelopes: a table of its own, each row sealed under the key of its group.

docs/office-directory.md, "Envelopes". A group is the day on which its parts end, so that a day's
key goes with the last of them; where one leaves earlier the others are sealed anew under another.
A key is *retired* in the table before that, so no process seals anything more under it.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from greffier.clock import SECOND
from greffier.durable import Disk
from greffier_office import migrations, schema
from greffier_office.copies import Kept
from greffier_office.envelope_keys import EnvelopeKeys
from greffier_office.migrations import transaction

CHUNK: Final = 256
"""Rows that are sealed anew in one transaction: a receipt waits for one at most."""
STRAY_S: Final = 86_400
"""A key file without a row is older than any commit that could still name it."""
MOST_STRAYS: Final = 16
"""More of them than kills leave in a day: nothing is destroyed then."""
Key = tuple[str, str]
"""(device, part)."""


@dataclass(frozen=True, slots=True)
class Sealing:
    """An envelope to be kept: ``block`` as the box sent it, ``until_ns`` when its part must go.

    None: nobody knows, or nothing makes it.
    """

    device: str
    part: str
    block: bytes
    until_ns: int | None


class Envelopes:
    """One connection, and the folder of the keys. One thread owns it."""

    def __init__(self, db: sqlite3.Connection, path: Path, keys: EnvelopeKeys) -> None:
        self.db = db
        self.path = path
        self.keys = keys
        db.execute("PRAGMA secure_delete = ON").fetchall()

    @classmethod
    def open(cls, path: Path, keys: Path, disk: Disk) -> Self:
        """The table in the file *path*, whose keys lie in *keys*. Raises BadDatabase,
        StorageFailed."""
        return cls(migrations.connect(path, schema.ENVELOPES, disk), path, EnvelopeKeys(keys, disk))

    def close(self) -> None:
        """Let the file go."""
        self.db.close()

    def put(self, sealings: Sequence[Sealing], now_ns: int) -> None:
        """Keep them, durably at return. Raises StorageFailed, IntegrityError."""
        with transaction(self.db, self.path) as db:
            for one in sealings:
                key = self._key_of(db, _group(one.until_ns, now_ns))
                sealed = self.keys.seal(key, one.device, one.part, one.block)
                db.execute(
                    "INSERT OR REPLACE INTO envelopes (device, part, block, stored_ns, key)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (one.device, one.part, sealed, now_ns, key),
                )

    def group(self, device: str, part: str) -> str:
        """The group that the envelope of a part belongs to; "-" where nobody knows."""
        row = self.db.execute(
            "SELECT k.until FROM envelopes AS e JOIN keys AS k USING (key)"
            " WHERE device = ? AND part = ?",
            (device, part),
        ).fetchone()
        return str(row["until"]) if row else "-"

    def put_back(self, kept: Sequence[Kept], now_ns: int) -> None:
        """Envelopes of a sealed copy, each into its group, durably. Raises StorageFailed."""
        with transaction(self.db, self.path) as db:
            for one in kept:
                key = self._key_of(db, one.group)
                sealed = self.keys.seal(key, one.device, one.part, one.block)
                db.execute(
                    "INSERT OR REPLACE INTO envelopes (device, part, block, stored_ns, key)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (one.device, one.part, sealed, now_ns, key),
                )

    def get(self, device: str, part: str) -> bytes | None:
        """The envelope block of a part; None where there is none, or its key was destroyed.

        Raises IntegrityError where it was altered, or its key was.
        """
        row = self.db.execute(
            "SELECT block, key FROM envelopes WHERE device = ? AND part = ?", (device, part)
        ).fetchone()
        if row is None:
            return None
        if row["key"] is None:
            return bytes(row["block"])
        if self.keys.is_gone(row["key"]):
            return None
        return self.keys.open(row["key"], device, part, bytes(row["block"]))

    def names(self) -> Iterator[Key]:
        """Whose envelopes there are."""
        for row in self.db.execute("SELECT device, part FROM envelopes"):
            yield row["device"], row["part"]

    def ages(self) -> Iterator[tuple[Key, int]]:
        """Whose envelopes there are, and since when (ns)."""
        for row in self.db.execute("SELECT device, part, stored_ns FROM envelopes"):
            yield (row["device"], row["part"]), row["stored_ns"]

    def destroy(self, doomed: Iterable[Key], now_ns: int, before_ns: int = 2**63 - 1) -> None:
        """Make these envelopes unreadable for good; what is not there is fine.

        Those that came at *before_ns* or later stay. Killed anywhere, the same call, or
        :meth:`finish`, goes on. Raises StorageFailed, IntegrityError.
        """
        names = list(doomed)
        for at in range(0, len(names), CHUNK):
            with transaction(self.db, self.path) as db:
                for device, part in names[at : at + CHUNK]:
                    db.execute(
                        "UPDATE keys SET retired_ns = ? WHERE retired_ns IS NULL AND key ="
                        " (SELECT key FROM envelopes"
                        " WHERE device = ? AND part = ? AND stored_ns < ?)",
                        (now_ns, device, part, before_ns),
                    )
                    db.execute(
                        "DELETE FROM envelopes WHERE device = ? AND part = ? AND stored_ns < ?",
                        (device, part, before_ns),
                    )
        self.finish(now_ns)

    def finish(self, now_ns: int) -> None:
        """Seal anew what lies under retired keys, or under none, and destroy those keys.

        Raises StorageFailed, IntegrityError.
        """
        plain = self._seal_anew(None, now_ns)
        for row in self.db.execute("SELECT key FROM keys WHERE retired_ns IS NOT NULL").fetchall():
            self._seal_anew(row["key"], now_ns)
            self.keys.destroy(row["key"])
            with transaction(self.db, self.path) as db:
                db.execute("DELETE FROM keys WHERE key = ?", (row["key"],))
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        if plain:  # rows of an older version: what SQLite let go of held them as they came
            self.db.execute("VACUUM")
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def remove_strays(self, now_s: float) -> int:
        """Destroy keys that no row names: a kill between file and row left them."""
        named = {row["key"] for row in self.db.execute("SELECT key FROM keys")}
        strays = [
            name
            for name, written_s in self.keys.names().items()
            if name not in named and now_s - written_s > STRAY_S
        ]
        if len(strays) > MOST_STRAYS:  # another table than the one that these keys belong to
            return 0
        for name in strays:
            self.keys.destroy(name)
        return len(strays)

    def _seal_anew(self, old: str | None, now_ns: int) -> int:
        """Bring each row under *old* under the key that its group has now; how many there were."""
        count = 0
        while True:
            with transaction(self.db, self.path) as db:
                rows = db.execute(
                    "SELECT device, part, block, stored_ns FROM envelopes WHERE key IS ? LIMIT ?",
                    (old, CHUNK),
                ).fetchall()
                if not rows:
                    return count
                group = "-" if old is None else _group_of(db, old)
                new = self._key_of(db, group)
                for row in rows:
                    self._move(db, row, old, new)
            count += len(rows)

    def _move(self, db: sqlite3.Connection, row: sqlite3.Row, old: str | None, new: str) -> None:
        device, part, block = row["device"], row["part"], bytes(row["block"])
        if old is not None and self.keys.is_gone(old):  # of a backup older than its destruction
            db.execute("DELETE FROM envelopes WHERE device = ? AND part = ?", (device, part))
            return
        if old is not None:
            block = self.keys.open(old, device, part, block)
        db.execute(
            "UPDATE envelopes SET block = ?, key = ? WHERE device = ? AND part = ?",
            (self.keys.seal(new, device, part, block), new, device, part),
        )

    def _key_of(self, db: sqlite3.Connection, group: str) -> str:
        """The key of *group*, made if there is none that is not retired."""
        for row in db.execute(
            "SELECT key FROM keys WHERE until = ? AND retired_ns IS NULL", (group,)
        ).fetchall():
            if not self.keys.is_gone(row["key"]):
                return str(row["key"])
            # The table is of a backup, older than the end of this key.
            db.execute("UPDATE keys SET retired_ns = 0 WHERE key = ?", (row["key"],))
        name = self.keys.make()
        db.execute("INSERT INTO keys (key, until) VALUES (?, ?)", (name, group))
        return name


def _group(until_ns: int | None, now_ns: int) -> str:
    """The day on which a part ends; of those that have no such day, the month of their coming."""
    if until_ns is None:
        return datetime.fromtimestamp(now_ns // SECOND, UTC).strftime("-%Y-%m")
    try:
        return datetime.fromtimestamp(until_ns // SECOND, UTC).strftime("%Y-%m-%d")
    except (OverflowError, ValueError):
        return "-"


def _group_of(db: sqlite3.Connection, key: str) -> str:
    row = db.execute("SELECT until FROM keys WHERE key = ?", (key,)).fetchone()
    return str(row["until"]) if row else "-"
