"""X-Wing key pairs of head office and console, and the text files that hold them.

Format: docs/key-files.md. X-Wing is ML-KEM-768 with X25519 (draft-connolly-cfrg-xwing-kem), the KEM
0x647a of HPKE; the private key is a 32-byte seed.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Protocol, Self

from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey

from greffier.errors import BadKeyFile
from greffier.trust import key_text
from greffier.trust.key_text import BadKey

SEED_BYTES = 32
LATTICE_BYTES = 1184
PUBLIC_BYTES = LATTICE_BYTES + 32


class Role(IntEnum):
    """Who holds a private key; the value is the byte of the formats."""

    OFFICE = 1
    CONSOLE = 2


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half: *data* is ML-KEM-768 encapsulation key (1184) || X25519 public key (32).

    Raises ValueError if *data* is no such key.
    """

    role: Role
    data: bytes
    hpke: MLKEM768X25519PublicKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.data) != PUBLIC_BYTES:
            raise ValueError("a public key is 1216 bytes")
        lattice = mlkem.MLKEM768PublicKey.from_public_bytes(self.data[:LATTICE_BYTES])
        curve = x25519.X25519PublicKey.from_public_bytes(self.data[LATTICE_BYTES:])
        # A point of low order gives the same secret to everybody; the library refuses the exchange.
        x25519.X25519PrivateKey.generate().exchange(curve)
        object.__setattr__(self, "hpke", MLKEM768X25519PublicKey(lattice, curve))

    @property
    def key_id(self) -> bytes:
        """The 8 bytes by which an envelope names its recipient."""
        return hashlib.sha256(self.data).digest()[:8]

    def format(self) -> str:
        """The text of the public key file."""
        return _formatted(self.role, False, self.key_id, self.data)


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """The private half: a 32-byte seed. Raises ValueError for another length.

    It exists at head office and in the console's hands, never on an appliance; its memory is not
    wiped, because the objects of the library cannot be.
    """

    role: Role
    seed: bytes = field(repr=False)
    hpke: MLKEM768X25519PrivateKey = field(init=False, repr=False, compare=False)
    public: PublicKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_BYTES:
            raise ValueError("a private key is 32 bytes")
        expanded = hashlib.shake_256(self.seed).digest(96)
        lattice = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        curve = x25519.X25519PrivateKey.from_private_bytes(expanded[64:])
        public = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
        object.__setattr__(self, "hpke", MLKEM768X25519PrivateKey(lattice, curve))
        object.__setattr__(self, "public", PublicKey(self.role, public))

    @property
    def key_id(self) -> bytes:
        """As :class:`Opener`."""
        return self.public.key_id

    def find(self, role: Role, key_id: bytes) -> Self | None:
        """As :class:`Opener`."""
        return self if (role, key_id) == (self.role, self.public.key_id) else None

    def format(self) -> str:
        """The text of the private key file."""
        return _formatted(self.role, True, self.public.key_id, self.seed)


class Opener(Protocol):
    """Who opens envelopes: one private key, or all that an operator comes to."""

    @property
    def key_id(self) -> bytes:
        """The 8 bytes by which the log names who opens."""

    def find(self, role: Role, key_id: bytes) -> PrivateKey | None:
        """The private key of the recipient with *role* and *key_id*, if it is among them."""


class Keyring:
    """Several private keys of one holder: the right one is found among them."""

    def __init__(self, keys: Sequence[PrivateKey]) -> None:
        """Raises ValueError for none."""
        if not keys:
            raise ValueError("a keyring holds a key")
        self._keys = tuple(keys)

    @property
    def key_id(self) -> bytes:
        """That of the first."""
        return self._keys[0].key_id

    def find(self, role: Role, key_id: bytes) -> PrivateKey | None:
        """As :class:`Opener`."""
        return next((one for one in self._keys if one.find(role, key_id)), None)


def generate(role: Role) -> PrivateKey:
    """A new key pair from the operating system's generator."""
    return PrivateKey(role, secrets.token_bytes(SEED_BYTES))


def parse_private(text: str, role: Role) -> PrivateKey:
    """The private key of *role* that a key file's *text* holds. Raises BadKey."""
    key, _ = _parsed(text, role, private=True)
    return PrivateKey(role, key)


def parse_public(text: str, role: Role) -> PublicKey:
    """The public key of *role* that a key file's *text* holds. Raises BadKey."""
    key, offset = _parsed(text, role, private=False)
    try:
        return PublicKey(role, key)
    except ValueError:
        raise BadKey(9, offset) from None


def read_private(path: Path, role: Role) -> PrivateKey:
    """The private key in the file *path*. Raises BadKeyFile."""
    try:
        return parse_private(key_text.read_text(path), role)
    except BadKey as error:
        raise BadKeyFile(path=path, reason=error.reason) from None


def read_public(path: Path, role: Role) -> PublicKey:
    """The public key in the file *path*. Raises BadKeyFile."""
    try:
        return parse_public(key_text.read_text(path), role)
    except BadKey as error:
        raise BadKeyFile(path=path, reason=error.reason) from None


def _label(role: Role, private: bool) -> str:
    return f"greffier-{role.name.lower()}-{'key' if private else 'pub'}-1"


_LABELS = {_label(role, private): (role, private) for role in Role for private in (False, True)}


def _formatted(role: Role, private: bool, key_id: bytes, key: bytes) -> str:
    half = "PRIVATE: keep it off the appliance" if private else "public"
    head = f"# Greffier {role.name.lower()} key, {half}\n# key id: {key_id.hex()}\n"
    return f"{head}{key_text.key_line(_label(role, private), key)}\n"


def _parsed(text: str, role: Role, *, private: bool) -> tuple[bytes, int]:
    """The key bytes and where their line begins."""
    size = SEED_BYTES if private else PUBLIC_BYTES
    found = key_text.parse(text, _label(role, private), size, _LABELS)
    return found.key, found.offset
