"""One chunk of a part: the only payload that is not for people (docs/sync-protocol.md 6). Pure."""

import struct
from dataclasses import dataclass
from typing import Final

from greffier.sync.topics import LARGEST_PAYLOAD

BLOCK: Final = 4_194_304
"""Octets of a block of a part; its last one may be shorter."""
MAGIC: Final = b"GRC1"
_HEAD = struct.Struct(">4s16sQ")
HEAD_BYTES: Final = _HEAD.size
LARGEST_CHUNK: Final = LARGEST_PAYLOAD - _HEAD.size
MOST_BLOCKS: Final = 1600
"""Of a part: as many hashes as fit the payload of an offer."""
LARGEST_PART: Final = MOST_BLOCKS * BLOCK


class BadChunk(ValueError):
    """Bytes are no chunk."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """*data* stands at *offset* of the file of *part* (16 bytes)."""

    part: bytes
    offset: int
    data: bytes | memoryview

    @property
    def block(self) -> int:
        """The number of the block that it is of."""
        return self.offset // BLOCK


def encode(part: bytes, offset: int, data: bytes | memoryview) -> bytes:
    """The payload. Raises BadChunk for a chunk that no receiver would take."""
    _check(offset, len(data))
    return _HEAD.pack(MAGIC, part, offset) + data


def decode(payload: bytes) -> Chunk:
    """The chunk in *payload*; its data is a view of it. Raises BadChunk."""
    if len(payload) <= _HEAD.size:
        raise BadChunk("too short")
    magic, part, offset = _HEAD.unpack_from(payload)
    if magic != MAGIC:
        raise BadChunk("another magic")
    _check(offset, len(payload) - _HEAD.size)
    return Chunk(part, offset, memoryview(payload)[_HEAD.size :])


def blocks_of(size: int) -> int:
    """How many blocks a part of *size* octets has."""
    return -(-size // BLOCK)


def _check(offset: int, size: int) -> None:
    if not 0 < size <= LARGEST_CHUNK:
        raise BadChunk("empty, or too long")
    if offset + size > LARGEST_PART:
        raise BadChunk("beyond the largest part")
    if offset // BLOCK != (offset + size - 1) // BLOCK:
        raise BadChunk("it crosses a border between blocks")
