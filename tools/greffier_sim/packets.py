"""Packets and capture files made from nothing: pure functions, bytes out.

Headers are right where a reader looks (lengths, checksums of IPv4, UDP and TCP), so that other
tools can be asked what they see in the same file.
"""

import socket
import struct
from collections.abc import Iterable, Sequence

from greffier.capture.datagram import Address, Datagram

Frame = tuple[int, bytes]
"""Capture time in nanoseconds since the epoch, and the bytes."""

ETHERNET, RAW, NULL, COOKED, COOKED_2 = 1, 101, 0, 113, 276
_UDP, _TCP = 17, 6
_IPV4, _IPV6 = 0x0800, 0x86DD
_MACS = b"\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01"


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def raw_host(host: str) -> bytes:
    """4 or 16 bytes."""
    return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)


def ip(
    source: str,
    destination: str,
    protocol: int,
    payload: bytes,
    *,
    options: bytes = b"",
    extensions: Sequence[tuple[int, bytes]] = (),
    identification: int = 0,
    flags: int = 0,
) -> bytes:
    """An IP packet. *options* (IPv4) and *extensions* (IPv6: number, body of 8k + 6 bytes) are
    inserted; *flags* is IPv4's field of flags and offset."""
    a, b = raw_host(source), raw_host(destination)
    if len(a) == 4:
        options += b"\0" * (-len(options) % 4)
        size = 20 + len(options)
        head = struct.pack(
            ">BBHHHBBH", 0x40 | size // 4, 0, size + len(payload), identification, flags, 64,
            protocol, 0,
        )  # fmt: skip
        head += a + b + options
        return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload
    numbers = [number for number, _ in extensions] + [protocol]
    chain = b"".join(
        bytes([following, (len(body) + 2) // 8 - 1]) + body
        for following, (_, body) in zip(numbers[1:], extensions, strict=True)
    )
    head = struct.pack(">IHBB", 6 << 28, len(chain) + len(payload), numbers[0], 64)
    return head + a + b + chain + payload


def udp(source: Address, destination: Address, payload: bytes) -> bytes:
    """An IP packet with one UDP datagram."""
    head = struct.pack(">HHHH", source.port, destination.port, 8 + len(payload), 0)
    total = checksum(_pseudo(source, destination, _UDP, 8 + len(payload)) + head + payload)
    head = head[:6] + struct.pack(">H", total or 0xFFFF)
    return ip(source.host, destination.host, _UDP, head + payload)


def tcp(
    source: Address, destination: Address, sequence: int, payload: bytes, flags: int = 0x18
) -> bytes:
    """An IP packet with one TCP segment; *flags* 2 is SYN, 1 FIN, 4 RST."""
    head = struct.pack(
        ">HHIIBBHHH", source.port, destination.port, sequence & 0xFFFFFFFF, 0, 5 << 4, flags,
        65_535, 0, 0,
    )  # fmt: skip
    total = checksum(_pseudo(source, destination, _TCP, 20 + len(payload)) + head + payload)
    head = head[:16] + struct.pack(">H", total) + head[18:]
    return ip(source.host, destination.host, _TCP, head + payload)


def fragments(packet: bytes, size: int, identification: int = 1) -> list[bytes]:
    """An IP packet cut into fragments with *size* bytes (a multiple of 8) of payload each."""
    version = packet[0] >> 4
    head = 20 if version == 4 else 40
    body = packet[head:]
    out = []
    for at in range(0, len(body), size):
        part, more = body[at : at + size], at + size < len(body)
        if version == 4:
            source, destination = (
                socket.inet_ntop(socket.AF_INET, packet[n : n + 4]) for n in (12, 16)
            )
            field = at // 8 | (0x2000 if more else 0)
            out.append(
                ip(source, destination, packet[9], part, identification=identification, flags=field)
            )
        else:
            extra = struct.pack(">BBHI", packet[6], 0, at | more, identification)
            out.append(
                packet[:4] + struct.pack(">HB", 8 + len(part), 44) + packet[7:40] + extra + part
            )
    return out


def tunnel(packet: bytes, source: str, destination: str) -> bytes:
    """An IP packet inside another one (RFC 2003, RFC 4213, RFC 2473)."""
    return ip(source, destination, 4 if packet[0] >> 4 == 4 else 41, packet)


def gre(packet: bytes, source: str, destination: str) -> bytes:
    """An IP packet inside GRE (RFC 2784)."""
    kind = _IPV4 if packet[0] >> 4 == 4 else _IPV6
    return ip(source, destination, 47, struct.pack(">HH", 0, kind) + packet)


def frame(packet: bytes, link_type: int = ETHERNET, vlans: Sequence[int] = ()) -> bytes:
    """An IP packet as the link layer carries it; of two *vlans* the first is the outer one."""
    kind = _IPV4 if packet[0] >> 4 == 4 else _IPV6
    tags = b""
    for depth, vlan in enumerate(vlans):
        tags += struct.pack(">HH", 0x88A8 if depth + 1 < len(vlans) else 0x8100, vlan)
    tagged = tags + struct.pack(">H", kind) + packet
    if link_type == ETHERNET:
        return _MACS + tagged
    if link_type == COOKED:
        return b"\0\0\0\1\0\6" + _MACS[:6] + b"\0\0" + tagged
    if link_type == COOKED_2:
        return tagged[:2] + struct.pack(">HIHBB", 0, 1, 1, 0, 6) + _MACS[:6] + b"\0\0" + tagged[2:]
    if link_type == NULL:
        return struct.pack("<I", 2 if kind == _IPV4 else 24) + packet
    return packet


def pcap(
    frames: Iterable[Frame],
    link_type: int = ETHERNET,
    *,
    order: str = "<",
    nanoseconds: bool = False,
    snaplen: int = 262_144,
) -> bytes:
    """A pcap file; frames longer than *snaplen* are cut."""
    magic, unit = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1_000)
    out = [struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, snaplen, link_type)]
    for time_ns, data in frames:
        seconds, rest = divmod(time_ns, 1_000_000_000)
        kept = data[:snaplen]
        out.append(struct.pack(f"{order}IIII", seconds, rest // unit, len(kept), len(data)) + kept)
    return b"".join(out)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """One pcapng block."""
    body += b"\0" * (-len(body) % 4)
    length = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + length + body + length


def section(order: str = "<") -> bytes:
    """A pcapng section header block."""
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(
    link_type: int = ETHERNET,
    *,
    order: str = "<",
    snaplen: int = 0,
    resolution: int | None = None,
    offset_s: int | None = None,
) -> bytes:
    """A pcapng interface block; *resolution* is the byte of if_tsresol."""
    options = b""
    if resolution is not None:
        options += struct.pack(f"{order}HHBxxx", 9, 1, resolution)
    if offset_s is not None:
        options += struct.pack(f"{order}HHq", 14, 8, offset_s)
    if options:
        options += b"\0\0\0\0"
    return block(1, struct.pack(f"{order}HHI", link_type, 0, snaplen) + options, order)


def enhanced(
    ticks: int, data: bytes, *, order: str = "<", number: int = 0, length: int | None = None
) -> bytes:
    """A pcapng enhanced packet block."""
    head = struct.pack(
        f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), length or len(data)
    )
    return block(6, head + data + b"\0" * (-len(data) % 4), order)


def pcapng(frames: Iterable[Frame], link_type: int = ETHERNET, order: str = "<") -> bytes:
    """A pcapng file of one section and one interface, in nanoseconds."""
    out = [section(order), interface(link_type, order=order, resolution=9)]
    out += [enhanced(time_ns, data, order=order) for time_ns, data in frames]
    return b"".join(out)


def frames_of(
    datagrams: Iterable[Datagram],
    link_type: int = ETHERNET,
    *,
    vlans: Sequence[int] = (),
    fragment: int = 0,
    outer: tuple[str, str] | None = None,
    sequence: int = 1_000,
) -> list[Frame]:
    """Datagrams as frames: UDP packets, or TCP segments of at most 1,400 bytes (each direction
    from *sequence* on, without handshake). *fragment*: largest IP payload before it is cut, 0 for
    never. *outer*: addresses of a tunnel around every packet."""
    out: list[Frame] = []
    sent: dict[tuple[Address, Address], int] = {}
    for number, datagram in enumerate(datagrams):
        time_ns, source, destination, payload, transport, _ = datagram
        if transport == "udp":
            packets = [udp(source, destination, payload)]
        else:
            at = sent.get((source, destination), sequence)
            cuts = range(0, len(payload), 1_400)
            packets = [tcp(source, destination, at + n, payload[n : n + 1_400]) for n in cuts]
            sent[source, destination] = at + len(payload)
        for packet in packets:
            whole = not fragment or len(packet) - 20 <= fragment
            pieces = [packet] if whole else fragments(packet, fragment, number % 65_536)
            if outer:
                pieces = [tunnel(piece, *outer) for piece in pieces]
            out += [(time_ns, frame(piece, link_type, vlans)) for piece in pieces]
    return out


def _pseudo(source: Address, destination: Address, protocol: int, size: int) -> bytes:
    """What a transport checksum also covers (RFC 768, RFC 8200 8.1)."""
    a, b = raw_host(source.host), raw_host(destination.host)
    if len(a) == 4:
        return a + b + struct.pack(">BBH", 0, protocol, size)
    return a + b + struct.pack(">IxxxB", size, protocol)
