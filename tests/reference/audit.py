"""A second, slow reader and writer of the audit formats, made from the documents alone.

Shares no code with the program: recursion instead of a frontier, dictionaries instead of classes.
It makes the vectors and stands against the program in tests.
"""

import base64
import hashlib
import json
import zlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def canonical(value: object) -> bytes:
    """RFC 8785 for objects with ASCII keys, strings and integers."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def entry_bytes(fields: dict) -> bytes:
    """The bytes of an entry given with its times as integers."""
    out = dict(fields, v=1)
    out["data"] = {
        key: str(value) if key.endswith("_ns") else value for key, value in fields["data"].items()
    }
    for key in ("mono_ns", "t_ns", "t_lb_ns"):
        out[key] = str(fields[key])
    return canonical(out)


def leaf(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def tree(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, by its definition."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + tree(leaves[:k]) + tree(leaves[k:])).digest()


def frame(entry: bytes) -> bytes:
    length = len(entry).to_bytes(4, "big")
    return length + zlib.crc32(length + entry).to_bytes(4, "big") + entry


def key_id(name: str, kind: int, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def public(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def vkey(name: str, kind: int, seed: bytes) -> str:
    material = base64.b64encode(bytes([kind]) + public(seed)).decode()
    return f"{name}+{key_id(name, kind, public(seed)).hex()}+{material}"


def checkpoint_text(origin: str, size: int, root: bytes) -> str:
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"


def log_line(name: str, seed: bytes, text: str) -> str:
    signed = Ed25519PrivateKey.from_private_bytes(seed).sign(text.encode())
    return f"— {name} {base64.b64encode(key_id(name, 1, public(seed)) + signed).decode()}\n"


def witness_line(name: str, seed: bytes, text: str, time_s: int) -> str:
    message = f"cosignature/v1\ntime {time_s}\n{text}".encode()
    signed = Ed25519PrivateKey.from_private_bytes(seed).sign(message)
    blob = key_id(name, 4, public(seed)) + time_s.to_bytes(8, "big") + signed
    return f"— {name} {base64.b64encode(blob).decode()}\n"


def coverage_ns(intervals: list[dict], start: int, end: int) -> dict:
    """Every nanosecond by itself: state -> count, for one channel (only for tiny spans)."""
    order = ["lost", "paused", "recorded", "not_recorded", "blind", "off", "idle"]
    count = dict.fromkeys([*order, "hole", "overlap"], 0)
    for now in range(start, end):
        states = [i["state"] for i in intervals if i["from_ns"] <= now < i["to_ns"]]
        count[min(states, key=order.index) if states else "hole"] += 1
        count["overlap"] += len(states) > 1
    return count
