"""One key that can really be overwritten: the interface, and the root that is a file.

Overwriting the key is the atomic commit and the erasure of the shred store
(docs/shred-format.md).
"""

import struct
import zlib
from pathlib import Path
from typing import Literal, Protocol

from greffier.durable import Disk
from greffier.errors import IntegrityError

DeletionClass = Literal["A", "B", "C"]
COPIES = ("a", "b")
"""The folders of the shred store's two copies."""
KEY_FILE = "effaceable.key"

_MAGIC = bytes.fromhex("894753450D0A1A0A")
_FORM = struct.Struct(">8sQ32s")


class EffaceableRoot(Protocol):
    """32 bytes that exist in one place and can be overwritten for good."""

    @property
    def class_name(self) -> DeletionClass:
        """What overwriting is worth: A proof against opening the chips, C not."""

    def read(self) -> bytes:
        """The 32 bytes. What was answered once, no power cut takes back.

        Raises IntegrityError, StorageFailed.
        """

    def peek(self) -> list[bytes]:
        """Every key that a copy holds, the newest first; nothing is mended, for who only verifies.

        Raises StorageFailed, IntegrityError where the place of the key cannot be looked at.
        """

    def replace(self, new: bytes) -> None:
        """Overwrite by 32 *new* bytes, atomically and durably.

        Raises StorageFailed, and then only :meth:`read` knows which bytes there are.
        """


class BadEffaceable(ValueError):
    """The bytes are no effaceable key file; ``offset`` says where that showed."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(f"{reason} at offset {offset}")
        self.reason = reason
        self.offset = offset


def parse_effaceable(data: bytes) -> tuple[int, bytes]:
    """(sequence, key) of an effaceable key file (docs/shred-format.md). Raises BadEffaceable."""
    if len(data) != _FORM.size + 4:
        raise BadEffaceable("wrong length", len(data))
    magic, sequence, key = _FORM.unpack_from(data)
    if magic != _MAGIC:
        raise BadEffaceable("wrong magic", 0)
    if zlib.crc32(data[: _FORM.size]) != int.from_bytes(data[_FORM.size :], "big"):
        raise BadEffaceable("wrong checksum", _FORM.size)
    return sequence, key


def write_effaceable(sequence: int, key: bytes) -> bytes:
    """The bytes of an effaceable key file."""
    body = _FORM.pack(_MAGIC, sequence, key)
    return body + zlib.crc32(body).to_bytes(4, "big")


class FileRoot:
    """Class C: the key is a file, in two copies. Old blocks may survive in flash, so we say so."""

    class_name: DeletionClass = "C"

    def __init__(self, disk: Disk, first: Path, second: Path) -> None:
        self._disk = disk
        self._copies = (first, second)

    def read(self) -> bytes:
        found = {path: parsed for path in self._copies if (parsed := _valid(path))}
        if not found:
            raise IntegrityError(what="the effaceable key", reason="no copy can be read")
        newest = max(found.values(), key=lambda one: one[0])  # of equal ones the first copy
        for path in self._copies:
            if found.get(path) != newest:
                self._disk.write_file(path, write_effaceable(*newest))
        return newest[1]

    def peek(self) -> list[bytes]:
        found = {parsed for path in self._copies if (parsed := _valid(path))}
        return [key for _sequence, key in sorted(found, reverse=True)]

    def replace(self, new: bytes) -> None:
        if len(new) != 32:
            raise ValueError("an effaceable key has 32 bytes")
        sequences = [parsed[0] for path in self._copies if (parsed := _valid(path))]
        data = write_effaceable(max(sequences, default=0) + 1, new)
        for path in self._copies:
            self._disk.write_file(path, data)


def _valid(path: Path) -> tuple[int, bytes] | None:
    try:
        return parse_effaceable(path.read_bytes())
    except (OSError, BadEffaceable):
        return None
