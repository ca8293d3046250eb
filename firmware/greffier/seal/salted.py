"""The salted tree over the frames of a part, and partial proofs (docs/part-format.md).

Each leaf has a salt of its own, so a frame can be shown alone: whoever gets its plaintext, its salt
and a path learns nothing of the other frames.
"""

import hashlib
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from greffier import canonical, merkle
from greffier.seal.frames import FrameType

PROOF_VERSION = 1

_LABEL = struct.Struct(">BBI")
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))
_is_hex = re.compile(r"(?:[0-9a-f]{2})*", re.ASCII).fullmatch


class Salts:
    """HMAC-SHA-256 under the leaf key, its two key blocks hashed once (RFC 2104 section 4)."""

    def __init__(self, leaf_key: bytes | bytearray | memoryview) -> None:
        block = bytearray(64)
        block[: len(leaf_key)] = leaf_key
        self._copy_inner = hashlib.sha256(block.translate(_INNER)).copy
        self._copy_outer = hashlib.sha256(block.translate(_OUTER)).copy
        block[:] = bytes(64)

    def salt(self, seq: int) -> bytes:
        """The 32-byte salt of frame *seq*."""
        inner, outer = self._copy_inner(), self._copy_outer()
        inner.update(seq.to_bytes(4, "big"))
        outer.update(inner.digest())
        return outer.digest()


def leaf(salt: bytes, kind: int, leg: int, seq: int, plaintext: bytes) -> bytes:
    """The leaf hash of a frame."""
    # merkle.leaf_hash of the four, joined once: a frame is copied as seldom as possible.
    text = b"".join((b"\x00", salt, _LABEL.pack(kind, leg, seq), plaintext))
    return hashlib.sha256(text).digest()


class BadProof(ValueError):
    """Bytes are not a partial proof in its canonical form."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One frame that is shown: its salt, its plaintext, and the path to the root."""

    seq: int
    kind: FrameType
    leg: int
    salt: bytes
    plaintext: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """Some frames of a part, shown without any key.

    ``frames`` and ``root`` are what the prover says; a verifier knows them from elsewhere.
    """

    part_id: bytes
    frames: int
    root: bytes
    shown: tuple[Shown, ...]

    def __bytes__(self) -> bytes:
        """The canonical JSON of the proof."""
        return canonical.dump(
            {
                "v": PROOF_VERSION,
                "part": self.part_id.hex(),
                "frames": self.frames,
                "root": self.root.hex(),
                "shown": [
                    {
                        "seq": frame.seq,
                        "type": int(frame.kind),
                        "leg": frame.leg,
                        "salt": frame.salt.hex(),
                        "plaintext": frame.plaintext.hex(),
                        "path": [node.hex() for node in frame.path],
                    }
                    for frame in self.shown
                ],
            }
        )

    def holds(self, frames: int, root: bytes) -> bool:
        """Whether every shown frame is under the *root* of *frames* leaves, which one trusts."""
        order = [frame.seq for frame in self.shown]
        return (
            self.frames == frames
            and self.root == root
            and bool(order)
            and all(a < b for a, b in pairwise(order))
            and all(self._leads(frame, root) for frame in self.shown)
        )

    def _leads(self, frame: Shown, root: bytes) -> bool:
        computed = leaf(frame.salt, frame.kind, frame.leg, frame.seq, frame.plaintext)
        return merkle.verify_inclusion(computed, frame.seq, self.frames, frame.path, root)


def prove(part_id: bytes, leaves: Sequence[bytes], shown: Iterable[Shown]) -> Proof:
    """A proof of *shown* (whose paths are made here) among *leaves*. Raises ValueError."""
    paths = [
        Shown(
            frame.seq,
            frame.kind,
            frame.leg,
            frame.salt,
            frame.plaintext,
            tuple(merkle.inclusion_proof(leaves, frame.seq, len(leaves))),
        )
        for frame in sorted(shown, key=lambda frame: frame.seq)
    ]
    return Proof(part_id, len(leaves), merkle.root(leaves), tuple(paths))


def parse_proof(data: bytes) -> Proof:
    """The proof whose canonical JSON is *data*. Raises BadProof."""
    try:
        value = canonical.load(data)
    except canonical.NotCanonical as error:
        raise BadProof(str(error)) from None
    fields = _object(value, {"v", "part", "frames", "root", "shown"})
    if _integer(fields["v"], PROOF_VERSION) != PROOF_VERSION:
        raise BadProof("the version is not 1")
    if not isinstance(fields["shown"], list):
        raise BadProof("the shown frames are not a list")
    return Proof(
        _bytes(fields["part"], 16),
        _integer(fields["frames"], 0xFFFFFFFF),
        _bytes(fields["root"], 32),
        tuple(_shown(frame) for frame in fields["shown"]),
    )


def _shown(value: Any) -> Shown:
    fields = _object(value, {"seq", "type", "leg", "salt", "plaintext", "path"})
    kind = _integer(fields["type"], 0xFF)
    if kind not in FrameType.__members__.values():
        raise BadProof("the type of a frame does not exist")
    if not isinstance(fields["path"], list):
        raise BadProof("a path is not a list")
    return Shown(
        _integer(fields["seq"], 0xFFFFFFFF),
        FrameType(kind),
        _integer(fields["leg"], 0xFF),
        _bytes(fields["salt"], 32),
        _bytes(fields["plaintext"], None),
        tuple(_bytes(node, 32) for node in fields["path"]),
    )


def _object(value: Any, keys: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() != keys:
        raise BadProof("keys are missing or unknown")
    return value


def _integer(value: Any, largest: int) -> int:
    if type(value) is not int or not 0 <= value <= largest:
        raise BadProof("a number is out of range")
    return value


def _bytes(value: Any, size: int | None) -> bytes:
    if not isinstance(value, str) or not _is_hex(value):
        raise BadProof("not lower-case hex")
    data = bytes.fromhex(value)
    if size is not None and len(data) != size:
        raise BadProof("a value has the wrong length")
    return data
