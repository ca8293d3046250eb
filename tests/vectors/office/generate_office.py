"""Vectors of head office's tombstones (docs/office-directory.md), by code of their own."""

import json
import struct
import zlib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DELETED: dict[str, Any] = {
    "v": 1,
    "is": "deleted",
    "device": "box-1a2b3c4d",
    "part": "11" * 16,
    "recording": "22" * 16,
    "at_ns": "1795305600000000000",
    "rule": "DELETE_ASKED",
    "reason": "erasure",
    "class": "C",
    "bytes": 16,
    "sha256": "33" * 32,
    "envelope": "44" * 32,
}
DONE = {key: DELETED[key] for key in ("v", "device", "part", "at_ns")} | {"is": "done"}
DUE = DELETED | {"rule": "DELETE_DUE", "reason": "", "part": "55" * 16}


def canonical(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def frame(entry: bytes) -> bytes:
    length = struct.pack(">I", len(entry))
    return length + struct.pack(">I", zlib.crc32(length + entry)) + entry


def records() -> dict[str, Any]:
    bad: list[tuple[str, bytes]] = [
        ("not canonical", json.dumps(DELETED).encode()),
        ("another version", canonical(DELETED | {"v": 2})),
        ("a version that is true", canonical(DELETED | {"v": True})),
        ("an unknown kind", canonical(DELETED | {"is": "gone"})),
        ("a key too many", canonical(DELETED | {"more": 1})),
        ("done with a rule", canonical(DONE | {"rule": "DELETE_DUE"})),
        ("a key too few", canonical({k: v for k, v in DELETED.items() if k != "sha256"})),
        ("no device", canonical(DELETED | {"device": "box/1"})),
        ("a bulk connection", canonical(DELETED | {"device": "box-1a2b3c4d.b"})),
        ("a part in capitals", canonical(DELETED | {"part": "AA" * 16})),
        ("a time that is a number", canonical(DELETED | {"at_ns": 5})),
        ("a time with a zero before", canonical(DELETED | {"at_ns": "05"})),
        ("a time beyond 2^63", canonical(DELETED | {"at_ns": str(2**63)})),
        ("an unknown rule", canonical(DELETED | {"rule": "DELETE_SPACE"})),
        ("asked for no reason", canonical(DELETED | {"reason": ""})),
        ("due for a reason", canonical(DUE | {"reason": "erasure"})),
        ("a reason with a space", canonical(DELETED | {"reason": "a b"})),
        ("class D", canonical(DELETED | {"class": "D"})),
        ("a negative length", canonical(DELETED | {"bytes": -1})),
        ("half a hash", canonical(DELETED | {"sha256": "33"})),
        ("no object", b"[]"),
        ("nothing", b""),
    ]
    return {
        "valid": {
            "asked": canonical(DELETED).decode(),
            "due": canonical(DUE).decode(),
            "done": canonical(DONE).decode(),
        },
        "invalid": {name: data.decode() for name, data in bad},
    }


def files() -> dict[str, Any]:
    """``end`` is where the last whole record ends; null: the file MUST be refused."""
    one, two, three = (frame(canonical(value)) for value in (DELETED, DUE, DONE))
    whole = one + two + three
    flipped = bytearray(whole)
    flipped[20] ^= 1
    last = bytearray(whole)
    last[-1] ^= 1
    cases: list[tuple[str, bytes, int, int | None]] = [
        ("empty", b"", 0, 0),
        ("three", whole, 3, len(whole)),
        ("a torn tail", whole[:-7], 2, len(one + two)),
        ("a head alone", one + two[:5], 1, len(one)),
        ("zeros behind", one + bytes(64), 1, len(one)),
        ("the last one damaged", bytes(last), 2, len(one + two)),
        ("the first one damaged", bytes(flipped), 0, None),
        ("a whole frame that is no record", one + frame(b"{}") + two, 0, None),
        ("garbage between", one + b"\xff" * 9 + two, 0, None),
    ]
    return {
        name: {"data": data.hex(), "records": count, "end": end} for name, data, count, end in cases
    }


if __name__ == "__main__":
    text = json.dumps({"records": records(), "files": files()}, indent=1, sort_keys=True)
    (HERE / "tombstones.json").write_text(text + "\n")
