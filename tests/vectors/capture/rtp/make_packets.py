"""Writes packets.json: RTP packets, most of them refused, with the reason and the octet at fault.

Run it from anywhere: ``python make_packets.py``. Made by hand from RFC 3550 section 5.1 and 5.3.1
and RFC 5761 section 4; the reasons are those of greffier.capture.rtp.
"""

import json
import struct
from pathlib import Path


def packet(
    rest: bytes = b"", *, first: int = 0x80, second: int = 8, number: int = 1, stamp: int = 160
) -> bytes:
    """The fixed header and what follows it."""
    return struct.pack(">BBHII", first, second, number, stamp, 0x11223344) + rest


def extension(words: int, body: bytes = b"") -> bytes:
    return struct.pack(">HH", 0xBEDE, words) + body


SHORT = "shorter than the fixed header"
VERSION = "the version is not 2"
RTCP = "an RTCP packet"
CSRC = "the list of contributing sources is cut off"
HEAD = "the head of the extension is cut off"
BODY = "the extension is cut off"
ABSENT = "padding is announced and absent"
ZERO = "the padding counts zero octets"
LONG = "the padding is longer than the payload"

REFUSED: list[tuple[str, bytes, str, int]] = [
    ("nothing at all", b"", SHORT, 0),
    ("one octet", b"\x80", SHORT, 1),
    ("eleven octets", packet()[:11], SHORT, 11),
    ("eleven octets of another version", b"\x00" * 11, SHORT, 11),
    (
        "version 0, a STUN binding request",
        bytes.fromhex("000100002112a442") + bytes(12),
        VERSION,
        0,
    ),
    ("version 0, zeroes", bytes(40), VERSION, 0),
    ("version 1, old vat", packet(bytes(160), first=0x40), VERSION, 0),
    ("version 3", packet(bytes(160), first=0xC0), VERSION, 0),
    ("text, a SIP keep-alive", b"\r\n\r\n" + bytes(10), VERSION, 0),
    ("text, a SIP request", b"OPTIONS sip:a SIP/2.0\r\n\r\n", VERSION, 0),
    ("a DTLS hello", bytes.fromhex("16feff0000000000000000003001") + bytes(48), VERSION, 0),
    ("RTCP sender report", packet(bytes(16), second=200), RTCP, 1),
    ("RTCP receiver report", packet(bytes(20), first=0x81, second=201), RTCP, 1),
    ("RTCP source description", packet(bytes(8), second=202), RTCP, 1),
    ("RTCP goodbye", packet(second=203), RTCP, 1),
    ("RTCP application", packet(second=204), RTCP, 1),
    ("RTCP transport feedback", packet(second=205), RTCP, 1),
    ("RTCP payload feedback", packet(second=206), RTCP, 1),
    ("RTCP extended report", packet(bytes(28), second=207), RTCP, 1),
    ("a payload type that would look like RTCP", packet(bytes(20), second=72), RTCP, 1),
    ("the last payload type that would look like RTCP", packet(second=76), RTCP, 1),
    ("one contributing source announced, none there", packet(first=0x81), CSRC, 12),
    ("one contributing source, an octet short", packet(bytes(3), first=0x81), CSRC, 12),
    ("fifteen contributing sources, an octet short", packet(bytes(59), first=0x8F), CSRC, 12),
    ("contributing sources cut, padding and extension too", packet(b"\x01", first=0xBF), CSRC, 12),
    ("extension announced, none there", packet(first=0x90), HEAD, 12),
    ("extension with three octets of its head", packet(b"\xbe\xde\x00", first=0x90), HEAD, 12),
    ("extension after sources, none there", packet(bytes(8), first=0x92), HEAD, 20),
    ("extension of one word, none there", packet(extension(1), first=0x90), BODY, 14),
    ("extension of one word, an octet short", packet(extension(1, b"abc"), first=0x90), BODY, 14),
    ("extension of 65535 words", packet(extension(65535, bytes(160)), first=0x90), BODY, 14),
    (
        "extension longer, after sources",
        packet(bytes(4) + extension(2, bytes(7)), first=0x91),
        BODY,
        18,
    ),
    ("padding without any octet", packet(first=0xA0), ABSENT, 0),
    ("padding after an extension that is all", packet(extension(0), first=0xB0), ABSENT, 0),
    ("padding of zero octets", packet(b"abc\x00", first=0xA0), ZERO, 15),
    ("padding of zero octets, nothing else", packet(b"\x00", first=0xA0), ZERO, 12),
    ("padding one longer than what is there", packet(b"abc\x05", first=0xA0), LONG, 15),
    ("padding of 255 octets", packet(bytes(159) + b"\xff", first=0xA0), LONG, 171),
    (
        "padding that would reach into the extension",
        packet(extension(1, b"\x04\x04\x04\x04") + b"\x02", first=0xB0),
        LONG,
        20,
    ),
    (
        "padding that would reach into the sources",
        packet(b"\x01\x01\x01\x01\x05", first=0xA1),
        LONG,
        16,
    ),
]

# name, packet, payload in hex, payload type, marker
ACCEPTED: list[tuple[str, bytes, bytes, int, bool]] = [
    ("no payload", packet(), b"", 8, False),
    ("A-law with a marker", packet(b"\xd5" * 4, second=0x88), b"\xd5" * 4, 8, True),
    ("fifteen sources", packet(bytes(60) + b"ab", first=0x8F), b"ab", 8, False),
    ("extension without a body", packet(extension(0) + b"ab", first=0x90), b"ab", 8, False),
    ("extension that ends the packet", packet(extension(1, b"abcd"), first=0x90), b"", 8, False),
    ("padding is everything", packet(b"\xff\xff\x03", first=0xA0), b"", 8, False),
    ("padding of its own count only", packet(b"ab\x01", first=0xA0), b"ab", 8, False),
    ("payload type 71", packet(b"a", second=71), b"a", 71, False),
    ("payload type 77 without a marker", packet(b"a", second=77), b"a", 77, False),
    ("payload type 127", packet(b"a", second=255), b"a", 127, True),
]


def main() -> None:
    rows: list[dict[str, object]] = [
        {"name": name, "packet": octets.hex(), "reason": reason, "offset": offset}
        for name, octets, reason, offset in REFUSED
    ]
    rows += [
        {"name": n, "packet": o.hex(), "payload": p.hex(), "payload_type": kind, "marker": marker}
        for n, o, p, kind, marker in ACCEPTED
    ]
    target = Path(__file__).with_name("packets.json")
    target.write_text(json.dumps(rows, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
