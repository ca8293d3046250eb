"""Everything that head office holds, read again and compared with what somebody signed.

Nothing of the catalogue is believed: the entries of each log come from their objects, are hashed
into a tree, and the tree is compared with the checkpoints that the box signed and head office
cosigned. What the entries then say decides about parts, receipts and envelopes.
"""

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from greffier import merkle
from greffier.audit import entry as entries
from greffier.audit import note, receipt, segments
from greffier.audit.entry import BadEntry, Entry, UnreadEntry
from greffier.audit.note import BadNote, VerifierKey
from greffier.audit.receipt import BadReceipt
from greffier.audit.segments import BadFrame
from greffier.errors import IntegrityError, StorageFailed
from greffier_office.objects import Missing
from greffier_office.stored import Holdings, StoredPart

State = Literal["authentic", "altered", "cannot_tell"]
MOST_FOUND: Final = 100
"""Problems that are named of each check; more are counted."""


@dataclass(slots=True)
class Check:
    """One thing that was looked at, *count* times. ``altered`` and ``missing`` name what was found;
    what is missing proves nothing against anybody."""

    name: str
    count: int = 0
    altered: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """As ``verify --json`` prints it."""
        return {
            "name": self.name,
            "ok": not self.altered and not self.missing,
            "count": self.count,
            "altered": self.altered[:MOST_FOUND],
            "missing": self.missing[:MOST_FOUND],
            "found": len(self.altered) + len(self.missing),
        }


@dataclass(frozen=True, slots=True)
class _Said:
    """What a verified log says of a part."""

    size: int
    sha256: str
    envelope: str | None


