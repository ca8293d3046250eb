"""Makes batches durable, in the one order, and again with the same bytes after a failure.

Envelopes, log, frames, journal, index: see :mod:`greffier.recorder.archive`. Everything that was
taken stays here until it is durable, so a commit that failed is simply asked for again; what is
done already is not done twice. A file whose sync failed is abandoned, and its durable bytes and
those that wait go to a new file of its name.

One thread at a time owns a Committer: that of an import, or the writer of the live recorder.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from greffier.audit.entry import Entry as LogEntry
from greffier.audit.holds import Holds
from greffier.audit.log import Log
from greffier.audit.witness import Cosigned
from greffier.durable import Disk
from greffier.durable.system import failed
from greffier.errors import AlreadyThere, StorageFailed
from greffier.recorder.batch import Batch, EndedCall, Ending, NewEpoch, Opening
from greffier.recorder.doomed import Destroyer
from greffier.recorder.picture import Picture
from greffier.recorder.reserve import Reserve
from greffier.recorder.summary import Keeper
from greffier.recorder.unconfirmed import Unconfirmed
from greffier.seal.envelope import epoch_id
from greffier.store import journal
from greffier.store.index import CallRow, Index, PartRow
from greffier.store.journal import Journal
from greffier.store.layout import DataDirectory
from greffier.store.rebuild import part_row, row_of
from greffier.store.shred import ShredStore
from greffier.store.shred_format import METADATA, PART, Entry, Name
from greffier.store.vault import SUFFIX, Closed, OpenPart, StoredPart, Vault


class Durable(NamedTuple):
    """How much of a part survives a power cut: *size* bytes, up to the sample *last_sample*."""

    size: int
    last_sample: int


@dataclass(slots=True)
class _Part:
    """A part that is being written: what of it waits, and where it goes."""

    opening: Opening
    file: OpenPart | None = None  # None: not begun, or its file was abandoned
    begun: bool = False
    size: int = 0  # bytes durable
    waiting: list[bytes] = field(default_factory=list)
    written: int = 0  # how many of them the present file has taken
    last_sample: int = 0  # with all that waits
    durable_sample: int = 0
    ending: Ending | None = None
    closed: Closed | None = None  # its file is whole and closed, but not on record yet

    @property
    def name(self) -> str:
        return self.opening.part.hex()


class Committer:
    """The durable half of an open data directory."""

    def __init__(
        self,
        data: DataDirectory,
        disk: Disk,
        log: Log,
        shred: ShredStore,
        vault: Vault,
        index: Index,
        learn: Callable[[LogEntry], LogEntry],
        holds: Holds,
    ) -> None:
        self._data = data
        self._disk = disk
        self._log = log
        self._shred = shred
        self._vault = vault
        self.index = index
        self._learn = learn
        self._holds = holds
        self.journal: Journal | None = None
        self._epochs: list[NewEpoch] = []  # whose journal is not begun
        self._tried = ""  # of which epoch a journal was to be created last
        self._unsealed: list[Opening] = []  # whose envelopes are not durable
        self._parts: dict[bytes, _Part] = {}
        # Of those: not all that they took is durable; the end came; they changed what is told.
        self._dirty: dict[bytes, _Part] = {}
        self._ended: dict[bytes, _Part] = {}
        self._untold: dict[bytes, _Part] = {}
        self._destroyer = Destroyer(log, learn, shred, vault)
        self._calls: list[EndedCall] = []
        self._rows: list[CallRow] = []
        self._heeded = 0  # of how many of them the picture was told
        self._part_rows: list[PartRow] = []
        self._received: list[str] = []  # parts whose receipt the log has
        self._cosigned: Cosigned | None = None  # not kept yet
        self.reserve: Reserve | None = None
        """Blocks for log and keys; set before the writer starts."""
        self.written = 0
        """Bytes of parts that became durable so far: the writer's own, any thread reads."""
        self._picture: Picture | None = None
        self._keeper: Keeper | None = None
        self._unconfirmed: Unconfirmed | None = None
        self.durable: Mapping[bytes, Durable] = {}
        """The parts that are being written. A new mapping after each commit: any thread reads."""

    def remember(self, picture: Picture, keeper: Keeper, unconfirmed: Unconfirmed) -> None:
        """From now on *picture* is told of all that becomes durable, and *keeper* sums it up.

        *unconfirmed* shares what is big of it.
        """
        self._picture, self._keeper, self._unconfirmed = picture, keeper, unconfirmed
        self._log.watch(picture.read)

    def take(self, batch: Batch) -> None:
        """Accept *batch*: it is durable after the next :meth:`commit` that returns."""
        self._epochs += batch.epochs
        self._unsealed += batch.openings
        for opening in batch.openings:
            part = self._parts[opening.part] = _Part(opening)
            self._dirty[opening.part] = self._untold[opening.part] = part
        for name, data, last_sample in batch.pieces:
            part = self._dirty[name] = self._parts[name]
            part.waiting.append(data)
            part.last_sample = last_sample
        for ending in batch.endings:
            part = self._ended[ending.part] = self._parts[ending.part]
            part.ending = ending
        self._calls += batch.calls
        self._received += batch.received
        self._cosigned = batch.cosigned or self._cosigned
        for doom in batch.doomed:
            self._drop(doom.part)
        self._destroyer.take(batch.doomed)

    def _drop(self, name: bytes) -> None:
        """Write no more of a part that is to be destroyed."""
        part = self._parts.pop(name, None)
        for table in (self._dirty, self._ended, self._untold):
            table.pop(name, None)
        self._unsealed = [one for one in self._unsealed if one.part != name]
        if part is not None and part.file is not None:
            self._vault.abandon(part.file)

    def commit(self) -> None:
        """Make everything durable that was taken, in the order.

        Raises StorageFailed: what became durable before stays, and the rest is tried again.
        """
        try:
            self.commit_log()
            self._destroyer.carry_out(self.index)
            self._guard_reserve()
            self._write_parts()
            self._write_calls()
            self._finish_parts()
            self._put_rows()
            self._sum_up()
        except OSError as error:  # of a read
            raise failed(self._data.path, error) from error
        finally:
            self._tell()

    def commit_log(self) -> None:
        """The first steps of a commit: what the log says is durable. Raises StorageFailed."""
        try:
            self._put_files()
            self._put_envelopes()
            self._log.commit()
            self._keep_cosigned()
        except StorageFailed as error:
            if self.reserve is not None:
                self.reserve.yield_to(error)
            raise

    def _guard_reserve(self) -> None:
        """Parts may be written, or nothing of them is. Raises StorageFailed."""
        if self.reserve is None:
            return
        try:
            self.reserve.guard()
        except StorageFailed:
            if self._dirty:
                raise

    def let_go(self) -> None:
        """Close the files of parts and journal without another write."""
        for part in self._vault.open_parts:
            self._vault.abandon(part)
        if self.journal is not None:
            self.journal.let_go()

    # --- envelopes ---

    def _put_files(self) -> None:
        for one in self._epochs:
            for path, content in one.files:
                self._disk.make_dirs(path.parent)
                self._disk.write_file(path, content)

    def _put_envelopes(self) -> None:
        keys = [(one.day, Name(PART, one.part), one.envelopes) for one in self._unsealed]
        for one in self._epochs:
            keys.append((one.day, Name(METADATA, epoch_id(one.name)), one.envelopes))
        by_day: dict[str, list[Entry]] = {}
        for day, name, block in keys:
            if self._shred.day_of(name, day) is None:  # a put that failed may have been done
                by_day.setdefault(day, []).append(Entry(name, self._shred.class_name, block))
        for day, entries in by_day.items():
            self._shred.put(day, entries)
        self._unsealed = []

    # --- frames ---

    def _write_parts(self) -> None:
        failure: StorageFailed | None = None
        for part in self._dirty.values():
            try:
                self._write(part)
            except StorageFailed as error:  # the others may have a better file
                failure = error
        dead = self._vault.commit()
        for name, part in tuple(self._dirty.items()):
            if part.file is not None and part.file.dead:
                part.file = None
            elif part.file is not None and self._committed(part):
                del self._dirty[name]
                self._untold[name] = part
        if failure is not None:
            raise failure
        if dead:
            said = next((one.appender.error for one in dead if one.appender.error), None)
            raise said or StorageFailed(path=self._data.parts, reason="a sync failed")

    def _write(self, part: _Part) -> None:
        if part.file is None:
            if part.begun:
                self._begin_again(part)
            else:
                self._begin(part)
        if part.file is None:
            return
        for data in part.waiting[part.written :]:
            part.file.append(data)
            part.written += 1

    def _begin(self, part: _Part) -> None:
        opening = part.opening
        try:
            part.file = self._created(opening)
        except AlreadyThere:  # a creation that failed, and was done all the same
            self._disk.remove([self._path(opening)])
            part.file = self._created(opening)
        part.begun = True

    def _created(self, opening: Opening) -> OpenPart:
        name, digest = opening.part.hex(), opening.digest
        return self._vault.create(name, opening.day, opening.header, digest=digest)

    def _begin_again(self, part: _Part) -> None:
        """A new file for what the abandoned one held, and for all that waits."""
        opening = part.opening
        if not part.size:
            self._disk.remove([self._path(opening)])
            part.begun, part.written = False, 0
            self._begin(part)
            return
        rest = b"".join(part.waiting)
        part.file = self._vault.rewrite(part.name, opening.day, part.size, rest, opening.digest)
        part.written = len(part.waiting)

    def _committed(self, part: _Part) -> bool:
        """Forget what of *part* is durable now; whether that is all of it."""
        if part.file is None or part.file.committed < part.file.size:
            return False
        self.written += part.file.committed - part.size
        part.size = part.file.committed
        del part.waiting[: part.written]
        part.written = 0
        if part.waiting:
            self._untold[part.opening.part] = part
            return False
        part.durable_sample = part.last_sample
        return True

    def _tell(self) -> None:
        durable = dict(self.durable)
        for name, part in self._untold.items():
            durable[name] = Durable(part.size, part.durable_sample)
        for name in durable.keys() - self._parts.keys():
            del durable[name]
        self._untold = {}
        self.durable = durable

    def _path(self, opening: Opening) -> Path:
        return self._data.parts / opening.day / f"{opening.part.hex()}{SUFFIX}"

    # --- calls, ends, index ---

    def _write_calls(self) -> None:
        """Put the calls that ended into the journals of their epochs, which stand in order."""
        while True:
            while self._calls and self.journal and self._calls[0].epoch == self.journal.epoch:
                call = self._calls[0]
                number = self.journal.append(call.clear, call.sealed)
                self._rows.append(row_of(call.clear, self.journal.epoch, number))
                del self._calls[0]
            if self.journal is not None:
                self.journal.commit()
                self._heed(self.journal)
            if not self._epochs:
                return
            self._begin_journal(self._epochs[0])
            del self._epochs[0]

    def _heed(self, journal: Journal) -> None:
        """The records of *journal* are durable: the picture is told of those that it lacks."""
        if self._picture is None:
            return
        for row in self._rows[self._heeded :]:
            self._picture.heed(row.epoch, row.record, row.clear)
        self._heeded = len(self._rows)
        self._picture.journals[journal.epoch] = journal.place
        self._picture.growing = journal.epoch

    def _sum_up(self) -> None:
        """Everything that the log speaks of, as far as the picture knows it, is durable."""
        if self._picture is None or self._keeper is None or self._unconfirmed is None:
            return
        if self._keeper.look(self._picture):
            self._unconfirmed.share(self._picture.unconfirmed)

    def _begin_journal(self, epoch: NewEpoch) -> None:
        if self.journal is not None:
            self.journal.let_go()  # everything in it is durable
        if self._tried == epoch.name:  # a creation that failed, and may have been done
            self._disk.remove([journal.path_of(self._data.calls, epoch.name)])
        self._tried = epoch.name
        self.journal = Journal.create(
            self._data.calls, self._disk, epoch.name, epoch.opened_ns, epoch.key
        )

    def _finish_parts(self) -> None:
        for name, part in tuple(self._ended.items()):
            self._finish(part)
            del self._parts[name], self._ended[name]

    def _finish(self, part: _Part) -> None:
        """Everything of *part* is durable: its file is closed, and the log says so."""
        closed = part.closed or self._close(part)
        assert part.ending is not None  # noqa: S101 - the caller chose it by that
        opening, sealed = part.opening, part.ending.sealed
        stored = StoredPart(closed.part_id, opening.day, self._path(opening), closed.size)
        row = part_row(stored, self._shred)
        holds = self._holds.standing(row.part_id, row.recording)
        self._part_rows.append(replace(row, holds=holds) if holds else row)
        entry = self._log.append("part.sealed", str(sealed["recording"]), sealed)
        self._learn(entry)

    def _close(self, part: _Part) -> Closed:
        """Close the file of *part*, once: what follows may fail and be tried again."""
        assert part.file is not None  # noqa: S101 - it was written
        try:
            part.closed = self._vault.close(part.file)
        except StorageFailed:
            part.file = None
            self._dirty[part.opening.part] = part
            raise
        return part.closed

    def _keep_cosigned(self) -> None:
        if self._cosigned is not None:
            self._log.keep(self._cosigned)
            self._cosigned = None

    def _put_rows(self) -> None:
        if self._rows or self._part_rows:
            self.index.put(self._rows, self._part_rows)
            self._rows, self._part_rows, self._heeded = [], [], 0
        if self._received:
            self.index.mark_synced(self._received)
            self._received = []
