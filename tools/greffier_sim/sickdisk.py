"""A real ext4 file system in a file that falls ill on demand: it stands still, fills, turns
read-only after an error, loses its power, and is mended. Nothing is simulated: the kernel does it.

Needs root, loop devices and e2fsprogs; :meth:`SickDisk.make` raises Unable where they are missing.
"""

import fcntl
import os
import shutil
import struct
import subprocess
import time
from pathlib import Path
from typing import Self

TOOLS = ("mkfs.ext4", "e2fsck", "fsfreeze", "losetup", "mount", "umount")
_UMOUNT_TRIES = 600
_SHUTDOWN, _NO_LOG_FLUSH = 0x8004587D, 2


class Unable(Exception):
    """Such a disk cannot be made here; the text says why, in one line."""


class SickDisk:
    """One file system, mounted at ``path``. A context manager: it heals and goes at the end."""

    def __init__(self, image: Path, path: Path) -> None:
        self.path = path
        self._image = image
        self._ballast = path / "ballast"
        self._frozen = False
        self._powerless = False

    @classmethod
    def make(cls, folder: Path, mebibytes: int) -> Self:
        """A new one below *folder*, which becomes a mount of its own. Raises Unable."""
        missing = [tool for tool in TOOLS if shutil.which(tool) is None]
        if os.geteuid() != 0 or missing:
            raise Unable(f"needs root, and {' '.join(missing) or 'its tools'}")
        image, path = folder / "disk.img", folder / "disk"
        path.mkdir()
        with image.open("wb") as file:
            file.truncate(mebibytes << 20)
        _must("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
        disk = cls(image, path)
        # An unmount reaches those in other namespaces (`ip netns exec`) by a shared mount above it.
        _must("mount", "--bind", str(folder), str(folder))
        _must("mount", "--make-shared", str(folder))
        try:
            disk._mount()
        except Unable:
            _run("umount", "-l", str(folder))
            raise
        return disk

    def _mount(self) -> None:
        options = "loop,noatime,errors=remount-ro"
        done = _run("mount", "-o", options, str(self._image), str(self.path))
        if done.returncode:
            raise Unable(f"no loop file system can be mounted: {done.stderr.strip()}")

    def freeze(self) -> None:
        """From now on every write and sync waits."""
        _must("fsfreeze", "-f", str(self.path))
        self._frozen = True

    def thaw(self) -> None:
        """They go on."""
        self._frozen = False
        _must("fsfreeze", "-u", str(self.path))

    def fill(self) -> None:
        """Take every free block."""
        fd = os.open(self._ballast, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            step = 1 << 20
            end = 0
            while step >= 1 << 12:
                try:
                    os.posix_fallocate(fd, end, step)
                    end += step
                except OSError:
                    step //= 2
        finally:
            os.close(fd)

    def empty(self) -> None:
        """Give the blocks back."""
        self._ballast.unlink()

    def fail(self) -> None:
        """The kernel finds an error in the file system between two syncs, and makes it read-only.

        Between two, for it stands still meanwhile: of a sync that runs when ext4's journal is
        aborted, Linux (6.18) may say that it is done, though blocks that were preallocated could
        not be marked as written any more: ext4_end_io_end() keeps that error to itself.
        """
        found = _must("losetup", "-n", "-O", "NAME", "-j", str(self._image)).split()
        trigger = Path("/sys/fs/ext4") / Path(found[0]).name / "trigger_fs_error"
        self.freeze()
        try:
            trigger.write_text("1")
        except OSError as error:
            raise Unable(f"no error can be made here: {error.strerror}") from error
        finally:
            self.thaw()

    def cut(self) -> None:
        """The power goes: what was not synced is gone, and nothing is written until it is mended.

        EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH of linux/fs/ext4/ext4.h.
        """
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        except OSError as error:
            raise Unable(f"no power can be cut here: {error.strerror}") from error
        finally:
            os.close(fd)
        self._powerless = True

    def mend(self) -> float:
        """Unmount, check and mount it again; how many seconds until nobody held it any more.

        Raises Unable: somebody holds files on it for a minute.
        """
        began = time.monotonic()
        for _ in range(_UMOUNT_TRIES):
            if not _run("umount", str(self.path)).returncode:
                break
            time.sleep(0.1)  # between two looks: who writes there lets go by itself
        else:
            raise Unable("the file system is held")
        held = time.monotonic() - began
        if self._powerless:
            self._replace()
        if _run("e2fsck", "-p", str(self._image)).returncode > 2:
            raise Unable("the file system cannot be mended")
        self._mount()
        return held

    def _replace(self) -> None:
        """Go on with a copy: somebody's namespace may hold the file system without power for ever.

        What is written meanwhile is in the journal, whose replay writes it again.
        """
        self._powerless = False
        copy = self._image.with_name(f"disk-{time.monotonic_ns()}.img")
        _must("cp", "--sparse=always", str(self._image), str(copy))
        self._image.unlink()
        self._image = copy

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._frozen:
            _run("fsfreeze", "-u", str(self.path))
        _run("umount", "-l", str(self.path))
        _run("umount", "-l", str(self._image.parent))


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False)


def _must(*words: str) -> str:
    done = _run(*words)
    if done.returncode:
        raise Unable(f"{words[0]}: {done.stderr.strip()}")
    return done.stdout
