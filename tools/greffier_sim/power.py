"""What a power cut leaves: only what was synced, and an arbitrary share of what was not.

:class:`VolatileSystem` makes every call for real and notes what each sync made durable. ``lose``
then rewrites the folder as a medium might show it: unsynced bytes missing, torn or zero, unsynced
names old or new, each independently. That is harsher than ext4 and what POSIX allows.
"""

import os
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from greffier.durable import LinuxSystem
from greffier_sim.faults import FaultySystem


@dataclass(eq=False)
class _Inode:
    """One file: what of it is on the medium."""

    durable: bytes = b""


@dataclass
class VolatileSystem(FaultySystem):
    """The files below *folder*; what is there at the start is durable.

    *forgets* names what a mutant leaves out: ``file`` (no sync of files), ``dir`` (no sync of
    folders), so that a test can show that it would notice.
    """

    folder: Path = Path()
    forgets: frozenset[str] = frozenset()
    _names: dict[str, _Inode | None] = field(default_factory=dict)
    _durable: dict[str, _Inode | None] = field(default_factory=dict)
    _files: dict[int, _Inode] = field(default_factory=dict)
    _dirs: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        for path in self.folder.rglob("*"):
            self._names[str(path)] = None if path.is_dir() else _Inode(path.read_bytes())
        self._durable = dict(self._names)

    def open(self, path: str, flags: int, mode: int) -> int:
        fd = super().open(path, flags, mode)
        if flags & os.O_DIRECTORY:
            self._dirs[fd] = path
        else:
            inode = self._names.get(path) or _Inode()
            self._names[path] = self._files[fd] = inode
        return fd

    def close(self, fd: int) -> None:
        self._files.pop(fd, None)
        self._dirs.pop(fd, None)
        super().close(fd)

    def rename(self, source: str, target: str) -> None:
        super().rename(source, target)
        self._names[target] = self._names.pop(source)

    def exchange(self, one: str, other: str) -> None:
        super().exchange(one, other)
        self._names[one], self._names[other] = self._names[other], self._names[one]

    def unlink(self, path: str) -> None:
        super().unlink(path)
        self._names.pop(path, None)

    def mkdir(self, path: str, mode: int) -> None:
        super().mkdir(path, mode)
        self._names[path] = None

    def rmdir(self, path: str) -> None:
        super().rmdir(path)
        self._names.pop(path, None)

    def synced(self, fd: int) -> None:
        if fd in self._dirs and "dir" not in self.forgets:
            self._keep_names(self._dirs[fd])
        if fd in self._files and "file" not in self.forgets:
            self._files[fd].durable = _content(fd)

    def all_synced(self) -> None:
        if "file" not in self.forgets:
            for fd, inode in self._files.items():
                inode.durable = _content(fd)
            for folder in {str(Path(path).parent) for path in self._names | self._durable}:
                self._keep_names(folder)

    def lose(self, draw: random.Random) -> None:
        """Cut the power: the folder becomes what the medium shows; this system is at its end."""
        self.off = True
        live = {
            path: Path(path).read_bytes()
            for path, inode in self._names.items()
            if inode is not None and Path(path).is_file()
        }
        shown = {
            path: kept.get(path)
            for path in sorted(self._names.keys() | self._durable.keys())
            if path in (kept := self._names if draw.random() < 0.4 else self._durable)
        }
        current = {inode: live.get(path, b"") for path, inode in self._names.items() if inode}
        for fd in [*self._files, *self._dirs]:
            LinuxSystem.close(self, fd)
        shutil.rmtree(self.folder)
        self.folder.mkdir(mode=0o700)
        for path, inode in shown.items():
            parent = Path(path).parent
            if not parent.is_dir():
                continue  # its folder's name was lost, and everything below with it
            if inode is None:
                Path(path).mkdir(mode=0o700)
            else:
                now = current.get(inode, inode.durable)
                Path(path).write_bytes(_torn(inode.durable, now, draw))

    def _keep_names(self, folder: str) -> None:
        here = {path for path in self._durable if str(Path(path).parent) == folder}
        for path in here:
            del self._durable[path]
        self._durable |= {
            path: inode for path, inode in self._names.items() if str(Path(path).parent) == folder
        }


def _content(fd: int) -> bytes:
    return Path(f"/proc/self/fd/{fd}").read_bytes()  # it may be open for writing only


def _torn(durable: bytes, live: bytes, draw: random.Random) -> bytes:
    """Old, new, or something between: a part of the new bytes, zeros where blocks never came."""
    kind = draw.randrange(4)
    if kind == 0 or durable == live:
        return durable
    if kind == 1:
        return live
    if not live.startswith(durable):
        return durable if kind == 2 else live
    length = draw.randrange(len(durable), len(live) + 1)
    if kind == 2:
        return live[:length]
    return live[:length] + bytes(len(live) - length)
