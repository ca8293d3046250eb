"""The calls journal: what is known about every call, recorded or not (docs/data-directory.md).

Clear parts can be read by anyone who has the file; sealed parts need the epoch's metadata key,
which this process holds only while the epoch runs.
"""

import re
import struct
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from greffier import canonical
from greffier.durable import Appender, Disk
from greffier.durable.system import failed
from greffier.errors import StorageFailed

SUFFIX = ".gcalls"
REQUIRED = ("uid", "line", "start_ns", "end_ns", "recording")
_MAGIC = bytes.fromhex("8947434A0D0A1A0A")
_HEADER = struct.Struct(">8sHHQB")
_LONGEST_HEADER = _HEADER.size + 64 + 4
_LARGEST = 1 << 20
_SMALLEST = 4 + 2 + 16
_PAD = 64
_EPOCH = re.compile(r"[0-9a-z][0-9a-z.-]{0,63}", re.ASCII)
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


class BadJournal(ValueError):
    """The bytes are no journal, or not under this key; ``reason`` and ``offset`` say where."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(f"{reason} at offset {offset}")
        self.reason = reason
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Record:
    """One call as one record told it. ``sealed`` opens with :func:`open_sealed`."""

    epoch: str
    number: int
    offset: int
    clear: Mapping[str, Any]
    sealed: bytes
    associated: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """How far a journal is known: its first *size* bytes hold the records below *number*."""

    size: int
    number: int


@dataclass(frozen=True, slots=True)
class Contents:
    """A journal file: ``good`` bytes of it are whole, ``damaged`` records were skipped.

    ``number`` is that of the record that would follow.
    """

    epoch: str
    opened_ns: int
    records: tuple[Record, ...]
    good: int
    damaged: int
    number: int


def write_header(epoch: str, opened_ns: int) -> bytes:
    """The first bytes of an epoch's journal. Raises ValueError for a name that is none."""
    if not _EPOCH.fullmatch(epoch):
        raise ValueError("an epoch's name is 1 to 64 of 0-9 a-z - .")
    body = _HEADER.pack(_MAGIC, 1, 1, opened_ns, len(epoch)) + epoch.encode("ascii")
    return body + _crc(body)


def seal_record(
    header: bytes, key: bytes, number: int, clear: Mapping[str, Any], sealed: Mapping[str, Any]
) -> bytes:
    """The bytes of record *number*. Raises ValueError: a required key is missing, or too long."""
    _check_clear(clear, 0)
    visible = canonical.dump(dict(clear))
    plain = canonical.dump(dict(sealed))
    plain += b" " * (-len(plain) % _PAD)
    hidden = ChaCha20Poly1305(key).encrypt(
        number.to_bytes(12, "big"), plain, header + number.to_bytes(4, "big") + visible
    )
    body = len(visible).to_bytes(4, "big") + visible + hidden
    if len(body) > _LARGEST:
        raise ValueError("a record of the journal has at most 1 MiB")
    length = len(body).to_bytes(4, "big")
    return length + _crc(length + body) + body


def read(data: bytes, after: Place | None = None) -> Contents:
    """Every whole record of a journal file (behind *after*, if it is given).

    Raises BadJournal if its header is damaged.
    """
    epoch, opened_ns, header = _read_header(data)
    records: list[Record] = []
    offset, number, damaged = len(header), 0, 0
    if after is not None:
        offset, number = after.size, after.number
    while offset < len(data):
        try:
            record = _read_record(data, offset, epoch, number, header)
        except BadJournal:
            behind = _after(data, offset)
            try:
                _read_record(data, behind, epoch, number + 1, header)
            except BadJournal:
                break
            damaged += 1
        else:
            records.append(record)
            behind = _after(data, offset)
        offset = behind
        number += 1
    return Contents(epoch, opened_ns, tuple(records), offset, damaged, number)


