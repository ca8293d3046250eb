"""The shred store: envelope blocks that can be destroyed (docs/shred-format.md).

Two copies of everything; one commit for everything that is not a plain append; at any power cut the
state is all old or all new. One thread owns a store; any other may call :meth:`ShredStore.read`,
which waits for no disk but that of its own read, and makes nobody wait.
"""

import secrets
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from greffier.durable import Disk
from greffier.errors import AlreadyThere, IntegrityError, NotFound, StorageFailed
from greffier.store.shred_day import Day, Destroyed, Report
from greffier.store.shred_format import (
    BUCKET_HEADER,
    BadBucket,
    BadRoot,
    BucketKey,
    Entry,
    Name,
    Root,
    bucket_header,
    is_day,
    open_record,
    open_root,
    seal_records,
    seal_root,
    walk,
)
from greffier.trust.effaceable import COPIES, KEY_FILE, DeletionClass, EffaceableRoot

_LOOKS = 3


class ShredStore:
    """Made by :meth:`create` or :meth:`open`; the data directory's lock must be held."""

    def __init__(self, folder: Path, disk: Disk, effaceable: EffaceableRoot) -> None:
        self._folders = tuple(folder / copy for copy in COPIES)
        self._disk = disk
        self._effaceable = effaceable
        self._root = Root(0, {})
        self._days: dict[str, Day] = {}
        self._where: dict[Name, str] = {}
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
    def open(cls, folder: Path, disk: Disk, effaceable: EffaceableRoot) -> Self:
        """The store in *folder*, recovered; see :meth:`take_reports`.

        Raises IntegrityError if neither copy of the root can be opened, StorageFailed.
        """
        store = cls(folder, disk, effaceable)
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
        return sorted(self._where)

    def day_of(self, name: Name) -> str | None:
        """The day of *name*, or None. Raises as :meth:`open` after a failed commit."""
        self._settle()
        return self._where.get(name)

    def take_reports(self) -> list[Report]:
        """What was mended or lost since the last call."""
        reports, self._reports = self._reports, []
        return reports

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
        if len(set(names)) != len(names) or any(name in self._where for name in names):
            raise AlreadyThere(path="an entry of the shred store")
        bucket = self._days.get(day)
        if not entries:
            return
        if bucket is None:
            self._commit({day: entries})
        elif not bucket.sound:
            self._commit({day: [*self._survivors(bucket, day, ()), *entries]})
        else:
            self._append(day, bucket, entries)

    def get(self, name: Name) -> Entry:
        """The entry *name*, from whichever copy has it whole; the other is then mended.

        Raises NotFound, IntegrityError if no copy has it, StorageFailed.
        """
        self._settle()
        day = self._where.get(name)
        if day is None:
            raise NotFound(what="that entry of the shred store")
        for copy in range(len(COPIES)):
            entry = self._read(day, self._days[day], name, copy)
            if entry is not None:
                if copy and self._days[day].sound:
                    self._reload_day(day)
                return entry
        raise IntegrityError(what="an entry of the shred store", reason="no copy is whole")

    def read(self, name: Name) -> Entry:
        """The entry *name*, from whichever copy has it whole; nothing is mended.

        Any thread may call this. Raises NotFound, IntegrityError if no copy has it, StorageFailed
        while nobody knows what the medium holds (a commit failed; the owner finds out).
        """
        for _ in range(_LOOKS):
            with self._door:
                if self._stale:
                    raise StorageFailed(path=self._folders[0], reason="a commit failed")
                day = self._where.get(name)
                if day is None:
                    raise NotFound(what="that entry of the shred store")
                bucket = self._days[day]
                found = bucket.key, bucket.placed[name]
            for copy in range(len(COPIES)):
                entry = self._read_at(day, *found, name, copy)
                if entry is not None:
                    return entry
            # Its file may just have been replaced by that of another generation.
        raise IntegrityError(what="an entry of the shred store", reason="no copy is whole")

    def destroy(self, names: Iterable[Name]) -> Destroyed:
        """Destroy the entries *names*, all or none, in one commit; unknown ones are ``absent``.

        Raises StorageFailed: then ask again; whether it was done shows in :meth:`names`.
        """
        self._settle()
        wanted = sorted(set(names))
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

    def _load(self) -> None:
        """Take the state from the medium, mend the copies, remove what the root does not name."""
        self.close()
        self._stale = True
        root, slot = self._find_root(self._effaceable.read())
        for folder in self._folders:
            self._mend(folder / f"root.{root.generation % 2}", slot)
        with self._door:
            self._root, self._days, self._where = root, {}, {}
        for day in root.buckets:
            self._reload_day(day)
        self._sweep()
        with self._door:
            self._stale = False

    def _find_root(self, effaceable: bytes) -> tuple[Root, bytes]:
        found: list[tuple[int, bytes, Root]] = []
        for folder in self._folders:
            for slot in (0, 1):
                data = _content(folder / f"root.{slot}")
                try:
                    root = open_root(data, effaceable)
                except BadRoot:
                    continue
                if root.generation % 2 == slot:
                    found.append((root.generation, data, root))
        if not found:
            raise IntegrityError(what="the shred store", reason="no root opens")
        _, data, root = max(found, key=lambda one: one[0])
        return root, data

    def _mend(self, path: Path, good: bytes) -> bool:
        """Make the file at *path* hold *good*; whether it did not already."""
        data = _content(path)
        if data == good:
            return False
        if data.startswith(good):
            self._disk.truncate_to(path, len(good))
        else:
            self._disk.write_file(path, good)
        return True

    def _reload_day(self, day: str) -> None:
        key = self._root.buckets[day]
        if day in self._days:
            self._days[day].close()
        paths = [folder / f"{day}.{key.generation}" for folder in self._folders]
        bucket = Day(key)
        try:
            walked = walk([_content(path) for path in paths], day, key)
        except BadBucket:
            bucket.sound = False
            self._reports.append(Report(day, "unreadable", 1))
        else:
            repaired = sum([self._mend(path, walked.good) for path in paths])
            for one in walked.placed:
                bucket.add(one)
            bucket.next_seq = walked.next_seq
            # Torn is what an interrupted append leaves in either copy: cut, and no repair.
            found: list[Report] = []
            if walked.torn:
                found.append(Report(day, "torn", walked.torn))
            elif repaired:
                found.append(Report(day, "repaired", repaired))
            if walked.lost:
                found.append(Report(day, "lost", walked.lost))
            self._reports += found
        with self._door:
            self._days[day] = bucket
            self._where = {name: at for name, at in self._where.items() if at != day}
            self._where |= dict.fromkeys(bucket.placed, day)

    def _read(self, day: str, bucket: Day, name: Name, copy: int) -> Entry | None:
        return self._read_at(day, bucket.key, bucket.placed[name], name, copy)

    def _read_at(
        self, day: str, key: BucketKey, place: tuple[int, int, int], name: Name, copy: int
    ) -> Entry | None:
        seq, offset, length = place
        path = self._folders[copy] / f"{day}.{key.generation}"
        try:
            with path.open("rb") as file:
                file.seek(offset)
                entry = open_record(file.read(length), 0, day, key, seq)
        except (OSError, BadBucket):
            return None
        return entry if entry.name == name else None

    def _survivors(self, bucket: Day, day: str, doomed: Collection[Name]) -> list[Entry]:
        """What stays of a bucket; an entry that no copy has is reported and left behind."""
        kept: list[Entry] = []
        for name in bucket.placed:
            if name in doomed:
                continue
            copies = (self._read(day, bucket, name, copy) for copy in range(len(COPIES)))
            entry = next((entry for entry in copies if entry), None)
            if entry is None:
                self._reports.append(Report(day, "lost", 1))
            else:
                kept.append(entry)
        return kept

    # --- writing ---

    def _append(self, day: str, bucket: Day, entries: Sequence[Entry]) -> None:
        size = self._size(day, bucket)
        data, placed = seal_records(day, bucket.key, bucket.next_seq, size, entries, _salts())
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
            data, placed = seal_records(day, key, 0, BUCKET_HEADER, entries, _salts())
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
        rest = [
            path
            for folder in self._folders
            for path in sorted(folder.iterdir())
            if path.name not in named
        ]
        if not rest:
            return 0
        try:
            self._disk.remove(rest)
        except StorageFailed:
            # Without E the files are noise; they are tried again when the store is opened.
            return sum(path.exists() for path in rest)
        return 0


def _content(path: Path) -> bytes:
    """The file's bytes; none where it cannot be read (the other copy then counts)."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _salts() -> Iterator[bytes]:
    while True:
        yield secrets.token_bytes(16)