class Checking:
    """One verification of everything; *keys* are those of receipts and of cosignatures."""

    def __init__(self, held: Holdings, keys: tuple[VerifierKey, ...]) -> None:
        self._held = held
        self._keys = keys
        self._said: dict[tuple[str, str], _Said] = {}
        self._received: set[tuple[str, str]] = set()
        self.logs = Check("logs")
        self.cosignatures = Check("cosignatures")
        self.forks = Check("forks")
        self.parts = Check("parts")
        self.receipts = Check("receipts")
        self.envelopes = Check("envelopes")

    def run(self) -> list[Check]:
        """Read all of it. Raises StorageFailed, BadDatabase."""
        for row in self._held.db.execute(
            "SELECT d.log_key, l.* FROM logs AS l JOIN devices AS d USING (device)"
        ).fetchall():
            self.check_log(row)
        for row in self._held.db.execute("SELECT device, reason FROM forks"):
            self.forks.count += 1
            self.forks.altered.append(f"{row['device']}: {row['reason']}")
        for part in self._held.parts():
            if part.deleted_ns is not None:
                self._received.discard((part.device, part.part))
            elif part.stored_ns is not None:
                self._received.discard((part.device, part.part))
                self._check_part(part)
        self.parts.missing += [f"{device}/{part}" for device, part in sorted(self._received)]
        return [
            *(self.logs, self.cosignatures, self.forks),
            *(self.parts, self.receipts, self.envelopes),
        ]

    def check_log(self, row: sqlite3.Row) -> None:
        """Its entries give the roots of both checkpoints, which are signed; *row*: of ``logs``."""
        device = row["device"]
        self.logs.count += 1
        frontier = merkle.Frontier()
        heads = self._heads(row)
        wanted = [(one.checkpoint.size, one.checkpoint.root) for one in heads.values()]
        opened: dict[str, str] = {}
        strange: Counter[str] = Counter()
        try:
            for entry, raw in self.entries(device):
                frontier.append(merkle.leaf_hash(raw))
                if isinstance(entry, Entry):
                    self._read(device, entry, opened)
                else:
                    strange[entry.ev] += 1
                for size, root in wanted:
                    if size == frontier.size and root != frontier.root():
                        self.logs.altered.append(f"{device}: another root at {size}")
        except Missing as error:
            self.logs.missing.append(f"{device}: {error.fields['path']}")
        except (BadFrame, BadEntry, _Wrong) as error:
            self.logs.altered.append(f"{device}: entry {frontier.size}: {error}")
        else:
            if frontier.size != row["size"]:
                self.logs.missing.append(f"{device}: entries from {frontier.size} on")
        self.logs.missing += [
            f"{device}: what {times} entries of kind {ev} say: update head office"
            for ev, times in sorted(strange.items())
        ]
        if row["size"] and "head" not in heads:
            self.logs.missing.append(f"{device}: a signed checkpoint")
        self._check_cosigned(device, row, heads.get("cosigned"), frontier)

    def _heads(self, row: sqlite3.Row) -> dict[str, note.Opened]:
        """The signed checkpoints of a log, by their column."""
        heads: dict[str, note.Opened] = {}
        for name in ("head", "cosigned"):
            try:
                if row[name]:
                    key = note.read_key(row["log_key"])
                    heads[name] = note.open_checkpoint(row[name].encode(), key, self._keys)
            except BadNote as error:
                self.logs.altered.append(f"{row['device']}: {name}: {error}")
        return heads

    def _check_cosigned(
        self, device: str, row: sqlite3.Row, head: note.Opened | None, frontier: merkle.Frontier
    ) -> None:
        self.cosignatures.count += 1
        if head is None or not head.cosignatures:
            self.cosignatures.missing.append(device)
        elif head.checkpoint.size != row["cosigned_size"]:
            self.cosignatures.altered.append(f"{device}: it is of {head.checkpoint.size} entries")
        elif head.checkpoint.size > frontier.size:
            self.cosignatures.missing.append(f"{device}: the entries that it is of")

    def entries(self, device: str) -> Iterator[tuple[Entry | UnreadEntry, bytes]]:
        """From the objects, in order. Raises Missing, BadFrame, BadEntry, StorageFailed."""
        due = 0
        for row in self._held.db.execute(
            "SELECT first, end, object, sha256 FROM batches WHERE device = ? ORDER BY first",
            (device,),
        ):
            if row["first"] != due:
                raise Missing(path=f"{device}: entries {due} .. {row['first']}")
            raw = self._held.objects.get(row["object"])
            if hashlib.sha256(raw).hexdigest() != row["sha256"]:
                raise _Wrong(f"{row['object']} has another SHA-256")
            for _, one in segments.frames(raw):
                try:
                    entry: Entry | UnreadEntry = entries.decode(one)
                except UnreadEntry as error:  # a newer program's: its octets count all the same
                    entry = error
                if entry.seq != due:
                    raise _Wrong(f"it says that it is {entry.seq}")
                yield entry, one
                due += 1
            if due != row["end"]:
                raise _Wrong(f"{row['object']} holds entries up to {due}")

    def _read(self, device: str, entry: Entry, opened: dict[str, str]) -> None:
        if entry.ev == "part.opened":
            opened.setdefault(entry.data["part"], entry.data.get("envelope", ""))
        elif entry.ev == "part.received":
            self._received.add((device, entry.data["part"]))
        elif entry.ev in ("part.sealed", "part.recovered"):
            part = entry.data["part"]
            self._said[(device, part)] = _Said(
                entry.data["bytes"], entry.data["sha256"], opened.get(part)
            )

    def _check_part(self, part: StoredPart) -> None:
        name = f"{part.device}/{part.part}"
        said = self._said.get((part.device, part.part))
        self.parts.count += 1
        if said is None:
            self.parts.missing.append(f"{name}: the log does not name it")
            return
        self._check_octets(part, name, said)
        self._check_receipt(part, name, said)
        self.envelopes.count += 1
        try:
            block = self._held.envelope(part)
        except IntegrityError:
            self.envelopes.altered.append(name)
            return
        if block is None:
            self.envelopes.missing.append(name)
        elif hashlib.sha256(block).hexdigest() != said.envelope:
            self.envelopes.altered.append(name)

    def _check_octets(self, part: StoredPart, name: str, said: _Said) -> None:
        whole = hashlib.sha256()
        size = 0
        for row in self._held.blocks(part):
            try:
                octets = self._held.objects.get(row["object"])
            except StorageFailed as error:
                self.parts.missing.append(f"{name}: {error.fields['path']}")
                return
            if hashlib.sha256(octets).hexdigest() != row["sha256"]:
                self.parts.altered.append(f"{name}: {row['object']}")
                return
            whole.update(octets)
            size += len(octets)
        if (size, whole.hexdigest()) != (said.size, said.sha256):
            self.parts.altered.append(name)

    def _check_receipt(self, part: StoredPart, name: str, said: _Said) -> None:
        self.receipts.count += 1
        if part.receipt is None:
            self.receipts.missing.append(name)
            return
        try:
            given = receipt.read(part.receipt.encode(), self._keys).receipt
        except BadReceipt as error:
            self.receipts.altered.append(f"{name}: {error}")
            return
        if (given.device, given.part) != (part.device, part.part) or (
            given.size,
            given.sha256,
            given.envelope,
        ) != (said.size, said.sha256, said.envelope):
            self.receipts.altered.append(f"{name}: it says something else")


class _Wrong(ValueError):
    """An object does not hold what its row says."""


def state_of(checks: list[Check]) -> State:
    """What all *checks* together say."""
    if any(one.altered for one in checks):
        return "altered"
    return "cannot_tell" if any(one.missing for one in checks) else "authentic"