def open_sealed(record: Record, key: bytes) -> dict[str, Any]:
    """What *record* says about people. Raises BadJournal if *key* is not its epoch's."""
    try:
        plain = ChaCha20Poly1305(key).decrypt(
            record.number.to_bytes(12, "big"), record.sealed, record.associated
        )
    except InvalidTag:
        raise BadJournal("this key does not open a record", record.offset) from None
    try:
        value = canonical.load(plain.rstrip(b" "))
    except canonical.NotCanonical:
        raise BadJournal("a sealed part is not canonical", record.offset) from None
    if len(plain) % _PAD or not isinstance(value, dict):
        raise BadJournal("a sealed part has a wrong form", record.offset)
    return value


def _crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big")


def _read_header(data: bytes) -> tuple[str, int, bytes]:
    if len(data) < _HEADER.size:
        raise BadJournal("too short", len(data))
    magic, version, suite, opened_ns, length = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise BadJournal("wrong magic", 0)
    if (version, suite) != (1, 1):
        raise BadJournal("unknown version or suite", 8)
    end = _HEADER.size + length
    if len(data) < end + 4:
        raise BadJournal("too short", len(data))
    if _crc(data[:end]) != data[end : end + 4]:
        raise BadJournal("wrong checksum", end)
    epoch = data[_HEADER.size : end].decode("ascii", "replace")
    if not _EPOCH.fullmatch(epoch):
        raise BadJournal("an epoch's name is none", _HEADER.size)
    return epoch, opened_ns, data[: end + 4]


def _after(data: bytes, offset: int) -> int:
    return offset + 8 + int.from_bytes(data[offset : offset + 4], "big")


def _read_record(data: bytes, offset: int, epoch: str, number: int, header: bytes) -> Record:
    if len(data) - offset < 8 + _SMALLEST:
        raise BadJournal("a record is cut", offset)
    length = int.from_bytes(data[offset : offset + 4], "big")
    if not _SMALLEST <= length <= _LARGEST or offset + 8 + length > len(data):
        raise BadJournal("a record has a wrong length", offset)
    body = data[offset + 8 : offset + 8 + length]
    if _crc(data[offset : offset + 4] + body) != data[offset + 4 : offset + 8]:
        raise BadJournal("wrong checksum", offset + 4)
    visible = int.from_bytes(body[:4], "big")
    if 4 + visible + 16 > length:
        raise BadJournal("a clear part is too long", offset + 8)
    clear = body[4 : 4 + visible]
    try:
        value = canonical.load(clear)
    except canonical.NotCanonical:
        raise BadJournal("a clear part is not canonical", offset + 12) from None
    _check_clear(value, offset + 12)
    associated = header + number.to_bytes(4, "big") + clear
    return Record(epoch, number, offset, value, body[4 + visible :], associated)


def _check_clear(value: Any, offset: int) -> None:
    if not isinstance(value, Mapping) or any(key not in value for key in REQUIRED):
        raise BadJournal("a clear part lacks a required key", offset)
    uid, recording = value["uid"], value["recording"]
    if not _is_id(uid) or not (recording is None or _is_id(recording)):
        raise BadJournal("an id is none", offset)
    end = value["end_ns"]
    if not _is_time(value["start_ns"]) or not (end is None or _is_time(end)):
        raise BadJournal("a time is none", offset)
    if not isinstance(value["line"], str):
        raise BadJournal("a line is none", offset)


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _is_time(value: Any) -> bool:
    digits = isinstance(value, str) and value.isascii() and value.isdecimal()
    return digits and len(value) <= 19 and int(value) < 1 << 63


