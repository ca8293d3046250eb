"""After a failed sync nobody writes into that file, or syncs it, again: each writer, both ways.

Linux marks the pages of a failed sync clean and tells of the error once (Rebello et al., USENIX ATC
2020): a second sync of the same file would succeed over lost bytes.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.recorder.test_recorder_committer import check, fresh, opened, tape, work

from greffier.durable import LinuxSystem
from greffier_sim.faults import Fault, FaultySystem

__all__ = ["fresh"]

WRITERS = {
    "a part": ".gpart",
    "entries of the log": ".glog",
    "leaves of the log": "/leaves",
    "the checkpoint": ".checkpoint.tmp",
    "a bucket, first copy": "/shred/a/20",
    "a bucket, second copy": "/shred/b/20",
    "the calls journal": ".gcalls",
    "the folder of parts": "/vault/parts/20",
    "the folder of the log": "/audit",
}


class OneFails(FaultySystem):
    """Once *armed*, the first *call* on a file or folder whose path has *mark* in it fails.

    *again* collects what was done to it afterwards through the same descriptor.
    """

    def __init__(self, mark: str, call: str, fault: Fault) -> None:
        super().__init__()
        self.mark, self.call, self.how = mark, call, fault
        self.armed = False
        self.bad: dict[int, str] = {}
        self.hit = ""
        self.again: list[str] = []

    def _path(self, fd: int) -> str:
        return str(Path(f"/proc/self/fd/{fd}").readlink())

    def _synced(self, name: str, fd: int, effect: Callable[[], None]) -> None:
        self._touched(name, fd)
        path = self._path(fd)
        found = path.endswith(self.mark) if self.mark == "/audit" else self.mark in path
        if self.armed and name == self.call and found and not self.hit:
            self.hit = path
            self.bad[fd] = path
            if self.how is Fault.KEPT:
                effect()
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        effect()

    def _touched(self, name: str, fd: int) -> None:
        if fd in self.bad:
            self.again.append(f"{name} {self.bad[fd]}")

    def write(self, fd: int, data: memoryview, offset: int) -> int:
        self._touched("write", fd)
        return LinuxSystem.write(self, fd, data, offset)

    def truncate(self, fd: int, size: int) -> None:
        self._touched("truncate", fd)
        LinuxSystem.truncate(self, fd, size)

    def fsync(self, fd: int) -> None:
        self._synced("fsync", fd, lambda: LinuxSystem.fsync(self, fd))

    def fdatasync(self, fd: int) -> None:
        self._synced("fdatasync", fd, lambda: LinuxSystem.fdatasync(self, fd))

    def syncfs(self, fd: int) -> None:
        if self.armed and not self.hit and self.call == "fdatasync" and self.mark == ".gpart":
            raise OSError(errno.EIO, os.strerror(errno.EIO))  # of three parts each is asked then
        LinuxSystem.syncfs(self, fd)

    def write_out(self, fd: int, wait: bool) -> None:
        name = "write_out and wait" if wait else "write_out"
        self._synced(name, fd, lambda: LinuxSystem.write_out(self, fd, wait))

    def close(self, fd: int) -> None:
        self.bad.pop(fd, None)
        super().close(fd)


TOGETHER = ("a part", "entries of the log", "leaves of the log")
"""Those that are written out before the first of them is synced."""
CASES = [(one, "fsync" if "folder" in one else "fdatasync") for one in WRITERS]
CASES += [(one, call) for one in TOGETHER for call in ("write_out", "write_out and wait")]


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
@pytest.mark.parametrize(("writer", "call"), CASES)
def test_a_file_whose_sync_failed_is_never_touched_again_and_nothing_is_lost(
    tmp_path: Path, fresh: Path, writer: str, call: str, fault: Fault
) -> None:
    system = OneFails(WRITERS[writer], call, fault)
    folder = tmp_path / "box"
    box = opened(fresh, folder, system)
    early = tape(box, 90)  # so that the day has a bucket
    box.add(early)
    early.finish("ended")
    box.tick()
    box.tick()
    system.armed = True
    failures: list[int] = []
    tapes = work(box, failures.append)
    box.close()
    assert sum(failures) == 1
    assert system.hit
    assert system.again == []
    check(folder, [*tapes, early])
