"""The file of tombstones: which parts head office destroyed, and by which rule. Only ever grows.

docs/office-directory.md, "Tombstones". A record is durable before anything is destroyed, and lies
outside the databases, so that no backup of them brings a deleted part back.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from greffier import canonical
from greffier.audit import segments
from greffier.audit.segments import BadFrame
from greffier.durable import Disk, Lock
from greffier.errors import AlreadyThere, IntegrityError
from greffier.sync import topics

RULES: Final = frozenset({"DELETE_DUE", "DELETE_ASKED"})
_LONGEST_TORN: Final = 1 << 20
_TIME: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_REASON: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,47}|", re.ASCII)


class BadRecord(ValueError):
    """Bytes are no record of a tombstone file."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """``part`` of ``device`` is destroyed from here on; ``at_ns`` is head office's own clock.

    ``rule`` is ``DELETE_DUE`` (its maximum) or ``DELETE_ASKED`` (its box destroyed the key, for
    ``reason``), ``deletion`` the class; ``size`` (octets), ``sha256`` and ``envelope`` (SHA-256 of
    the block) say what was destroyed.
    """

    device: str
    part: str
    recording: str
    at_ns: int
    rule: str
    reason: str
    deletion: str
    size: int
    sha256: str
    envelope: str


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing of ``part`` of ``device`` is left: its envelope's key and its objects are gone."""

    device: str
    part: str
    at_ns: int


Record = Deleted | Done


def encode(record: Record) -> bytes:
    """The canonical bytes of *record*. Raises BadRecord where a value has not its form."""
    value: dict[str, Any] = {
        "v": 1,
        "device": record.device,
        "part": record.part,
        "at_ns": str(record.at_ns),
    }
    if isinstance(record, Done):
        value |= {"is": "done"}
    else:
        value |= {
            "is": "deleted",
            "recording": record.recording,
            "rule": record.rule,
            "reason": record.reason,
            "class": record.deletion,
            "bytes": record.size,
            "sha256": record.sha256,
            "envelope": record.envelope,
        }
    data = canonical.dump(value)
    decode(data)
    return data


def decode(data: bytes) -> Record:
    """The record whose canonical bytes are *data*. Raises BadRecord for anything else."""
    try:
        value = canonical.load(data)
        common = {"v", "is", "device", "part", "at_ns"}
        done = value["is"] == "done"
        wanted = common if done else common | _MORE
        if value.keys() != wanted or type(value["v"]) is not int or value["v"] != 1:
            raise BadRecord("keys are missing or unknown, or another version")
        if not done and value["is"] != "deleted":
            raise BadRecord("of an unknown kind")
        if not topics.is_device(value["device"]) or not _ID.fullmatch(value["part"]):
            raise BadRecord("no device or no part")
        if not _TIME.fullmatch(value["at_ns"]) or int(value["at_ns"]) >= 2**63:
            raise BadRecord("no time")
        name = value["device"], value["part"]
        if done:
            return Done(*name, int(value["at_ns"]))
        return _deleted(name, value)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadRecord(str(error)) from None


_MORE: Final = {"recording", "rule", "reason", "class", "bytes", "sha256", "envelope"}


def _deleted(name: tuple[str, str], value: dict[str, Any]) -> Deleted:
    good = (
        _ID.fullmatch(value["recording"])
        and value["rule"] in RULES
        and _REASON.fullmatch(value["reason"])
        and bool(value["reason"]) == (value["rule"] == "DELETE_ASKED")
        and value["class"] in ("A", "B", "C")
        and type(value["bytes"]) is int
        and value["bytes"] >= 0
        and _HASH.fullmatch(value["sha256"])
        and _HASH.fullmatch(value["envelope"])
    )
    if not good:
        raise BadRecord("a value has not its form")
    return Deleted(
        *name,
        value["recording"],
        int(value["at_ns"]),
        value["rule"],
        value["reason"],
        value["class"],
        value["bytes"],
        value["sha256"],
        value["envelope"],
    )


def read_from(data: bytes, at: int = 0) -> tuple[list[Record], int]:
    """The records of *data* from octet *at* on, and where the last whole one ends.

    What follows that was never acknowledged. Raises IntegrityError where a whole record follows
    damage, or is none.
    """
    records: list[Record] = []
    while at < len(data):
        try:
            raw = segments.frame_at(data, at)
        except BadFrame as error:
            if any(_is_record(data, later) for later in _later(data, at)):
                raise IntegrityError(what="the tombstones", reason=str(error)) from None
            break
        try:
            records.append(decode(raw))
        except BadRecord as error:
            raise IntegrityError(what="the tombstones", reason=f"{error} (at {at})") from None
        at += segments.HEAD_BYTES + len(raw)
    return records, at


def _later(data: bytes, at: int) -> Iterator[int]:
    if len(data) - at > _LONGEST_TORN:
        raise IntegrityError(what="the tombstones", reason=f"damaged at octet {at}")
    return iter(range(at + 1, len(data) - segments.HEAD_BYTES))


def _is_record(data: bytes, at: int) -> bool:
    if int.from_bytes(data[at : at + 4], "big") > len(data) - at - segments.HEAD_BYTES:
        return False
    try:
        segments.frame_at(data, at)
    except BadFrame:
        return False
    return True


class Tombstones:
    """The folder ``deletions``. Whoever appends holds :meth:`lock`; anybody may read."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk
        self.path = folder / "tombstones"

    def lock(self) -> Lock:
        """The right to delete. Raises Busy, StorageFailed."""
        self._disk.make_dirs(self._folder)
        return self._disk.lock(self._folder / "lock")

    def read(self, at: int = 0) -> tuple[list[Record], int]:
        """The records from octet *at* on, and where the last whole one ends. Raises
        IntegrityError."""
        try:
            with self.path.open("rb") as file:
                file.seek(at)
                records, end = read_from(file.read())
        except FileNotFoundError:
            return [], 0
        return records, at + end

    @property
    def size(self) -> int:
        """How many octets the file has; 0 where there is none."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, records: Sequence[Record], at: int) -> int:
        """Make *records* durable from octet *at* on, where the last whole record ends.

        What an append that was cut short left behind it is cut first. Returns where the file ends.
        Raises StorageFailed: nothing is promised then.
        """
        data = b"".join(segments.frame(encode(one)) for one in records)
        try:
            appender = self._disk.create(self.path)
        except AlreadyThere:
            if at < self.size:
                self._disk.truncate_to(self.path, at)
            appender = self._disk.open(self.path)
        try:
            appender.append(data)
            appender.sync()
            return appender.size
        finally:
            appender.close()
