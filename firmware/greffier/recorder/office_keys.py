"""Which keys of head office this recorder believes: those in ``keys/head-office.pub``."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from greffier.audit import note
from greffier.audit.kinds import LONGEST_LIST, NAME
from greffier.audit.note import COSIGNATURE_V1, ED25519, VerifierKey

LARGEST: Final = 65_536
"""Octets of the file."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """What the file held: its SHA-256 in hex, and its keys. *usable*: it is such a file, or none.

    Of a file that cannot be used no key counts.
    """

    sha256: str
    keys: tuple[VerifierKey, ...] = ()
    usable: bool = True

    @property
    def receipts(self) -> tuple[VerifierKey, ...]:
        """Those that sign receipts."""
        return tuple(key for key in self.keys if key.kind == ED25519)

    @property
    def witnesses(self) -> tuple[VerifierKey, ...]:
        """Those that cosign checkpoints."""
        return tuple(key for key in self.keys if key.kind == COSIGNATURE_V1)

    @property
    def entry(self) -> dict[str, Any]:
        """What the log says of them (kind ``office.trusted``)."""
        hashes = [key.key_id.hex() for key in self.keys]
        return {"sha256": self.sha256, "keys": hashes[:LONGEST_LIST]}


NOBODY: Final = Trusted(hashlib.sha256().hexdigest())
"""No file, or an empty one."""


def load(path: Path) -> Trusted:
    """What the file *path* holds now; one that is not there is empty. Raises OSError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return NOBODY
    with os.fdopen(fd, "rb") as file:
        data = file.read(LARGEST + 1)
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        keys = note.read_keys(data.decode("utf-8"))
    except (note.BadNote, UnicodeDecodeError):
        return Trusted(sha256, usable=False)
    # A name that the log cannot hold would leave receipts that it cannot hold either.
    if len(data) > LARGEST or not all(NAME.holds(key.name) for key in keys):
        return Trusted(sha256, usable=False)
    return Trusted(sha256, keys)
