"""What a start finds in the folder of the log: the last checkpoint rules.

Inside its size every byte must be what was written, else IntegrityError and nothing is touched.
Beyond it nothing was ever promised: what a power cut left there is cut off and counted.

Who knows what a beginning of the log came to (:class:`Known`) has only what follows it read and
compared. That the beginning is the one that is signed shows in the root; that what is known of it
is what this device wrote down itself shows in an entry behind it, which names its SHA-256.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from greffier import merkle
from greffier.audit import note, segments
from greffier.audit.entry import BadEntry, decode
from greffier.audit.segments import BadFrame, Segment
from greffier.durable import Appender, Disk
from greffier.durable.system import failed
from greffier.errors import IntegrityError

COSIGNED = "cosigned"
ABANDONED = "log.file_abandoned"
SUMMARISED = "log.summarised"
_ABANDONED_MARK = b'"ev":"log.file_abandoned"'
_SUMMARISED_MARK = b'"ev":"log.summarised"'


@dataclass(frozen=True, slots=True)
class Cut:
    """What lay beyond the last checkpoint: whole ``entries``, and ``bytes`` with torn ones."""

    entries: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Known:
    """What a log of *size* entries was: the peaks of its tree, and its files.

    *closed* files have so many bytes and grow no more. Entry number *size* follows at byte
    *offset* of the file *open*, or in a file that is not there yet (None). *sha256* (hex) is of the
    summary that says all this.
    """

    size: int
    peaks: tuple[bytes, ...]
    closed: Mapping[str, int]
    open: str | None = None
    offset: int = 0
    sha256: str = ""


_NOTHING = Known(0, (), {})


@dataclass(frozen=True, slots=True)
class Found:
    """A log as its last checkpoint says. ``last`` is the segment to go on in, None to begin one.

    ``cosigned`` is the latest checkpoint that a witness cosigned. ``tail`` are the entries behind
    what was known, in order; None where nothing was.
    """

    checkpoint: note.Checkpoint
    frontier: merkle.Frontier
    last: Segment | None
    cut: Cut
    cosigned: note.Checkpoint | None
    tail: tuple[bytes, ...] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Tail:
    """Bytes of one segment from ``offset`` of the file on that the checkpoint does not cover."""

    segment: Segment
    offset: int
    data: bytes
    open_end: bool


@dataclass(slots=True)
class _Checked:
    """What the comparison of entries and leaves found."""

    tails: list[_Tail] = field(default_factory=list)
    entries: list[bytes] = field(default_factory=list)
    explained: set[tuple[str, int]] = field(default_factory=set)


def recover(
    disk: Disk, folder: Path, log_key: note.VerifierKey, known: Known | None = None
) -> Found:
    """Check the log in *folder* up to its checkpoint and cut what lies beyond.

    Of what is *known* only the sizes of files are looked at. Raises IntegrityError when anything
    that is looked at is missing or altered, or does not fit to what is known: then nothing was
    changed. Raises StorageFailed when the cut cannot be made (it is made again at the next start).
    """
    checkpoint = read_checkpoint(folder, log_key)
    begin = known or _NOTHING
    leaves = _read(folder / segments.LEAVES, begin.size * merkle.HASH_BYTES)
    frontier = _frontier(folder, leaves, checkpoint, begin)
    checked = _check_entries(folder, leaves, checkpoint.size, known)
    if known is not None and not any(_names(entry, known) for entry in checked.entries):
        raise IntegrityError(what=folder, reason="no entry names what is known of it")
    entries = size = 0
    for tail in checked.tails:
        path = folder / tail.segment.name
        entries += _whole_frames(tail.data)
        size += len(tail.data)
        if tail.segment.first > checkpoint.size:
            disk.remove([path])
        else:
            disk.truncate_to(path, tail.offset)
    path = folder / segments.LEAVES
    if not path.exists():  # lost before the first entry
        disk.write_file(path, b"")
    elif len(leaves) > (checkpoint.size - begin.size) * merkle.HASH_BYTES:
        disk.truncate_to(path, checkpoint.size * merkle.HASH_BYTES)
    last = _last(folder, checkpoint.size)
    cosigned = read_cosigned(folder, log_key)
    after = None if known is None else tuple(checked.entries)
    return Found(checkpoint, frontier, last, Cut(entries, size), cosigned, after)


def known_at(folder: Path, frontier: merkle.Frontier, current: Appender | None) -> Known:
    """What is to be known of the log in *folder*, which goes on in *current*. Raises StorageFailed.

    All of it is durable.
    """
    name = None if current is None else current.path.name
    try:
        closed = {
            one.name: (folder / one.name).stat().st_size
            for one in segments.listed(folder)
            if one.name != name
        }
    except OSError as error:
        raise failed(folder, error) from error
    offset = 0 if current is None else current.committed
    return Known(frontier.size, frontier.peaks, closed, name, offset)


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


def _frontier(
    folder: Path, leaves: bytes, checkpoint: note.Checkpoint, begin: Known
) -> merkle.Frontier:
    """The tree up to *checkpoint*: *leaves* are those behind *begin*."""
    path = folder / segments.LEAVES
    count = checkpoint.size - begin.size
    if not 0 <= count * merkle.HASH_BYTES <= len(leaves):
        raise IntegrityError(what=path, reason="leaves are missing")
    frontier = merkle.Frontier(begin.size, begin.peaks)
    for seq in range(count):
        frontier.append(leaf_of(leaves, seq))
    if frontier.root() != checkpoint.root:
        raise IntegrityError(what=path, reason="its root is not the checkpoint's")
    return frontier


def leaf_of(leaves: bytes, seq: int) -> bytes:
    """Leaf number *seq* of the bytes of a leaves file (short at its end)."""
    return leaves[seq * merkle.HASH_BYTES : (seq + 1) * merkle.HASH_BYTES]


def _check_entries(folder: Path, leaves: bytes, size: int, known: Known | None) -> _Checked:
    """Compare every entry below *size* that is not *known* with its leaf; *leaves* are those of
    them. What is to be cut is among what is returned."""
    begin = known or _NOTHING
    expected = begin.size
    checked = _Checked()
    here = segments.listed(folder)
    if known is not None:
        _check_known(folder, here, known)
    for segment, end in segments.ends(here, size):
        if segment.name in begin.closed:
            continue
        path = folder / segment.name
        first, offset = segment.first, 0
        if segment.name == begin.open:
            first, offset = begin.size, begin.offset
        if first <= size and first != expected:
            raise IntegrityError(what=path, reason="entries before it are missing")
        data = _read(path, offset)
        at = _compared(
            path,
            data,
            leaves[(first - begin.size) * merkle.HASH_BYTES :],
            checked,
            range(first, end),
            keep=known is not None,
        )
        expected = max(expected, min(end, size))
        if at < len(data):
            checked.tails.append(_Tail(segment, offset + at, data[at:], end >= size))
    if expected < size:
        raise IntegrityError(what=folder, reason=f"entries from number {expected} are missing")
    checked.tails = [
        one for one in checked.tails if (one.segment.name, one.offset) not in checked.explained
    ]
    for tail in checked.tails:
        if not tail.open_end:
            raise IntegrityError(
                what=folder / tail.segment.name, reason="it holds bytes that no entry explains"
            )
    return checked


def _check_known(folder: Path, here: list[Segment], known: Known) -> None:
    """Whether the files that are *known* are as they were left. Raises IntegrityError."""
    names = {segment.name for segment in here}
    for name, size in known.closed.items():
        if name not in names or (folder / name).stat().st_size != size:
            raise IntegrityError(what=folder / name, reason="it is not as long as it was")
    if known.open is not None and known.open not in names:
        raise IntegrityError(what=folder / known.open, reason="it is missing")


def _compared(
    path: Path, data: bytes, leaves: bytes, checked: _Checked, seqs: range, *, keep: bool
) -> int:
    """Compare the entries *seqs*, which begin *data*, with *leaves*; where they end."""
    at = 0
    for number, seq in enumerate(seqs):
        try:
            entry = segments.frame_at(data, at)
        except BadFrame as error:
            raise IntegrityError(what=path, reason=str(error)) from error
        if merkle.leaf_hash(entry) != leaf_of(leaves, number):
            raise IntegrityError(what=path, reason=f"entry {seq} is altered")
        if _ABANDONED_MARK in entry:
            checked.explained.add(abandonment(entry))
        if keep:
            checked.entries.append(entry)
        at += segments.HEAD_BYTES + len(entry)
    return at


def _names(entry: bytes, known: Known) -> bool:
    """Whether *entry* says that the summary with what is *known* was made by this device."""
    if _SUMMARISED_MARK not in entry:
        return False
    try:
        found = decode(entry)
    except BadEntry:
        return False
    told = {"entries": known.size, "sha256": known.sha256}
    return found.ev == SUMMARISED and found.data == told


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


def _read(path: Path, offset: int = 0) -> bytes:
    """What stands in the file from *offset* on; nothing where there is none."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read()
