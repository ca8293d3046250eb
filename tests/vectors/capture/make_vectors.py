"""Write frames.txt and files.txt: hand-made frames and capture files, most of them wrong.

A vector is: ``name:``, then what is expected, an empty line never inside, and ``bytes:`` in hex.
Run with the simulator on the path: ``PYTHONPATH=firmware:tools python make_vectors.py``.
"""

import struct
from pathlib import Path

from greffier.capture.datagram import Address
from greffier_sim import packets as p

HERE = Path(__file__).parent
A, B = Address("10.0.0.1", 4000), Address("10.0.0.2", 5000)
A6, B6 = Address("2001:db8::1", 4000), Address("2001:db8::2", 5000)
GOOD = p.udp(A, B, b"speech")
GOOD6 = p.udp(A6, B6, b"speech")


def patched(data: bytes, at: int, new: bytes) -> bytes:
    """*data* with some bytes replaced."""
    return data[:at] + new + data[at + len(new) :]


def vlan(count: int) -> bytes:
    """A frame with that many VLAN tags."""
    return p.frame(GOOD, vlans=range(1, count + 1))


OK = f"payload: {b'speech'.hex()}"
FRAMES: list[tuple[str, int, str, bytes]] = [
    ("plain Ethernet", 1, OK, p.frame(GOOD)),
    ("Ethernet padding is not payload", 1, OK, p.frame(GOOD) + bytes(18)),
    ("one VLAN tag", 1, OK, vlan(1)),
    ("four VLAN tags", 1, OK, vlan(4)),
    ("five VLAN tags", 1, "ignored: link", vlan(5)),
    ("VLAN tag without type", 1, "ignored: link", vlan(1)[:17]),
    ("802.3 with LLC", 1, "ignored: link", patched(p.frame(GOOD), 12, b"\x00\x26\xaa\xaa\x03")),
    ("ARP", 1, "ignored: link", patched(p.frame(GOOD), 12, b"\x08\x06")),
    ("empty frame", 1, "ignored: link", b""),
    ("addresses only", 1, "ignored: link", p.frame(GOOD)[:12]),
    ("type only", 1, "ignored: malformed", p.frame(GOOD)[:14]),
    ("unknown link type", 147, "ignored: link", p.frame(GOOD)),
    ("Linux cooked", 113, OK, p.frame(GOOD, 113)),
    ("Linux cooked, VLAN inside", 113, OK, p.frame(GOOD, 113, (7,))),
    ("Linux cooked, cut", 113, "ignored: link", p.frame(GOOD, 113)[:15]),
    ("Linux cooked 2", 276, OK, p.frame(GOOD, 276)),
    ("Linux cooked 2, cut", 276, "ignored: link", p.frame(GOOD, 276)[:19]),
    ("raw IPv4", 101, OK, GOOD),
    ("raw IPv4 by its own type", 228, OK, GOOD),
    ("raw IPv6 by its own type", 229, OK, GOOD6),
    ("raw, old number", 12, OK, GOOD),
    ("raw, of no version", 101, "ignored: link", b"\x00" * 40),
    ("loopback little-endian", 0, OK, b"\x02\0\0\0" + GOOD),
    ("loopback big-endian", 0, OK, b"\0\0\0\x02" + GOOD),
    ("loopback IPv6 of Darwin", 0, OK, b"\x1e\0\0\0" + GOOD6),
    ("OpenBSD loopback", 108, OK, b"\0\0\0\x02" + GOOD),
    ("loopback of another family", 0, "ignored: link", b"\x07\0\0\0" + GOOD),
    ("loopback, cut", 0, "ignored: link", b"\x02\0\0"),
    ("PPP", 9, OK, b"\xff\x03\x00\x21" + GOOD),
    ("PPP, compressed", 9, OK, b"\x21" + GOOD),
    ("PPP control", 9, "ignored: link", b"\xff\x03\xc0\x21" + GOOD),
    ("PPPoE", 1, OK, p.frame(GOOD)[:12] + b"\x88\x64\x11\0\0\1\0\x24\0\x21" + GOOD),
    ("PPPoE, cut", 1, "ignored: link", p.frame(GOOD)[:12] + b"\x88\x64\x11\0\0\1"),
    ("IPv6", 1, OK, p.frame(GOOD6)),
    (
        "IPv4 with options",
        101,
        OK,
        p.ip("10.0.0.1", "10.0.0.2", 17, GOOD[20:], options=b"\x94\4\0\0"),
    ),
    ("IPv4 header of 16 bytes", 101, "ignored: malformed", b"\x44" + GOOD[1:]),
    ("IPv4 options beyond the frame", 101, "ignored: malformed", (b"\x4f" + GOOD[1:])[:40]),
    ("IPv4 total shorter than its header", 101, "ignored: malformed", patched(GOOD, 2, b"\0\x13")),
    ("IPv4 total of zero (segmentation in the card)", 101, OK, patched(GOOD, 2, b"\0\0")),
    ("IPv4 cut in its header", 101, "ignored: malformed", GOOD[:19]),
    ("version 5 inside Ethernet", 1, "ignored: malformed", p.frame(b"\x55" + GOOD[1:])),
    ("cut in the payload", 101, f"payload: {b'spe'.hex()}", GOOD[:-3]),
    ("cut in the UDP header", 101, "ignored: malformed", GOOD[:27]),
    ("UDP length below 8", 101, "ignored: malformed", patched(GOOD, 24, b"\0\x07")),
    ("UDP length beyond its packet", 101, "ignored: malformed", patched(GOOD, 24, b"\0\xff")),
    ("UDP length below its packet", 101, f"payload: {b'spee'.hex()}", patched(GOOD, 24, b"\0\x0c")),
    ("UDP length of zero", 101, OK, patched(GOOD, 24, b"\0\0")),
    ("empty UDP", 101, "ignored: empty", p.udp(A, B, b"")),
    ("empty UDP on Ethernet", 1, "ignored: empty", p.frame(p.udp(A, B, b""))),
    ("wrong checksums are no matter", 101, OK, patched(patched(GOOD, 10, b"xx"), 26, b"yy")),
    ("ICMP", 101, "ignored: protocol", p.ip("10.0.0.1", "10.0.0.2", 1, b"ping")),
    ("IPv6 cut in its header", 101, "ignored: malformed", GOOD6[:39]),
    (
        "IPv6 with hop-by-hop and destination options",
        101,
        OK,
        p.ip(A6.host, B6.host, 17, GOOD6[40:], extensions=[(0, bytes(6)), (60, bytes(14))]),
    ),
    (
        "IPv6 extension longer than its packet",
        101,
        "ignored: malformed",
        p.ip(A6.host, B6.host, 17, b"", extensions=[(0, b"\0" * 6)])[:41] + b"\x40" + bytes(6),
    ),
    (
        "IPv6 with 17 extensions",
        101,
        "ignored: malformed",
        p.ip(A6.host, B6.host, 17, GOOD6[40:], extensions=[(60, bytes(6))] * 17),
    ),
    (
        "IPv6 authentication header",
        101,
        OK,
        GOOD6[:4] + struct.pack(">HB", 26, 51) + GOOD6[7:40] + b"\x11\x01" + bytes(10) + GOOD6[40:],
    ),
    (
        "IPv6 atomic fragment",
        101,
        OK,
        GOOD6[:4] + struct.pack(">HB", 22, 44) + GOOD6[7:40] + b"\x11\0\0\0\0\0\0\1" + GOOD6[40:],
    ),
    (
        "IPv6 fragment header cut",
        101,
        "ignored: malformed",
        p.ip(A6.host, B6.host, 44, b"\x11\0\0"),
    ),
    ("fragment cut by the snap length", 101, "ignored: malformed", p.fragments(GOOD, 8)[0][:-1]),
    ("4 in 4", 101, OK, p.tunnel(GOOD, "1.1.1.1", "2.2.2.2")),
    ("6 in 4", 101, OK, p.tunnel(GOOD6, "1.1.1.1", "2.2.2.2")),
    ("4 in 6", 101, OK, p.tunnel(GOOD, "::1", "::2")),
    ("GRE", 101, OK, p.gre(GOOD, "1.1.1.1", "2.2.2.2")),
    (
        "GRE with key and sequence number",
        101,
        OK,
        p.ip("1.1.1.1", "2.2.2.2", 47, b"\x30\0\x08\0" + bytes(8) + GOOD),
    ),
    (
        "GRE with an Ethernet frame",
        101,
        OK,
        p.ip("1.1.1.1", "2.2.2.2", 47, b"\0\0\x65\x58" + p.frame(GOOD)),
    ),
    ("GRE cut", 101, "ignored: protocol", p.ip("1.1.1.1", "2.2.2.2", 47, b"\0\0\x08")),
    (
        "GRE version 1",
        101,
        "ignored: protocol",
        p.ip("1.1.1.1", "2.2.2.2", 47, b"\0\1\x08\0" + GOOD),
    ),
    ("tunnel in tunnel in tunnel in tunnel", 101, OK, b""),
    ("five tunnels", 101, "ignored: protocol", b""),
    ("tunnel with nothing inside", 101, "ignored: malformed", p.ip("1.1.1.1", "2.2.2.2", 4, b"")),
    ("TCP header cut", 101, "ignored: malformed", p.ip("10.0.0.1", "10.0.0.2", 6, bytes(19))),
    (
        "TCP header length beyond its packet",
        101,
        "ignored: malformed",
        patched(p.tcp(A, B, 1, b""), 32, b"\xf0"),
    ),
    (
        "TCP header length of 16",
        101,
        "ignored: malformed",
        patched(p.tcp(A, B, 1, b""), 32, b"\x40"),
    ),
    ("TCP that is not SIP", 101, "ignored: tcp", p.tcp(A, B, 1, b"GET / HTTP/1.1\r\n")),
]

