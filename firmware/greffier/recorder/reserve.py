"""Blocks that are kept for log and keys, so that a full disk still takes what must be said of it.

The file ``reserve`` of the data directory holds nothing; its blocks are allocated. When log or keys
find no room they are given back, and until as much is free again nothing of a part is written: that
would eat them in a moment. One thread at a time owns a Reserve, that of the committer.
"""

import errno
import os
from pathlib import Path
from typing import Final

from greffier.durable import Disk
from greffier.durable.system import failed
from greffier.errors import StorageFailed
from greffier.recorder.probe import space_of

FILE: Final = "reserve"
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
MOST_SHARE: Final = 20
"""At most the twentieth of a small medium."""
_BLOCK: Final = 512


class Reserve:
    """*size* octets on the medium of *folder*, less on a small one; 0: no reserve."""

    def __init__(self, folder: Path, disk: Disk, size: int) -> None:
        self._path = folder / FILE
        self._folder = folder
        self._disk = disk
        self._wanted = size
        self._held = False
        self._cannot = False  # the file system allocates nothing ahead: then it is only left free

    @property
    def held(self) -> bool:
        """Whether the blocks are there."""
        return self._held

    def guard(self) -> None:
        """Let parts be written, or say why not. Raises StorageFailed, as of a full disk."""
        if self._held or not self._wanted:
            return
        size = self._size()
        if blocks_of(self._path) >= size:
            self._held = True
            return
        # As much again stays free, else the next block of a part takes it back.
        room = space_of_or_fail(self._folder)
        if room >= size * (1 if self._cannot else 2):
            self._take(size)
            return
        reason = os.strerror(errno.ENOSPC)
        raise StorageFailed(path=self._path, reason=reason, number=errno.ENOSPC)

    def yield_to(self, error: StorageFailed) -> None:
        """Give the blocks back where *error* says that the medium is full. Raises StorageFailed."""
        if error.fields.get("number") in FULL and (self._held or blocks_of(self._path)):
            self._held = False
            release(self._folder, self._disk)

    def _size(self) -> int:
        try:
            return min(self._wanted, space_total(self._folder) // MOST_SHARE)
        except OSError as error:
            raise failed(self._folder, error) from error

    def _take(self, size: int) -> None:
        if self._cannot:
            return
        there = self._path.exists()
        file = self._disk.open(self._path) if there else self._disk.create(self._path)
        try:
            self._held = file.preallocate(size)
            if self._held:
                file.sync()
        finally:
            file.close()
        if not self._held:
            self._cannot = True
            release(self._folder, self._disk)


def release(folder: Path, disk: Disk) -> None:
    """Give back what the reserve of the data directory *folder* holds. Raises StorageFailed."""
    disk.truncate_to(folder / FILE, 0)


def blocks_of(path: Path) -> int:
    """How many octets the file *path* occupies; 0 where it is not."""
    try:
        return path.stat().st_blocks * _BLOCK
    except OSError:
        return 0


def space_of_or_fail(folder: Path) -> int:
    """What is free there. Raises StorageFailed."""
    try:
        return space_of(folder).free
    except OSError as error:
        raise failed(folder, error) from error


def space_total(folder: Path) -> int:
    """How large the medium is. Raises OSError."""
    return space_of(folder).total
