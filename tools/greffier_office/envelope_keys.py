"""The keys under which head office's envelopes lie: small files that are overwritten to destroy.

docs/office-directory.md, "Envelopes". Two copies of each, in the form of an effaceable key file
(docs/shred-format.md). Several processes may use one folder: a key never changes, and its name is
random. Deletion class C: an old block of the file may stay in the medium.
"""

import re
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from greffier.durable import Disk
from greffier.errors import IntegrityError
from greffier.trust import BadEffaceable, parse_effaceable, write_effaceable

COPIES: Final = ("a", "b")
_CONTEXT: Final = b"greffier/office-envelope@v1\0"
_NONCE: Final = 12
_NAME: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


class EnvelopeKeys:
    """The folder of one head office's directory. One thread owns an instance."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folders = tuple(folder / copy for copy in COPIES)
        self._disk = disk
        self._known: dict[str, bytes] = {}

    def make(self) -> str:
        """A fresh key, durable in both copies; its name. Raises StorageFailed."""
        name, key = secrets.token_hex(16), secrets.token_bytes(32)
        for folder in self._folders:
            self._disk.make_dirs(folder)
        data = write_effaceable(1, key)
        self._disk.write_files({folder / name: data for folder in self._folders})
        self._known[name] = key
        return name

    def get(self, name: str) -> bytes:
        """The key *name*, from whichever copy is whole. Raises IntegrityError where none is."""
        if name in self._known:
            return self._known[name]
        for folder in self._folders:
            try:
                _sequence, key = parse_effaceable((folder / name).read_bytes())
            except (OSError, BadEffaceable):
                continue
            self._known[name] = key
            return key
        raise IntegrityError(what=f"the envelope key {name}", reason="no copy can be read")

    def is_gone(self, name: str) -> bool:
        """Whether no copy of the key *name* is there: then it was destroyed."""
        return not any((folder / name).exists() for folder in self._folders)

    def destroy(self, name: str) -> None:
        """Write random octets over both copies, durably, then remove them; gone is fine.

        Raises StorageFailed: ask again.
        """
        self._known.pop(name, None)
        paths = [folder / name for folder in self._folders if (folder / name).exists()]
        for path in paths:
            self._disk.write_device(path, secrets.token_bytes(path.stat().st_size))
            self._disk.sync_file(path)
        if paths:
            self._disk.remove(paths)

    def names(self) -> dict[str, float]:
        """Every key that has a file, and when that was last written (Unix seconds)."""
        found: dict[str, float] = {}
        for folder in self._folders:
            for path in folder.iterdir() if folder.is_dir() else ():
                if _NAME.fullmatch(path.name):
                    found[path.name] = max(found.get(path.name, 0.0), path.stat().st_mtime)
        return found

    def seal(self, name: str, device: str, part: str, block: bytes) -> bytes:
        """*block* under the key *name*: nonce, ciphertext and tag. Raises IntegrityError."""
        nonce = secrets.token_bytes(_NONCE)
        cipher = ChaCha20Poly1305(self.get(name))
        return nonce + cipher.encrypt(nonce, block, _bound(device, part))

    def open(self, name: str, device: str, part: str, sealed: bytes) -> bytes:
        """What :meth:`seal` was given. Raises IntegrityError."""
        cipher = ChaCha20Poly1305(self.get(name))
        try:
            return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(device, part))
        except (InvalidTag, ValueError):
            what = f"the envelope of {device}/{part}"
            raise IntegrityError(what=what, reason="it does not open") from None


def _bound(device: str, part: str) -> bytes:
    return _CONTEXT + device.encode() + b"\0" + part.encode()
