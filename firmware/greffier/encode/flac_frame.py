"""The head of a FLAC frame (RFC 9639 section 9.1): how long it is, and another number for it.

Frames of a fixed-block stream carry their number. A reader that meets frame 7 first takes it for
damage, so frames that are taken out of their stream are numbered anew.
"""

from dataclasses import dataclass

from greffier.encode import BadPayload

_SYNC = b"\xff\xf8"  # fixed block size
_SIZES = {1: 192, **{n: 144 << n for n in range(2, 6)}, **{n: 1 << n for n in range(8, 16)}}
_SIZE_8, _SIZE_16 = 6, 7
_RATE_OCTETS = {12: 1, 13: 2, 14: 2}
_LONGEST_NUMBER = 6
_SHORTEST = 11  # head 6, a constant subframe 3, checksum 2


def _table(polynomial: int, width: int) -> list[int]:
    top, mask = 1 << (width - 1), (1 << width) - 1
    table = []
    for octet in range(256):
        crc = octet << (width - 8)
        for _ in range(8):
            crc = (crc << 1 ^ (polynomial if crc & top else 0)) & mask
        table.append(crc)
    return table


_CRC_8, _CRC_16 = _table(0x07, 8), _table(0x8005, 16)


@dataclass(frozen=True, slots=True)
class Head:
    """*samples* of the frame; the coded number lies in [4, number_end), the CRC-8 at *check*."""

    samples: int
    number_end: int
    check: int


def crc_8(octets: bytes) -> int:
    """RFC 9639 9.1.8: polynomial 0x07 from 0."""
    crc = 0
    for octet in octets:
        crc = _CRC_8[crc ^ octet]
    return crc


def crc_16(octets: bytes) -> int:
    """RFC 9639 9.3: polynomial 0x8005 from 0."""
    crc = 0
    for octet in octets:
        crc = (crc << 8 & 0xFF00) ^ _CRC_16[crc >> 8 ^ octet]
    return crc


def head(frame: bytes) -> Head:
    """Read the head of *frame*. Raises BadPayload unless it is one of a fixed-block stream."""
    if frame[:2] != _SYNC:
        raise BadPayload("no FLAC frame begins here")
    if len(frame) < _SHORTEST:
        raise BadPayload("a FLAC frame is cut short", len(frame))
    number_end = 4 + _number_octets(frame[4])
    size, rate = frame[2] >> 4, frame[2] & 15
    extra = {_SIZE_8: 1, _SIZE_16: 2}.get(size, 0)
    if extra:
        samples = int.from_bytes(frame[number_end : number_end + extra], "big") + 1
    elif size in _SIZES:
        samples = _SIZES[size]
    else:
        raise BadPayload("a reserved FLAC block size", 2)
    check = number_end + extra + _RATE_OCTETS.get(rate, 0)
    if check + 3 > len(frame):
        raise BadPayload("a FLAC frame is cut short", len(frame))
    if crc_8(frame[:check]) != frame[check]:
        raise BadPayload("the head of a FLAC frame is damaged", check)
    return Head(samples, number_end, check)


def renumber(frame: bytes, number: int) -> bytes:
    """*frame* as number *number* of a stream, both checksums made anew. Raises BadPayload."""
    old = head(frame)
    if crc_16(frame[:-2]) != int.from_bytes(frame[-2:], "big"):
        raise BadPayload("a FLAC frame is damaged", len(frame) - 2)
    start = frame[:4] + _coded(number) + frame[old.number_end : old.check]
    whole = start + bytes([crc_8(start)]) + frame[old.check + 1 : -2]
    return whole + crc_16(whole).to_bytes(2, "big")


def _number_octets(first: int) -> int:
    """How many octets a coded number has (UTF-8 as of RFC 9639 9.1.5, up to 31 bits)."""
    ones = 8 - (first ^ 0xFF).bit_length()
    if ones == 1 or ones > _LONGEST_NUMBER:
        raise BadPayload("a FLAC frame number that is none", 4)
    return max(ones, 1)


def _coded(number: int) -> bytes:
    """*number* below 2^31 in the coding of RFC 9639 9.1.5."""
    if number < 0x80:
        return bytes([number])
    octets = (number.bit_length() + 3) // 5  # n octets hold 5 n + 1 bits
    lead = (0xFF00 >> octets) & 0xFF
    tail = [0x80 | number >> 6 * i & 0x3F for i in reversed(range(octets - 1))]
    return bytes([lead | number >> 6 * (octets - 1), *tail])
