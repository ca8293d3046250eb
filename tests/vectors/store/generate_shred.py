"""Make shred.json: vectors of the shred store, from docs/shred-format.md alone.

Nothing of the product is imported, so an error of the product is not copied into its vectors.
Run from anywhere: ``python tests/vectors/store/generate_shred.py``.
"""

import json
import struct
import zlib
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY = bytes(range(32))
OTHER = bytes(32)
DAY = "2026-03-01"
MAGIC = {letter: b"\x89GS" + letter + b"\r\n\x1a\n" for letter in (b"E", b"R", b"B")}
IDS = [bytes([number]) * 16 for number in range(4)]


def crc(data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(data))


def sealed(salt: bytes, secret: bytes, info: bytes, plain: bytes, associated: bytes) -> bytes:
    okm = HKDF(SHA512(), 44, salt, info).derive(secret)
    return ChaCha20Poly1305(okm[:32]).encrypt(okm[32:], plain, associated)


def effaceable(magic: bytes = MAGIC[b"E"], sequence: int = 7) -> bytes:
    body = magic + struct.pack(">Q", sequence) + KEY
    return body + crc(body)


def root(
    days: list[tuple[str, int]],
    *,
    magic: bytes = MAGIC[b"R"],
    version: int = 1,
    generation: int = 5,
    count: int | None = None,
    key: bytes = KEY,
) -> bytes:
    salt = bytes([0x5A]) * 32
    plain = struct.pack(">I", len(days) if count is None else count)
    for day, born in days:
        plain += day.encode() + struct.pack(">Q", born) + KEY
    head = magic + struct.pack(">HHQ", version, 1, generation) + salt
    head += struct.pack(">I", len(plain) + 16)
    body = head + sealed(salt, key, b"greffier/shred-root@v1\0" + head, plain, head)
    return body + crc(body)


def bucket_header(
    *, magic: bytes = MAGIC[b"B"], version: int = 1, generation: int = 5, day: str = DAY
) -> bytes:
    body = magic + struct.pack(">HHQ", version, 1, generation) + day.encode()
    return body + crc(body)


def record(seq: int, plain: bytes, *, key: bytes = KEY, generation: int = 5) -> bytes:
    salt = bytes([0xA0 + seq]) * 16
    head = struct.pack(">II", len(plain) + 16, seq)
    start = bucket_header(generation=generation)[:30]
    info = b"greffier/shred-record@v1\0" + start + struct.pack(">I", seq)
    tail = salt + sealed(salt, key, info, plain, head)
    return head + crc(head + tail) + tail


def plain(number: int, what: int = 1, letter: bytes = b"C", block: bytes = b"envelope") -> bytes:
    return IDS[number] + bytes([what]) + letter + block


def entry(
    number: int, what: int = 1, letter: str = "C", block: bytes = b"envelope"
) -> dict[str, Any]:
    return {"id": IDS[number].hex(), "what": what, "class": letter, "block": block.hex()}


def one(name: str, kind: str, data: bytes, **rest: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, "key": KEY.hex(), "data": data.hex()} | rest


def refused(name: str, kind: str, data: bytes, reason: str, offset: int) -> dict[str, Any]:
    return one(name, kind, data, refused={"reason": reason, "offset": offset})


