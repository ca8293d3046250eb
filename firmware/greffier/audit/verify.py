"""Read the whole log again, trusting nothing, and say everything that is not as it must be.

Needs no key but public ones and never writes. Codes: docs/audit-format.md section 6.
"""

import base64
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from greffier import merkle
from greffier.audit import note, segments
from greffier.audit.entry import BadEntry, Entry, decode
from greffier.audit.narrative import ListedCall, Narrative, Problem
from greffier.audit.recovery import ABANDONED, COSIGNED, leaf_of
from greffier.audit.segments import BadFrame, Segment
from greffier.errors import IntegrityError

FOLDER = "audit"
LOG_KEY = Path("keys") / "log.pub"
OFFICE_KEYS = Path("keys") / "head-office.pub"
# A damaged file must not fill a screen or the memory with its every consequence.
MOST_PROBLEMS = 1000
_NAMES = frozenset(
    {segments.LEAVES, segments.CHECKPOINT, COSIGNED}
    | {f".{name}.tmp" for name in (segments.LEAVES, segments.CHECKPOINT, COSIGNED)}
)


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification found. ``root`` is base64 as in the checkpoint, "" without one.

    ``entries`` were read and are whole; ``size`` is the checkpoint's; ``cosigned_size`` is the
    largest size that a trusted witness cosigned, 0 when none did.
    """

    entries: int
    size: int
    root: str
    cosigned_size: int
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing at all was found."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """The object that ``greffier audit verify --json`` prints."""
        problems = [
            {"code": one.code, "seq": one.seq, "file": one.file, "detail": one.detail}
            for one in self.problems
        ]
        return {
            "ok": self.ok,
            "entries": self.entries,
            "size": self.size,
            "root": self.root,
            "cosigned_size": self.cosigned_size,
            "problems": problems,
        }


@dataclass(frozen=True, slots=True)
class _Tail:
    """Bytes of a file from ``offset`` on that are no checkpointed entry."""

    file: str
    offset: int
    at_end: bool


@dataclass(slots=True)
class _Reading:
    """What one pass over the files gathers."""

    folder: Path
    live: bool
    leaves: bytes = b""
    problems: list[Problem] = field(default_factory=list)
    narrative: Narrative = field(default_factory=Narrative)
    whole: int = 0
    # The tree over what was read, and its roots at the sizes that checkpoints name. After a hole
    # the later entries have no place in the tree any more: no root is noted then.
    frontier: merkle.Frontier = field(default_factory=merkle.Frontier)
    roots: dict[int, bytes] = field(default_factory=dict)
    broken: bool = False
    tails: list[_Tail] = field(default_factory=list)
    explained: set[tuple[str, int]] = field(default_factory=set)

    def add(self, code: str, detail: str, seq: int | None = None, file: str | None = None) -> None:
        self.problems.append(Problem(code, detail, seq, file))


def verify(
    data_dir: Path,
    trust: Sequence[note.VerifierKey] | None = None,
    *,
    parts: Mapping[str, tuple[int, str]] | None = None,
    calls: Mapping[str, ListedCall] | None = None,
    held: Collection[tuple[int, bytes]] | None = None,
    origin: str | None = None,
    live: bool = False,
) -> Report:
    """Verify the log of a data directory.

    *trust*: the log's key (type 1), witnesses' keys (type 4) and those of receipts (type 1), got
    elsewhere; without it the directory's own ``keys/log.pub`` and ``keys/head-office.pub`` are
    believed. *parts*: the vault's, see ``cross_check``.
    *calls*: the journal's, see ``Narrative.against_journal``. *held*: what an envelope opens, see
    ``Narrative.against_keys``. *origin*: under which name the directory says that it signs. *live*:
    a recorder is writing, so bytes beyond the checkpoint are not a problem.
    """
    reading = _Reading(data_dir / FOLDER, live)
    keys = tuple(trust) if trust is not None else _own_keys(data_dir, reading)
    reading.narrative.receipt_keys = [key for key in keys if key.kind == note.ED25519]
    latest = _checkpoint(reading, keys, segments.CHECKPOINT)
    cosigned = _checkpoint(reading, keys, COSIGNED, needed=False)
    size = latest.checkpoint.size if latest else None
    _check_names(reading)
    _read_leaves(reading, size or 0)
    _read_entries(reading, size, {one.checkpoint.size for one in (latest, cosigned) if one})
    if latest and origin is not None and latest.checkpoint.origin != origin:
        reading.add("device.changed", "the log is of another device than device.json says")
    if latest and reading.roots.get(latest.checkpoint.size) != latest.checkpoint.root:
        reading.add("root", "the entries do not have the root that the checkpoint signs")
    if cosigned:
        _check_history(reading, cosigned.checkpoint)
    cosigned_size = max(_cosigned_by(reading, latest), _cosigned_by(reading, cosigned))
    for tail in reading.tails:
        if (tail.file, tail.offset) not in reading.explained and not (live and tail.at_end):
            reading.add(
                "entries.extra", f"bytes from {tail.offset} on are in no entry", file=tail.file
            )
    reading.narrative.finish()
    problems = reading.problems + reading.narrative.problems
    if parts is not None:
        problems += reading.narrative.against(parts)
    if calls is not None:
        problems += reading.narrative.against_journal(calls)
    if held is not None:
        problems += reading.narrative.against_keys(held)
    return Report(
        entries=reading.whole,
        size=size or 0,
        root=base64.b64encode(latest.checkpoint.root).decode() if latest else "",
        cosigned_size=cosigned_size,
        problems=tuple(problems[:MOST_PROBLEMS]),
    )


def entries(data_dir: Path) -> Iterator[Entry]:
    """Every checkpointed entry in order, for readers of the log such as the coverage ledger.

    Checks frames and entries, not hashes (``verify`` does). Raises IntegrityError.
    """
    folder = data_dir / FOLDER
    path = folder / segments.CHECKPOINT
    try:
        size = note.parse_checkpoint(note.parse(path.read_bytes()).text).size
    except FileNotFoundError:
        raise IntegrityError(what=path, reason="it is missing") from None
    except note.BadNote as error:
        raise IntegrityError(what=path, reason=error.reason) from error
    done = 0
    for segment, end in segments.ends(segments.listed(folder), size):
        if segment.first >= end:
            continue
        file = folder / segment.name
        frames = segments.frames(file.read_bytes())
        for seq in range(segment.first, end):
            try:
                entry = decode(next(frames, (0, b""))[1])
            except (BadFrame, BadEntry) as error:
                raise IntegrityError(what=file, reason=str(error)) from error
            if entry.seq != seq or seq != done:
                raise IntegrityError(what=file, reason=f"entry {done} is not where it must be")
            done += 1
            yield entry
    if done < size:
        raise IntegrityError(what=folder, reason=f"entries from number {done} are missing")


def _own_keys(data_dir: Path, reading: _Reading) -> tuple[note.VerifierKey, ...]:
    found: tuple[note.VerifierKey, ...] = ()
    for name in (LOG_KEY, OFFICE_KEYS):
        path = data_dir / name
        if not path.is_file():
            if name == LOG_KEY:
                reading.add("key.missing", "the log's public key is missing", file=str(name))
            continue
        try:
            found += note.read_keys(path.read_bytes().decode("utf-8"))
        except UnicodeDecodeError:
            reading.add("key.garbled", "a public key is not text", file=str(name))
        except note.BadNote as error:
            reading.add("key.garbled", error.reason, file=str(name))
    return found


def _checkpoint(
    reading: _Reading, keys: tuple[note.VerifierKey, ...], name: str, needed: bool = True
) -> note.Opened | None:
    path = reading.folder / name
    if not path.is_file():
        if needed:
            reading.add(f"{name}.missing", "there is no checkpoint", file=name)
        return None
    data = path.read_bytes()
    log_keys = [key for key in keys if key.kind == note.ED25519]
    witnesses = [key for key in keys if key.kind == note.COSIGNATURE_V1]
    failure, tried = note.BadNote("unsigned", "no key of a log is trusted"), False
    for key in log_keys:
        try:
            return note.open_checkpoint(data, key, witnesses)
        except note.BadNote as error:
            # That it is not the log of a key for receipts says nothing.
            failure = failure if error.code == "origin" and tried else error
            tried = True
    reading.add(f"{name}.{failure.code}", failure.reason, file=name)
    return None


def _read_leaves(reading: _Reading, size: int) -> None:
    path = reading.folder / segments.LEAVES
    reading.leaves = path.read_bytes() if path.is_file() else b""
    count = len(reading.leaves)
    if count < size * merkle.HASH_BYTES:
        reading.add("leaves.short", "leaves are missing", file=segments.LEAVES)
    elif count > size * merkle.HASH_BYTES and not reading.live:
        reading.add("leaves.long", "more leaves than the checkpoint", file=segments.LEAVES)


def _check_names(reading: _Reading) -> None:
    if not reading.folder.is_dir():
        return
    for name in sorted(path.name for path in reading.folder.iterdir()):
        if segments.segment(name) is None and name not in _NAMES:
            reading.add("file.unknown", "no file of a log has this name", file=name)


def _read_entries(reading: _Reading, size: int | None, sizes: set[int]) -> None:
    """Every segment up to *size* entries; all there is when no checkpoint tells (None).

    Notes the root at each of *sizes*.
    """
    limit = segments.NO_LIMIT if size is None else size
    if 0 in sizes:
        reading.roots[0] = merkle.empty_root()
    expected = 0
    for segment, end in segments.ends(segments.listed(reading.folder), limit):
        if expected < segment.first <= limit:
            _missing(reading, expected, segment.name)
        expected = max(expected, _read_segment(reading, segment, end, limit, sizes))
    if size is not None and expected < size:
        _missing(reading, expected, None)


def _missing(reading: _Reading, seq: int, file: str | None) -> None:
    reading.broken = True
    reading.add("entries.missing", f"entries from number {seq} on are missing", seq, file)


def _read_segment(
    reading: _Reading, segment: Segment, end: int, limit: int, sizes: set[int]
) -> int:
    data = (reading.folder / segment.name).read_bytes()
    seq, at = segment.first, 0
    while seq < end and at < len(data):
        try:
            raw = segments.frame_at(data, at)
        except BadFrame as error:
            reading.broken = True
            reading.add("entries.damaged", str(error), seq, segment.name)
            return seq
        _read_entry(reading, raw, seq, segment.name)
        if reading.frontier.size in sizes and not reading.broken:
            reading.roots[reading.frontier.size] = reading.frontier.root()
        at += segments.HEAD_BYTES + len(raw)
        seq += 1
    if at < len(data):
        reading.tails.append(_Tail(segment.name, at, end >= limit))
    return seq


def _read_entry(reading: _Reading, raw: bytes, seq: int, file: str) -> None:
    leaf = merkle.leaf_hash(raw)
    reading.frontier.append(leaf)
    if leaf != leaf_of(reading.leaves, seq):
        reading.add("entry.altered", "the entry is not the one that its leaf names", seq, file)
    try:
        entry = decode(raw)
    except BadEntry as error:
        reading.add("entry.malformed", str(error), seq, file)
        return
    if entry.seq == seq:
        reading.whole += 1
    else:
        reading.add("entry.order", f"number {entry.seq} where {seq} was due", seq, file)
    if entry.ev == ABANDONED:
        reading.explained.add((entry.data["file"], entry.data["bytes"]))
    reading.narrative.read(entry)


def _cosigned_by(reading: _Reading, opened: note.Opened | None) -> int:
    """The size of a cosigned checkpoint that the entries bear out, else 0."""
    if opened is None or not opened.cosignatures:
        return 0
    head = opened.checkpoint
    return head.size if reading.roots.get(head.size) == head.root else 0


def _check_history(reading: _Reading, cosigned: note.Checkpoint) -> None:
    """An older checkpoint that was kept must be a beginning of this log."""
    if cosigned.size > reading.frontier.size:
        reading.add("rewound", f"the log had {cosigned.size} entries once", file=COSIGNED)
    elif not reading.broken and reading.roots.get(cosigned.size) != cosigned.root:
        reading.add("forked", "the entries contradict a cosigned checkpoint", file=COSIGNED)
