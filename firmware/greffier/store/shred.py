"""The shred store: envelope blocks that can be destroyed (docs/shred-format.md).

Two copies of everything; one commit for everything that is not a plain append; at any power cut the
state is all old or all new. One thread owns a store; any other may call :meth:`ShredStore.read`,
which waits for no disk but that of its own read, and makes nobody wait.

A bucket is recovered before the first entry of it is read or written: all of them when the store
is opened, or, where somebody waits for that, each when it is needed.
"""

import secrets
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

from greffier.durable import Disk
from greffier.errors import AlreadyThere, IntegrityError, NotFound, StorageFailed
from greffier.store.shred_day import Day, Destroyed, Report
from greffier.store.shred_format import (
    BUCKET_HEADER,
    BucketKey,
    Entry,
    Name,
    Root,
    bucket_header,
    fresh_salts,
    is_day,
    seal_records,
    seal_root,
)
from greffier.store.shred_glimpse import Found, Glimpses, find_root, is_whole, read_at
from greffier.store.shred_recovery import mend, recover_day, sweep
from greffier.trust.effaceable import COPIES, KEY_FILE, DeletionClass, EffaceableRoot

_LOOKS = 3
_UNKNOWN = "its content is being replaced, or that failed; ask again"


class ShredStore:
    """Made by :meth:`create` or :meth:`open`; the data directory's lock must be held."""

    def __init__(self, folder: Path, disk: Disk, effaceable: EffaceableRoot) -> None:
        self._folders = tuple(folder / copy for copy in COPIES)
        self._disk = disk
        self._effaceable = effaceable
        self._root = Root(0, {})
        self._days: dict[str, Day] = {}
        self._where: dict[Name, str] = {}  # of the buckets in _days
        self._whole = True  # every bucket is opened with the store
        self._glimpses = Glimpses(self._folders)  # of buckets that are not in _days
        # Guarded by _door: buckets in which another thread saw that the copies differ.
        self._doubtful: set[str] = set()
        self._stale = True  # memory may differ from the medium: read it before doing anything
        self._reports: list[Report] = []
        # Only the owner changes root, days and places, and it holds this while it does, never while
        # it writes; who is not the owner holds it to look at them.
        self._door = threading.Lock()

    @classmethod
    def create(cls, folder: Path, disk: Disk, effaceable: EffaceableRoot) -> Self:
        """An empty store in *folder*, whatever *effaceable* opened before. Raises StorageFailed."""
        store = cls(folder, disk, effaceable)
        for copy in store._folders:
            disk.make_dirs(copy)
        store._write_root(Root(1, {}), {})
        store._load()
        return store

    @classmethod
    def open(
        cls, folder: Path, disk: Disk, effaceable: EffaceableRoot, *, whole: bool = True
    ) -> Self:
        """The store in *folder*, recovered; see :meth:`take_reports`.

        Not *whole*: the root is, and each bucket will be when it is needed. Raises IntegrityError
        if neither copy of the root can be opened, StorageFailed.
        """
        store = cls(folder, disk, effaceable)
        store._whole = whole
        store._load()
        return store

    @property
    def class_name(self) -> DeletionClass:
        """What a destruction is worth here."""
        return self._effaceable.class_name

    @property
    def generation(self) -> int:
        """How many commits made the present state."""
        return self._root.generation

    def names(self) -> list[Name]:
        """Every entry, ordered. Raises as :meth:`open` after a failed commit."""
        self._settle()
        for day in self._unopened():
            self._reload_day(day)
        return sorted(self._where)

    def day_of(self, name: Name, day: str | None = None) -> str | None:
        """The day of *name*, or None; where *day* is given nowhere else is looked.

        Raises as :meth:`open` after a failed commit.
        """
        self._settle()
        if day is None:
            return self._find(name, None)
        bucket = self._bucket(day)
        return day if bucket is not None and name in bucket.placed else None

    def let_go(self, day: str) -> None:
        """Keep nothing in memory of a bucket that nobody writes, until it is needed again."""
        with self._door:
            bucket = self._days.get(day)
            if bucket is not None and bucket.sound and not bucket.appenders:
                del self._days[day]
                for name in bucket.placed:
                    self._where.pop(name, None)

    def take_reports(self) -> list[Report]:
        """What was mended or lost since the last call. Any thread may call this."""
        with self._door:
            reports, self._reports = self._reports, []
        return reports

    def days(self) -> list[str]:
        """The days that have a bucket, as the root says. Any thread may call this."""
        with self._door:
            return sorted(self._root.buckets)

    def compare(self, day: str) -> bool:
        """Whether both copies of a bucket that nobody writes are the same and whole.

        Any thread may call this; nothing is mended, but where they are not the owner mends them
        with what it does next.
        """
        with self._door:
            key = self._root.buckets.get(day)
            if self._stale or key is None or (day in self._days and self._days[day].appenders):
                return True
        if is_whole(self._folders, day, key):
            return True
        with self._door:
            replaced = self._root.buckets.get(day) != key
            if not replaced:
                self._doubtful.add(day)
        return replaced

    def close(self) -> None:
        """Let the files go."""
        for day in self._days.values():
            day.close()

    def put(self, day: str, entries: Sequence[Entry]) -> None:
        """Add *entries* to *day*; when this returns they are durable in both copies.

        Raises AlreadyThere if a name exists, StorageFailed; after that the entries are not in the
        store of this process, though a power cut may still bring them to light.
        """
        self._settle()
        if not is_day(day):
            raise ValueError("not a day")
        names = [entry.name for entry in entries]
        bucket = self._bucket(day)
        if len(set(names)) != len(names) or any(name in self._where for name in names):
            raise AlreadyThere(path="an entry of the shred store")
        if not entries:
            return
        if bucket is None:
            self._commit({day: entries})
        elif not bucket.sound:
            self._commit({day: [*self._survivors(bucket, day, ()), *entries]})
        else:
            self._append(day, bucket, entries)

    def get(self, name: Name, day: str | None = None) -> Entry:
        """The entry *name*, from whichever copy has it whole; the other is then mended.

        *day* is where to look first. Raises NotFound, IntegrityError if no copy has it,
        StorageFailed.
        """
        self._settle()
        day = self._find(name, day)
        if day is None:
            raise NotFound(what="that entry of the shred store")
        for copy in range(len(COPIES)):
            entry = self._read(day, self._days[day], name, copy)
            if entry is not None:
                if copy and self._days[day].sound:
                    self._reload_day(day)
                return entry
        raise IntegrityError(what="an entry of the shred store", reason="no copy is whole")

    def read(self, name: Name, day: str | None = None) -> Entry:
        """The entry *name*, from whichever copy has it whole; nothing is mended.

        *day* is where to look first. Any thread may call this. Raises NotFound, IntegrityError if
        no copy has it, StorageFailed while nobody knows what the medium holds (a commit is under
        way, or failed and the owner has not looked yet).
        """
        for _ in range(_LOOKS):
            with self._door:
                if self._stale:
                    raise StorageFailed(path=self._folders[0], reason=_UNKNOWN)
                at = self._where.get(name)
                known = None if at is None else self._days[at]
                closed = {
                    one: key for one, key in self._root.buckets.items() if one not in self._days
                }
            if at is not None and known is not None:
                found: Found | None = Found(at, known.key, known.placed[name])
            else:
                found = self._glimpses.find(name, closed, day)
            if found is None:
                raise NotFound(what="that entry of the shred store")
            for folder in self._folders:
                entry = read_at(folder, found, name)
                if entry is not None:
                    return entry
            # Its file may just have been replaced by that of another generation.
        raise IntegrityError(what="an entry of the shred store", reason="no copy is whole")

    def destroy(self, names: Iterable[Name], places: Mapping[Name, str] | None = None) -> Destroyed:
        """Destroy the entries *names*, all or none, in one commit; unknown ones are ``absent``.

        *places* says in which day to look first, as far as that is known. Raises StorageFailed:
        then ask again; whether it was done shows in :meth:`names`.
        """
        self._settle()
        wanted = sorted(set(names))
        for name in wanted:
            self._find(name, (places or {}).get(name))
        doomed = {name for name in wanted if name in self._where}
        absent = tuple(name for name in wanted if name not in self._where)
        days = {self._where[name] for name in doomed}
        if absent:  # one may stand in a file whose append failed, and would come to light again
            days |= {day for day, bucket in self._days.items() if not bucket.sound}
        leftovers = 0
        if days:
            kept = {day: self._survivors(self._days[day], day, doomed) for day in sorted(days)}
            leftovers = self._commit(kept)
        return Destroyed(tuple(sorted(doomed)), absent, leftovers)

    # --- reading ---

    def _settle(self) -> None:
        if self._stale:
            self._load()
        with self._door:
            doubtful, self._doubtful = self._doubtful, set()
        for day in sorted(doubtful):
            if day in self._root.buckets and (day not in self._days or self._days[day].sound):
                self._reload_day(day)

    def _bucket(self, day: str) -> Day | None:
        """The bucket of *day*, which is recovered when it is first asked for."""
        if day not in self._days and day in self._root.buckets:
            self._reload_day(day)
        return self._days.get(day)

    def _unopened(self) -> list[str]:
        return sorted(self._root.buckets.keys() - self._days.keys(), reverse=True)

    def _find(self, name: Name, day: str | None) -> str | None:
        """The day of *name*: *day*, one of those that are open, or any other, the latest first."""
        if day is not None and name not in self._where:
            self._bucket(day)
        if name not in self._where:
            for other in self._unopened():
                if name in self._reload_day(other).placed:
                    break
        return self._where.get(name)

    def _load(self) -> None:
        """Take the state from the medium, mend the copies, remove what the root does not name."""
        self.close()
        self._stale = True
        root, slot = find_root(self._folders, self._effaceable.read())
        for folder in self._folders:
            mend(self._disk, folder / f"root.{root.generation % 2}", slot)
        with self._door:
            self._root, self._days, self._where = root, {}, {}
            self._doubtful = set()
        if self._whole:
            for day in root.buckets:
                self._reload_day(day)
        self._sweep()
        with self._door:
            self._stale = False

    def _reload_day(self, day: str) -> Day:
        if day in self._days:
            self._days[day].close()
        bucket, reports = recover_day(self._disk, self._folders, day, self._root.buckets[day])
        self._report(*reports)
        with self._door:
            for name in self._days[day].placed if day in self._days else ():
                self._where.pop(name, None)
            self._days[day] = bucket
            self._where |= dict.fromkeys(bucket.placed, day)
        return bucket

    def _report(self, *reports: Report) -> None:
        with self._door:
            self._reports += reports

    def _read(self, day: str, bucket: Day, name: Name, copy: int) -> Entry | None:
        return read_at(self._folders[copy], Found(day, bucket.key, bucket.placed[name]), name)

    def _survivors(self, bucket: Day, day: str, doomed: Collection[Name]) -> list[Entry]:
        """What stays of a bucket; an entry that no copy has is reported and left behind."""
        kept: list[Entry] = []
        for name in bucket.placed:
            if name in doomed:
                continue
            copies = (self._read(day, bucket, name, copy) for copy in range(len(COPIES)))
            entry = next((entry for entry in copies if entry), None)
            if entry is None:
                self._report(Report(day, "lost", 1))
            else:
                kept.append(entry)
        return kept

    # --- writing ---

    def _append(self, day: str, bucket: Day, entries: Sequence[Entry]) -> None:
        size = self._size(day, bucket)
        data, placed = seal_records(day, bucket.key, bucket.next_seq, size, entries, fresh_salts())
        try:
            # One copy after the other: the last block of each also holds older entries, and a
            # medium that loses its power may lose what it was writing.
            for appender in bucket.appenders:
                appender.append(data)
                appender.sync()
        except StorageFailed:
            bucket.sound = False
            bucket.close()
            raise
        with self._door:
            for one in placed:
                bucket.add(one)
                self._where[one.entry.name] = day

    def _size(self, day: str, bucket: Day) -> int:
        """Open both copies for appending; how long they are. They are the same after a walk."""
        if not bucket.appenders:
            name = f"{day}.{bucket.key.generation}"
            for folder in self._folders:
                bucket.appenders.append(self._disk.open(folder / name))
        return bucket.appenders[0].size

    def _commit(self, changes: Mapping[str, Sequence[Entry]]) -> int:
        """Give each day its new entries, all in one; how many files could not be unlinked."""
        generation = self._root.generation + 1
        keys = {day: key for day, key in self._root.buckets.items() if day not in changes}
        fresh: dict[str, Day] = {}
        files: dict[Path, bytes] = {}
        for day, entries in changes.items():
            if not entries:
                continue
            key = BucketKey(generation, secrets.token_bytes(32))
            data, placed = seal_records(day, key, 0, BUCKET_HEADER, entries, fresh_salts())
            for folder in self._folders:
                files[folder / f"{day}.{generation}"] = bucket_header(day, generation) + data
            keys[day] = key
            fresh[day] = Day(key)
            for one in placed:
                fresh[day].add(one)
        self._write_root(Root(generation, keys), files)
        with self._door:
            for day in changes:
                if old := self._days.pop(day, None):
                    old.close()
                    for name in old.placed:
                        self._where.pop(name, None)
            for day, bucket in fresh.items():
                self._days[day] = bucket
                self._where |= dict.fromkeys(bucket.placed, day)
        return self._sweep()

    def _write_root(self, root: Root, files: dict[Path, bytes]) -> None:
        """Commit *root*, whose new buckets are *files*."""
        effaceable = secrets.token_bytes(32)
        slot = seal_root(root, effaceable, secrets.token_bytes(32))
        for folder in self._folders:
            files[folder / f"root.{root.generation % 2}"] = slot
        self._disk.write_files(files)
        self._stale = True  # until the replacement answers, the medium alone knows
        self._effaceable.replace(effaceable)
        self._stale = False
        self._root = root

    def _sweep(self) -> int:
        named = {f"{day}.{key.generation}" for day, key in self._root.buckets.items()}
        named |= {KEY_FILE, f"root.{self._root.generation % 2}"}
        return sweep(self._disk, self._folders, named)
