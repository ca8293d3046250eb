"""IPv4 (RFC 791) and IPv6 (RFC 8200) headers.

Checksums are not verified: a mirror port sees packets whose sender left them to its network card.
"""

import socket
import struct
from functools import lru_cache
from typing import NamedTuple

TCP, UDP, IP_IN_IP, IPV6_IN_IP, GRE = 6, 17, 4, 41, 47

_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION = 0, 43, 44, 51
_DESTINATION, _MOBILITY, _HIP, _SHIM6 = 60, 135, 139, 140
_PLAIN_EXTENSIONS = {_HOP_BY_HOP, _ROUTING, _DESTINATION, _MOBILITY, _HIP, _SHIM6}
_MAX_EXTENSIONS = 16


class Fragment(NamedTuple):
    """Where a fragment belongs."""

    identification: int
    offset: int
    """Bytes of the fragmented part that come before it."""
    more: bool
    """Others come after it."""


class Packet(NamedTuple):
    """The outcome of reading one IP header, with its payload still in the frame."""

    source: bytes
    """4 or 16 bytes."""
    destination: bytes
    protocol: int
    """Of the payload; with a fragment, of the whole that it is part of."""
    start: int
    """Offset of the payload in the frame."""
    end: int
    """Offset behind the payload as far as it was captured."""
    cut: bool
    """The capture holds less of the payload than the header says."""
    fragment: Fragment | None


class BadPacket(ValueError):
    """A header that is cut, or that contradicts itself."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"{reason} at byte {offset}")
        self.offset = offset
        self.reason = reason


def parse(data: bytes, at: int, limit: int) -> Packet:
    """The IP header at offset *at* of a frame whose captured bytes end at *limit*.

    Raises BadPacket.
    """
    if at >= limit:
        raise BadPacket(at, "no packet")
    version = data[at] >> 4
    if version == 4:
        return _parse_4(data, at, limit)
    if version == 6:
        return _parse_6(data, at, limit)
    raise BadPacket(at, "neither IPv4 nor IPv6")


@lru_cache(maxsize=65_536)
def host(raw: bytes) -> str:
    """The text of a 4- or 16-byte address, IPv6 in canonical form."""
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def _parse_4(data: bytes, at: int, limit: int) -> Packet:
    """An IPv4 header."""
    if limit < at + 20:
        raise BadPacket(at, "an IPv4 header is cut")
    first, total, identification, flags, protocol = struct.unpack_from(">BxHHHxB", data, at)
    size = (first & 15) * 4
    if size < 20:
        raise BadPacket(at, "an IPv4 header is too short")
    # A card that cuts large sends itself leaves the length at 0: the frame's end is the packet's.
    end = at + total if total else limit
    start = at + size
    if end < start or start > limit:
        raise BadPacket(at, "an IPv4 length is impossible")
    fragment = None
    if flags & 0x3FFF:
        fragment = Fragment(identification, (flags & 0x1FFF) * 8, bool(flags & 0x2000))
    return Packet(
        data[at + 12 : at + 16],
        data[at + 16 : at + 20],
        protocol,
        start,
        min(end, limit),
        end > limit,
        fragment,
    )


def _parse_6(data: bytes, at: int, limit: int) -> Packet:
    """An IPv6 header with its extension headers, up to a fragment header or the payload."""
    if limit < at + 40:
        raise BadPacket(at, "an IPv6 header is cut")
    length, protocol = struct.unpack_from(">HB", data, at + 4)
    end = at + 40 + length if length else limit
    cut, end = end > limit, min(end, limit)
    protocol, start, fragment = extensions(data, protocol, at + 40, end)
    return Packet(
        data[at + 8 : at + 24], data[at + 24 : at + 40], protocol, start, end, cut, fragment
    )


def extensions(
    data: bytes, protocol: int, start: int, end: int
) -> tuple[int, int, Fragment | None]:
    """Walk IPv6 extension headers: (payload protocol, its offset, fragment if it is one).

    Raises BadPacket.
    """
    for _ in range(_MAX_EXTENSIONS):
        if protocol == _FRAGMENT:
            if end < start + 8:
                raise BadPacket(start, "a fragment header is cut")
            following, where, identification = struct.unpack_from(">BxHI", data, start)
            if where & 0xFFF9:
                fragment = Fragment(identification, where & 0xFFF8, bool(where & 1))
                return following, start + 8, fragment
            protocol, size = following, 8  # a whole packet in one fragment (RFC 6946)
        elif protocol in _PLAIN_EXTENSIONS or protocol == _AUTHENTICATION:
            if end < start + 8:
                raise BadPacket(start, "an extension header is cut")
            unit = 4 if protocol == _AUTHENTICATION else 8
            size = (data[start + 1] + (2 if unit == 4 else 1)) * unit
            protocol = data[start]
        else:
            return protocol, start, None
        start += size
        if start > end:
            raise BadPacket(start, "an extension header is longer than its packet")
    raise BadPacket(start, "too many extension headers")
