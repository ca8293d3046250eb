"""A disk that fails on command, and loses what was not synced when the power is cut.

The calls go to real files; beside them a model remembers what would survive: the bytes of a file
at its last successful sync, and the names of the folder at its last successful sync.
"""

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path

from greffier.durable import LinuxSystem

LOST, KEPT = "error and not persisted", "error but persisted"


@dataclass(eq=False)
class Content:
    """One file, whatever its name is now."""

    durable: bytes = b""
    bad: bool = False  # a failed sync dropped pages: a later one does not bring them back


@dataclass
class Handle:
    content: Content | None
    path: str


@dataclass
class FaultySystem(LinuxSystem):
    """Fails the call number ``fail_at`` (counted from the last ``arm``), in one of two modes."""

    fail_at: int = 0
    mode: str = LOST
    calls: int = 0
    hit: bool = False
    live: dict[str, Content] = field(default_factory=dict)
    names: dict[str, Content] = field(default_factory=dict)
    handles: dict[int, Handle] = field(default_factory=dict)

    def __post_init__(self) -> None:
        LinuxSystem.__init__(self)

    def arm(self, at: int, mode: str) -> None:
        self.calls, self.fail_at, self.mode, self.hit = 0, at, mode, False

    def disarm(self) -> None:
        self.fail_at = 0

    def _due(self) -> bool:
        self.calls += 1
        due = self.calls == self.fail_at
        self.hit |= due
        return due

    def _error(self) -> OSError:
        return OSError(errno.EIO, os.strerror(errno.EIO))

    def open(self, path: str, flags: int, mode: int) -> int:
        folder = bool(flags & os.O_DIRECTORY)
        due = bool(flags & os.O_CREAT) and self._due()
        if due and self.mode == LOST:
            raise self._error()
        fd = super().open(path, flags, mode)
        if not folder:
            content = self.live.setdefault(path, Content())
        self.handles[fd] = Handle(None if folder else content, path)
        if due:
            os.close(fd)
            raise self._error()
        return fd

    def write(self, fd: int, data: memoryview, offset: int) -> int:
        if self._due():
            if self.mode == KEPT:
                super().write(fd, data[: len(data) // 2], offset)
            raise self._error()
        return super().write(fd, data, offset)

    def fsync(self, fd: int) -> None:
        due = self._due()
        if not due or self.mode == KEPT:
            self._persist(fd)
        elif (content := self.handles[fd].content) is not None:
            content.bad = True
        if due:
            raise self._error()

    fdatasync = fsync

    def _persist(self, fd: int) -> None:
        handle = self.handles[fd]
        if handle.content is None:
            self.names = dict(self.live)
        elif not handle.content.bad:
            handle.content.durable = Path(f"/proc/self/fd/{fd}").read_bytes()

    def truncate(self, fd: int, size: int) -> None:
        due = self._due()
        if not due or self.mode == KEPT:
            super().truncate(fd, size)
        if due:
            raise self._error()

    def rename(self, source: str, target: str) -> None:
        due = self._due()
        if not due or self.mode == KEPT:
            super().rename(source, target)
            self.live[target] = self.live.pop(source)
        if due:
            raise self._error()

    def exchange(self, one: str, other: str) -> None:
        due = self._due()
        if not due or self.mode == KEPT:
            super().exchange(one, other)
            self.live[one], self.live[other] = self.live[other], self.live[one]
        if due:
            raise self._error()

    def write_out(self, fd: int, wait: bool) -> None:
        due = self._due()
        if due and (content := self.handles[fd].content) is not None:
            content.bad = self.mode == LOST
        if due:
            raise self._error()

    def unlink(self, path: str) -> None:
        due = self._due()
        if not due or self.mode == KEPT:
            super().unlink(path)
            self.live.pop(path, None)
        if due:
            raise self._error()

    def cut_power(self, target: Path) -> None:
        """Lay out in *target* what the medium holds now."""
        target.mkdir(parents=True)
        for path, content in self.names.items():
            (target / Path(path).name).write_bytes(content.durable)
