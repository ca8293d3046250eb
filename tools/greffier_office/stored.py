"""What head office holds, for the commands that read it: rows, envelopes, files put together.

Opens nothing with a key and writes nothing but temporary ciphertext. The collector may run.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from greffier.durable import Disk
from greffier.errors import IntegrityError, NotFound
from greffier.language import translate as _
from greffier.store.index import DAY_NS
from greffier_office import deletions, disposal, migrations, schema
from greffier_office.envelopes import Envelopes
from greffier_office.objects import Objects
from greffier_office.place import Office

_SELECT = (
    "SELECT device, part, parts.recording, number, parts.bytes, parts.sha256, end, stored_ns, line,"
    " codec, created_ns, purposes, receipt, d.at_ns AS deleted_ns, d.rule, d.done_ns FROM parts"
    " LEFT JOIN deletions AS d USING (device, part)"
)
_ORDER = " ORDER BY parts.recording, number, part"
Key = tuple[str, str]
"""(device, part)."""


class NotHeld(NotFound):
    """Head office has no such recording, or more than one box has."""

    cause = "head office does not hold {what}"
    step = "list what it holds with `greffier-office calls --office DIR`, and name the device"


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A row of the catalogue: what the log says of a part and, where it is here, its header.

    ``stored_ns`` is None where it is not here (yet, or any more: ``deleted_ns`` says since when,
    ``rule`` why, and ``done_ns`` when nothing was left of it). ``purposes`` maps a purpose to
    (minimum, maximum) days, as the part's clear header says.
    """

    device: str
    part: str
    recording: str
    number: int
    size: int | None
    sha256: str | None
    end: str | None
    stored_ns: int | None
    line: str | None
    codec: str | None
    created_ns: int | None
    purposes: Mapping[str, Any]
    receipt: str | None
    deleted_ns: int | None
    rule: str | None
    done_ns: int | None

    @property
    def min_until_ns(self) -> int | None:
        """Before this no purpose lets it go; None where its header does not tell."""
        days = [int(one[0]) for one in self._terms()]
        return None if self.created_ns is None else self.created_ns + max(days, default=0) * DAY_NS

    @property
    def max_until_ns(self) -> int | None:
        """From here on no purpose keeps it; None if one has no maximum, or nobody knows."""
        terms = self._terms()
        if self.created_ns is None or not terms or any(one[1] is None for one in terms):
            return None
        return self.created_ns + max(int(one[1]) for one in terms) * DAY_NS

    def _terms(self) -> list[Any]:
        return [one for one in self.purposes.values() if isinstance(one, list) and len(one) == 2]


class Holdings:
    """Made by :meth:`open`; one thread owns it."""

    def __init__(
        self, db: sqlite3.Connection, envelopes: Envelopes, objects: Objects, newest: set[Key]
    ) -> None:
        self.db = db
        self.envelopes = envelopes
        self.objects = objects
        self._newest = newest  # deleted, and the rows (of a backup) do not say so yet

    @classmethod
    @contextmanager
    def open(cls, office: Office, disk: Disk) -> Iterator[Self]:
        """What the directory of *office* holds at this instant: the collector may go on.

        A part of which there is a tombstone is not here, also where its rows were brought back by
        a backup. Raises BadDatabase, StorageFailed, IntegrityError.
        """
        db = migrations.connect(office.catalogue, schema.CATALOGUE, disk)
        try:
            db.execute("BEGIN")
            db.execute("SELECT count(*) FROM logs").fetchone()  # from here on rows stay as they are
            records, _end = office.tombstones(disk).read(deletions.kept(db, deletions.OFFSET))
            newest = {(one.device, one.part) for one in records}
            envelopes = office.open_envelopes(disk)
            try:
                yield cls(db, envelopes, Objects(office.store or office.objects, disk), newest)
            finally:
                envelopes.close()
        finally:
            db.close()

    def parts(self, device: str | None = None) -> Iterator[StoredPart]:
        """Every part (of *device*) that a log names, by recording and number."""
        if device is None:
            return map(self._part, self.db.execute(_SELECT + _ORDER))
        return map(self._part, self.db.execute(_SELECT + " WHERE device = ?" + _ORDER, (device,)))

    def named(self, name: str, device: str | None = None) -> list[StoredPart]:
        """The stored parts of the recording *name*, or the part *name*. Raises NotHeld.

        Also where more than one device has such a one and no *device* was named.
        """
        for condition in (" WHERE part = ?", " WHERE parts.recording = ?"):
            rows = map(self._part, self.db.execute(_SELECT + condition + _ORDER, (name,)))
            found = [
                one for one in rows if one.stored_ns is not None and device in (None, one.device)
            ]
            if len({one.device for one in found}) > 1:
                raise NotHeld(what=_("one recording {name}").format(name=name))
            if found:
                return found
        raise NotHeld(what=_("a recording or part {name}").format(name=name))

    def blocks(self, part: StoredPart) -> list[sqlite3.Row]:
        """(sha256, size, object) of each block, in order."""
        return self.db.execute(
            "SELECT b.sha256, b.size, b.object FROM part_blocks AS p JOIN blocks AS b"
            " USING (sha256) WHERE p.device = ? AND p.part = ? ORDER BY p.number",
            (part.device, part.part),
        ).fetchall()

    def envelope(self, part: StoredPart) -> bytes | None:
        """Head office's envelope of the part; None where it is gone."""
        return self.envelopes.get(part.device, part.part)

    def beginning(self, part: StoredPart, size: int) -> bytes:
        """The first octets of its file, at most *size*. Raises StorageFailed, IntegrityError."""
        blocks = self.blocks(part)
        if not blocks:
            raise IntegrityError(what=f"part {part.part}", reason="it has no blocks")
        return self.objects.get(blocks[0]["object"], min(size, blocks[0]["size"]))

    def write(self, part: StoredPart, folder: Path) -> Path:
        """Its file, put together in *folder* and compared with the log's SHA-256.

        Raises StorageFailed, IntegrityError.
        """
        path = folder / f"{part.part}.gpart"
        whole = hashlib.sha256()
        with path.open("wb") as file:
            for row in self.blocks(part):
                octets = self.objects.get(row["object"])
                whole.update(octets)
                file.write(octets)
        if whole.hexdigest() != part.sha256:
            raise IntegrityError(what=f"part {part.part}", reason="another SHA-256 than the log's")
        return path

    def _part(self, row: sqlite3.Row) -> StoredPart:
        told = dict(row)
        told["size"] = told.pop("bytes")
        told["purposes"] = disposal.purposes_of(told["purposes"])
        if (told["device"], told["part"]) in self._newest:
            told |= {"stored_ns": None, "receipt": None, "deleted_ns": told["deleted_ns"] or 0}
        return StoredPart(**told)
