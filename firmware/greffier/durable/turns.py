"""A small file that is replaced again and again, by two that change places."""

import errno
from pathlib import Path
from typing import Final

from greffier.durable.appender import Appender
from greffier.durable.disk import FILE_MODE, Disk
from greffier.errors import StorageFailed

_UNKNOWN: Final = frozenset({errno.EINVAL, errno.ENOSYS})


class Turns:
    """What stands at *path*: each :meth:`put` replaces it whole. One thread owns it.

    A file that is written anew and renamed costs an inode, a block and their bitmaps each time, 19
    blocks of ext4's journal and places; one that is written where it lies, under the temporary
    name, and then changes names with the other costs 5. Only a file that this object made and that
    no synced folder calls *path* is ever written into. Who has opened *path* and reads it after the
    *next* put may see that put's bytes.
    """

    def __init__(self, disk: Disk, path: Path, mode: int = FILE_MODE) -> None:
        self._disk = disk
        self._path = path
        self._mode = mode
        self._exchanges = True
        self._here: Appender | None = None  # has the name, durably
        self._spare: Appender | None = None  # has the temporary name, durably

    # the first two: open(tmp); then: pwrite* [ftruncate] fdatasync; [rename | renameat2] dir fsync
    def put(self, data: bytes) -> None:
        """Replace what is there by *data*; at any power cut it is old or new, whole.

        Raises StorageFailed: it is old or new then, and the next put makes a new file.
        """
        fresh, self._spare = self._spare, None
        try:
            if fresh is None:
                fresh = self._disk.begin_draft(self._path, self._mode)
            fresh.overwrite(data)
            fresh.sync()
            exchanged = self._name(fresh)
            self._disk.sync_dir(self._path.parent)
        except StorageFailed:
            if fresh is not None:
                fresh.close()
                self._disk.remove_leftover(fresh.path)
            self.close()
            raise
        gone, self._here = self._here, fresh
        if exchanged:
            self._spare = gone
        elif gone is not None:
            gone.close()

    def _name(self, fresh: Appender) -> bool:
        """Give *fresh* its name; whether what had it has the temporary one now."""
        if self._here is not None and self._exchanges:
            try:
                self._disk.exchange_only(fresh.path, self._path)
            except StorageFailed as error:
                if error.fields.get("number") not in _UNKNOWN:
                    raise
                self._exchanges = False  # this file system has none
            else:
                return True
        self._disk.rename_only(fresh.path, self._path)
        return False

    def close(self) -> None:
        """Let the files go, and the one that has no name; the next put begins as the first did."""
        if self._here is not None:
            self._here.close()
        if self._spare is not None:
            self._spare.close()
            self._disk.remove_leftover(self._spare.path)
        self._here = self._spare = None
