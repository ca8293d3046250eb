"""Disks that fail on purpose: the n-th system call errs, with or without its effect, or power goes.

Each fault exists twice because each happens: an error *and not* persisted, an error *but* persisted
(a timeout after the medium took it). Nothing is mocked: all other calls are real.
"""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from greffier.durable import LinuxSystem

CALLS = frozenset(
    {"open", "write", "fsync", "fdatasync", "syncfs", "write_out"}
    | {"truncate", "allocate", "rename", "exchange", "unlink", "mkdir", "rmdir"}
)


class Fault(Enum):
    """What happens at the chosen call."""

    LOST = "it errs and did nothing"
    KEPT = "it errs although it was done"
    SHORT = "half of it is done, then it errs (a write; others as LOST)"
    CUT = "the power goes before it"
    CUT_AFTER = "the power goes right after it"


class PowerCut(BaseException):
    """The machine is gone; nothing may catch this but the test."""


@dataclass
class FaultySystem(LinuxSystem):
    """The real system calls, the *at*-th (from 1) counted one of which ends in *fault*.

    Only calls named in *calls* count; ``close`` and ``lock`` never fail. After a power cut every
    call raises. Syncs do not reach the medium: the machine that runs the test keeps its power, and
    what a missing sync would lose is the matter of greffier_sim.power.
    """

    at: int = 0
    fault: Fault = Fault.LOST
    calls: frozenset[str] = CALLS
    number: int = errno.EIO
    count: int = 0
    off: bool = False
    done: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def _do(self, name: str, effect: Callable[[], int | None]) -> int | None:
        if self.off:
            raise PowerCut(name)
        self.done.append(name)
        if name not in self.calls:
            return effect()
        self.count += 1
        if self.count != self.at:
            return effect()
        if self.fault is Fault.CUT:
            self.off = True
            raise PowerCut(name)
        if self.fault in (Fault.KEPT, Fault.CUT_AFTER):
            result = effect()
            if self.fault is Fault.CUT_AFTER:
                self.off = True
                raise PowerCut(name)
            if name == "open" and result is not None:
                super().close(result)
        raise OSError(self.number, os.strerror(self.number))

    def open(self, path: str, flags: int, mode: int) -> int:
        return self._do("open", lambda: LinuxSystem.open(self, path, flags, mode)) or 0

    def close(self, fd: int) -> None:
        LinuxSystem.close(self, fd)

    def write(self, fd: int, data: memoryview, offset: int) -> int:
        if self.fault is Fault.SHORT and self.count + 1 == self.at and not self.off:
            LinuxSystem.write(self, fd, data[: len(data) // 2], offset)
        return self._do("write", lambda: LinuxSystem.write(self, fd, data, offset)) or 0

    def fsync(self, fd: int) -> None:
        self._do("fsync", lambda: self.synced(fd))

    def fdatasync(self, fd: int) -> None:
        self._do("fdatasync", lambda: self.synced(fd))

    def syncfs(self, fd: int) -> None:
        self._do("syncfs", self.all_synced)

    def write_out(self, fd: int, wait: bool) -> None:
        self._do("write_out", lambda: LinuxSystem.write_out(self, fd, wait))

    def truncate(self, fd: int, size: int) -> None:
        self._do("truncate", lambda: LinuxSystem.truncate(self, fd, size))

    def allocate(self, fd: int, size: int) -> None:
        self._do("allocate", lambda: LinuxSystem.allocate(self, fd, size))

    def rename(self, source: str, target: str) -> None:
        self._do("rename", lambda: LinuxSystem.rename(self, source, target))

    def exchange(self, one: str, other: str) -> None:
        self._do("exchange", lambda: LinuxSystem.exchange(self, one, other))

    def unlink(self, path: str) -> None:
        self._do("unlink", lambda: LinuxSystem.unlink(self, path))

    def mkdir(self, path: str, mode: int) -> None:
        self._do("mkdir", lambda: LinuxSystem.mkdir(self, path, mode))

    def rmdir(self, path: str) -> None:
        self._do("rmdir", lambda: LinuxSystem.rmdir(self, path))

    def synced(self, fd: int) -> None:
        """What a successful sync of one file or folder does."""

    def all_synced(self) -> None:
        """What a successful sync of the file system does."""
