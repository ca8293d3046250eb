"""Ways to be wrong about durability, each a small patch of what lies below the archive.

A rig that finds nothing proves something only if it finds these. None of them is in the product:
the workload's process is patched when it begins (:func:`install`).
"""

import ctypes
import os
import random
import sqlite3
import stat
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from greffier.durable import LinuxSystem, disk
from greffier.recorder.committer import Committer
from greffier_office import migrations

NONE: Final = "none"
_WRITE_OUT = 2  # SYNC_FILE_RANGE_WRITE
_libc = ctypes.CDLL(None, use_errno=True)
_libc.sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]


class NeighbouredSystem(LinuxSystem):
    """The real calls, on a machine where others write too.

    Now and then the kernel writes a file's pages out by itself, or another process syncs a file of
    its own, which makes durable whatever names and sizes ext4's journal holds at that instant.
    """

    def __init__(self, neighbour: Path, draw: random.Random) -> None:
        super().__init__()
        self._draw = draw
        self._neighbour = os.open(neighbour, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _meanwhile(self, fd: int | None = None) -> None:
        chance = self._draw.random()
        if chance < 0.03:
            os.pwrite(self._neighbour, b"x", 0)
            os.fsync(self._neighbour)
        elif chance < 0.10 and fd is not None:
            _libc.sync_file_range(fd, 0, 0, _WRITE_OUT)

    def write(self, fd: int, data: memoryview, offset: int) -> int:
        done = super().write(fd, data, offset)
        self._meanwhile(fd)
        return done

    def open(self, path: str, flags: int, mode: int) -> int:
        found = super().open(path, flags, mode)
        self._meanwhile()
        return found

    def rename(self, source: str, target: str) -> None:
        super().rename(source, target)
        self._meanwhile()

    def exchange(self, one: str, other: str) -> None:
        super().exchange(one, other)
        self._meanwhile()

    def unlink(self, path: str) -> None:
        super().unlink(path)
        self._meanwhile()


class NoFileSync(NeighbouredSystem):
    """Syncs folders only."""

    def fsync(self, fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            super().fsync(fd)

    def fdatasync(self, fd: int) -> None:
        pass

    def syncfs(self, fd: int) -> None:
        pass

    def write_out(self, fd: int, wait: bool) -> None:
        pass


class NoFolderSync(NeighbouredSystem):
    """Syncs files only."""

    def fsync(self, fd: int) -> None:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            super().fsync(fd)


class RenameFirst(NeighbouredSystem):
    """Gives a file its name first, and syncs what is in it when the name is durable."""

    def __init__(self, neighbour: Path, draw: random.Random) -> None:
        super().__init__(neighbour, draw)
        self._late: list[str] = []

    def fdatasync(self, fd: int) -> None:
        if Path(f"/proc/self/fd/{fd}").readlink().suffix != ".tmp":
            super().fdatasync(fd)

    def rename(self, source: str, target: str) -> None:
        super().rename(source, target)
        self._late.append(target)

    def exchange(self, one: str, other: str) -> None:
        super().exchange(one, other)
        self._late.append(other)

    def fsync(self, fd: int) -> None:
        super().fsync(fd)
        late, self._late = self._late, []
        for path in late:
            renamed = os.open(path, os.O_RDWR)
            os.fdatasync(renamed)
            os.close(renamed)


def _audio_first() -> None:
    """Frames become durable before the log's entries that speak of them."""
    original: Callable[[Committer], None] = Committer.commit

    def commit(self: Committer) -> None:
        self._put_envelopes()
        self._write_parts()
        original(self)

    Committer.commit = commit  # type: ignore[method-assign]


def _normal_sync() -> None:
    """Head office's catalogue with ``synchronous=NORMAL``, as SQLite's manual recommends."""
    original = migrations._bring_up

    def bring_up(db: sqlite3.Connection, path: Path, steps: Sequence[str]) -> None:
        original(db, path, steps)
        db.execute("PRAGMA synchronous = NORMAL")

    migrations._bring_up = bring_up


_SYSTEMS: dict[str, type[NeighbouredSystem]] = {
    "no-file-sync": NoFileSync,
    "no-folder-sync": NoFolderSync,
    "rename-first": RenameFirst,
}
_PATCHES: dict[str, Callable[[], None]] = {
    "catalogue-normal": _normal_sync,
    "audio-before-log": _audio_first,
}
MUTANTS: Final = (*_SYSTEMS, *_PATCHES)
"""Their names."""


def install(name: str, neighbour: Path, draw: random.Random) -> None:
    """Make this process the mutant *name*, or NONE: the product, with neighbours all the same."""
    system = _SYSTEMS.get(name, NeighbouredSystem)
    vars(disk)["LinuxSystem"] = partial(system, neighbour, draw)
    if name in _PATCHES:
        _PATCHES[name]()
    elif name != NONE and name not in _SYSTEMS:
        raise ValueError(f"no mutant is called {name}")
