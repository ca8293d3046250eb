"""Reading a pcapng file (draft-ietf-opsawg-pcapng): sections, interfaces, packet blocks.

Blocks that carry no packets are skipped, whatever their type. Every section may have its own byte
order and its own interfaces, every interface its own link layer, clock unit and clock offset.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from greffier.capture.record import MAX_RECORD, Damaged, Record
from greffier.errors import BadCapture

MAGIC = b"\x0a\x0d\x0d\x0a"
"""Type of the section header block, the same in both byte orders."""

_SECTION, _INTERFACE, _PACKET, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
_BYTE_ORDER = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_MAX_BLOCK = MAX_RECORD + 65_536  # a frame, and options beside it
_MAX_INTERFACES = 4_096
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Interface:
    """What one interface description block says."""

    link_type: int
    snaplen: int
    units: int  # a second has this many clock units
    offset_s: int  # to be added to every time


def records(stream: BinaryIO, name: str) -> Iterator[Record]:
    """The records behind a first block type that is already read.

    Raises BadCapture (at once) if the first section header is damaged; the iterator raises
    Damaged where a later block makes no sense.
    """
    try:
        order, offset = _section(stream, 0)
    except Damaged as found:
        raise BadCapture(path=name, reason=found.reason) from found
    return _follow(stream, order, offset)


def _follow(stream: BinaryIO, order: str, offset: int) -> Iterator[Record]:
    """All packet blocks after the first section header."""
    interfaces: list[_Interface] = []
    now = 0
    while head := stream.read(4):
        if len(head) < 4:
            raise Damaged(offset, "the file ends inside a block header")
        if head == MAGIC:
            order, offset = _section(stream, offset)
            interfaces = []
            continue
        kind = struct.unpack(f"{order}I", head)[0]
        length = _length(stream, order, offset, 12)
        if kind in (_INTERFACE, _PACKET, _SIMPLE, _ENHANCED):
            if length > _MAX_BLOCK:
                raise Damaged(offset, "a block is longer than any frame")
            body = _exactly(stream, length - 12, offset)
            if kind == _INTERFACE:
                if len(interfaces) == _MAX_INTERFACES:
                    raise Damaged(offset, "more interfaces than any machine has")
                interfaces.append(_interface(body, order, offset))
            else:
                if kind == _SIMPLE:
                    record = _simple(body, order, interfaces, now, offset)
                else:
                    record = _packet(kind, body, order, interfaces, offset)
                now = record.time_ns
                yield record
        else:
            _skip(stream, length - 12, offset)
        _trailer(stream, order, length, offset)
        offset += length


def _section(stream: BinaryIO, offset: int) -> tuple[str, int]:
    """Read a section header after its type: its byte order and the offset after it."""
    raw = _exactly(stream, 8, offset)
    order = _BYTE_ORDER.get(raw[4:])
    if order is None:
        raise Damaged(offset, "a section header has no byte-order mark")
    length = struct.unpack(f"{order}I", raw[:4])[0]
    if length < 28 or length % 4:
        raise Damaged(offset, "a section header has an impossible length")
    version = struct.unpack(f"{order}H", _exactly(stream, 2, offset))[0]
    if version != 1:
        raise Damaged(offset, f"pcapng version {version} is not known")
    _skip(stream, length - 18, offset)
    _trailer(stream, order, length, offset)
    return order, offset + length


def _interface(body: bytes, order: str, offset: int) -> _Interface:
    """An interface description block's body."""
    if len(body) < 8:
        raise Damaged(offset, "an interface block is too short")
    link_type, snaplen = struct.unpack_from(f"{order}HxxI", body)
    units, offset_s = 1_000_000, 0
    at = 8
    while at + 4 <= len(body):
        code, size = struct.unpack_from(f"{order}HH", body, at)
        value = body[at + 4 : at + 4 + size]
        if code == 0 or len(value) < size:
            break
        if code == 9 and size == 1:  # if_tsresol
            exponent = value[0] & 0x7F
            if exponent > 63:
                raise Damaged(offset, "an interface has an impossible clock")
            units = 2**exponent if value[0] & 0x80 else 10**exponent
        elif code == 14 and size == 8:  # if_tsoffset
            offset_s = struct.unpack(f"{order}q", value)[0]
        at += 4 + size + (-size % 4)
    return _Interface(link_type, snaplen, units, offset_s)


def _simple(body: bytes, order: str, interfaces: list[_Interface], now: int, offset: int) -> Record:
    """The record in a simple packet block, which has no time of its own: *now* is the latest."""
    if len(body) < 4:
        raise Damaged(offset, "a packet block is too short")
    length = struct.unpack_from(f"{order}I", body)[0]
    interface = _which(interfaces, 0, offset)
    limit = interface.snaplen or MAX_RECORD
    return Record(now, interface.link_type, body[4 : 4 + min(length, limit)], length)


def _packet(
    kind: int, body: bytes, order: str, interfaces: list[_Interface], offset: int
) -> Record:
    """The record in an enhanced or an obsolete packet block."""
    if len(body) < 20:
        raise Damaged(offset, "a packet block is too short")
    layout = f"{order}IIIII" if kind == _ENHANCED else f"{order}HxxIIII"
    number, high, low, kept, length = struct.unpack_from(layout, body)
    interface = _which(interfaces, number, offset)
    if kept > len(body) - 20:
        raise Damaged(offset, "a packet is longer than its block")
    ticks = high << 32 | low
    time_ns = ticks * _SECOND // interface.units + interface.offset_s * _SECOND
    return Record(time_ns, interface.link_type, body[20 : 20 + kept], length)


def _which(interfaces: list[_Interface], number: int, offset: int) -> _Interface:
    """The interface of that number in this section."""
    if number >= len(interfaces):
        raise Damaged(offset, "a packet names an interface that was not described")
    return interfaces[number]


def _length(stream: BinaryIO, order: str, offset: int, least: int) -> int:
    """The total length of the block whose type was read."""
    length: int = struct.unpack(f"{order}I", _exactly(stream, 4, offset))[0]
    if length < least or length % 4:
        raise Damaged(offset, "a block has an impossible length")
    return length


def _trailer(stream: BinaryIO, order: str, length: int, offset: int) -> None:
    """Read the second length of a block, which must repeat the first."""
    if struct.unpack(f"{order}I", _exactly(stream, 4, offset))[0] != length:
        raise Damaged(offset, "the two lengths of a block differ")


def _exactly(stream: BinaryIO, size: int, offset: int) -> bytes:
    """*size* bytes, or Damaged."""
    data = stream.read(size)
    if len(data) < size:
        raise Damaged(offset, "the file ends inside a block")
    return data


def _skip(stream: BinaryIO, size: int, offset: int) -> None:
    """Pass over *size* bytes in small steps: their number comes from the file."""
    while size > 0:
        size -= len(_exactly(stream, min(size, 65_536), offset))
