"""What the device owns: its name, its log key, and one key that can really be overwritten.

That key, the effaceable root of the shred store, is a file (:mod:`greffier.trust.effaceable`) or
lies in a TPM (:mod:`greffier.trust.tpm`); :mod:`greffier.trust.roots` says which.
"""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from greffier import canonical
from greffier.clock import Clock
from greffier.errors import BadKeyFile, NotADataDirectory
from greffier.trust.effaceable import (
    BadEffaceable,
    DeletionClass,
    EffaceableRoot,
    FileRoot,
    parse_effaceable,
    write_effaceable,
)

__all__ = [
    "BadEffaceable",
    "DeletionClass",
    "EffaceableRoot",
    "FileRoot",
    "Identity",
    "LogKey",
    "load_identity",
    "load_log_key",
    "new_identity",
    "parse_effaceable",
    "write_effaceable",
]

_FORMAT = 1
_DEVICE = re.compile(r"box-[0-9a-f]{8}")
_TIME = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this box is: ``box-`` and 8 hex digits, and when it got that name."""

    device: str
    created_ns: int

    @property
    def origin(self) -> str:
        """The name under which it signs (C2SP tlog-checkpoint)."""
        return f"greffier/{self.device}"

    def to_bytes(self) -> bytes:
        """The content of device.json."""
        return canonical.dump(
            {"created_ns": str(self.created_ns), "device": self.device, "format": 1}
        )


def new_identity(clock: Clock) -> Identity:
    """A name drawn at random, now."""
    return Identity(f"box-{secrets.token_hex(4)}", clock.wall_ns())


def load_identity(path: Path) -> Identity:
    """The identity in the file *path*. Raises NotADataDirectory (of the file's folder)."""
    try:
        fields = canonical.load(path.read_bytes())
        if set(fields) != {"created_ns", "device", "format"} or fields["format"] != _FORMAT:
            raise NotADataDirectory(path=path.parent)
        if not _DEVICE.fullmatch(fields["device"]) or not _TIME.fullmatch(fields["created_ns"]):
            raise NotADataDirectory(path=path.parent)
        if type(fields["format"]) is not int:  # true is 1, to Python
            raise NotADataDirectory(path=path.parent)
        return Identity(fields["device"], int(fields["created_ns"]))
    except (OSError, ValueError, TypeError, AttributeError):
        raise NotADataDirectory(path=path.parent) from None


@dataclass(frozen=True, slots=True)
class LogKey:
    """The Ed25519 key that signs checkpoints, with the name it signs under.

    Text forms of C2SP signed-note: ``name+hash+base64(01||public)`` and
    ``PRIVATE+KEY+name+hash+base64(01||seed)``, where hash = first 4 bytes of
    SHA-256(name || 0A || 01 || public), in hex.
    """

    name: str
    private: Ed25519PrivateKey

    @classmethod
    def new(cls, name: str) -> Self:
        """A fresh key."""
        return cls(name, Ed25519PrivateKey.generate())

    @property
    def public(self) -> bytes:
        """The 32 public bytes."""
        return self.private.public_key().public_bytes_raw()

    @property
    def key_hash(self) -> bytes:
        """The 4 bytes that stand before each signature."""
        return hashlib.sha256(self.name.encode() + b"\n\x01" + self.public).digest()[:4]

    def person(self, name: str) -> str:
        """The pseudonym of a person in the log, 32 hex digits.

        Keyed with a secret of the device: names are few, and a bare hash of one is found by trying.
        """
        secret = hmac.digest(self.private.private_bytes_raw(), b"greffier/person@v1", "sha256")
        return hmac.digest(secret, name.strip().encode("utf-8", "replace"), "sha256").hex()[:32]

    def public_line(self) -> str:
        """The verifier's line, without line feed (keys/log.pub)."""
        return f"{self.name}+{self.key_hash.hex()}+{_base64(self.public)}"

    def private_line(self) -> str:
        """The signer's line, without line feed (keys/log.key)."""
        seed = self.private.private_bytes_raw()
        return f"PRIVATE+KEY+{self.name}+{self.key_hash.hex()}+{_base64(seed)}"


def load_log_key(path: Path) -> LogKey:
    """The log key in the file *path*. Raises BadKeyFile."""
    try:
        words = path.read_text("ascii").strip().split("+", 4)
        raw = base64.b64decode(words[4], validate=True)
        if words[:2] != ["PRIVATE", "KEY"] or raw[:1] != b"\x01":
            raise BadKeyFile(path=path, reason="not a log key")
        key = LogKey(words[2], Ed25519PrivateKey.from_private_bytes(raw[1:]))
    except OSError as error:
        raise BadKeyFile(path=path, reason=error.strerror) from error
    except (ValueError, IndexError):
        raise BadKeyFile(path=path, reason="not a log key") from None
    if key.key_hash.hex() != words[3]:
        raise BadKeyFile(path=path, reason="its check digits do not match")
    return key


def _base64(raw: bytes) -> str:
    return base64.b64encode(b"\x01" + raw).decode("ascii")
