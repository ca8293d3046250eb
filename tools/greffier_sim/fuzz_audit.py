"""Mutated audit files: entries, frames, notes, keys, and whole logs through the verification."""

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from greffier.audit import note, segments
from greffier.audit.entry import BadEntry, Entry, decode, encode
from greffier.audit.verify import verify
from greffier.merkle import leaf_hash, root

SIGNER = note.Signer("greffier/fuzz", Ed25519PrivateKey.from_private_bytes(bytes(32)))
WITNESS = note.Signer("office/fuzz", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
KEYS = (SIGNER.log_key, WITNESS.witness_key)
DIGEST = hashlib.sha256(b"fuzz").hexdigest()


def _entries() -> list[bytes]:
    uid = "box-1/accueil/0000000001"
    rows: list[tuple[str, dict[str, Any]]] = [
        ("device.created", {"device": "box-1", "version": "0.1.0"}),
        ("call.decided", {"uid": uid, "line": "accueil", "record": "none",
                          "codes": ["SAMPLED_OUT"], "call": DIGEST, "u": 1}),
        ("call.ended", {"uid": uid, "result": "ok"}),
        ("coverage", {"line": "accueil", "channel": uid, "from_ns": 1, "to_ns": 9,
                      "state": "idle"}),
        ("log.file_abandoned", {"file": "entries-0000000000.glog", "bytes": 9}),
    ]  # fmt: skip
    return [
        encode(Entry(seq, "0a" * 16, seq, seq, 0, "build", kind, None, "5a" * 16, data))
        for seq, (kind, data) in enumerate(rows)
    ]


ENTRIES = _entries()
FRAMES = b"".join(map(segments.frame, ENTRIES))
LEAVES = b"".join(map(leaf_hash, ENTRIES))
HEAD = note.Checkpoint(SIGNER.name, len(ENTRIES), root(list(map(leaf_hash, ENTRIES))))
CHECKPOINT = SIGNER.sign(HEAD.text)
COSIGNED = CHECKPOINT + WITNESS.cosign(HEAD, 1_795_305_600)
_SEPARATOR = b"\n====\n"


class Forged(AssertionError):
    """A changed log passed the verification."""


def entry(data: bytes) -> None:
    """An entry is read as it was written, or refused."""
    try:
        read = decode(data)
    except BadEntry:
        return
    if encode(read) != data:
        raise Forged


def frame(data: bytes) -> None:
    """Frames end in BadFrame or at the end."""
    try:
        for _ in segments.frames(data):
            pass
    except segments.BadFrame:
        return


def checkpoint(data: bytes) -> None:
    """A checkpoint that opens says what was signed."""
    try:
        opened = note.open_checkpoint(data, *KEYS[:1], KEYS[1:])
    except note.BadNote:
        return
    if opened.checkpoint != HEAD:
        raise Forged


def key(data: bytes) -> None:
    """A key line is read or refused."""
    try:
        note.read_keys(data.decode("utf-8", "replace"))
    except note.BadNote:
        return


def whole_log(data: bytes) -> None:
    """A log that verifies is the one that was signed; never anything but a report."""
    parts = [*data.split(_SEPARATOR, 2), b"", b""][:3]
    with tempfile.TemporaryDirectory() as folder:
        audit = Path(folder) / "audit"
        audit.mkdir()
        names = ("checkpoint", "leaves", "entries-0000000000.glog")
        for name, content in zip(names, parts, strict=True):
            (audit / name).write_bytes(content)
        report = verify(Path(folder), KEYS)
    if report.ok and parts[1:] != [LEAVES, FRAMES]:
        raise Forged


TARGETS: dict[str, Callable[[bytes], None]] = {
    "audit.entry": entry,
    "audit.frame": frame,
    "audit.checkpoint": checkpoint,
    "audit.key": key,
    "audit.log": whole_log,
}
SEEDS: dict[str, list[bytes]] = {
    "audit.entry": ENTRIES,
    "audit.frame": [FRAMES],
    "audit.checkpoint": [CHECKPOINT, COSIGNED],
    "audit.key": [one.text.encode() for one in KEYS],
    "audit.log": [_SEPARATOR.join((CHECKPOINT, LEAVES, FRAMES))],
}
