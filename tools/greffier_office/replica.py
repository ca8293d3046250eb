"""What head office makes of an audit batch, given what it holds of the log. Pure.

docs/sync-protocol.md section 4, steps 1 to 3: the checkpoint, the place, the proof, the entries.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from greffier import merkle
from greffier.audit import entry as entries
from greffier.audit import note
from greffier.audit.batch import Batch
from greffier.audit.entry import BadEntry, Entry, UnreadEntry
from greffier.audit.note import BadNote, Checkpoint, VerifierKey
from greffier_office.catalogue import Log, Unread


class Forked(Exception):
    """The batch contradicts the log. ``reason`` is that of docs/sync-protocol.md section 3."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Garbled(ValueError):
    """The batch holds no checkpoint: it is dropped, and proves nothing against anybody."""


@dataclass(frozen=True, slots=True)
class Growth:
    """What is to be stored: the log as it is then, its root, and the entries that are new.

    ``raw`` are the new entries, from number ``first`` on: those that this program can read are in
    ``entries``, the others in ``unread``. ``cosign`` is the checkpoint that may be cosigned then,
    None if the log does not reach it, and ``note`` the box's signed note of it.
    """

    log: Log
    root: bytes
    first: int
    entries: tuple[Entry, ...]
    unread: tuple[Unread, ...]
    raw: tuple[bytes, ...]
    cosign: Checkpoint | None
    note: str


@dataclass(frozen=True, slots=True)
class Head:
    """A checkpoint that the box signed and that does not contradict what is held of its log.

    ``note`` is the signed note with the box's own signature alone. ``old``: the log that is held
    went on from it, so it says nothing new, and nobody can tell when it was sent.
    """

    checkpoint: Checkpoint
    note: str
    old: bool = False


def head_of(held: Log, batch: Batch, key: VerifierKey, root_at: Callable[[int], bytes]) -> Head:
    """The checkpoint of *batch*; *root_at* computes the root of what is held at a smaller size.

    Raises Forked, Garbled.
    """
    head = _checkpoint(batch, key)
    if head.checkpoint.size < held.size:
        if head.checkpoint.root == root_at(head.checkpoint.size):
            return replace(head, old=True)
        size = head.checkpoint.size
        raise Forked("rewound", f"its log has {size} other entries, it had {held.size}")
    _check_head(held, head.checkpoint, held.frontier().root())
    if batch.end > head.checkpoint.size:
        raise Garbled("the checkpoint does not reach the entries")
    return head


def grown(held: Log, batch: Batch, signed: Head) -> Growth:
    """The log after *batch*, whose entries below ``held.size`` were compared by the caller.

    Raises Forked.
    """
    head = signed.checkpoint
    frontier = held.frontier()
    new = batch.entries[held.size - batch.first :] if batch.first <= held.size < batch.end else ()
    read, unread = _read(held.size, new)
    for one in new:
        frontier.append(merkle.leaf_hash(one))
    placed = batch.entries and batch.first <= held.size <= batch.end
    root = frontier.root()
    if placed and not merkle.verify_consistency(
        frontier.size, head.size, batch.proof, root, head.root
    ):
        raise Forked("forked", "the entries are no beginning of what the checkpoint signs")
    if frontier.size == head.size and root != head.root:
        raise Forked("forked", "the entries do not have the root that the checkpoint signs")
    reached = frontier.size == head.size
    log = replace(held, size=frontier.size, peaks=frontier.peaks)
    # What is not placed proves nothing of the checkpoint's root; and an older one, replayed, must
    # not take the place of what the box signed last.
    if (placed or reached) and head.size >= held.head_size:
        log = replace(log, head_size=head.size, head=signed.note)
    cosign = head if reached else None
    return Growth(log, root, held.size, read, unread, tuple(new), cosign, signed.note)


def _checkpoint(batch: Batch, key: VerifierKey) -> Head:
    try:
        opened = note.open_checkpoint(batch.checkpoint, key)
        signed = note.parse(batch.checkpoint)
    except BadNote as error:
        if error.code == "garbled":
            raise Garbled(error.reason) from None
        raise Forked("key", error.reason) from None
    own = next(one for one in signed.signatures if (one.name, one.key_id) == (key.name, key.key_id))
    return Head(opened.checkpoint, note.with_signature(signed.text, own).decode())


def _check_head(held: Log, head: Checkpoint, root: bytes) -> None:
    if head.size == held.size and head.root != root:
        raise Forked("forked", "another root over the same number of entries")
    if held.head and head.size == held.head_size:
        ours = note.parse_checkpoint(note.parse(held.head.encode()).text)
        if ours.root != head.root:
            raise Forked("forked", "two checkpoints of the same size have different roots")


def _read(first: int, raw: Sequence[bytes]) -> tuple[tuple[Entry, ...], tuple[Unread, ...]]:
    """The entries *raw*, those of a newer program apart: they prove nothing against the box."""
    found, unread = [], []
    for number, one in enumerate(raw, first):
        try:
            entry: Entry | UnreadEntry = entries.decode(one)
        except UnreadEntry as error:
            entry = error
        except BadEntry as error:
            raise Forked("altered", f"entry {number}: {error.reason}") from None
        if entry.seq != number:
            raise Forked("altered", f"entry {number} says that it is {entry.seq}")
        if isinstance(entry, Entry):
            found.append(entry)
        else:
            unread.append(Unread(number, entry.ev))
    return tuple(found), tuple(unread)
