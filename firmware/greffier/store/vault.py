"""The vault: one preallocated file a part, one commit a tick for all of them.

The vault knows no keys and no meaning: it takes the bytes that the sealing room made. Folder:
``<YYYY-MM-DD>/<part id>.gpart`` (docs/data-directory.md).
"""

import hashlib
import io
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from greffier.durable import FIRST_RESERVE, Appender, Disk, commit
from greffier.durable.system import failed
from greffier.errors import NotFound, StorageFailed
from greffier.seal.header import BadPart
from greffier.seal.reader import Reader
from greffier.seal.structure import State

SUFFIX = ".gpart"
_NAME = re.compile(r"[0-9a-f]{32}\.gpart", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part's file as the folder shows it."""

    part_id: str
    day: str
    path: Path
    size: int

    def digest(self) -> "Closed":
        """Length and SHA-256 of this very file."""
        with self.path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            return Closed(self.part_id, file.tell(), sha256)


@dataclass(frozen=True, slots=True)
class Closed:
    """A part that was finished: how long its file is, and the SHA-256 of all its bytes."""

    part_id: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """A part without a clean end, as recovery found and left it.

    ``torn``: ``cut`` bytes were taken off, ``size`` bytes and ``frames`` frames (before FINAL, if
    ``final``) stay. ``unfinished``: nothing to cut, but there is no FINAL. ``empty``: it never got
    a whole header and was removed. ``damaged``: left as it is, because whole frames follow the
    damage or because the header is broken.
    """

    part_id: str
    day: str
    state: Literal["torn", "unfinished", "empty", "damaged"]
    size: int
    cut: int
    frames: int
    final: bool
    sha256: str


class OpenPart:
    """A part that is being written. Its vault's thread owns it; made by :meth:`Vault.create`.

    ``size`` counts what was accepted, ``committed`` what survives a power cut. Once ``dead`` (a
    sync failed) it takes no more: what follows belongs into a new file (:meth:`Vault.rewrite`).
    """

    def __init__(
        self,
        part_id: str,
        day: str,
        appender: Appender,
        digest: Callable[[], str] | None = None,
        held: bytes = b"",
    ) -> None:
        """*held* is what the file holds already."""
        self.part_id = part_id
        self.day = day
        self.appender = appender
        self.named = False
        """Whether its folder was synced since it was made."""
        self._known = digest
        self._digest = hashlib.sha256(held if digest is None else b"")

    @property
    def size(self) -> int:
        """Bytes accepted."""
        return self.appender.size

    @property
    def committed(self) -> int:
        """Bytes durable."""
        return self.appender.committed

    @property
    def dead(self) -> bool:
        """Whether this file was given up."""
        return self.appender.dead

    def append(self, data: bytes | memoryview) -> int:
        """Write sealed bytes at the end and return their offset; durable with the next commit.

        Raises StorageFailed. Unless the part is then ``dead``, give *the same bytes* again: a frame
        is never sealed twice.
        """
        offset = self.appender.append(data)
        if self._known is None:
            self._digest.update(data)
        return offset

    def sha256(self) -> str:
        """SHA-256 of everything accepted so far, in hex."""
        return self._digest.copy().hexdigest() if self._known is None else self._known()


class Vault:
    """The parts in one folder. One thread owns it and its open parts."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk
        self._open: dict[str, OpenPart] = {}
        self._made: set[Path] = set()  # folders whose names this process synced

    @property
    def open_parts(self) -> list[OpenPart]:
        """The parts that are being written, in order of their creation."""
        return list(self._open.values())

    def create(
        self,
        part_id: str,
        day: str,
        header: bytes,
        digest: Callable[[], str] | None = None,
    ) -> OpenPart:
        """Begin the part *part_id* (32 hex digits) of *day* with its *header*.

        *digest*, where there is one, says the SHA-256 of what was given to be written, in hex: then
        the vault does not hash it a second time. Its envelopes must be durable already. Blocks are
        reserved by the megabyte where the file system can; name and header are durable with the
        next commit. Raises AlreadyThere, StorageFailed (nothing is left then, or an empty file that
        recovery removes).
        """
        path = self._path(part_id, day)
        if path.parent not in self._made or not path.parent.is_dir():
            self._disk.make_dirs(path.parent)
            self._made.add(path.parent)
        appender = self._disk.begin(path)
        appender.reserve_ahead()
        part = OpenPart(part_id, day, appender, digest)
        try:
            part.append(header)
        except StorageFailed:
            appender.close()
            self._disk.remove_leftover(path)
            raise
        self._open[part_id] = part
        return part

    def commit(self, also: Sequence[Appender] = ()) -> list[OpenPart]:
        """Make every open part durable, new names too, with the appenders *also*, in one go.

        Returns the parts that died; they are abandoned already. An appender of *also* that died
        says so itself.
        """
        commit([part.appender for part in self._open.values()] + list(also))
        self._sync_names()
        dead = [part for part in self._open.values() if part.appender.dead]
        for part in dead:
            self.abandon(part)
        return dead

    def _sync_names(self) -> None:
        """Make the names of new parts durable. Where that fails they are dead: nobody knows."""
        fresh: dict[Path, list[OpenPart]] = {}
        for part in self._open.values():
            if not part.named and not part.appender.dead:
                fresh.setdefault(part.appender.path.parent, []).append(part)
        for folder, parts in fresh.items():
            try:
                self._disk.sync_dir(folder)
            except StorageFailed as error:
                for part in parts:
                    part.appender.give_up(error)
            else:
                for part in parts:
                    part.named = True

    def close(self, part: OpenPart) -> Closed:
        """Finish *part*: durable, reserved blocks given back. Raises StorageFailed (abandoned)."""
        self._open.pop(part.part_id, None)
        part.appender.finish()
        return Closed(part.part_id, part.size, part.sha256())

    def rewrite(
        self,
        part_id: str,
        day: str,
        durable: int,
        rest: bytes,
        digest: Callable[[], str] | None = None,
    ) -> OpenPart:
        """Go on with an abandoned part in a new file of its name.

        It holds the first *durable* bytes of the old file, which survived a sync, and *rest*, the
        same bytes that were given before: nothing is sealed twice. All of it is durable at return.
        Raises StorageFailed (the old file stands or the new one; ask again).
        """
        path = self._path(part_id, day)
        try:
            kept = path.read_bytes()[:durable]
        except OSError as error:
            raise failed(path, error) from error
        if not _whole(kept, durable):
            raise StorageFailed(path=path, reason="what was durable cannot be read")
        self._disk.write_file(path, kept + rest)
        part = OpenPart(part_id, day, self._disk.open(path), digest, kept + rest)
        part.named = True
        part.appender.reserve_ahead()
        self._open[part_id] = part
        return part

    def abandon(self, part: OpenPart) -> None:
        """Let *part* go as it is; what was committed stays, recovery cuts the rest."""
        self._open.pop(part.part_id, None)
        part.appender.close()

    def parts(self) -> list[StoredPart]:
        """Every part's file, ordered by day and id."""
        return list(self.walk())

    def walk(self) -> Iterator[StoredPart]:
        """As :meth:`parts`, with no more than the names of one day in memory."""
        for folder in sorted(_folders(self._folder)):
            for path in sorted(folder.iterdir()):
                if _NAME.fullmatch(path.name) and _is_file(path):
                    yield StoredPart(path.stem, folder.name, path, path.stat().st_size)

    def path_of(self, part_id: str) -> Path:
        """The file of *part_id*. Raises NotFound."""
        if re.fullmatch(r"[0-9a-f]{32}", part_id, re.ASCII):
            for folder in sorted(_folders(self._folder)):
                path = folder / f"{part_id}{SUFFIX}"
                if _is_file(path):
                    return path
        raise NotFound(what=f"part {part_id}")

    def digest(self, part_id: str) -> Closed:
        """Length and SHA-256 of a stored part, read from its file. Raises NotFound."""
        path = self.path_of(part_id)
        return StoredPart(part_id, path.parent.name, path, 0).digest()

    def remove(self, part_ids: Iterable[str], days: Mapping[str, str] | None = None) -> list[str]:
        """Unlink parts whose keys are destroyed; those that are not there are passed over.

        *days* says in which folder each is, as far as that is known. Returns what was removed.
        Raises StorageFailed: some may be removed then, ask again.
        """
        found: dict[str, Path] = {}
        for part_id in dict.fromkeys(part_ids):
            day = days.get(part_id) if days else None
            path = self._path(part_id, day) if day else None
            if path is None or not _is_file(path):
                try:
                    path = self.path_of(part_id)
                except NotFound:
                    continue
            found[part_id] = path
        self._disk.remove(list(found.values()))
        return list(found)

    def recover(self, known: Collection[str] = ()) -> list[Recovered]:
        """Bring every part to a clean end that can have one; needs no key.

        *known* are parts that are complete for certain (their entry in the log says so) and are not
        read. To be called before anything is created. Raises StorageFailed.
        """
        found = []
        for part in self.parts():
            if part.part_id not in known and (one := self._recover(part)):
                found.append(one)
        return found

    def _recover(self, part: StoredPart) -> Recovered | None:
        """What was done to one file, or None if it is complete."""
        try:
            with part.path.open("rb") as file:
                scan = Reader(file).scan()
        except BadPart as error:
            if error.number != 1:
                return Recovered(part.part_id, part.day, "damaged", part.size, 0, 0, False, "")
            self._disk.remove([part.path])
            return Recovered(part.part_id, part.day, "empty", 0, part.size, 0, False, "")
        if scan.state is State.COMPLETE:
            self._give_back(part.path, part.size)
            return None
        sha256 = scan.sha256.hex()
        if scan.state is State.DAMAGED:
            return Recovered(
                part.part_id, part.day, "damaged", part.size, 0, scan.frames, scan.final, sha256
            )
        cut = part.size - scan.good
        if cut:
            self._disk.truncate_to(part.path, scan.good)
        else:
            self._give_back(part.path, part.size)
        state: Literal["torn", "unfinished"] = "torn" if cut else "unfinished"
        return Recovered(
            part.part_id, part.day, state, scan.good, cut, scan.frames, scan.final, sha256
        )

    def _give_back(self, path: Path, size: int) -> None:
        """Free the blocks that were reserved behind the end of a file and not given back."""
        if path.stat().st_blocks * 512 > size + FIRST_RESERVE // 2:
            self._disk.truncate_to(path, size)

    def _path(self, part_id: str, day: str) -> Path:
        if not _NAME.fullmatch(f"{part_id}{SUFFIX}") or not _DAY.fullmatch(day):
            raise ValueError("a part has an id of 32 hex digits and a day")
        return self._folder / day / f"{part_id}{SUFFIX}"


def _whole(data: bytes, size: int) -> bool:
    """Whether *data* is *size* bytes of whole frames: a disk that fails may give anything."""
    if len(data) != size:
        return False
    try:
        scan = Reader(io.BytesIO(data)).scan(size)
    except BadPart:
        return False
    return scan.good == size


def _is_file(path: Path) -> bool:
    """Whether *path* is a file, not a link to one nor a pipe that would keep a reader waiting."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _folders(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if _DAY.fullmatch(path.name) and path.is_dir()]
