"""Head office's copy of each log: what comes is verified, made durable, cosigned, answered.

docs/sync-protocol.md section 4. The order is: the entries as an object, then one transaction with
the log's new size, root and frontier, what the entries say, and the cosignature; then the answer.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from greffier import merkle
from greffier.audit import batch as batches
from greffier.audit import note, segments
from greffier.audit.batch import BadBatch, Batch
from greffier.audit.note import BadNote, Checkpoint, Signer
from greffier.errors import IntegrityError
from greffier.sync.messages import Fork, Have
from greffier_office import catalogue, narration, replica
from greffier_office.catalogue import BatchRow, Catalogue, Log
from greffier_office.objects import Objects, batch_name
from greffier_office.replica import Forked, Garbled, Growth

_ATTEMPTS = 3
_ALARM = "{}: entries that only a newer version reads ({}): they are kept, update head office"


@dataclass(frozen=True, slots=True)
class Answer:
    """What *device* is told. ``alarm`` is one line for people of what is new: a contradiction, or
    a kind of entries that this program does not know.

    ``old``: it showed a checkpoint that its log here went on from, or somebody sent it again.
    """

    device: str
    message: Have | Fork
    alarm: str = ""
    old: bool = False


@dataclass(frozen=True, slots=True)
class _Kept:
    """``cosigned`` checkpoint or "", and the kinds that are unread of this device from now on."""

    cosigned: str
    strange: list[str]


class LogKeeper:
    """One thread owns it, with its connection."""

    def __init__(
        self,
        catalogue: Catalogue,
        objects: Objects,
        witness: Signer,
        now_ns: Callable[[], int],
    ) -> None:
        self._catalogue = catalogue
        self._objects = objects
        self._witness = witness
        self._now_ns = now_ns

    def take(self, device: str, payload: bytes) -> Answer | None:
        """Do what the batch in *payload* asks for. None: it is dropped (malformed, a stranger's).

        Raises StorageFailed, IntegrityError: then nothing is answered, and the box asks again.
        """
        try:
            batch = batches.decode(payload)
            key_line = self._catalogue.log_key(device)
            if key_line is None:
                return None
            key = note.read_key(key_line)
        except (BadBatch, BadNote):
            return None
        for _attempt in range(_ATTEMPTS):  # another collector may take a batch at the same time
            held = self._catalogue.log(device)
            try:
                head = replica.head_of(held, batch, key, partial(self._root_at, device))
                if head.old:
                    return Answer(device, Have(held.size, held.cosigned), old=True)
                self._compare(device, held, batch)
                growth = replica.grown(held, batch, head)
            except Garbled:
                return None
            except Forked as error:
                return self._forked(device, held, batch, error)
            kept = self._kept(device, held, growth)
            if kept is not None:
                alarm = _ALARM.format(device, ", ".join(kept.strange)) if kept.strange else ""
                return Answer(device, Have(growth.log.size, kept.cosigned), alarm)
        return None

    def _compare(self, device: str, held: Log, batch: Batch) -> None:
        """Entries that are here already must be the ones that are here. Raises Forked."""
        end = min(batch.end, held.size)
        if batch.first >= end:
            return
        stored: list[bytes] = []
        rows = self._catalogue.batches(device, batch.first, end)
        for row in rows:
            stored += self.entries(row)
        at = rows[0].first if rows else 0
        if tuple(stored[batch.first - at : end - at]) != batch.entries[: end - batch.first]:
            raise Forked("altered", "an entry is not the one that was sent before")

    def entries(self, row: BatchRow) -> list[bytes]:
        """The entries in the object of *row*, as bytes. Raises IntegrityError, StorageFailed."""
        raw = self._objects.get(row.object)
        if hashlib.sha256(raw).hexdigest() != row.sha256:
            raise IntegrityError(what=row.object, reason="another SHA-256")
        return [entry for _, entry in segments.frames(raw)]

    def _root_at(self, device: str, size: int) -> bytes:
        """The root of what is held of the log of *device* at *size*, which is below its own.

        Each batch has the tree's peaks before it, so one object is read. Raises IntegrityError,
        StorageFailed.
        """
        frontier, at = merkle.Frontier(), 0
        near = self._catalogue.peaks_before(device, size)
        if near is not None:
            at, peaks = near
            frontier = merkle.Frontier(at, peaks)
        for row in self._catalogue.batches(device, at, size):
            for entry in self.entries(row)[: size - row.first]:
                frontier.append(merkle.leaf_hash(entry))
        if frontier.size != size:
            raise IntegrityError(what=f"the log of {device}", reason="entries of it are missing")
        return frontier.root()

    def _kept(self, device: str, held: Log, growth: Growth) -> _Kept | None:
        """Make *growth* durable. None: the log is another now."""
        row = self._put(device, growth.first, growth.raw) if growth.raw else None
        log = (
            self._cosigned(growth.log, growth.cosign, growth.note) if growth.cosign else growth.log
        )
        cosigned = log.cosigned if growth.cosign else ""
        if log == held:
            return _Kept(cosigned, [])
        with self._catalogue.transaction() as db:
            if not catalogue.write_log(db, device, held.size, log, growth.root):
                return None
            if row is not None:
                catalogue.write_batch(db, device, row, held.peaks)
            narration.narrate(db, device, growth.entries)
            if growth.cosign:
                narration.witness(db, device, log.cosigned_size, log.cosigned_ns)
            strange = catalogue.write_unread(db, device, growth.unread)
        return _Kept(cosigned, strange)

    def _put(self, device: str, first: int, raw: Sequence[bytes]) -> BatchRow:
        frames = b"".join(map(segments.frame, raw))
        sha256 = hashlib.sha256(frames).hexdigest()
        name = batch_name(device, first, first + len(raw), sha256)
        self._objects.put(name, frames)
        return BatchRow(first, first + len(raw), name, sha256, len(frames))

    def _cosigned(self, log: Log, head: Checkpoint, signed: str) -> Log:
        """*log* with a cosignature, which leaves this process only when it is stored."""
        now_ns = self._now_ns()
        line = self._witness.cosign(head, now_ns // 1_000_000_000).decode()
        return replace(log, cosigned_size=head.size, cosigned=signed + line, cosigned_ns=now_ns)

    def _forked(self, device: str, held: Log, batch: Batch, error: Forked) -> Answer:
        """Both signed checkpoints are kept before anybody is told; people are told once."""
        theirs = batch.checkpoint.decode()
        ours = held.cosigned or held.head
        with self._catalogue.transaction() as db:
            new = catalogue.write_fork(db, device, error.reason, ours, theirs, self._now_ns())
        alarm = f"{device}: {error.reason}: {error.detail}" if new else ""
        return Answer(device, Fork(held.size, error.reason), alarm)
