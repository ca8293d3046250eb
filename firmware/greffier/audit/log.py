"""The audit log: entries are accepted in RAM, and durable when ``commit`` returns.

Order of one commit: entries and their leaves, both synced, then the signed checkpoint, atomically
in place of the one before. A checkpoint therefore never speaks of anything that could be lost: what
survived beyond it, entries without leaves or the other way round, is cut by the next start. An
accepted entry never changes and never moves, so a commit that failed, whether its bytes reached the
medium or not, is simply tried again, and no two checkpoints ever contradict each other.
"""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from greffier import merkle
from greffier.audit import note, recovery, segments, witness
from greffier.audit.entry import Entry, encode
from greffier.audit.recovery import Cut, Known
from greffier.audit.segments import Segment
from greffier.audit.witness import BadCosigned, Cosigned, Roots
from greffier.clock import Clock
from greffier.durable import Appender, Disk, Turns, commit
from greffier.errors import AlreadyThere, IntegrityError, StorageFailed


class _Accepted(NamedTuple):
    frame: bytes
    leaf: bytes
    entry: Entry


class Log:
    """One device's log, in one folder. Made by :meth:`create` or :meth:`open`.

    Any thread may call ``append``; it never waits for the disk. One thread at a time commits (a
    second caller waits). ``cut`` says what the opening cut off, None for a new log.
    """

    def __init__(
        self,
        disk: Disk,
        folder: Path,
        signer: note.Signer,
        clock: Clock,
        *,
        found: recovery.Found,
        random: Callable[[int], bytes],
    ) -> None:
        """Only for :meth:`create` and :meth:`open`."""
        # Fixed after this; any thread reads them.
        self._disk = disk
        self._folder = folder
        self._signer = signer
        self._clock = clock
        self._random = random
        self.cut: Cut | None = None
        self.tail = found.tail
        """The entries behind what was known of the log, as it was opened; None: nothing was."""
        # Guarded by _door: the appending threads and the committing one meet here.
        self._door = threading.Lock()
        self._accepted = found.checkpoint.size
        self._checkpoint = found.checkpoint
        self._signed = signer.sign(found.checkpoint.text)
        self._cosigned = found.cosigned
        self._roots = Roots(folder / segments.LEAVES)
        self._roots.add(found.checkpoint)
        self._pending: list[_Accepted] = []  # the entries from the checkpoint's size on
        # One thread at a time computes roots of the past.
        self._walking = threading.Lock()
        # Guarded by _turn: only the thread that commits touches them.
        self._turn = threading.Lock()
        self._frontier = found.frontier
        self._stored = found.checkpoint.size  # entries durable in the entries files
        self._leaved = found.checkpoint.size  # leaves durable in the leaves file
        self._written = found.checkpoint.size  # entries that the entries files took
        self._leaves_written = found.checkpoint.size  # leaves that the leaves file took
        self._segment = found.last or Segment(found.checkpoint.size)
        self._entries: Appender | None = None
        self._leaves: Appender | None = None
        self._checkpoints = Turns(disk, folder / segments.CHECKPOINT)
        self._cosignatures = Turns(disk, folder / recovery.COSIGNED)
        self._reader: Callable[[Entry], None] | None = None

    @classmethod
    def create(
        cls,
        disk: Disk,
        folder: Path,
        signer: note.Signer,
        clock: Clock,
        random: Callable[[int], bytes] = os.urandom,
    ) -> "Log":
        """Begin a log in *folder* with a checkpoint of size 0. The signer's name is the origin.

        Raises AlreadyThere when there is a log, StorageFailed.
        """
        path = folder / segments.CHECKPOINT
        if path.exists() or segments.listed(folder):
            raise AlreadyThere(path=path)
        disk.make_dirs(folder)
        empty = note.Checkpoint(signer.name, 0, merkle.empty_root())
        disk.write_file(folder / segments.LEAVES, b"")
        disk.write_file(path, signer.sign(empty.text))
        found = recovery.Found(empty, merkle.Frontier(), None, Cut(0, 0), None)
        log = cls(disk, folder, signer, clock, found=found, random=random)
        log._leaves = disk.open(folder / segments.LEAVES)
        return log

    @classmethod
    def open(
        cls,
        disk: Disk,
        folder: Path,
        signer: note.Signer,
        clock: Clock,
        random: Callable[[int], bytes] = os.urandom,
        known: Known | None = None,
    ) -> "Log":
        """Go on with the log in *folder*; what lay beyond its checkpoint is cut and logged.

        *known* is what a summary says of its beginning, which is not read then. Raises
        IntegrityError when something inside the checkpoint is missing or altered, or when what is
        known is not so (then nothing was changed: open it without), StorageFailed.
        """
        found = recovery.recover(disk, folder, signer.log_key, known)
        log = cls(disk, folder, signer, clock, found=found, random=random)
        log.cut = found.cut
        log._leaves = disk.open(folder / segments.LEAVES)
        try:
            if found.last is not None:
                log._entries = disk.open(folder / found.last.name)
        except StorageFailed:
            log.close()
            raise
        if found.cut.bytes:
            log.append(
                "log.recovered", None, {"bytes": found.cut.bytes, "entries": found.cut.entries}
            )
        return log

    @property
    def accepted(self) -> int:
        """How many entries there are, durable or not."""
        with self._door:
            return self._accepted

    @property
    def checkpoint(self) -> note.Checkpoint:
        """The last durable checkpoint; its size is how many entries are durable."""
        with self._door:
            return self._checkpoint

    @property
    def signed(self) -> tuple[note.Checkpoint, bytes]:
        """The last durable checkpoint, and the signed note of it."""
        with self._door:
            return self._checkpoint, self._signed

    @property
    def cosigned(self) -> note.Checkpoint | None:
        """The largest checkpoint that a witness cosigned and that is kept durably."""
        with self._door:
            return self._cosigned

    def append(self, kind: str, rec: str | None, data: Mapping[str, Any]) -> Entry:
        """Accept one entry into RAM; it is durable after the next ``commit`` that returns.

        *rec* is the recording's id or None. Raises BadEntry when the entry has no place in the log;
        then nothing was accepted.
        """
        salt = self._random(16).hex()
        bound = self._clock.lower_bound()
        with self._door:  # stamped inside, so that the monotonic time never falls along the log
            entry = Entry(
                self._accepted,
                self._clock.boot_id,
                self._clock.monotonic_ns(),
                self._clock.wall_ns(),
                bound.t_ns,
                bound.source,
                kind,
                rec,
                salt,
                {key: value for key, value in data.items() if value is not None},
            )
            written = encode(entry)
            self._pending.append(
                _Accepted(segments.frame(written), merkle.leaf_hash(written), entry)
            )
            self._accepted += 1
        return entry

    def commit(self) -> note.Checkpoint:
        """Make every entry accepted before this call durable; return the checkpoint over them.

        Raises StorageFailed: then nothing is promised about the new entries, all are kept in RAM,
        and the next call tries them again (in a new file if the old one cannot be trusted).
        """
        with self._turn:
            with self._door:
                batch = list(self._pending)
                latest = self._checkpoint
            if not batch:
                return latest
            start = latest.size
            self._write_entries(batch, start)
            self._write_leaves(batch, start)
            self._sync()
            latest = note.Checkpoint(self._signer.name, start + len(batch), self._frontier.root())
            signed = self._signer.sign(latest.text)
            self._checkpoints.put(signed)
            with self._door:
                del self._pending[: len(batch)]
                self._checkpoint, self._signed = latest, signed
                self._roots.add(latest)
            if self._reader is not None:
                for one in batch:
                    self._reader(one.entry)
            return latest

    def watch(self, reader: Callable[[Entry], None]) -> None:
        """From now on *reader* is given each entry, in order, as soon as it is durable.

        It is called by who commits, and must not raise.
        """
        with self._turn:
            self._reader = reader

    def known(self) -> Known | None:
        """What is to be known of the log at its last checkpoint; None while a commit has failed.

        For who commits. Raises StorageFailed.
        """
        with self._turn:
            size = self.checkpoint.size
            if not self._frontier.size == self._stored == self._written == size:
                return None
            return recovery.known_at(self._folder, self._frontier, self._entries)

    def believed(self, data: bytes, witnesses: Sequence[note.VerifierKey]) -> Cosigned:
        """The checkpoint in *data*, if it is one of this log that one of *witnesses* cosigned.

        Any thread may call this. One that was made in this run is compared in memory; for another
        the leaves are read and hashed, about a microsecond each. Raises BadCosigned, StorageFailed.
        """
        found = witness.read(data, self._signer.log_key, witnesses)
        size = found.checkpoint.size
        if size > self.checkpoint.size:
            raise BadCosigned("beyond", "this log never was as long")
        if found.checkpoint.root != self._root_at(size):
            raise BadCosigned("forked", "this log had another root")
        return found

    def _root_at(self, size: int) -> bytes:
        with self._door:
            known = self._roots.known(size)
        if known is not None:
            return known
        with self._walking:
            try:
                return self._roots.computed(size)
            except (OSError, EOFError) as error:
                raise StorageFailed(path=self._folder / segments.LEAVES, reason=error) from error

    def keep(self, cosigned: Cosigned) -> bool:
        """Store a checkpoint that was :meth:`believed`, so that no older disk passes for new.

        Durable at return; whether it is newer than what was kept (else nothing is stored). For who
        commits. Raises StorageFailed.
        """
        with self._turn:
            kept = self.cosigned
            if kept is not None and cosigned.checkpoint.size <= kept.size:
                return False
            self._cosignatures.put(cosigned.data)
            with self._door:
                self._cosigned = cosigned.checkpoint
            return True

    def inclusion(self, seq: int, size: int) -> list[bytes]:
        """The proof that entry *seq* is in the durable tree of *size* entries (RFC 6962 2.1.1).

        Raises ValueError unless 0 <= seq < size <= the checkpoint's size.
        """
        return merkle.inclusion_proof(self._read_leaves(size), seq, size)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The proof that the durable tree of *new* entries begins with the one of *old* (2.1.2).

        Raises ValueError unless 0 <= old <= new <= the checkpoint's size.
        """
        return merkle.consistency_proof(self._read_leaves(new), old, new)

    def close(self) -> None:
        """Let the files go; entries that were not committed are lost."""
        with self._turn:
            for appender in (self._entries, self._leaves):
                if appender is not None:
                    appender.close()
            self._entries = self._leaves = None
            self._checkpoints.close()
            self._cosignatures.close()

    def _write_entries(self, batch: list[_Accepted], start: int) -> None:
        while self._written < start + len(batch):
            room = self._segment.first + segments.SEGMENT - self._written
            if room <= 0:
                self._end_segment()
                continue
            appender = self._entries = self._entries or self._created()
            chunk = batch[self._written - start :][:room]
            try:
                appender.append(b"".join(one.frame for one in chunk))
            except StorageFailed:
                if appender.dead:
                    self._abandon(appender)
                raise
            self._written += len(chunk)

    def _end_segment(self) -> None:
        """The entries file is full: it is durable before the next one begins."""
        if self._entries is not None and self._entries.dirty:
            self._sync()
        self._next_segment(Segment(self._written))

    def _sync(self) -> None:
        """Make durable what both files took; one that cannot is abandoned, the other counts."""
        dead = commit([one for one in (self._entries, self._leaves) if one is not None])
        if self._entries is not None and self._entries in dead:
            self._abandon(self._entries)
        else:
            self._stored = self._written
        if self._leaves is not None and self._leaves in dead:
            self._let_leaves_go()
        else:
            self._leaved = self._leaves_written
        if dead:
            raise dead[0].error or StorageFailed(path=dead[0].path, reason="its sync failed")

    def _created(self) -> Appender:
        while True:
            try:
                return self._disk.create(self._folder / self._segment.name)
            except AlreadyThere:  # an empty file that an earlier failed create left behind
                self._segment = Segment(self._segment.first, self._segment.attempt + 1)

    def _abandon(self, appender: Appender) -> None:
        """Never touch this file again: after a failed fsync nobody knows what it holds."""
        gone, good = self._segment, appender.committed
        self._written = self._stored
        again = gone.attempt + 1 if gone.first == self._stored else 0
        self._next_segment(Segment(self._stored, again))
        self.append("log.file_abandoned", None, {"file": gone.name, "bytes": good})

    def _next_segment(self, following: Segment) -> None:
        if self._entries is not None:
            self._entries.close()
        self._entries = None
        self._segment = following

    def _write_leaves(self, batch: list[_Accepted], start: int) -> None:
        for one in batch[self._frontier.size - start :]:
            self._frontier.append(one.leaf)
        fresh = b"".join(one.leaf for one in batch[self._leaves_written - start :])
        if self._leaves is None:
            self._leaves = self._rewritten_leaves(fresh)
        elif fresh:
            try:
                self._leaves.append(fresh)
            except StorageFailed:
                if self._leaves.dead:
                    self._let_leaves_go()
                raise
        self._leaves_written = start + len(batch)

    def _let_leaves_go(self) -> None:
        """The next commit makes the file anew, from what of it is durable."""
        assert self._leaves is not None  # noqa: S101 - it just failed
        self._leaves.close()
        self._leaves = None
        self._leaves_written = self._leaved

    def _rewritten_leaves(self, fresh: bytes) -> Appender:
        """The leaves file made anew and atomically, because its old file failed a sync."""
        path = self._folder / segments.LEAVES
        whole = path.read_bytes()[: self._leaved * merkle.HASH_BYTES] + fresh
        frontier = merkle.Frontier()
        for at in range(0, len(whole), merkle.HASH_BYTES):
            frontier.append(whole[at : at + merkle.HASH_BYTES])
        if frontier.root() != self._frontier.root():
            raise IntegrityError(what=path, reason="its root is not the log's")
        self._disk.write_file(path, whole)
        return self._disk.open(path)

    def _read_leaves(self, size: int) -> list[bytes]:
        data = (self._folder / segments.LEAVES).read_bytes()
        if not 0 <= size <= min(self.checkpoint.size, len(data) // merkle.HASH_BYTES):
            raise ValueError("the tree has fewer entries")
        return [recovery.leaf_of(data, seq) for seq in range(size)]