nested = GOOD
for depth in range(5):
    nested = p.tunnel(nested, "1.1.1.1", "2.2.2.2")
    for index, vector in enumerate(FRAMES):
        if (depth, vector[0]) in {(3, "tunnel in tunnel in tunnel in tunnel"), (4, "five tunnels")}:
            FRAMES[index] = (*vector[:3], nested)

ONE = p.pcap([(10**18, b"frame one")], 101)
TWO = p.pcap([(10**18, b"frame one"), (10**18 + 1, b"frame two")], 101)
NG = p.section() + p.interface(101)
NG_ONE = NG + p.enhanced(1, b"one.")
FILES: list[tuple[str, str, bytes]] = [
    ("one record", "records: 1", ONE),
    ("no record", "records: 0", ONE[:24]),
    ("big-endian", "records: 1", p.pcap([(1, b"x")], order=">")),
    ("nanoseconds", "records: 1", p.pcap([(1, b"x")], nanoseconds=True)),
    ("empty file", "refused: the file is empty", b""),
    ("text", "refused: it is neither pcap nor pcapng", b"hello, world"),
    ("gzip", "refused: it is compressed (gzip); unpack it first", b"\x1f\x8b\x08\x00"),
    ("three bytes", "refused: it is neither pcap nor pcapng", ONE[:3]),
    ("header cut", "refused: the file ends inside its header", ONE[:23]),
    ("version 3", "refused: pcap version 3 is not known", patched(ONE, 4, b"\x03\x00")),
    (
        "second record header cut",
        "records: 1 damage: 49 the file ends inside a record header",
        TWO[:64],
    ),
    ("second record cut", "records: 1 damage: 49 the file ends inside a record", TWO[:-1]),
    (
        "record of 4 GiB",
        "records: 1 damage: 49 a record is longer than any frame",
        patched(TWO, 57, b"\xff\xff\xff\xff"),
    ),
    ("zeros behind", "records: 2", ONE + bytes(16)),
    ("pcapng", "records: 1", NG_ONE),
    (
        "pcapng big-endian",
        "records: 1",
        p.section(">") + p.interface(order=">") + p.enhanced(1, b"x", order=">"),
    ),
    ("pcapng, no packets", "records: 0", NG),
    ("pcapng, section only", "records: 0", p.section()),
    (
        "pcapng, unknown blocks",
        "records: 1",
        NG + p.block(0xBAD, b"what") + p.block(5, bytes(8)) + p.enhanced(1, b"x"),
    ),
    ("pcapng, simple packet", "records: 1", NG + p.block(3, struct.pack("<I", 4) + b"one.")),
    (
        "pcapng, obsolete packet",
        "records: 1",
        NG + p.block(2, struct.pack("<HHIIII", 0, 0, 0, 1, 4, 4) + b"one."),
    ),
    (
        "pcapng, two sections of both orders",
        "records: 2",
        NG_ONE + p.section(">") + p.interface(order=">") + p.enhanced(1, b"x", order=">"),
    ),
    (
        "pcapng, interfaces end with their section",
        "records: 1 damage: 112 a packet names an interface that was not described",
        NG_ONE + p.section() + p.enhanced(1, b"x"),
    ),
    (
        "pcapng, no byte-order mark",
        "refused: a section header has no byte-order mark",
        patched(NG, 8, b"\0\0\0\0"),
    ),
    ("pcapng, version 2", "refused: pcapng version 2 is not known", patched(NG, 12, b"\2\0")),
    ("pcapng, first header cut", "refused: the file ends inside a block", NG[:20]),
    (
        "pcapng, section length of 4",
        "refused: a section header has an impossible length",
        patched(NG, 4, b"\4\0\0\0"),
    ),
    (
        "pcapng, block type cut",
        "records: 1 damage: 84 the file ends inside a block header",
        NG_ONE + b"\6\0",
    ),
    (
        "pcapng, block cut",
        "records: 1 damage: 84 the file ends inside a block",
        NG_ONE + p.enhanced(2, b"two.")[:-5],
    ),
    (
        "pcapng, lengths differ",
        "records: 1 damage: 84 the two lengths of a block differ",
        NG_ONE + p.block(9, b"four")[:-4] + bytes(4),
    ),
    (
        "pcapng, length not of four",
        "records: 1 damage: 84 a block has an impossible length",
        NG_ONE + b"\6\0\0\0\x21\0\0\0",
    ),
    (
        "pcapng, length of 8",
        "records: 1 damage: 84 a block has an impossible length",
        NG_ONE + b"\6\0\0\0\x08\0\0\0",
    ),
    (
        "pcapng, packet of 4 GiB",
        "records: 1 damage: 84 a block is longer than any frame",
        NG_ONE + b"\6\0\0\0\xfc\xff\xff\xff",
    ),
    (
        "pcapng, unknown block of 4 GiB",
        "records: 1 damage: 84 the file ends inside a block",
        NG_ONE + b"\x0b\0\0\0\xfc\xff\xff\xff",
    ),
    (
        "pcapng, packet longer than its block",
        "records: 0 damage: 48 a packet is longer than its block",
        NG + patched(p.enhanced(1, b"one."), 20, b"\5\0\0\0"),
    ),
    (
        "pcapng, packet block of 8 bytes",
        "records: 0 damage: 48 a packet block is too short",
        NG + p.block(6, bytes(8)),
    ),
    (
        "pcapng, simple block of 0 bytes",
        "records: 0 damage: 48 a packet block is too short",
        NG + p.block(3, b""),
    ),
    (
        "pcapng, interface of 4 bytes",
        "records: 0 damage: 28 an interface block is too short",
        p.section() + p.block(1, bytes(4)),
    ),
    (
        "pcapng, clock of 10^-127",
        "records: 0 damage: 28 an interface has an impossible clock",
        p.section() + p.interface(resolution=127),
    ),
    (
        "pcapng, packet before any interface",
        "records: 0 damage: 28 a packet names an interface that was not described",
        p.section() + p.enhanced(1, b"x"),
    ),
]


def main() -> None:
    """Write both files."""
    frames = [
        f"name: {name}\nlink: {link}\nexpect: {expect}\nbytes: {data.hex()}\n"
        for name, link, expect, data in FRAMES
    ]
    (HERE / "frames.txt").write_text("\n".join(frames), encoding="ascii")
    files = [
        f"name: {name}\nexpect: {expect}\nbytes: {data.hex()}\n" for name, expect, data in FILES
    ]
    (HERE / "files.txt").write_text("\n".join(files), encoding="ascii")


if __name__ == "__main__":
    main()
