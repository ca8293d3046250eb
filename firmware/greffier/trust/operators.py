"""The people of a box: public halves of their keys, and what two of them signed.

Pure. Format and rules: docs/operator-keys.md. Whose cards count is said by the log
(:mod:`greffier.recorder.operators`); a file that somebody put beside them makes nobody an operator.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SEED_BYTES, PUBLIC_BYTES, VERIFY_BYTES, SIGNATURE_BYTES = 32, 1216, 32, 64
LARGEST_SIGNED = 1 << 20

_NAME = re.compile(r"[a-z0-9-]{1,32}")
_PURPOSE = re.compile(r"[a-z][a-z0-9.-]{0,47}")
_SIGNING = b"greffier/operator-sign@v1"
_SIGNED = b"greffier/operator-signature@v1\0"


class BadProof(ValueError):
    """Signatures do not show that two different operators of this box agreed.

    ``code`` is one of ``count``, ``unknown``, ``same``, ``forged``; ``operator`` the name meant.
    """

    def __init__(self, code: str, operator: str = "") -> None:
        super().__init__(f"{code}: {operator}" if operator else code)
        self.code = code
        self.operator = operator


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator's public half. *name* is of this box alone; the log knows only :attr:`key_id`.

    *public* is the X-Wing key that months are sealed to, *verify* the Ed25519 key of signatures.
    Raises ValueError for a name or a length that no operator has.
    """

    name: str
    public: bytes = field(repr=False)
    verify: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise ValueError("a name has 1 to 32 of a-z, 0-9 and -")
        if len(self.public) != PUBLIC_BYTES or len(self.verify) != VERIFY_BYTES:
            raise ValueError("a key has another length")

    @property
    def key_id(self) -> str:
        """16 hex digits, as docs/key-files.md has them."""
        return hashlib.sha256(self.public).digest()[:8].hex()

    @property
    def digest(self) -> str:
        """What the log holds of the card: SHA-256 of name, 00, both keys; 64 hex digits."""
        return hashlib.sha256(self.name.encode() + b"\0" + self.public + self.verify).hexdigest()


@dataclass(frozen=True, slots=True)
class Unlocked:
    """An operator who has proved who they are, with the seed of their keys: in memory only."""

    operator: Operator
    seed: bytes = field(repr=False)

    def sign(self, purpose: str, octets: bytes) -> "Proof":
        """This operator's signature of *octets*, for *purpose* and no other (say, ``hold.place``).

        Raises ValueError for a purpose that is no word, or more than 1 MiB.
        """
        message = _message(purpose, octets)
        return Proof(self.operator.name, signing_key(self.seed).sign(message))


@dataclass(frozen=True, slots=True)
class Proof:
    """The signature (64 octets) of the operator of that name."""

    operator: str
    signature: bytes


def is_name(text: str) -> bool:
    """Whether an operator may be called that."""
    return _NAME.fullmatch(text) is not None


def signing_key(seed: bytes) -> Ed25519PrivateKey:
    """The Ed25519 key of an operator's 32-octet *seed*: HKDF-SHA-512 (RFC 5869), its own info."""
    derived = HKDF(SHA512(), 32, salt=None, info=_SIGNING).derive(seed)
    return Ed25519PrivateKey.from_private_bytes(derived)


def signature_holds(verify: bytes, signature: bytes, purpose: str, octets: bytes) -> bool:
    """Whether the operator with the key *verify* signed *octets* for *purpose*."""
    message = _message(purpose, octets)
    try:
        Ed25519PublicKey.from_public_bytes(verify).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def signed_by_two(
    operators: Mapping[str, Operator], proofs: Sequence[Proof], purpose: str, octets: bytes
) -> tuple[Operator, Operator]:
    """The two different operators of this box who both signed *octets* for *purpose*.

    *operators* are those that the log knows, by name. Raises BadProof.
    """
    if len(proofs) != 2:
        raise BadProof("count")
    found = []
    for proof in proofs:
        operator = operators.get(proof.operator)
        if operator is None:
            raise BadProof("unknown", proof.operator if is_name(proof.operator) else "")
        if not signature_holds(operator.verify, proof.signature, purpose, octets):
            raise BadProof("forged", operator.name)
        found.append(operator)
    first, second = found
    if first.name == second.name or first.verify == second.verify or first.key_id == second.key_id:
        raise BadProof("same", first.name)
    return first, second


def _message(purpose: str, octets: bytes) -> bytes:
    if not _PURPOSE.fullmatch(purpose) or len(octets) > LARGEST_SIGNED:
        raise ValueError("an operator signs at most 1 MiB, for a purpose that is a word")
    return _SIGNED + purpose.encode() + b"\0" + octets
