"""Writes the vectors of docs/sync-protocol.md from the document alone; shares nothing with the
package.

.venv/bin/python tests/vectors/sync/generate_sync.py
"""

import base64
import copy
import hashlib
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

HERE = Path(__file__).parent
LARGEST = 1600 * 4_194_304
PART, OTHER = "11" * 16, "22" * 16
DATA = bytes(range(16))
SHA = hashlib.sha256(DATA).hexdigest()
ENVELOPE = bytes([1, 1, 1]) + bytes(range(200))
NS = "1795305600000000000"


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def message(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"v": 1, "is": kind, "body": body}


def offered(size: int = 16, part: str = PART) -> dict[str, Any]:
    blocks = [f"{number:064x}" for number in range(-(-size // 4_194_304))]
    return {
        "part": part, "size": size, "sha256": SHA, "blocks": blocks if size != 16 else [SHA],
        "envelope": base64.b64encode(ENVELOPE).decode(), "urgent": False,
    }  # fmt: skip


VALID: dict[str, dict[str, Any]] = {
    "an offer of one small part": message("offer", {"parts": [offered()]}),
    "an offer of sixteen": message(
        "offer", {"parts": [offered(part=f"{number:032x}") for number in range(16)]}
    ),
    "an offer of the largest part": message("offer", {"parts": [offered(LARGEST)]}),
    "an offer of exactly two blocks": message("offer", {"parts": [offered(8_388_608)]}),
    "a need": message("need", {
        "part": PART, "lane": "a1", "ranges": [{"start": 0, "end": 16}], "credit": 16, "ttl_s": 30,
    }),
    "a need of two ranges": message("need", {
        "part": PART, "lane": "a-1", "ranges": [{"start": 0, "end": 16}, {"start": 20, "end": 21}],
        "credit": 8, "ttl_s": 300,
    }),
    "later": message("later", {"part": PART, "reason": "log", "after_s": 5}),
    "refused": message("refused", {"part": PART, "reason": "envelope"}),
    "refused because it was deleted": message("refused", {"part": PART, "reason": "deleted"}),
    "have nothing": message("have", {"size": 0, "cosigned": ""}),
    "have": message("have", {"size": 41, "cosigned": "greffier/box\n41\nAAAA\n\n— a b\n"}),
    "a fork": message("fork", {"size": 41, "reason": "rewound"}),
    "presence": message("presence", {
        "online": True, "session": "33" * 16, "version": "0.3.0", "log_size": 41, "parts": 2,
        "size": 123456, "oldest_ns": NS, "at_ns": NS,
    }),
    "a Will": message("presence", {
        "online": False, "session": "33" * 16, "version": "0.3.0", "log_size": 0, "parts": 0,
        "size": 0, "oldest_ns": "0", "at_ns": NS,
    }),
    "a collector": message("collector", {"online": True, "lane": "a1", "at_ns": NS}),
}  # fmt: skip


def changed(name: str, path: str, value: Any) -> str:
    """The payload of the valid message *name* with one value replaced (removed where it is ...)."""
    found = copy.deepcopy(VALID[name])
    place: Any = found
    steps = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in steps[:-1]:
        place = place[step]
    if value is ...:
        del place[steps[-1]]
    else:
        place[steps[-1]] = value
    return canonical(found)


ONE, NEED = "an offer of one small part", "a need"
CHANGES: list[tuple[str, str, str, Any]] = [
    ("another version", ONE, "v", 2),
    ("a version that is true", ONE, "v", True),
    ("an unknown kind", ONE, "is", "command"),
    ("the body of another kind", ONE, "is", "need"),
    ("a key too many", ONE, "body.more", 1),
    ("a key too few", ONE, "body.parts.0.sha256", ...),
    ("no part", ONE, "body.parts", []),
    ("a part id of 31 digits", ONE, "body.parts.0.part", "1" * 31),
    ("a part id in capitals", ONE, "body.parts.0.part", "A" * 32),
    ("a size of zero", ONE, "body.parts.0.size", 0),
    ("a size below zero", ONE, "body.parts.0.size", -1),
    ("a size beyond the largest part", ONE, "body.parts.0.size", LARGEST + 1),
    ("a size that is a text", ONE, "body.parts.0.size", "16"),
    ("a size that is true", ONE, "body.parts.0.size", True),
    ("no block", ONE, "body.parts.0.blocks", []),
    ("a block too many", ONE, "body.parts.0.blocks", [SHA, SHA]),
    ("a block that is no hash", ONE, "body.parts.0.blocks", [SHA[:-1]]),
    ("a block too few", "an offer of exactly two blocks", "body.parts.0.blocks", [SHA]),
    ("a hash with a line feed", ONE, "body.parts.0.sha256", SHA + "\n"),
    ("no envelope", ONE, "body.parts.0.envelope", ""),
    ("an envelope without padding", ONE, "body.parts.0.envelope", "AQ"),
    ("an envelope with unused bits", ONE, "body.parts.0.envelope", "AR=="),
    ("an envelope in the other alphabet", ONE, "body.parts.0.envelope", "-_-_"),
    ("an envelope too long", ONE, "body.parts.0.envelope", base64.b64encode(bytes(2049)).decode()),
    ("urgent that is 1", ONE, "body.parts.0.urgent", 1),
    ("seventeen parts", "an offer of sixteen", "body.parts",
     [offered(part=f"{number:032x}") for number in range(17)]),
    ("one part twice", "an offer of sixteen", "body.parts", [offered(), offered()]),
    ("no range", NEED, "body.ranges", []),
    ("an empty range", NEED, "body.ranges.0.start", 16),
    ("a range backwards", NEED, "body.ranges.0.start", 17),
    ("a range beyond the largest part", NEED, "body.ranges.0.end", LARGEST + 1),
    ("65 ranges", NEED, "body.ranges", [{"start": 2 * n, "end": 2 * n + 1} for n in range(65)]),
    ("ranges out of order", NEED, "body.ranges",
     [{"start": 20, "end": 21}, {"start": 0, "end": 16}]),
    ("ranges that meet", NEED, "body.ranges", [{"start": 0, "end": 16}, {"start": 16, "end": 20}]),
    ("ranges that overlap", NEED, "body.ranges",
     [{"start": 0, "end": 16}, {"start": 15, "end": 20}]),
    ("no credit", NEED, "body.credit", 0),
    ("a lane with a slash", NEED, "body.lane", "a/1"),
    ("a lane with a plus", NEED, "body.lane", "+"),
    ("an empty lane", NEED, "body.lane", ""),
    ("a need for ever", NEED, "body.ttl_s", 301),
    ("later for no reason", "later", "body.reason", "mood"),
    ("later, at once", "later", "body.after_s", 0),
    ("later, next day", "later", "body.after_s", 86_400),
    ("refused for no reason", "refused", "body.reason", "log"),
    ("a checkpoint with a tab", "have", "body.cosigned", "a\tb\n"),
    ("a checkpoint too long", "have", "body.cosigned", "a" * 4097),
    ("a checkpoint that is null", "have", "body.cosigned", None),
    ("a size beyond 2^53", "have", "body.size", 2**53),
    ("a fork for no reason", "a fork", "body.reason", "hash"),
    ("a time that is a number", "presence", "body.at_ns", 5),
    ("a time with a zero before it", "presence", "body.at_ns", "05"),
    ("a time beyond 2^63", "presence", "body.at_ns", str(2**63)),
    ("a version with a space", "presence", "body.version", "1 0"),
]  # fmt: skip
RAW = {
    "nothing": "",
    "null": "null",
    "a list": "[]",
    "no object inside": '{"body":[],"is":"have","v":1}',
    "a space": '{"body":{"cosigned":"", "size":0},"is":"have","v":1}',
    "keys out of order": '{"is":"have","body":{"cosigned":"","size":0},"v":1}',
    "a key twice": '{"body":{"cosigned":"","size":0,"size":0},"is":"have","v":1}',
    "a number with a point": '{"body":{"cosigned":"","size":0.0},"is":"have","v":1}',
    "bytes behind it": '{"body":{"cosigned":"","size":0},"is":"have","v":1}\n',
    "too long": '{"body":"' + "a" * 114_688 + '"}',
}


def messages() -> dict[str, Any]:
    invalid = {name: changed(base, path, value) for name, base, path, value in CHANGES}
    return {
        "valid": {name: canonical(one) for name, one in VALID.items()},
        "invalid": invalid | RAW,
    }


# --- chunks ---------------------------------------------------------------------------------

BLOCK = 4_194_304


def chunk(offset: int, data: bytes, magic: bytes = b"GRC1", part: str = PART) -> bytes:
    return magic + bytes.fromhex(part) + offset.to_bytes(8, "big") + data


def chunks() -> dict[str, Any]:
    valid = {
        "the first": (0, DATA),
        "one octet": (5, b"x"),
        "up to the border": (BLOCK - 16, DATA),
        "from the border": (BLOCK, DATA),
        "the last octet of the largest part": (LARGEST - 1, b"x"),
    }
    invalid = {
        "nothing": b"",
        "no octets": chunk(0, b""),
        "a torn head": chunk(0, DATA)[:27],
        "another magic": chunk(0, DATA, b"GRC2"),
        "across a border": chunk(BLOCK - 15, DATA),
        "beyond the largest part": chunk(LARGEST, b"x"),
        "an offset of all ones": chunk(2**64 - 1, b"x"),
    }
    return {
        "valid": {
            name: {"payload": chunk(offset, data).hex(), "part": PART, "offset": offset,
                   "data": data.hex()}
            for name, (offset, data) in valid.items()
        },
        "invalid": {name: one.hex() for name, one in invalid.items()},
        "too_long": {"head": chunk(0, b"").hex(), "largest": 114_660},
    }  # fmt: skip


# --- batches --------------------------------------------------------------------------------


def frame(entry: bytes) -> bytes:
    length = len(entry).to_bytes(4, "big")
    return length + zlib.crc32(length + entry).to_bytes(4, "big") + entry


def head(**changes: Any) -> bytes:
    value = {"v": 1, "first": 7, "end": 9, "checkpoint": "a\n9\nb\n\n— a b\n", "proof": []}
    for key, one in changes.items():
        if one is ...:
            del value[key]
        else:
            value[key] = one
    return canonical(value).encode()


def batch(top: bytes, entries: list[bytes]) -> bytes:
    return len(top).to_bytes(4, "big") + top + b"".join(map(frame, entries))


def batches() -> dict[str, Any]:
    two = [b'{"a":1}', b'{"b":2}']
    good = batch(head(), two)
    valid = {
        "two entries": good,
        "a question": batch(head(end=7), []),
        "a question from nothing": batch(head(first=0, end=0), []),
        "with a proof": batch(head(proof=["ab" * 32] * 64), two),
    }
    invalid = {
        "nothing": b"",
        "no head": bytes(4),
        "a head beyond the end": (999).to_bytes(4, "big") + head(),
        "a head that is not canonical": batch(head() + b" ", two),
        "a key too few": batch(head(proof=...), two),
        "a key too many": batch(head(more=1), two),
        "another version": batch(head(v=2), two),
        "a version that is true": batch(head(v=True), two),
        "an entry too few": batch(head(), two[:1]),
        "an entry too many": batch(head(), [*two, b"{}"]),
        "backwards": batch(head(first=9, end=7), []),
        "below zero": batch(head(first=-2, end=0), two),
        "no checkpoint": batch(head(checkpoint=""), two),
        "a checkpoint that is a number": batch(head(checkpoint=1), two),
        "a checkpoint too long": batch(head(checkpoint="a" * 65_537), two),
        "a proof too long": batch(head(proof=["ab" * 32] * 65), two),
        "a proof with something else": batch(head(proof=["ab"]), two),
        "a proof in capitals": batch(head(proof=["AB" * 32]), two),
        "a torn frame": good[:-1],
        "an altered frame": good[:-1] + b"]",
        "a frame of length zero": batch(head(end=8), []) + bytes(8),
        "too long": batch(head(end=8), [b"x" * 114_688]),
    }
    return {
        "valid": {
            name: {"payload": one.hex(), "first": 0 if "nothing" in name else 7,
                   "entries": [] if "question" in name else [entry.hex() for entry in two],
                   "proof": 64 if "proof" in name else 0}
            for name, one in valid.items()
        },
        "invalid": {
            name: one.hex() if len(one) < 70_000 else base64.b64encode(zlib.compress(one)).decode()
            for name, one in invalid.items()
        },
    }  # fmt: skip


# --- receipts -------------------------------------------------------------------------------

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


def key_line(name: str, key: Ed25519PrivateKey, kind: int = 1) -> str:
    material = bytes([kind]) + key.public_key().public_bytes_raw()
    key_id = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]
    return f"{name}+{key_id.hex()}+{base64.b64encode(material).decode()}"


def text(**changes: str) -> str:
    value = {
        "device": "box-1a2b3c4d", "part": PART, "bytes": "16", "sha256": SHA,
        "envelope": hashlib.sha256(ENVELOPE).hexdigest(), "time": "1795305600",
    } | changes  # fmt: skip
    return "greffier/receipt@v1\n" + "".join(f"{key} {one}\n" for key, one in value.items())


def signed(
    body: str, name: str = "siege/receipt", key: Ed25519PrivateKey = KEY, of: str | None = None
) -> str:
    key_id = bytes.fromhex(key_line(name, key).split("+")[1])
    signature = key.sign((of or body).encode())
    return f"{body}\n— {name} {base64.b64encode(key_id + signature).decode()}\n"


def flipped(note: str) -> str:
    """The same with another last byte of the signature."""
    front, _, blob = note.rstrip("\n").rpartition(" ")
    raw = bytearray(base64.b64decode(blob))
    raw[-1] ^= 1
    return f"{front} {base64.b64encode(raw).decode()}\n"


def bad_receipts() -> Iterator[tuple[str, str, str]]:
    good = signed(text())
    for name, body in {
        "another title": text().replace("@v1", "@v2"),
        "a line missing": text().replace(f"part {PART}\n", ""),
        "a line more": text() + "more 1\n",
        "lines in another order": text().replace(
            f"part {PART}\nbytes 16\n", f"bytes 16\npart {PART}\n"
        ),
        "two spaces": text().replace("bytes 16", "bytes  16"),
        "no octets": text(bytes="0"),
        "a zero before the number": text(bytes="016"),
        "a number below zero": text(bytes="-16"),
        "a part beyond the largest": text(bytes=str(LARGEST + 1)),
        "a time beyond 2^63": text(time=str(2**63)),
        "a part id in capitals": text(part="A" * 32),
        "a short hash": text(sha256=SHA[1:]),
        "an empty device": text(device=""),
        "a device with a slash": text(device="box/1"),
    }.items():  # fmt: skip
        yield name, signed(body), "garbled"
    yield "nothing", "", "garbled"
    yield "no signature", text() + "\n", "garbled"
    yield (
        "two signatures",
        good + signed(text(), "other", STRANGER).rpartition("\n\n")[2],
        "garbled",
    )
    yield "bytes behind it", good + "x", "garbled"
    yield "carriage returns", good.replace("\n", "\r\n"), "garbled"
    yield "too long", signed(text(), "n" * 2000), "garbled"
    yield "by a stranger", signed(text(), "siege/receipt", STRANGER), "unsigned"
    yield "by another name", signed(text(), "siege"), "unsigned"
    yield "an altered signature", flipped(good), "forged"
    for name, change in {
        "another device": {"device": "box-1a2b3c4e"}, "another part": {"part": OTHER},
        "another length": {"bytes": "17"}, "another hash": {"sha256": "0" * 64},
        "another envelope": {"envelope": "0" * 64}, "another time": {"time": "1795305601"},
    }.items():  # fmt: skip
        yield f"signed over {name}", signed(text(**change), of=text()), "forged"


def receipts() -> dict[str, Any]:
    return {
        "keys": [key_line("siege/receipt", KEY), key_line("siege", KEY, 4)],
        "valid": {
            "the example": signed(text()),
            "the largest": signed(text(bytes=str(LARGEST), time=str(2**63 - 1))),
        },
        "invalid": {
            name: {"receipt": one, "reason": reason} for name, one, reason in bad_receipts()
        },
    }


def written() -> dict[str, str]:
    made = {
        "messages.json": messages(), "chunks.json": chunks(), "batches.json": batches(),
        "receipts.json": receipts(),
    }  # fmt: skip
    return {
        name: json.dumps(value, indent=1, ensure_ascii=False) + "\n" for name, value in made.items()
    }


if __name__ == "__main__":
    for name, content in written().items():
        (HERE / name).write_text(content, "utf-8")
