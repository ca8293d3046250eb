"""A box full of calls on a disk that remembers every write, with or without a TPM."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from greffier.clock import SystemClock
from greffier.recorder import archive as archives
from greffier.recorder import tape
from greffier.seal import keys
from greffier.seal.keys import PrivateKey, Role
from greffier.store import shred
from greffier_sim import block_disk
from greffier_sim.block_disk import WRITE, BlockDisk, Operation
from greffier_sim.emulated_tpm import EmulatedTpm
from greffier_sim.medium import BLOCK, Medium
from greffier_sim.soak_missing import Missing

BOX: Final = "box"
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - images of some MB are faster there
TPM: Final = "GREFFIER_TPM"


def memory() -> Path | None:
    """Where large images are best, if there is room."""
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2 << 30 else None


@dataclass
class Secrets:
    """Every key that was made while somebody watched: what may never be on a medium in clear."""

    effaceable: set[bytes] = field(default_factory=set)
    buckets: set[bytes] = field(default_factory=set)
    contents: set[bytes] = field(default_factory=set)


@contextmanager
def watched() -> Iterator[Secrets]:
    """Every key of a part, a bucket or a root that this process makes meanwhile."""
    seen = Secrets()
    seal, draw = vars(shred)["seal_root"], vars(tape)["new_content_key"]

    def seal_root(root: Any, effaceable: bytes, salt: bytes) -> bytes:
        seen.effaceable.add(bytes(effaceable))
        seen.buckets |= {bytes(one.key) for one in root.buckets.values()}
        made: bytes = seal(root, effaceable, salt)
        return made

    def new_content_key() -> bytearray:
        made: bytearray = draw()
        seen.contents.add(bytes(made))
        return made

    vars(shred)["seal_root"], vars(tape)["new_content_key"] = seal_root, new_content_key
    try:
        yield seen
    finally:
        vars(shred)["seal_root"], vars(tape)["new_content_key"] = seal, draw


class FilledDisk:
    """A fresh box in ``data``, on ext4 on a block device on record. A context manager.

    Raises Unable, Missing.
    """

    def __init__(
        self, folder: Path, program: Path, parts: int, *, tpm: bool, console: bool = True
    ) -> None:
        """*parts*: so many must find room. *console*: with a console key that lies elsewhere."""
        self.folder = folder
        self.key: PrivateKey = keys.generate(Role.OFFICE)
        self.console: PrivateKey = keys.generate(Role.CONSOLE)
        self._has_console = console
        self.tpm = EmulatedTpm(folder / "tpm") if tpm else None
        self._before = os.environ.get(TPM)
        self._image, self._log = folder / "disk.img", folder / "disk.log"
        block_disk.make_file_system(self._image, block_disk.MEBIBYTES + parts // 20)
        self._fresh = self._image.read_bytes()
        self._disk = BlockDisk(program, self._image, self._log)
        self._forgotten = 0  # so much of the record came before the image of `forget`
        self.data = self._disk.path / BOX

    def __enter__(self) -> "FilledDisk":
        try:
            if self.tpm is not None:
                self.tpm.start()
            os.environ[TPM] = self.tpm.words if self.tpm else "none"
            self._disk.mount()
            choice: Any = "tpm" if self.tpm else "file"
            office, console = (one.public.format().encode() for one in (self.key, self.console))
            public = console if self._has_console else None
            archives.create(self.data, SystemClock(), office, public, choice)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._disk.release()
        self._disk.close()
        if self.tpm is not None:
            self.tpm.stop()
        if self._before is None:
            os.environ.pop(TPM, None)
        else:
            os.environ[TPM] = self._before

    def power_off(self) -> None:
        """Unmount, as a quiet end does. Raises Unable."""
        self._disk.unmount()

    def forget(self) -> bytes:
        """Unmount and mount again; what is on the disk, from which the record goes on now."""
        self._disk.unmount()
        self._forgotten = self._log.stat().st_size
        image = self.image
        self._disk.mount()
        return image

    def note(self, data: bytes) -> None:
        """Leave a note in the record."""
        self._disk.note(data)

    @property
    def record(self) -> list[Operation]:
        """What was written, flushed and noted since :meth:`forget`."""
        return list(block_disk.operations(self._log, self._forgotten))

    @property
    def image(self) -> bytes:
        """What stands on the disk now, every octet of it."""
        return self._image.read_bytes()

    @property
    def chip(self) -> bytes:
        """Everything that the TPM holds. Raises Missing: there is none."""
        if self.tpm is None:
            raise Missing("this box has no TPM")
        return self.tpm.state

    def ever(self) -> tuple[Medium, int]:
        """Every block that ever stood on the disk, and how many octets were written."""
        medium, octets = Medium(), 0
        for at in range(0, len(self._fresh), BLOCK):
            medium.write(at, self._fresh[at : at + BLOCK])
        for one in block_disk.operations(self._log):
            if one.kind == WRITE:
                medium.write(one.offset, one.data)
                octets += len(one.data)
        return medium, octets
