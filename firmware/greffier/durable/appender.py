"""A file that grows at its end and knows how much of it would survive a power cut."""

import errno
import os
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Final

from greffier.durable.system import SYNCFS_TELLS, System, failed
from greffier.errors import StorageFailed

SYNCFS_FROM: Final = 3
"""From so many files on a commit is one syncfs; see :func:`commit`."""
FIRST_RESERVE: Final = 1 << 20
LARGEST_RESERVE: Final = 4 << 20
_turn = count()


class Appender:
    """One file that grows at its end. One thread owns it.

    ``size`` is what the file holds, ``committed`` what the last successful sync made durable,
    ``dead`` says that a sync failed or that a damaged end could not be cut: every later call raises
    StorageFailed and the caller goes on in a new file. Made by ``Disk.create`` and ``Disk.open``.
    """

    def __init__(self, system: System, path: Path, fd: int, size: int) -> None:
        self._system = system
        self._fd = fd
        self.path = path
        self.size = size
        self.committed = size
        self.dead = False
        self.error: StorageFailed | None = None
        """Why a sync of it failed."""
        self.opened = next(_turn)
        """The place in the order in which files were opened; see :func:`commit`."""
        self._grows = False
        self._reserved = 0  # octets of the file that have blocks, where more have than its size

    @property
    def dirty(self) -> bool:
        """Whether something was appended since the last sync."""
        return self.committed != self.size

    # pwrite* [ftruncate pwrite*]
    def append(self, data: bytes | memoryview) -> int:
        """Write *data* at the end and return the offset of its first byte; durable after a sync.

        A short or failed write is cut off and the same bytes are written once more. Raises
        StorageFailed; unless the appender is then ``dead``, the file ends where it did before and
        the same bytes may be given again (a sealed frame must never be sealed a second time).
        """
        self._must_live()
        start = self.size
        if self._grows and start + len(data) > self._reserved:
            self._reserve_more(start + len(data))
        try:
            self._write(data, start)
        except OSError:
            self._cut(start)
            try:
                self._write(data, start)
            except OSError as error:
                self._cut(start)
                raise failed(self.path, error) from error
        self.size = start + len(data)
        return start

    # fdatasync
    def sync(self) -> None:
        """Make everything appended durable. Raises StorageFailed, and the appender is dead then."""
        self._must_live()
        try:
            self._system.fdatasync(self._fd)
        except OSError as error:
            self.give_up(failed(self.path, error))
            raise failed(self.path, error) from error
        self.committed = self.size

    def give_up(self, error: StorageFailed) -> None:
        """Nothing more goes into the file: a sync of it, or of its name, failed with *error*."""
        self.dead = True
        self.error = error

    # pwrite* [ftruncate]
    def overwrite(self, data: bytes) -> None:
        """Make *data* all that the file holds; durable after a sync. Raises StorageFailed.

        After a failure the appender is dead: nobody knows what the file holds.
        """
        self._must_live()
        self.committed = -1
        try:
            self._write(data, 0)
        except OSError as error:
            self.dead = True
            raise failed(self.path, error) from error
        if len(data) < self.size:
            self._cut(len(data))
        self.size = len(data)

    # fallocate(KEEP_SIZE)
    def preallocate(self, size: int) -> bool:
        """Reserve blocks for *size* bytes; false where the file system cannot, or has no room.

        Appending works without: this only keeps the file in one piece and finds a full disk early.
        """
        self._must_live()
        try:
            self._system.allocate(self._fd, size)
        except OSError:
            return False
        self._reserved = size
        return True

    def reserve_ahead(self) -> None:
        """From now on reserve blocks by the megabyte before they are needed.

        A file that grows a block at a time between others is in as many pieces, and each of its
        commits also writes block bitmap, group descriptor and extents: measured on ext4 with 8
        files, 4 blocks a commit more.
        """
        self._grows = True

    def _reserve_more(self, needed: int) -> None:
        """The next blocks; where there are none the file grows without, and asks no more."""
        step = min(max(FIRST_RESERVE, self._reserved), LARGEST_RESERVE)
        self._grows = self.preallocate(needed + step)

    # fdatasync [ftruncate] close
    def finish(self) -> None:
        """Make everything durable, give back reserved blocks, close. Raises StorageFailed.

        The blocks are given back after the sync: they hold no data, so a power cut may keep them.
        """
        try:
            self.sync()
            if self._reserved > self.size:  # for nothing it would write the last block once more
                self._cut(self.size)
        finally:
            self.close()

    # fchown
    def give(self, uid: int, gid: int) -> None:
        """Make *uid* and *gid* the file's owners. Raises OSError."""
        self._system.give(self._fd, uid, gid)

    # close
    def close(self) -> None:
        """Let the file go without a sync (what was appended since the last one may be lost)."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            self.dead = True
            self._system.close(fd)

    def _write(self, data: bytes | memoryview, start: int) -> None:
        view = memoryview(data)
        done = 0
        while done < len(view):
            rest = view[done:] if done else view
            written = self._system.write(self._fd, rest, start + done)
            if written <= 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            done += written

    def _cut(self, size: int) -> None:
        self._reserved = 0  # what lies behind the end goes, too
        try:
            self._system.truncate(self._fd, size)
        except OSError as error:
            self.dead = True
            raise failed(self.path, error) from error

    def _must_live(self) -> None:
        if self.dead:
            raise StorageFailed(path=self.path, reason="the file was given up")

    def syncfs(self) -> None:
        """Ask for a sync of the whole file system (see :func:`commit`). Raises OSError."""
        self._system.syncfs(self._fd)

    def write_out(self, wait: bool) -> None:
        """Begin to write what was appended to the medium, or *wait* until it is written.

        An error that the wait tells of is told once, so the appender is dead then.
        """
        try:
            self._system.write_out(self._fd, wait)
        except OSError as error:
            self.give_up(failed(self.path, error))

    def was_committed(self) -> None:
        """A sync of the whole file system has made everything appended durable."""
        self.committed = self.size


# one file: fdatasync; more: sync_file_range each, sync_file_range(WAIT) each, and then:
# two: fdatasync each; three or more: syncfs
def commit(appenders: Iterable[Appender]) -> list[Appender]:
    """Make all *appenders* durable together; return those that died: ``dead``, with an ``error``.

    All of them must lie on one file system. A dead or clean appender is left as it is.

    First all of them are written out, and only then synced: so all their sizes are in one
    transaction of ext4's journal, where each fdatasync, and each half of a syncfs, would commit one
    of its own. docs/storage.md has the figures.

    One syncfs instead of many fdatasync: each of these flushes the medium's cache once more. A
    failed syncfs does not say for whom: then each file is asked with its own fdatasync, whose error
    state is its own, so one bad file never takes the others. A syncfs that succeeds says, from
    Linux 5.8 on, that no file of the file system had an error since the descriptor that was asked
    was opened, or since that descriptor was told of one. Hence the file that was opened first is
    asked: it was there before anything was written into any of the others, so none of their errors
    can have come, and been told to somebody else, before it looked.
    """
    dirty = [one for one in appenders if one.committed != one.size and not one.dead]
    if len(dirty) > 1:
        for wait in (False, True):
            for one in dirty:
                if not one.dead:
                    one.write_out(wait)
    living = [one for one in dirty if not one.dead]
    if len(living) >= SYNCFS_FROM and SYNCFS_TELLS:
        try:
            min(living, key=lambda one: one.opened).syncfs()
        except OSError:
            pass  # asked one by one below
        else:
            for one in living:
                one.was_committed()
    return [one for one in dirty if one.dead or (one.dirty and not _synced(one))]


def _synced(appender: Appender) -> bool:
    try:
        appender.sync()
    except StorageFailed:
        return False
    return True