def flipped(data: bytes, at: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def effaceables() -> list[dict[str, Any]]:
    whole = effaceable()
    bad = [
        ("nothing", b"", "wrong length", 0),
        ("a byte short", whole[:-1], "wrong length", 51),
        ("a byte long", whole + b"\0", "wrong length", 53),
        ("another magic", effaceable(MAGIC[b"R"]), "wrong magic", 0),
        ("a damaged key", flipped(whole, 20), "wrong checksum", 48),
    ]
    return [
        one("an effaceable key", "effaceable", whole, effaceable=[7, KEY.hex()]),
        *(refused(f"effaceable: {name}", "effaceable", *rest) for name, *rest in bad),
    ]


def roots() -> list[dict[str, Any]]:
    days = [(DAY, 5), ("2026-03-02", 1)]
    whole = root(days)
    order = "a day is none or out of order"
    bad = [
        ("nothing", b"", "too short", 0),
        ("a byte short", whole[:-1], "wrong length", 52),
        ("a byte long", whole + b"\0", "wrong length", 52),
        ("another magic", root(days, magic=MAGIC[b"B"]), "wrong magic", 0),
        ("another version", root(days, version=2), "unknown version or suite", 8),
        ("a damaged salt", flipped(whole, 30), "wrong checksum", len(whole) - 4),
        ("another key", root(days, key=OTHER), "this key does not open it", 56),
        ("days in another order", root(days[::-1]), order, 56),
        ("a day twice", root([days[0], days[0]]), order, 56),
        ("a day of no calendar", root([("2026-02-30", 1)]), order, 56),
        ("a day in words", root([("yesterday!", 1)]), order, 56),
        ("a bucket of the future", root([(DAY, 6)]), "a bucket is newer than its root", 56),
        ("a bucket of generation 0", root([(DAY, 0)]), "a bucket is newer than its root", 56),
        ("more buckets than there are", root(days, count=3), "wrong number of buckets", 56),
        ("fewer buckets than there are", root(days, count=1), "wrong number of buckets", 56),
    ]
    return [
        one("a root of two days", "root", whole, buckets=[[d, g, KEY.hex()] for d, g in days]),
        one("an empty root", "root", root([]), buckets=[]),
        *(refused(f"root: {name}", "root", *rest) for name, *rest in bad),
    ]


def buckets() -> list[dict[str, Any]]:
    head = bucket_header()
    first, second = record(0, plain(1)), record(1, plain(1, what=2, letter=b"A"))
    whole = head + first + second
    both = [entry(1), entry(1, what=2, letter="A")]
    long = head + record(0, plain(1, block=b"x" * 65536))
    kept = {
        "two entries": (whole, both),
        "no entry": (head, []),
        "a torn record": (whole[:-1], both[:1]),
        "a torn length": (head + first + b"\0\0", both[:1]),
        "noise after the last record": (whole + bytes(99), both),
        "a damaged record before a whole one": (flipped(whole, 40), both[1:]),
        "a damaged last record": (flipped(whole, -1), both[:1]),
        "a record in another's place": (head + second, []),
        "a record twice": (head + first + first, both[:1]),
        "another key": (head + record(0, plain(1), key=OTHER), []),
        "another generation's record": (head + record(0, plain(1), generation=4), []),
        "an unknown kind": (head + record(0, plain(1, what=4)), []),
        "an unknown class": (head + record(0, plain(1, letter=b"D")), []),
        "no envelope": (head + record(0, plain(1, block=b"")), []),
        "an envelope block that is too long": (long, []),
    }
    bad = [
        ("nothing", b"", "too short", 0),
        ("half a header", head[:33], "too short", 33),
        ("another magic", bucket_header(magic=MAGIC[b"R"]), "wrong magic", 0),
        ("another version", bucket_header(version=0), "unknown version or suite", 8),
        ("a damaged header", flipped(head, 15), "wrong checksum", 30),
        ("another generation", bucket_header(generation=4), "of another generation", 12),
        ("another day", bucket_header(day="2026-03-02"), "of another day", 20),
    ]
    where = {"day": DAY, "generation": 5}
    return [
        *(one(f"bucket: {n}", "bucket", d, entries=e, **where) for n, (d, e) in kept.items()),
        *(refused(f"bucket: {n}", "bucket", *rest) | where for n, *rest in bad),
    ]


if __name__ == "__main__":
    text = json.dumps([*effaceables(), *roots(), *buckets()], indent=1) + "\n"
    Path(__file__).with_name("shred.json").write_text(text, "utf-8")
