"""Entries of a log on their way to a witness, with what proves them (docs/sync-protocol.md 4).

Pure: bytes to a frozen record and back. What the checkpoint is worth is for who has the key.
"""

import re
from dataclasses import dataclass

from greffier import canonical
from greffier.audit import segments
from greffier.audit.note import LARGEST_NOTE
from greffier.audit.segments import BadFrame
from greffier.canonical import LARGEST

VERSION = 1
LARGEST_BATCH = 114_688
MOST_PROOF = 64
_KEYS = {"v", "first", "end", "checkpoint", "proof"}
_is_hash = re.compile(r"[0-9a-f]{64}", re.ASCII).fullmatch


class BadBatch(ValueError):
    """Bytes are no audit batch. ``offset`` is where that showed."""

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(f"{reason} (at byte {offset})")
        self.reason = reason
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Batch:
    """The entries ``first`` .. ``end`` - 1 as canonical bytes, under a signed ``checkpoint``.

    ``proof`` is the consistency proof from ``end`` to the checkpoint's size (32-byte hashes). A
    batch without entries is a question: how far are you?
    """

    first: int
    entries: tuple[bytes, ...]
    checkpoint: bytes
    proof: tuple[bytes, ...] = ()

    @property
    def end(self) -> int:
        """The number behind the last entry."""
        return self.first + len(self.entries)


def encode(batch: Batch) -> bytes:
    """The payload of *batch*. Raises BadBatch where it would be too long, or is none."""
    frames = b"".join(map(segments.frame, batch.entries))
    return join(batch.first, batch.end, batch.checkpoint, batch.proof, frames)


def join(first: int, end: int, checkpoint: bytes, proof: tuple[bytes, ...], frames: bytes) -> bytes:
    """As :func:`encode`, of *frames* as they stand in the log's files. Raises BadBatch."""
    head = canonical.dump(
        {
            "v": VERSION,
            "first": first,
            "end": end,
            "checkpoint": checkpoint.decode("utf-8"),
            "proof": [one.hex() for one in proof],
        }
    )
    payload = len(head).to_bytes(4, "big") + head + frames
    if len(payload) > LARGEST_BATCH:
        raise BadBatch("longer than 114688 octets", LARGEST_BATCH)
    return payload


def decode(payload: bytes) -> Batch:
    """The batch in *payload*. Raises BadBatch for anything but one whole, well-formed batch."""
    if len(payload) > LARGEST_BATCH:
        raise BadBatch("longer than 114688 octets", LARGEST_BATCH)
    size = int.from_bytes(payload[:4], "big")
    if len(payload) < 4 or not 2 <= size <= len(payload) - 4:
        raise BadBatch("no head of that length")
    first, end, checkpoint, proof = _head(payload[4 : 4 + size])
    entries: list[bytes] = []
    try:
        for _, entry in segments.frames(payload, 4 + size):
            entries.append(entry)
    except BadFrame as error:
        raise BadBatch(error.reason, error.offset) from None
    if first + len(entries) != end:
        raise BadBatch("not as many entries as it says", 4 + size)
    return Batch(first, tuple(entries), checkpoint, proof)


def _head(data: bytes) -> tuple[int, int, bytes, tuple[bytes, ...]]:
    try:
        head = canonical.load(data)
    except (ValueError, RecursionError):
        raise BadBatch("the head is not canonical JSON", 4) from None
    if not isinstance(head, dict) or head.keys() != _KEYS:
        raise BadBatch("the head has not its keys", 4)
    if type(head["v"]) is not int or head["v"] != VERSION:
        raise BadBatch("the version is not 1", 4)
    first, end, checkpoint, proof = (head[key] for key in ("first", "end", "checkpoint", "proof"))
    if not all(type(one) is int and 0 <= one <= LARGEST for one in (first, end)) or first > end:
        raise BadBatch("its numbers are not in order", 4)
    if not isinstance(checkpoint, str) or not 0 < len(checkpoint.encode()) <= LARGEST_NOTE:
        raise BadBatch("the checkpoint is no note", 4)
    if not isinstance(proof, list) or len(proof) > MOST_PROOF:
        raise BadBatch("the proof is no list, or too long", 4)
    if not all(isinstance(one, str) and _is_hash(one) for one in proof):
        raise BadBatch("the proof holds something that is no hash", 4)
    return first, end, checkpoint.encode(), tuple(bytes.fromhex(one) for one in proof)
