"""The opened data directory, and the one order in which anything becomes durable in it.

A tick: envelopes of new parts, then the log (decisions, openings, ends of calls), then frames, then
the calls journal. That a part is sealed is logged in the next tick. So nothing is in the vault
whose key could be lost or whose decision is not on record, nothing is in the journal that is not in
log and vault, and a kill between two steps leaves a state that
:mod:`greffier.recorder.recovery` ends properly.

One thread owns an Archive. Below it there are two halves that meet only in frozen batches: who
accepts, here, and who makes durable, :mod:`greffier.recorder.committer`. The log stands between
them: any thread may append to it.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from greffier import trust
from greffier.audit import receipt
from greffier.audit.entry import Entry
from greffier.audit.holds import Holds
from greffier.audit.origins import Origins
from greffier.audit.pace import Pace
from greffier.audit.receipt import Signed
from greffier.audit.requests import Register
from greffier.audit.witness import Cosigned
from greffier.clock import Clock, day_of
from greffier.durable import Disk
from greffier.errors import StorageFailed
from greffier.recorder import epoch as epochs
from greffier.recorder import summary as summaries
from greffier.recorder.agent_counts import AgentCounts
from greffier.recorder.batch import Batch, Doom, EndedCall, Ending, NewEpoch
from greffier.recorder.committer import Committer, Durable
from greffier.recorder.creation import create, signer
from greffier.recorder.deletions import Deletions
from greffier.recorder.epoch import Epoch
from greffier.recorder.picture import Picture
from greffier.recorder.recipients import Recipients, key_ids
from greffier.recorder.reserve import Reserve
from greffier.recorder.summary import Keeper
from greffier.recorder.tape import Tape, Valve
from greffier.recorder.tellings import Tellings
from greffier.recorder.unconfirmed import Unconfirmed
from greffier.recorder.writer import Writer
from greffier.seal.keys import PublicKey
from greffier.store import layout
from greffier.store.index import Index
from greffier.store.layout import DataDirectory

__all__ = ["Archive", "create"]

Value = TypeVar("Value")


class Archive:
    """Everything that writes, of one data directory. Made by :meth:`open`; a context manager.

    Its owner accepts; what it hands over at each :meth:`tick` is made durable at once or, once
    :meth:`start_writer` was called, by a thread of its own that may wait for the disk.
    """

    def __init__(self, data: DataDirectory, clock: Clock, disk: Disk) -> None:
        self.data = data
        self.clock = clock
        self.disk = disk
        self.summary_every = summaries.EVERY
        self.lock = data.lock(disk)
        with ExitStack() as undo:  # who waits for a better disk tries again, in the same process
            undo.callback(self.lock.release)
            self.log, self.past, self.past_path = summaries.open_log(
                data.summary, data.audit, disk, signer(data), clock
            )
            undo.callback(self.log.close)
            self.shred = data.shred_store(disk, whole=False)
            undo.callback(self.shred.close)
            self.vault = data.vault(disk)
            self.index = Index.open(data.index, disk, whole=False)
            undo.callback(self.index.close)
            self.sealing = Recipients(data, clock)
            undo.pop_all()
        self.picture: Picture | None = None
        """What a start has to know of the past, kept from :meth:`remember` on by who commits."""
        self.epoch: Epoch | None = None
        self.opened: Entry | None = None  # that of the epoch
        self.valve = Valve()
        self.voluntary = Valve()
        """That of parts which hold no duty; closed also while :attr:`duties_only`."""
        self.duties_only = False
        """The owner's: there is room for nothing that nobody is obliged to record."""
        self.unconfirmed = Unconfirmed()
        """What head office has not confirmed, once :mod:`greffier.recorder.recovery` has read the
        log. Any thread may ask it."""
        self.origins = Origins()
        """When parts were really begun; the same holds."""
        self.holds = Holds()
        self.deletions = Deletions()
        self.agents = AgentCounts()
        self.register = Register()
        self.tellings = Tellings()
        """These five as well."""
        self.pace = Pace()
        """The retention engine's, once the log was read."""
        self._committer = Committer(
            data, disk, self.log, self.shred, self.vault, self.index, self.learn, self.holds
        )
        self._writer: Writer | None = None
        self._epochs: list[NewEpoch] = []
        self._opening: list[Tape] = []
        self._stirred: dict[Tape, None] = {}
        self._doomed: list[Doom] = []
        self._calls: list[EndedCall] = []  # that ended since the last tick
        # What head office said since: parts that it has, and how far it has seen the log.
        self._received: list[str] = []
        self._cosigned: Cosigned | None = None

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
        if isinstance(error, StorageFailed):
            self.abandon()
        else:
            self.close()

    def remember(self, picture: Picture, keeper: Keeper) -> None:
        """Keep *picture*, made from all that is durable, before anything is committed."""
        self.picture = picture
        self._committer.remember(picture, keeper, self.unconfirmed)

    def reopen_index(self) -> None:
        """Open the index again, after it was made anew. Raises StorageFailed."""
        self.index = self._committer.index = Index.open(self.data.index, self.disk, whole=False)

    @property
    def recipients(self) -> list[PublicKey]:
        """Whom everything is sealed to now, head office first."""
        return self.sealing.now

    def say(self, kind: str, data: Mapping[str, Any]) -> None:
        """Append an entry about operators or keys; not durable before the next commit."""
        self.sealing.roll.read(self.log.append(kind, None, data))

    def learn(self, entry: Entry) -> Entry:
        """Take into memory what an *entry* of the log says; the same entry.

        Whoever appends one that could matter here calls this, as recovery does for all of them.
        """
        every = (self.unconfirmed, self.holds, self.register, self.deletions, self.origins)
        for one in (*every, self.tellings, self.agents):
            one.read(entry)
        return entry

    def open_epoch(self) -> Epoch:
        """Begin an epoch: envelopes durable, commitment logged, journal begun.

        Raises StorageFailed, IntegrityError (a key is there that this device was not made for:
        whoever can write here must not become a reader of what is recorded).
        """
        self.sealing.check()
        epoch = self._new_epoch()
        self.tick()
        return epoch

    def renew_epoch(self) -> None:
        """Begin the epoch of another day with the next tick; calls go on."""
        if self.epoch is not None:
            self.log.append("epoch.closed", None, {**self.epoch.revealed, "reason": "day"})
        self._new_epoch()

    def _new_epoch(self) -> Epoch:
        epoch = epochs.new(self.clock)
        day = day_of(epoch.opened_ns)
        files = self.sealing.renew(day, self.say)
        opened = {
            "epoch": epoch.name,
            "commit": epoch.commit,
            "sampling": epoch.sampling_envelopes(self.recipients[0]).hex(),
            **key_ids(self.recipients),
        }
        self.opened = self.learn(self.log.append("epoch.opened", None, opened))
        envelopes = epoch.metadata_envelopes(self.recipients)
        self._epochs.append(
            NewEpoch(epoch.name, epoch.opened_ns, day, epoch.metadata, envelopes, files)
        )
        self.epoch = epoch
        return epoch

    def write_call(self, clear: Mapping[str, Any], sealed: Mapping[str, Any]) -> None:
        """Take one call's metadata; its record is in the journal after the next tick.

        Not before: a record that survived what it speaks of would be a lie.
        """
        if self.epoch is None:
            raise ValueError("a call ended while no epoch was open")
        self._calls.append(EndedCall(self.epoch.name, clear, sealed))

    # --- parts ---

    def add(self, tape: Tape) -> None:
        """Take a new part: its file begins with the next tick, after its envelopes."""
        tape.valve = self.valve if tape.plan.in_file else self.voluntary
        tape.stirred = self._stirred
        self._stirred[tape] = None
        self._opening.append(tape)
        self.learn(self.log.append("part.opened", tape.recording.hex(), tape.opened()))

    def discard(self, tapes: Sequence[Tape], reason: str) -> None:
        """Destroy parts that are being written: nothing of them is handed over any more, and with
        the next commit, after the log, key, envelopes and file are gone.
        """
        for deletion in dict.fromkeys(tape.plan.deletion for tape in tapes):
            some = [tape for tape in tapes if tape.plan.deletion == deletion]
            self.shred_logged([tape.part.hex() for tape in some], reason, deletion)
            for tape in some:
                self._stirred.pop(tape, None)
                tape.stirred = {}
                self._doomed.append(Doom(tape.part, tape.day, reason, deletion, tape.abandon))
        self._opening = [tape for tape in self._opening if tape not in tapes]

    def shred_logged(
        self,
        names: Sequence[str],
        reason: str,
        deletion: trust.DeletionClass,
        outcome: str | None = None,
        kind: Literal["parts", "epochs"] = "parts",
    ) -> Entry:
        """Say in the log that keys are to be destroyed, or what came of it.

        *names* are those of parts, or epochs; *deletion* is the class of each. Any thread.
        """
        data = {
            "reason": reason,
            "class": deletion,
            kind: list(names),
            "outcome": outcome,
            "generation": self.shred.generation if outcome else None,
        }
        return self.learn(self.log.append("key.shredded", None, data))

    # --- head office ---

    def receive(self, signed: Signed) -> Entry:
        """Take the receipt of a part that waits: durable, and in the index, after the next tick."""
        waiting = self.unconfirmed.find(signed.receipt.part)
        recording = waiting.recording if waiting else None
        entry = self.learn(self.log.append("part.received", recording, receipt.entry_of(signed)))
        self._received.append(signed.receipt.part)
        return entry

    def keep_cosigned(self, cosigned: Cosigned) -> None:
        """Take a checkpoint that :meth:`Log.believed` was asked about: kept after the next tick."""
        if self._cosigned is None or cosigned.checkpoint.size > self._cosigned.checkpoint.size:
            self._cosigned = cosigned

    def tick(self) -> None:
        """Hand over what was accepted so far, to be made durable in the order above.

        Without a writer it is durable at return; raises StorageFailed then: what was committed
        before stays, and what was handed over is tried again with the next tick.
        """
        batch = self._batch()
        self.voluntary.open = self.valve.open and not self.duties_only
        if self._writer is None:
            self._committer.take(batch)
            self._committer.commit()
            return
        self._writer.offer(batch)
        self.valve.open = self._writer.has_room()
        self.voluntary.open = self.valve.open and not self.duties_only

    def _batch(self) -> Batch:
        """What was accepted since the last one."""
        openings = tuple(tape.opening() for tape in self._opening)
        self._opening = []
        stirred = tuple(self._stirred)
        pieces = tuple([piece for tape in stirred if (piece := tape.take_sealed())])
        ended = tuple([Ending(tape.part, tape.sealed) for tape in stirred if tape.ended])
        self._stirred.clear()
        calls, self._calls = tuple(self._calls), []
        begun, self._epochs = tuple(self._epochs), []
        received, self._received = tuple(self._received), []
        cosigned, self._cosigned = self._cosigned, None
        doomed, self._doomed = tuple(self._doomed), []
        now = self.clock.monotonic_ns()
        return Batch(now, begun, openings, pieces, ended, calls, received, cosigned, doomed)

    @property
    def written(self) -> int:
        """Bytes of parts that became durable since the archive was opened."""
        return self._committer.written

    @property
    def committed(self) -> Mapping[bytes, Durable]:
        """What survives a power cut of each part (by its id) that is being written."""
        return self._committer.durable

    # --- the writer ---

    def perform(self, work: Callable[[], Value]) -> Value:
        """Do *work* on the stores once everything that was accepted is durable; what it returns.

        For the archive's owner, where no writer was started: elsewhere see
        :meth:`greffier.recorder.writer.Writer.perform`. Raises StorageFailed, and what *work* does.
        """
        self.tick()
        return work()

    def keep_reserve(self, size: int) -> None:
        """From now on *size* octets of the medium are for log and keys alone."""
        self._committer.reserve = Reserve(self.data.path, self.disk, size)

    @property
    def writer(self) -> Writer | None:
        """The thread that makes durable what is handed over, where there is one."""
        return self._writer

    def start_writer(self, stall_s: int, most_octets: int) -> None:
        """From now on a tick waits for no disk; see :class:`greffier.recorder.writer.Writer`."""
        self._writer = Writer(self._committer, self.log, self.clock, stall_s, most_octets)
        self._writer.start()

    def stop_writer(self, patience_s: float) -> None:
        """Wait until everything handed over is durable, at most *patience_s*; then ticks are as
        before :meth:`start_writer`.

        Raises StorageFailed: not everything is durable.
        """
        if self._writer is not None:
            self._writer.stop(patience_s)
            self._writer = None

    # --- the end ---

    def abandon(self) -> bool:
        """Let every file go as it is, after a failure: the next opening recovers.

        False: the writer still waits for the disk, so nothing can be let go yet; ask again.
        """
        if self._writer is not None and not self._writer.halt():
            return False
        self._committer.let_go()
        self._let_go()
        return True

    def close(self) -> None:
        """Finish what is finished, and let everything go. Raises StorageFailed."""
        journal = self._committer.journal
        try:
            if self.epoch is not None:
                self.log.append("epoch.closed", None, self.epoch.revealed)
            self.log.commit()
            if journal is not None:
                journal.close()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        self.index.close()
        self.shred.close()
        self.log.close()
        self.lock.release()
