"""Make journal.json: vectors of the calls journal, from docs/data-directory.md alone.

Nothing of the product is imported, so an error of the product is not copied into its vectors.
Run from anywhere: ``python tests/vectors/store/generate_journal.py``.
"""

import json
import struct
import zlib
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

KEY = bytes(range(32))
MAGIC = bytes.fromhex("8947434A0D0A1A0A")
CALL = {
    "uid": "00112233445566778899aabbccddeeff",
    "line": "front",
    "start_ns": "1795305600000000000",
    "end_ns": "1795305608200000000",
    "recording": None,
    "result": "ok",
}
PEOPLE = {"from": "+33600000001", "to": "112"}


def dump(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8")


def crc(data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(data))


def header(
    magic: bytes = MAGIC, version: int = 1, suite: int = 1, name: bytes = b"2026-03-01-0a1b2c3d"
) -> bytes:
    body = magic + struct.pack(">HHQB", version, suite, 1795305600000000000, len(name)) + name
    return body + crc(body)


def record(
    head: bytes,
    number: int,
    *,
    clear: bytes = b"",
    plain: bytes | None = None,
    clear_length: int | None = None,
    key: bytes = KEY,
) -> bytes:
    clear = clear or dump(CALL)
    if plain is None:
        plain = dump(PEOPLE)
        plain += b" " * (-len(plain) % 64)
    nonce = bytes(8) + struct.pack(">I", number)
    sealed = ChaCha20Poly1305(key).encrypt(nonce, plain, head + struct.pack(">I", number) + clear)
    body = struct.pack(">I", len(clear) if clear_length is None else clear_length) + clear + sealed
    length = struct.pack(">I", len(body))
    return length + crc(length + body) + body


def good(name: str, data: bytes, count: int, whole: int, damaged: int = 0) -> dict[str, Any]:
    records = [{"clear": CALL, "sealed": PEOPLE}] * count
    return {"name": name, "key": KEY.hex(), "data": data.hex(), "records": records} | {
        "good": whole,
        "damaged": damaged,
    }


def bad(name: str, data: bytes, reason: str, offset: int) -> dict[str, Any]:
    refused = {"reason": reason, "offset": offset}
    return {"name": name, "key": KEY.hex(), "data": data.hex(), "refused": refused}


def vectors() -> list[dict[str, Any]]:
    head = header()
    one, two = record(head, 0), record(head, 1)
    whole = head + one + two
    at = len(head)
    torn = len(head + one)
    flipped = bytearray(whole)
    flipped[at + 30] ^= 1
    wide = head + record(head, 0, clear_length=len(one))
    early = (dump(CALL | {"x": 1.5}), dump({"uid": CALL["uid"]}), b'{"b":1,"a":2}', b"[]")
    cut_here = [
        good(f"a clear part that is refused ends the file ({number})", head + data, 0, at)
        for number, data in enumerate(record(head, 0, clear=clear) for clear in early)
    ]
    return [
        good("two calls", whole, 2, len(whole)),
        good("no call yet", head, 0, at),
        good("a torn record", whole[:-1], 1, torn),
        good("a torn length", whole[: torn + 3], 1, torn),
        good("a damaged record before a whole one", bytes(flipped), 1, len(whole), 1),
        good("noise after the last record", whole + bytes(64), 2, len(whole)),
        # The number is in the associated data, not in the record: a moved one opens with no key.
        bad("a record in another's place", head + two, "this key does not open a record", at),
        good("a clear part longer than its record", wide, 0, at),
        *cut_here,
        bad("nothing", b"", "too short", 0),
        bad("half a header", head[:20], "too short", 20),
        bad("a name that is cut", head[:30], "too short", 30),
        bad("another magic", header(b"\x89GCJ\n\r\x1a\n"), "wrong magic", 0),
        bad("another version", header(version=2), "unknown version or suite", 8),
        bad("another suite", header(suite=0), "unknown version or suite", 8),
        bad("a damaged header", head[:-1] + bytes([head[-1] ^ 1]), "wrong checksum", at - 4),
        bad("an empty name", header(name=b""), "an epoch's name is none", 21),
        bad("a name with a slash", header(name=b"../x"), "an epoch's name is none", 21),
        bad("a name that is not ASCII", header(name=b"\xff"), "an epoch's name is none", 21),
        bad(
            "another key",
            head + record(head, 0, key=bytes(32)),
            "this key does not open a record",
            at,
        ),
        bad(
            "a sealed part without padding",
            head + record(head, 0, plain=dump(PEOPLE)),
            "a sealed part has a wrong form",
            at,
        ),
        bad(
            "a sealed part that is no object",
            head + record(head, 0, plain=b"[]".ljust(64)),
            "a sealed part has a wrong form",
            at,
        ),
        bad(
            "a sealed part that is not canonical",
            head + record(head, 0, plain=b'{ "from":"1"}'.ljust(64)),
            "a sealed part is not canonical",
            at,
        ),
    ]


if __name__ == "__main__":
    text = json.dumps(vectors(), indent=1, ensure_ascii=False) + "\n"
    Path(__file__).with_name("journal.json").write_text(text, "utf-8")
