"""The seam below everything that writes: the system calls that change a file system."""

import ctypes
import fcntl
import os
from pathlib import Path
from typing import Protocol

from greffier.errors import StorageFailed

_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE of <linux/falloc.h>


class System(Protocol):
    """The system calls that change a file system; each raises OSError as its twin in ``os``."""

    def open(self, path: str, flags: int, mode: int) -> int: ...
    def close(self, fd: int) -> None: ...
    def write(self, fd: int, data: memoryview, offset: int) -> int: ...
    def fsync(self, fd: int) -> None: ...
    def fdatasync(self, fd: int) -> None: ...
    def syncfs(self, fd: int) -> None: ...
    def truncate(self, fd: int, size: int) -> None: ...
    def allocate(self, fd: int, size: int) -> None: ...
    def rename(self, source: str, target: str) -> None: ...
    def unlink(self, path: str) -> None: ...
    def mkdir(self, path: str, mode: int) -> None: ...
    def lock(self, fd: int) -> None: ...
    def give(self, fd: int, uid: int, gid: int) -> None: ...


class LinuxSystem:
    """The real calls."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]

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

    def unlink(self, path: str) -> None:
        Path(path).unlink()

    def mkdir(self, path: str, mode: int) -> None:
        Path(path).mkdir(mode)

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
