"""The seam below everything that writes: the system calls that change a file system."""

import ctypes
import fcntl
import os
import re
from pathlib import Path
from typing import Final, Protocol

from greffier.errors import StorageFailed

_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE of <linux/falloc.h>
_EXCHANGE = 2  # RENAME_EXCHANGE of <linux/fs.h>
_HERE = -100  # AT_FDCWD of <fcntl.h>
# SYNC_FILE_RANGE_WRITE, and that with WAIT_BEFORE and WAIT_AFTER, of <linux/fs.h>
_WRITE, _WRITE_AND_WAIT = 2, 7


def _release() -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return (int(found[1]), int(found[2])) if found else (0, 0)


SYNCFS_TELLS: Final = _release() >= (5, 8)
"""Whether this kernel's syncfs tells of a file whose pages could not be written (syncfs(2))."""


class System(Protocol):
    """The system calls that change a file system; each raises OSError as its twin in ``os``."""

    def open(self, path: str, flags: int, mode: int) -> int: ...
    def close(self, fd: int) -> None: ...
    def write(self, fd: int, data: memoryview, offset: int) -> int: ...
    def fsync(self, fd: int) -> None: ...
    def fdatasync(self, fd: int) -> None: ...
    def syncfs(self, fd: int) -> None: ...
    def write_out(self, fd: int, wait: bool) -> None: ...
    def truncate(self, fd: int, size: int) -> None: ...
    def allocate(self, fd: int, size: int) -> None: ...
    def rename(self, source: str, target: str) -> None: ...
    def exchange(self, one: str, other: str) -> None: ...
    def unlink(self, path: str) -> None: ...
    def mkdir(self, path: str, mode: int) -> None: ...
    def rmdir(self, path: str) -> None: ...
    def lock(self, fd: int) -> None: ...
    def give(self, fd: int, uid: int, gid: int) -> None: ...


class LinuxSystem:
    """The real calls."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        wide = ctypes.c_int64
        self._libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, wide, wide]
        self._libc.sync_file_range.argtypes = [ctypes.c_int, wide, wide, ctypes.c_uint]
        text = ctypes.c_char_p
        self._libc.renameat2.argtypes = [ctypes.c_int, text, ctypes.c_int, text, ctypes.c_uint]

    def open(self, path: str, flags: int, mode: int) -> int:
        return os.open(path, flags | os.O_CLOEXEC, mode)

    def close(self, fd: int) -> None:
        os.close(fd)

    def write(self, fd: int, data: memoryview, offset: int) -> int:
        return os.pwrite(fd, data, offset)

    def fsync(self, fd: int) -> None:
        os.fsync(fd)

    def fdatasync(self, fd: int) -> None:
        os.fdatasync(fd)

    def syncfs(self, fd: int) -> None:
        if self._libc.syncfs(fd):
            raise _last_error()

    def write_out(self, fd: int, wait: bool) -> None:
        """Begin to write the file's pages to the medium, or *wait* until they are written.

        That makes nothing durable; it lets one transaction of the file system take many files.
        """
        if self._libc.sync_file_range(fd, 0, 0, _WRITE_AND_WAIT if wait else _WRITE):
            raise _last_error()

    def truncate(self, fd: int, size: int) -> None:
        """Cut, and leave the time of the last write: recovery reads it as a sign of life."""
        before = os.fstat(fd)
        os.ftruncate(fd, size)
        os.utime(fd, ns=(before.st_atime_ns, before.st_mtime_ns))

    def allocate(self, fd: int, size: int) -> None:
        """Reserve blocks up to *size* without changing what the file's size says."""
        if self._libc.fallocate(fd, _KEEP_SIZE, 0, size):
            raise _last_error()

    def rename(self, source: str, target: str) -> None:
        Path(source).rename(target)

    def exchange(self, one: str, other: str) -> None:
        """Give each of two files the other's name, in one."""
        names = (os.fsencode(one), os.fsencode(other))
        if self._libc.renameat2(_HERE, names[0], _HERE, names[1], _EXCHANGE):
            raise _last_error()

    def unlink(self, path: str) -> None:
        Path(path).unlink()

    def mkdir(self, path: str, mode: int) -> None:
        Path(path).mkdir(mode)

    def rmdir(self, path: str) -> None:
        Path(path).rmdir()

    def lock(self, fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def give(self, fd: int, uid: int, gid: int) -> None:
        os.fchown(fd, uid, gid)


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


def failed(path: Path, error: OSError) -> StorageFailed:
    """*error* of a call on *path*, as the error that a user may see; it keeps the number."""
    reason = error.strerror or type(error).__name__
    return StorageFailed(path=path, reason=reason, number=error.errno)