class Journal:
    """The journal of the running epoch. One thread owns it.

    A record is sealed once, under its number, and kept until it is durable: the same bytes are
    written again after a failure, for another record under the same number would break the key.
    """

    def __init__(self, disk: Disk, appender: Appender, header: bytes, key: bytes) -> None:
        self.epoch = appender.path.name.removesuffix(SUFFIX)
        self._disk = disk
        self._path = appender.path
        self._appender: Appender | None = appender  # None: it failed a sync, or was closed
        self._durable = appender.committed
        self._header = header
        self._key = key
        self._number = 0
        self._waiting: list[bytes] = []  # sealed, and not durable
        self._written = 0  # how many of them the appender has taken

    @classmethod
    def create(cls, folder: Path, disk: Disk, epoch: str, opened_ns: int, key: bytes) -> Self:
        """Begin *epoch*, whose metadata key's envelopes are already durable.

        Raises AlreadyThere, StorageFailed.
        """
        header = write_header(epoch, opened_ns)
        appender = disk.create(path_of(folder, epoch))
        try:
            appender.append(header)
            appender.sync()
        except StorageFailed:
            appender.close()
            disk.remove_leftover(appender.path)
            raise
        return cls(disk, appender, header, key)

    @property
    def durable(self) -> int:
        """How many bytes of the file survive a power cut."""
        return self._durable

    @property
    def place(self) -> Place:
        """How far it is durable."""
        return Place(self._durable, self._number - len(self._waiting))

    def append(self, clear: Mapping[str, Any], sealed: Mapping[str, Any]) -> int:
        """Seal a record and return its number; it is durable after the next :meth:`commit`.

        Raises ValueError: a required key is missing, or it is too long.
        """
        raw = seal_record(self._header, self._key, self._number, clear, sealed)
        self._waiting.append(raw)
        self._number += 1
        return self._number - 1

    def commit(self) -> None:
        """Make every record durable. Raises StorageFailed: call it again, nothing is lost.

        After a failed sync the file is abandoned: one with the durable bytes and those that wait
        takes its name.
        """
        if not self._waiting:
            return
        if self._appender is None or self._appender.dead:
            self._renew()
        else:
            for raw in self._waiting[self._written :]:
                self._appender.append(raw)
                self._written += 1
            self._appender.sync()
        self._durable += sum(map(len, self._waiting))
        self._waiting, self._written = [], 0

    def _renew(self) -> None:
        self.let_go()
        try:
            durable = self._path.read_bytes()[: self._durable]
        except OSError as error:
            raise failed(self._path, error) from error
        if len(durable) != self._durable or read(durable).good != self._durable:
            raise StorageFailed(path=self._path, reason="what was durable cannot be read")
        self._disk.write_file(self._path, durable + b"".join(self._waiting))
        self._appender = self._disk.open(self._path)

    def let_go(self) -> None:
        """Close the file without another write; what was not durable may be lost."""
        if self._appender is not None:
            self._appender.close()
        self._appender = None

    def close(self) -> None:
        """Make everything durable and end the epoch. Raises StorageFailed."""
        try:
            self.commit()
        finally:
            self.let_go()


def path_of(folder: Path, epoch: str) -> Path:
    """The file of *epoch* in *folder*."""
    return folder / f"{epoch}{SUFFIX}"


def files(folder: Path) -> list[Path]:
    """Every journal file in *folder*, by name."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if path.is_file())


def records_of(found: Sequence[tuple[int, str, Path, Place | None]]) -> Iterator[Record]:
    """The records of the files *found*, read again: of years they would not fit into memory."""
    for _opened_ns, _epoch, path, place in found:
        yield from read(path.read_bytes(), place).records


def everything(folder: Path, epochs: Collection[str] | None = None) -> Iterator[Record]:
    """The records of all epochs, or of *epochs*, in the order in which they count.

    Unreadable files are passed over; which those are, :func:`recover` reports.
    """
    found: list[tuple[int, str, Path, Place | None]] = []
    for path in files(folder):
        if epochs is not None and path.stem not in epochs:
            continue
        try:
            with path.open("rb") as file:
                epoch, opened_ns, _header = _read_header(file.read(_LONGEST_HEADER))
        except BadJournal:
            continue
        if epoch == path.stem:
            found.append((opened_ns, epoch, path, None))
    yield from records_of(sorted(found, key=lambda one: one[:2]))
