"""How the private half of an operator's keys lies on the disk: wrapped, and what opens it.

docs/operator-keys.md section 2. The parameters of Argon2id stand in the file; a reader takes only
those that cost a thief enough and the box not too much.
"""

import base64
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from greffier import canonical
from greffier.trust.operators import SEED_BYTES, Operator

Kind = Literal["chosen", "generated", "file"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SALT_BYTES, SEALED_BYTES, AUTH_BYTES, PEPPER_BYTES = 16, 48, 32, 32
LARGEST_FILE = 16384
FIRST_HANDLE, LAST_HANDLE = 0x01500020, 0x0150005F

_AUTH, _KEY = b"greffier/operator-tpm@v1", b"greffier/operator-wrap@v1"
_HEX = re.compile(r"(?:[0-9a-f]{2})+")
_TIME = re.compile(r"0|[1-9][0-9]{0,18}")
_FIELDS = {"format", "name", "public", "verify", "made_ns", "wrapping"}
_WRAPPING = {"kind", "salt", "memory_kib", "passes", "lanes", "tpm", "sealed"}


class BadCard(ValueError):
    """The bytes are no operator's file; ``number`` is that of docs/operator-keys.md section 2."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(f"{reason} (reason {number})")
        self.number = number
        self.reason = reason


class DoesNotUnwrap(ValueError):
    """This passphrase, or key file, is not the one."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Parameters of Argon2id (RFC 9106): memory in KiB, passes, lanes."""

    memory_kib: int = 65_536
    passes: int = 3
    lanes: int = 1

    @property
    def bearable(self) -> bool:
        """Within what a reader takes."""
        return (
            65_536 <= self.memory_kib <= 262_144 and 3 <= self.passes <= 10 and 1 <= self.lanes <= 4
        )


@dataclass(frozen=True, slots=True)
class Nv:
    """Where in a TPM the pepper lies: the index, and the 32-octet tag that it was given."""

    handle: int
    tag: bytes


@dataclass(frozen=True, slots=True)
class Card:
    """An operator's file: the public half in clear, the seed wrapped."""

    operator: Operator
    made_ns: int
    kind: Kind
    salt: bytes
    cost: Cost
    nv: Nv | None
    sealed: bytes = field(repr=False)

    def to_bytes(self) -> bytes:
        """The content of ``keys/operators/<name>.json``."""
        return canonical.dump(self._fields(self.sealed.hex()))

    def bound(self) -> bytes:
        """What the wrapping is bound to: all of the file but the sealed seed."""
        return canonical.dump(self._fields(""))

    def _fields(self, sealed: str) -> dict[str, Any]:
        nv = self.nv and {"handle": f"{self.nv.handle:08x}", "tag": self.nv.tag.hex()}
        return {
            "format": 1,
            "name": self.operator.name,
            "public": base64.b64encode(self.operator.public).decode("ascii"),
            "verify": self.operator.verify.hex(),
            "made_ns": str(self.made_ns),
            "wrapping": {
                "kind": self.kind,
                "salt": self.salt.hex(),
                "memory_kib": self.cost.memory_kib,
                "passes": self.cost.passes,
                "lanes": self.cost.lanes,
                "tpm": nv,
                "sealed": sealed,
            },
        }


Pepper = Callable[[Nv, bytes], bytes]
"""The pepper at a place in the TPM, for who has its 32-octet authorization."""


def stretch(secret: bytes, salt: bytes, cost: Cost) -> bytes:
    """Argon2id of *secret*, 32 octets: what a guess costs. Raises MemoryError."""
    return Argon2id(
        salt=salt, length=32, iterations=cost.passes, lanes=cost.lanes, memory_cost=cost.memory_kib
    ).derive(secret)


def authorization(stretched: bytes) -> bytes:
    """The authValue of the TPM's index, from the stretched secret."""
    return HKDF(SHA512(), AUTH_BYTES, salt=None, info=_AUTH).derive(stretched)


def fresh_seed() -> bytes:
    """A seed for an operator's keys."""
    return secrets.token_bytes(SEED_BYTES)


def fresh_pepper() -> bytes:
    """Octets for a TPM to keep."""
    return secrets.token_bytes(PEPPER_BYTES)


def fresh_salt() -> bytes:
    """A salt for one wrapping: with it, key and nonce are used once."""
    return secrets.token_bytes(SALT_BYTES)


def wrap(card: Card, seed: bytes, stretched: bytes, pepper: bytes) -> Card:
    """*card* with *seed* sealed in it. *pepper* is empty without a TPM."""
    if len(seed) != SEED_BYTES or len(pepper) != (PEPPER_BYTES if card.nv else 0):
        raise ValueError("a seed or a pepper of another length")
    cipher = ChaCha20Poly1305(_key(card, stretched, pepper))
    return replace(card, sealed=cipher.encrypt(bytes(12), seed, card.bound()))


def unwrap(card: Card, secret: bytes, pepper: Pepper) -> bytes:
    """The seed in *card*. *pepper* is asked only where the card hangs on a TPM.

    Raises DoesNotUnwrap; whatever *pepper* raises.
    """
    stretched = stretch(secret, card.salt, card.cost)
    found = pepper(card.nv, authorization(stretched)) if card.nv else b""
    try:
        cipher = ChaCha20Poly1305(_key(card, stretched, found))
        return cipher.decrypt(bytes(12), card.sealed, card.bound())
    except InvalidTag:
        raise DoesNotUnwrap from None


def parse_card(data: bytes, name: str | None = None) -> Card:
    """The operator's file *data*; *name* is that of its file, if it has one. Raises BadCard."""
    if len(data) > LARGEST_FILE:
        raise BadCard(1, "it is too long")
    try:
        fields: Any = canonical.load(data)
    except ValueError:
        raise BadCard(2, "it is not canonical JSON") from None
    if not isinstance(fields, dict) or set(fields) != _FIELDS:
        raise BadCard(3, "a key is missing or unknown")
    if type(fields["format"]) is not int or fields["format"] != 1:
        raise BadCard(4, "its format is unknown")
    if name is not None and fields["name"] != name:
        raise BadCard(5, "it is that of another name")
    made = fields["made_ns"]
    if not isinstance(made, str) or not _TIME.fullmatch(made):
        raise BadCard(7, "it says no time")
    return _with_wrapping(_operator(fields), int(made), fields["wrapping"])


def _operator(fields: dict[str, Any]) -> Operator:
    public = fields["public"]
    try:
        if not isinstance(fields["name"], str):
            raise ValueError("no name")
        raw = base64.b64decode(public, validate=True)
        if base64.b64encode(raw).decode("ascii") != public:
            raise ValueError("not as an encoder writes it")
        return Operator(fields["name"], raw, _octets(fields["verify"], 32))
    except (TypeError, ValueError):
        raise BadCard(6, "its name or keys are none") from None


def _with_wrapping(operator: Operator, made_ns: int, wrapping: Any) -> Card:
    if not isinstance(wrapping, dict) or set(wrapping) != _WRAPPING:
        raise BadCard(3, "a key is missing or unknown")
    if wrapping["kind"] not in KINDS:
        raise BadCard(8, "its kind of secret is unknown")
    numbers = [wrapping[key] for key in ("memory_kib", "passes", "lanes")]
    if any(type(number) is not int for number in numbers) or not Cost(*numbers).bearable:
        raise BadCard(9, "its parameters are out of bounds")
    try:
        salt = _octets(wrapping["salt"], SALT_BYTES)
        sealed = _octets(wrapping["sealed"], SEALED_BYTES)
    except ValueError:
        raise BadCard(10, "its wrapping has another length") from None
    nv = _nv(wrapping["tpm"])
    if nv is None and wrapping["kind"] == "chosen":
        raise BadCard(12, "a chosen passphrase needs a TPM")
    return Card(operator, made_ns, wrapping["kind"], salt, Cost(*numbers), nv, sealed)


def _nv(value: Any) -> Nv | None:
    if value is None:
        return None
    try:
        if set(value) != {"handle", "tag"}:
            raise ValueError("unknown keys")
        handle = int.from_bytes(_octets(value["handle"], 4), "big")
        if not FIRST_HANDLE <= handle <= LAST_HANDLE:
            raise ValueError("no handle of ours")
        return Nv(handle, _octets(value["tag"], 32))
    except (TypeError, ValueError, KeyError):
        raise BadCard(11, "its place in the TPM is none") from None


def _octets(text: Any, size: int) -> bytes:
    if not isinstance(text, str) or not _HEX.fullmatch(text) or len(text) != 2 * size:
        raise ValueError("not so many hex digits")
    return bytes.fromhex(text)


def _key(card: Card, stretched: bytes, pepper: bytes) -> bytes:
    return HKDF(SHA512(), 32, salt=card.salt, info=_KEY).derive(stretched + pepper)
