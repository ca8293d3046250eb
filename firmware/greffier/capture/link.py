"""From a link-layer frame to the network packet in it.

Link types by the registry at tcpdump.org/linktypes.html. Frame check sequences are never looked
at, and bytes behind the network packet (padding, trailers) are left to its own length field.
"""

import struct

IPV4 = 0x0800
IPV6 = 0x86DD
NOTHING = (0, 0)
"""No network packet that this package reads."""

_TAGS = {0x8100, 0x88A8, 0x9100, 0x9200}  # 802.1Q, 802.1ad, and their forerunners
_PPPOE_SESSION = 0x8864
_PPP = {0x0021: IPV4, 0x0057: IPV6}
_MAX_TAGS = 4
_RAW = {12, 14, 101, 228, 229}
_LOOPBACK = {0, 108}
_IPV6_FAMILIES = {10, 23, 24, 28, 30}  # Linux, Windows, NetBSD, FreeBSD, Darwin
_ETHERNET, _PPP_LINK, _COOKED, _COOKED_2 = 1, 9, 113, 276


def network(link_type: int, data: bytes) -> tuple[int, int]:
    """The protocol (:data:`IPV4` or :data:`IPV6`) of the packet in a frame, and its offset.

    :data:`NOTHING` for any other frame: 802.3 with LLC, ARP, an unknown link type, a frame that
    is cut within its headers.
    """
    if link_type == _ETHERNET:
        return _tagged(data, 12)
    if link_type in _RAW:
        return _by_version(data, 0)
    if link_type == _COOKED:
        return _tagged(data, 14)
    if link_type == _COOKED_2:
        return _peeled(struct.unpack_from(">H", data)[0], data, 20) if len(data) > 20 else NOTHING
    if link_type in _LOOPBACK:
        return _loopback(data)
    if link_type == _PPP_LINK:
        return _ppp(data, 2 if data[:2] == b"\xff\x03" else 0)
    return NOTHING


def vlans(link_type: int, data: bytes) -> tuple[int, ...]:
    """The VLAN identifiers (IEEE 802.1Q, 802.1ad) of a frame, the outer one first."""
    at = {_ETHERNET: 12, _COOKED: 14}.get(link_type, 0)
    if link_type == _COOKED_2:
        kind, at = data[:2], 20
    elif at:
        kind, at = data[at : at + 2], at + 2
    else:
        return ()
    found: list[int] = []
    while int.from_bytes(kind, "big") in _TAGS and len(data) >= at + 4 and len(found) <= _MAX_TAGS:
        found.append((data[at] << 8 | data[at + 1]) & 0x0FFF)
        kind, at = data[at + 2 : at + 4], at + 4
    return tuple(found)


def _tagged(data: bytes, at: int) -> tuple[int, int]:
    """A packet behind an Ethernet type at offset *at*."""
    if len(data) < at + 2:
        return NOTHING
    return _peeled(data[at] << 8 | data[at + 1], data, at + 2)


def _peeled(kind: int, data: bytes, at: int) -> tuple[int, int]:
    """A packet of Ethernet type *kind* at offset *at*, behind VLAN tags or PPPoE if any."""
    for _ in range(_MAX_TAGS + 1):
        if kind in {IPV4, IPV6}:
            return kind, at
        if kind == _PPPOE_SESSION:
            return _ppp(data, at + 6)
        if kind not in _TAGS or len(data) < at + 4:
            return NOTHING
        kind = data[at + 2] << 8 | data[at + 3]
        at += 4
    return NOTHING


def _by_version(data: bytes, at: int) -> tuple[int, int]:
    """A packet that says its own version in its first four bits."""
    if len(data) <= at:
        return NOTHING
    version = data[at] >> 4
    if version == 4:
        return IPV4, at
    return (IPV6, at) if version == 6 else NOTHING


def _loopback(data: bytes) -> tuple[int, int]:
    """A packet behind an address family, which is in the byte order of whoever captured it."""
    if len(data) < 4:
        return NOTHING
    family = min(struct.unpack_from(">I", data)[0], struct.unpack_from("<I", data)[0])
    if family == 2:
        return IPV4, 4
    return (IPV6, 4) if family in _IPV6_FAMILIES else NOTHING


def _ppp(data: bytes, at: int) -> tuple[int, int]:
    """A packet behind a PPP protocol number (RFC 1661), which may be compressed to one byte."""
    if len(data) < at + 2:
        return NOTHING
    if data[at] & 1:
        kind = _PPP.get(data[at])
        return (kind, at + 1) if kind else NOTHING
    kind = _PPP.get(data[at] << 8 | data[at + 1])
    return (kind, at + 2) if kind else NOTHING
