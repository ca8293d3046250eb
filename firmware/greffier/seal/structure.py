"""The structure of a part without any key: whole frames, and what a scan finds after a power cut.

Format, states and numbers of refusals: docs/part-format.md.
"""

import hashlib
import io
import struct
import zlib
from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO

from greffier.seal import header
from greffier.seal.frames import LARGEST_SEALED, NO_LEG, TAG_BYTES, FrameType
from greffier.seal.header import BadPart, Header

HEAD_BYTES = 16
# What the end of a torn file looks like; other refusals are never excused.
TORN = frozenset({11, 12, 13, 19})

_HEAD = struct.Struct(">IBBHII")
_AHEAD = 64  # how far beyond the expected number a scan looks for a following frame
_TYPES = {int(kind): kind for kind in FrameType}


class State(Enum):
    """What a scan without keys finds."""

    COMPLETE = "complete"
    TORN = "torn"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Scan:
    """The result of a scan.

    ``good`` is the end of the last good frame (the offset to cut a torn file at), ``frames`` how
    many good frames there are before FINAL, ``final`` whether FINAL is among the good, ``sha256``
    the hash of the good bytes, ``refusal`` what stopped the scan (None when complete).
    """

    state: State
    good: int
    frames: int
    final: bool
    sha256: bytes
    refusal: BadPart | None


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A frame of good structure, still encrypted."""

    offset: int
    head: bytes
    sealed: bytes
    kind: FrameType
    leg: int
    seq: int

    @property
    def end(self) -> int:
        return self.offset + _HEAD.size + len(self.sealed)


class SourceFile:
    """Reading at an offset; *size* is taken once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, io.SEEK_END)

    def read(self, offset: int, size: int) -> bytes:
        """The *size* bytes at *offset*, fewer only where the file ends."""
        self._file.seek(offset)
        found = self._file.read(size)
        while len(found) < size and (more := self._file.read(size - len(found))):
            found += more
        return found


def read_header(file: SourceFile) -> Header:
    """The header with which *file* begins. Raises BadPart (1 to 9)."""
    sizes = header.lengths(file.read(0, header.FIXED_BYTES))
    whole = header.FIXED_BYTES + sum(sizes) + header.COMMITMENT_BYTES + 4
    return header.parse(file.read(0, whole))


def scan(file: SourceFile, part: Header, committed: int | None) -> Scan:
    """See :meth:`greffier.seal.reader.Reader.scan`."""
    good, seq, final = part.size, 0, False
    digest = hashlib.sha256(bytes(part))
    refusal: BadPart | None = None
    while not final and good < file.size:
        try:
            raw = frame_at(file, good, seq)
        except BadPart as error:
            refusal = error
            break
        digest.update(raw.head + raw.sealed)
        final, good = raw.kind is FrameType.FINAL, raw.end
        seq += not final
    if refusal is None and not (final and good == file.size):
        refusal = BadPart(18 if final else 19, good)
    if refusal is None:
        state = State.COMPLETE
    elif final or _is_torn(file, refusal, good, seq, committed):
        state = State.TORN
    else:
        state = State.DAMAGED
    return Scan(state, good, seq, final, digest.digest(), refusal)


def _is_torn(
    file: SourceFile, refusal: BadPart, good: int, seq: int, committed: int | None
) -> bool:
    if committed is not None:
        return good >= committed
    return refusal.number in TORN and not _followed(file, good, seq)


def frame_at(file: SourceFile, offset: int, seq: int) -> RawFrame:
    """The frame *seq* at *offset*, its structure checked. Raises BadPart (11 to 17)."""
    raw = _any_frame_at(file, offset)
    if raw.seq != seq:
        raise BadPart(17, offset)
    return raw


def _any_frame_at(file: SourceFile, offset: int) -> RawFrame:
    """The frame of any number at *offset*. Raises BadPart (11 to 16)."""
    head = file.read(offset, _HEAD.size)
    if len(head) < _HEAD.size:
        raise BadPart(11, offset)
    length, kind, leg, zero, seq, crc = _HEAD.unpack(head)
    if not TAG_BYTES < length <= LARGEST_SEALED:
        raise BadPart(12, offset)
    if file.size - offset - _HEAD.size < length:
        raise BadPart(11, offset)
    sealed = file.read(offset + _HEAD.size, length)
    if len(sealed) < length:
        raise BadPart(11, offset)
    if zlib.crc32(sealed, zlib.crc32(head[:12])) != crc:
        raise BadPart(13, offset)
    if kind not in _TYPES:
        raise BadPart(14, offset)
    if zero:
        raise BadPart(15, offset)
    if (leg == NO_LEG) == _TYPES[kind].has_leg:
        raise BadPart(16, offset)
    return RawFrame(offset, head, sealed, _TYPES[kind], leg, seq)


def _followed(file: SourceFile, good: int, seq: int) -> bool:
    """Whether a whole frame with one of the next numbers begins anywhere after *good*."""
    tail = file.read(good, file.size - good)
    for number in range(seq + 1, min(seq + _AHEAD, 0xFFFFFFFF) + 1):
        wanted = b"\0\0" + number.to_bytes(4, "big")
        at = tail.find(wanted, 7)
        while at >= 0:
            try:
                _any_frame_at(file, good + at - 6)
            except BadPart:
                at = tail.find(wanted, at + 1)
            else:
                return True
    return False
