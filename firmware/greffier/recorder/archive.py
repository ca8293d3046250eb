"""The opened data directory, and the one order in which anything becomes durable in it.

A tick: envelopes of new parts, then the log (decisions, openings, ends of calls), then frames, then
the calls journal. That a part is sealed is logged in the next tick. So nothing is in the vault
whose key could be lost or whose decision is not on record, nothing is in the journal that is not in
log and vault, and a kill between two steps leaves a state that
:mod:`greffier.recorder.recovery` ends properly.

One thread owns an Archive and everything below it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from greffier import __version__, trust
from greffier.audit import verify
from greffier.audit.log import Log
from greffier.audit.note import Signer
from greffier.clock import Clock, day_of
from greffier.durable import Disk
from greffier.errors import IntegrityError, StorageFailed
from greffier.recorder import epoch as epochs
from greffier.recorder.epoch import Epoch
from greffier.recorder.tape import Tape
from greffier.seal import envelope, keys
from greffier.seal.envelope import What
from greffier.seal.keys import PublicKey, Role
from greffier.store import layout
from greffier.store.index import CallRow, Index, PartRow
from greffier.store.journal import Journal
from greffier.store.layout import DataDirectory
from greffier.store.rebuild import part_row
from greffier.store.shred_format import Entry, Name
from greffier.store.vault import StoredPart


def create(
    path: Path, clock: Clock, office_public: bytes, console_public: bytes | None = None
) -> DataDirectory:
    """Make a data directory, and a log whose first entry says so.

    *office_public* and *console_public* are the contents of key files. Raises BadKeyFile,
    AlreadyThere, Busy, StorageFailed.
    """
    disk = Disk()
    made = layout.create(path, disk, clock, office_public, console_public)
    with made.lock(disk):
        log = Log.create(disk, made.audit, _signer(made), clock)
        log.append(
            "device.created",
            None,
            {
                "device": made.identity.device,
                "version": __version__,
                "class": "C",  # the root of the shred store is a file: trust.FileRoot
                **_key_ids(_recipients(made)),
            },
        )
        log.commit()
        log.close()
    return made


def _recipients(data: DataDirectory) -> list[PublicKey]:
    """Whom everything is sealed to: head office, and the console where there is one."""
    found = [keys.read_public(data.office_public, Role.OFFICE)]
    if data.console_public.exists():
        found.append(keys.read_public(data.console_public, Role.CONSOLE))
    return found


def _key_ids(recipients: Sequence[PublicKey]) -> dict[str, str]:
    """Their names in the log."""
    return {f"{one.role.name.lower()}_key": one.key_id.hex() for one in recipients}


def _signer(data: DataDirectory) -> Signer:
    key = trust.load_log_key(data.log_key)
    if key.name != data.identity.origin:
        raise IntegrityError(what=data.log_key, reason="it is the key of another device")
    return Signer(key.name, key.private)


class Archive:
    """Everything that writes, of one data directory. Made by :meth:`open`; a context manager."""

    def __init__(self, data: DataDirectory, clock: Clock, disk: Disk) -> None:
        self.data = data
        self.clock = clock
        self.disk = disk
        self.lock = data.lock(disk)
        try:
            self.log = Log.open(disk, data.audit, _signer(data), clock)
            self.shred = data.shred_store(disk)
            self.vault = data.vault(disk)
            self.index = Index.open(data.index, disk)
            self.recipients = _recipients(data)
        except BaseException:
            self.lock.release()
            raise
        self.epoch: Epoch | None = None
        self.journal: Journal | None = None
        self._opening: list[Tape] = []
        self._running: list[Tape] = []
        # Calls that ended since the last tick: what is clear of them, and what is sealed.
        self._ended: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []

    @classmethod
    def open(cls, path: Path, clock: Clock) -> Self:
        """Open the data directory at *path* for writing.

        Raises NotADataDirectory, Busy, BadKeyFile, IntegrityError, StorageFailed.
        """
        return cls(layout.open(path), clock, Disk())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def reopen_index(self) -> None:
        """Open the index again, after it was made anew. Raises StorageFailed."""
        self.index = Index.open(self.data.index, self.disk)

    # --- epochs ---

    def open_epoch(self) -> Epoch:
        """Begin an epoch: envelopes durable, commitment logged, journal begun.

        Raises StorageFailed, IntegrityError (a key is there that this device was not made for:
        whoever can write here must not become a reader of what is recorded).
        """
        self._check_recipients()
        epoch = epochs.new(self.clock)
        name = Name(What.METADATA, envelope.epoch_id(epoch.name))
        block = epoch.metadata_envelopes(self.recipients)
        self.shred.put(day_of(epoch.opened_ns), [Entry(name, self.shred.class_name, block)])
        self.log.append(
            "epoch.opened",
            None,
            {
                "epoch": epoch.name,
                "commit": epoch.commit,
                "sampling": epoch.sampling_envelopes(self.recipients[0]).hex(),
                **_key_ids(self.recipients),
            },
        )
        self.log.commit()
        self.journal = Journal.create(
            self.data.calls, self.disk, epoch.name, epoch.opened_ns, epoch.metadata
        )
        self.epoch = epoch
        return epoch

    def renew_epoch(self) -> None:
        """Begin the epoch of another day; what was accepted is durable before, and calls go on.

        Raises StorageFailed, IntegrityError.
        """
        self.tick()
        before = self.journal
        if self.epoch is not None:
            self.log.append("epoch.closed", None, {"epoch": self.epoch.name, "reason": "day"})
        self.open_epoch()
        if before is not None:
            before.close()

    def _check_recipients(self) -> None:
        created = next(verify.entries(self.data.path), None)
        if created is None or created.ev != "device.created" or "office_key" not in created.data:
            return
        found = _key_ids(self.recipients)
        for key in ("office_key", "console_key"):
            if found.get(key) != created.data.get(key):
                path = self.data.office_public.with_name(key.replace("_key", ".pub"))
                raise IntegrityError(what=path, reason="this device was made for another key")

    def write_call(self, clear: Mapping[str, Any], sealed: Mapping[str, Any]) -> None:
        """Take one call's metadata; its record is in the journal after the next tick.

        Not before: a record that survived what it speaks of would be a lie.
        """
        self._ended.append((clear, sealed))

    def _write_calls(self) -> list[CallRow]:
        """Put the calls that ended into the journal, durable; their rows of the index."""
        if not self._ended:
            return []
        if self.journal is None or self.epoch is None:
            raise ValueError("a call ended while no epoch was open")
        rows = []
        for clear, sealed in self._ended:
            number = self.journal.append(clear, sealed)
            end = clear["end_ns"]
            rows.append(
                CallRow(
                    clear["uid"],
                    clear["line"],
                    int(clear["start_ns"]),
                    None if end is None else int(end),
                    clear["recording"],
                    clear,
                    self.epoch.name,
                    number,
                )
            )
        self.journal.appender.sync()
        self._ended = []
        return rows

    # --- parts ---

    def add(self, tape: Tape) -> None:
        """Take a new part: its file begins with the next tick, after its envelopes."""
        self._opening.append(tape)
        self.log.append("part.opened", tape.recording.hex(), tape.opened())

    def tick(self) -> None:
        """Make everything durable that was accepted so far, in the order above.

        Raises StorageFailed; what was committed before stays.
        """
        opening, self._opening = self._opening, []
        if opening:
            by_day: dict[str, list[Entry]] = {}
            for tape in opening:
                name = Name(What.PART, tape.part)
                entry = Entry(name, self.shred.class_name, tape.envelopes)
                by_day.setdefault(tape.day, []).append(entry)
            for day, entries in by_day.items():
                self.shred.put(day, entries)
        self.log.commit()
        for tape in opening:
            tape.begin(self.vault)
            self._running.append(tape)
        for tape in self._running:
            tape.write()
        if self.vault.commit():
            raise StorageFailed(path=self.data.parts, reason="a sync failed")
        calls = self._write_calls()
        parts = [self._finished(tape) for tape in self._running if tape.ended]
        self._running = [tape for tape in self._running if not tape.ended]
        if parts or calls:
            self.index.put(calls, parts)

    @property
    def running(self) -> Sequence[Tape]:
        """The parts that are being written."""
        return self._running

    def _finished(self, tape: Tape) -> PartRow:
        closed = tape.close(self.vault)
        self.log.append("part.sealed", tape.recording.hex(), tape.sealed)
        path = self.vault.path_of(closed.part_id)
        return part_row(StoredPart(closed.part_id, tape.day, path, closed.size), self.shred)

    def close(self) -> None:
        """Finish what is finished, and let everything go. Raises StorageFailed."""
        try:
            if self.epoch is not None:
                self.log.append("epoch.closed", None, {"epoch": self.epoch.name})
            self.log.commit()
            if self.journal is not None and not self.journal.dead:
                self.journal.close()
        finally:
            self.index.close()
            self.shred.close()
            self.log.close()
            self.lock.release()
