"""What a start finds in the folder of the log: the last checkpoint rules.

Inside its size every byte must be what was written, else IntegrityError and nothing is touched.
Beyond it nothing was ever promised: what a power cut left there is cut off and counted.
"""

from dataclasses import dataclass
from pathlib import Path

from greffier import merkle
from greffier.audit import note, segments
from greffier.audit.entry import BadEntry, decode
from greffier.audit.segments import BadFrame, Segment
from greffier.durable import Disk
from greffier.errors import IntegrityError

COSIGNED = "cosigned"
ABANDONED = "log.file_abandoned"
_ABANDONED_MARK = b'"ev":"log.file_abandoned"'


@dataclass(frozen=True, slots=True)
class Cut:
    """What lay beyond the last checkpoint: whole ``entries``, and ``bytes`` with torn ones."""

    entries: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Found:
    """A log as its last checkpoint says. ``last`` is the segment to go on in, None to begin one.

    ``cosigned`` is the latest checkpoint that a witness cosigned.
    """

    checkpoint: note.Checkpoint
    frontier: merkle.Frontier
    last: Segment | None
    cut: Cut
    cosigned: note.Checkpoint | None


@dataclass(frozen=True, slots=True)
class _Tail:
    """Bytes of one segment from ``offset`` on that the checkpoint does not cover."""

    segment: Segment
    offset: int
    data: bytes
    open_end: bool


def recover(disk: Disk, folder: Path, log_key: note.VerifierKey) -> Found:
    """Check the log in *folder* up to its checkpoint and cut what lies beyond.

    Raises IntegrityError when anything inside is missing or altered, StorageFailed when the cut
    cannot be made (it is made again at the next start).
    """
    checkpoint = read_checkpoint(folder, log_key)
    leaves = _read(folder / segments.LEAVES)
    frontier = _frontier(folder, leaves, checkpoint)
    tails = _check_entries(folder, leaves, checkpoint.size)
    entries = size = 0
    for tail in tails:
        path = folder / tail.segment.name
        entries += _whole_frames(tail.data[tail.offset :])
        size += len(tail.data) - tail.offset
        if tail.segment.first > checkpoint.size:
            disk.remove([path])
        else:
            disk.truncate_to(path, tail.offset)
    path = folder / segments.LEAVES
    if not path.exists():  # lost before the first entry
        disk.write_file(path, b"")
    elif len(leaves) > checkpoint.size * merkle.HASH_BYTES:
        disk.truncate_to(path, checkpoint.size * merkle.HASH_BYTES)
    last = _last(folder, checkpoint.size)
    return Found(checkpoint, frontier, last, Cut(entries, size), read_cosigned(folder, log_key))


def read_checkpoint(folder: Path, log_key: note.VerifierKey) -> note.Checkpoint:
    """The latest checkpoint, never behind the last cosigned one. Raises IntegrityError."""
    path = folder / segments.CHECKPOINT
    if not path.is_file():
        raise IntegrityError(what=path, reason="it is missing")
    checkpoint = _opened(path, log_key)
    cosigned = read_cosigned(folder, log_key)
    if cosigned is not None and cosigned.size > checkpoint.size:
        raise IntegrityError(what=path, reason="it is older than one that a witness cosigned")
    return checkpoint


def read_cosigned(folder: Path, log_key: note.VerifierKey) -> note.Checkpoint | None:
    """The latest checkpoint that a witness cosigned, None before there is one.

    Raises IntegrityError.
    """
    path = folder / COSIGNED
    return _opened(path, log_key) if path.is_file() else None


def _opened(path: Path, log_key: note.VerifierKey) -> note.Checkpoint:
    try:
        return note.open_checkpoint(path.read_bytes(), log_key).checkpoint
    except note.BadNote as error:
        raise IntegrityError(what=path, reason=error.reason) from error


def _frontier(folder: Path, leaves: bytes, checkpoint: note.Checkpoint) -> merkle.Frontier:
    path = folder / segments.LEAVES
    if len(leaves) < checkpoint.size * merkle.HASH_BYTES:
        raise IntegrityError(what=path, reason="leaves are missing")
    frontier = merkle.Frontier()
    for seq in range(checkpoint.size):
        frontier.append(leaf_of(leaves, seq))
    if frontier.root() != checkpoint.root:
        raise IntegrityError(what=path, reason="its root is not the checkpoint's")
    return frontier


def leaf_of(leaves: bytes, seq: int) -> bytes:
    """Leaf number *seq* of the bytes of a leaves file (short at its end)."""
    return leaves[seq * merkle.HASH_BYTES : (seq + 1) * merkle.HASH_BYTES]


def _check_entries(folder: Path, leaves: bytes, size: int) -> list[_Tail]:
    """Compare every entry below *size* with its leaf; return what is to be cut."""
    expected = 0
    tails: list[_Tail] = []
    explained: set[tuple[str, int]] = set()
    for segment, end in segments.ends(segments.listed(folder), size):
        path = folder / segment.name
        if segment.first <= size and segment.first != expected:
            raise IntegrityError(what=path, reason="entries before it are missing")
        data = path.read_bytes()
        at = 0
        for seq in range(segment.first, end):
            try:
                entry = segments.frame_at(data, at)
            except BadFrame as error:
                raise IntegrityError(what=path, reason=str(error)) from error
            if merkle.leaf_hash(entry) != leaf_of(leaves, seq):
                raise IntegrityError(what=path, reason=f"entry {seq} is altered")
            if _ABANDONED_MARK in entry:
                explained.add(abandonment(entry))
            at += segments.HEAD_BYTES + len(entry)
        expected = max(expected, min(end, size))
        if at < len(data):
            tails.append(_Tail(segment, at, data, end >= size))
    if expected < size:
        raise IntegrityError(what=folder, reason=f"entries from number {expected} are missing")
    open_tails = [one for one in tails if (one.segment.name, one.offset) not in explained]
    for tail in open_tails:
        if not tail.open_end:
            raise IntegrityError(
                what=folder / tail.segment.name, reason="it holds bytes that no entry explains"
            )
    return open_tails


def abandonment(entry: bytes) -> tuple[str, int]:
    """The file and the good length that a log.file_abandoned entry names; ("", 0) for another."""
    try:
        found = decode(entry)
    except BadEntry:
        return "", 0
    return (found.data["file"], found.data["bytes"]) if found.ev == ABANDONED else ("", 0)


def _last(folder: Path, size: int) -> Segment | None:
    kept = [one for one in segments.listed(folder) if one.first <= size]
    if not kept or size - kept[-1].first >= segments.SEGMENT:
        return None
    return kept[-1]


def _whole_frames(data: bytes) -> int:
    count = at = 0
    while at < len(data):
        try:
            at += segments.HEAD_BYTES + len(segments.frame_at(data, at))
        except BadFrame:
            break
        count += 1
    return count


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
