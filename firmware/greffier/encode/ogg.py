"""Ogg Opus files: RFC 3533 pages, RFC 7845 headers. Used when something leaves the box."""

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from greffier.encode import opus_packet

VENDOR = b"greffier"
_PAGE_SECONDS = 48000  # granules on a page: a second keeps seeking fine and overhead below 2 %
_MOST_SEGMENTS = 255
_TRIMMED = 3  # packets at the end that the true length may cut into
_FIRST, _LAST = 2, 4
_MIRROR = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))


@dataclass(frozen=True, slots=True)
class Stream:
    """*rate* of the original input in Hz, *pre_skip* and *length* in 1/48000 s.

    A player drops the first *pre_skip* samples and plays *length* ones (None: all there are).
    """

    rate: int
    channels: int
    pre_skip: int
    length: int | None = None
    serial: int = 0x47524546


def checksum(page: bytes) -> int:
    """The CRC of RFC 3533 section 6: polynomial 0x04C11DB7, no reflection, start and end 0.

    zlib's CRC-32 is the same polynomial with all bits reflected, so octets go in mirrored.
    """
    mirrored = zlib.crc32(page.translate(_MIRROR), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def mux(packets: Iterable[bytes], stream: Stream) -> bytes:
    """A whole file of *packets*. Raises BadPayload for one that is no Opus packet."""
    return b"".join(_pages(packets, stream))


def _head(stream: Stream) -> bytes:
    """RFC 7845 5.1: version 1, mapping family 0, no gain."""
    return b"OpusHead" + struct.pack(
        "<BBHIhB", 1, stream.channels, stream.pre_skip, stream.rate, 0, 0
    )


def _tags() -> bytes:
    """RFC 7845 5.2: who made it, no comments."""
    return b"OpusTags" + struct.pack("<I", len(VENDOR)) + VENDOR + struct.pack("<I", 0)


def _pages(given: Iterable[bytes], stream: Stream) -> Iterator[bytes]:
    packets = list(given)
    yield _page([_head(stream)], _FIRST, 0, stream.serial, 0)
    yield _page([_tags()], 0, 0, stream.serial, 1)
    number, granule = 2, 0
    waiting: list[bytes] = []
    segments = since = 0
    for index, packet in enumerate(packets):
        lasts = opus_packet.duration(packet)
        needs = len(packet) // 255 + 1
        # Trimming may not reach back over a page: the last packets stay together.
        full = since + lasts > _PAGE_SECONDS and index < len(packets) - _TRIMMED
        if waiting and (segments + needs > _MOST_SEGMENTS or full):
            yield _page(waiting, 0, granule, stream.serial, number)
            number, segments, since = number + 1, 0, 0
            waiting = []
        waiting.append(packet)
        segments += needs
        since += lasts
        granule += lasts
    if stream.length is not None:
        # A granule below what the page's packets give trims the end (RFC 7845 section 4.4).
        granule = min(granule, stream.pre_skip + stream.length)
    yield _page(waiting, _LAST, granule, stream.serial, number)


def _page(packets: list[bytes], flags: int, granule: int, serial: int, number: int) -> bytes:
    """RFC 3533 section 6: whole packets only."""
    lacing = b"".join(b"\xff" * (len(p) // 255) + bytes([len(p) % 255]) for p in packets)
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, serial, number, 0, len(lacing))
    page = head + lacing + b"".join(packets)
    return page[:22] + struct.pack("<I", checksum(page)) + page[26:]
