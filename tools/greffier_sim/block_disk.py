"""A real ext4 on a loop device whose every write is on record, and disks made of such a record.

Below the loop device stands one file that ``block_disk.c`` serves through FUSE. Recording, it notes
each write, each flush, and the notes that the workload leaves between them; playing, it shows an
image in memory that is thrown away before the next. Needs root, /dev/fuse, loop devices and gcc.
"""

import ctypes
import os
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from greffier_sim.sickdisk import Unable

WRITE: Final = 1
FLUSH: Final = 2
NOTE: Final = 3
SECTOR: Final = 512
"""What a medium writes whole or not at all."""
TOOLS = ("gcc", "losetup", "mkfs.ext4", "e2fsck")
# Two groups of blocks, so that there is a second superblock.
MEBIBYTES = 144
# Without auto_da_alloc ext4 hides no rename that came before its data: other file systems do not.
OPTIONS = "noauto_da_alloc,errors=remount-ro"
_HEAD = struct.Struct("=IIQ")
_NOATIME = 1024
_NEW_MOUNTS = 0x00020000  # CLONE_NEWNS
_PRIVATE = (1 << 18) | (1 << 14)  # MS_PRIVATE | MS_REC
_DETACH = 2  # MNT_DETACH
_TRIES = 60
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of the record: a WRITE of *data* at *offset*, a FLUSH, or a NOTE."""

    kind: int
    offset: int = 0
    data: bytes = b""


def operations(log: Path, at: int = 0) -> Iterator[Operation]:
    """The record, in order, from octet *at* of *log* on."""
    raw = log.read_bytes()
    while at < len(raw):
        kind, length, offset = _HEAD.unpack_from(raw, at)
        at += _HEAD.size
        yield Operation(kind, offset, raw[at : at + length])
        at += length


def own_mounts() -> None:
    """Give this process mounts of its own: nobody else's copy keeps ours. Raises Unable."""
    if os.geteuid() != 0:
        raise Unable("needs root")
    if _libc.unshare(_NEW_MOUNTS):
        raise Unable("no mount namespace may be made here")
    if _libc.mount(b"none", b"/", None, _PRIVATE, None):
        raise Unable("mounts cannot be made private here")


def build(folder: Path) -> Path:
    """The FUSE server, compiled into *folder*. Raises Unable."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise Unable(f"needs {' '.join(missing)}")
    if not Path("/dev/fuse").exists() or not Path("/dev/loop-control").exists():
        raise Unable("needs /dev/fuse and loop devices")
    program = folder / "block_disk"
    source = Path(__file__).with_suffix(".c")
    _must("gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", str(program), str(source))
    return program


def make_file_system(image: Path, mebibytes: int = MEBIBYTES, journal_mebibytes: int = 4) -> None:
    """An empty ext4 of the kind that a box has, in the file *image*. Raises Unable."""
    with image.open("wb") as file:
        file.truncate(mebibytes << 20)
    whole = "nodiscard,lazy_itable_init=0,lazy_journal_init=0"
    words = ["-q", "-F", "-m", "0", "-b", "4096", "-J", f"size={journal_mebibytes}", "-E", whole]
    _must("mkfs.ext4", *words, str(image))


class BlockDisk:
    """*image* as a block device: recording into *log*, or playing where that is None.

    A context manager; ``path`` is where the file system is while it is mounted. Raises Unable.
    """

    def __init__(self, program: Path, image: Path, log: Path | None) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="greffier-power-"))
        self._served = self._folder / "served"
        self.path = self._folder / "disk"
        for folder in (self._served, self.path):
            folder.mkdir()
        words = [str(program), str(self._served), str(image), str(log or "-")]
        self._server = subprocess.Popen(words, stdout=subprocess.PIPE)
        self._loop = ""
        self._mounted = False
        try:
            assert self._server.stdout is not None  # noqa: S101 - it was asked for
            if self._server.stdout.readline() != b"ready\n":
                raise Unable("FUSE does not work here")
            self._loop = _must("losetup", "--show", "-f", str(self._served / "disk")).strip()
            self._note = os.open(self._served / "note", os.O_WRONLY)
            self._disk = os.open(self._served / "disk", os.O_WRONLY)
        except BaseException:
            self.close()
            raise

    @property
    def note_path(self) -> Path:
        """The file into which a note is written, by whoever: one write, one note."""
        return self._served / "note"

    def note(self, data: bytes) -> None:
        """Recording: leave a note. Playing: the image is again what its file is."""
        os.write(self._note, data)

    def write(self, offset: int, data: bytes) -> None:
        """Put *data* on the medium below the file system."""
        os.pwrite(self._disk, data, offset)

    def mount(self) -> None:
        """Mount it, which replays its journal. Raises OSError."""
        words = (self._loop.encode(), str(self.path).encode(), b"ext4", _NOATIME, OPTIONS.encode())
        if _libc.mount(*words):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self._mounted = True

    def release(self) -> int:
        """Close what this process has open on it; how many files that were."""
        found = 0
        for link in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                if link.readlink().is_relative_to(self.path):
                    os.close(int(link.name))
                    found += 1
        return found

    def unmount(self) -> None:
        """Unmount it. Raises Unable: somebody holds it."""
        for _ in range(_TRIES):
            if not self._mounted or not _libc.umount2(str(self.path).encode(), 0):
                self._mounted = False
                return
            time.sleep(0.05)  # between two tries: who looks around lets go by itself
        raise Unable("the file system is held")

    @property
    def read_only(self) -> bool:
        """Whether ext4 found an error in itself and takes no more."""
        return bool(os.statvfs(self.path).f_flag & os.ST_RDONLY)

    def mended(self) -> str:
        """What a full check of the unmounted file system would mend; "" where it is sound."""
        words = ["e2fsck", "-f", "-n", self._loop]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        return done.stdout[-500:] if done.returncode else ""

    def mend(self) -> None:
        """Check and mend the unmounted file system, as a boot with ``fsck.repair=yes`` does."""
        subprocess.run(["e2fsck", "-y", self._loop], capture_output=True, check=False)

    def close(self) -> None:
        """Take everything down, also in the middle of something."""
        self.release()
        try:
            self.unmount()
        except Unable:
            _libc.umount2(str(self.path).encode(), _DETACH)
        for name in ("_note", "_disk"):
            if (fd := self.__dict__.pop(name, None)) is not None:
                os.close(fd)
        if self._loop:
            subprocess.run(["losetup", "-d", self._loop], check=False)
        # The loop device lets its file go a moment later; detached, the server ends with it.
        _libc.umount2(str(self._served).encode(), _DETACH)
        try:
            self._server.wait(5)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        assert self._server.stdout is not None  # noqa: S101 - it was asked for
        self._server.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


def _must(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unable(f"{words[0]}: {done.stderr.strip()}")
    return done.stdout
