"""The claim code that lets a box in: made, read as people type it, and what is derived from it.

docs/enrolment-format.md section 1. Pure but for the random numbers.
"""

import secrets
from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import Final, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SYMBOLS: Final = 20
_RANDOM = SYMBOLS - 2
_GROUP = 4
_SALT = b"greffier/claim@v1"
_MEANT = str.maketrans("OIL", "011", " -")
_MOST_TYPED = 80


class BadClaim(ValueError):
    """What was typed is no claim code: not twenty symbols, or not the right ones."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What both sides derive from a code: its id (16 hex digits) and the 32 bytes of its key."""

    claim: str
    key: bytes

    @classmethod
    def of(cls, code: str) -> Self:
        """Of a *code* as a person typed it. Raises BadClaim."""
        symbols = read_code(code).encode("ascii")
        return cls(_derived(symbols, b"id", 8).hex(), _derived(symbols, b"key", 32))


def new_code() -> str:
    """A fresh code in groups of four, ``XXXX-XXXX-XXXX-XXXX-XXXX``."""
    values = [secrets.randbelow(32) for _ in range(_RANDOM)]
    return grouped("".join(ALPHABET[one] for one in _checked(values)))


def grouped(symbols: str) -> str:
    """Twenty *symbols* as they are read out."""
    return "-".join(symbols[at : at + _GROUP] for at in range(0, SYMBOLS, _GROUP))


def read_code(typed: str) -> str:
    """The twenty symbols that were meant by *typed*. Raises BadClaim."""
    if len(typed) > _MOST_TYPED or not typed.isascii():
        raise BadClaim("not twenty letters and digits")
    symbols = typed.upper().translate(_MEANT)
    if len(symbols) != SYMBOLS or not set(symbols) <= set(ALPHABET):
        raise BadClaim("not twenty letters and digits")
    values = [ALPHABET.index(one) for one in symbols]
    if _checked(values[:_RANDOM]) != values:
        raise BadClaim("its check does not hold")
    return symbols


def _derived(symbols: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, _SALT, info).derive(symbols)


# GF(32) with z^5+z^2+1: the powers of z, twice, so that two logarithms can be added.
def _powers() -> list[int]:
    found, one = [], 1
    for _ in range(62):
        found.append(one)
        one = (one << 1) ^ (0x25 if one & 0x10 else 0)
    return found


_POWER = _powers()
_LOG = {value: at for at, value in enumerate(_POWER[:31])}


def _times(one: int, power: int) -> int:
    """*one* times the *power*-th power of z."""
    return _POWER[_LOG[one] + power % 31] if one else 0


def _checked(values: list[int]) -> list[int]:
    """The random *values* and the two that make both sums zero."""
    plain = reduce(xor, values, 0)
    weighted = reduce(xor, (_times(one, at) for at, one in enumerate(values)), 0)
    # x18 + x19 = plain and z^18 x18 + z^19 x19 = weighted
    divisor = _LOG[_POWER[_RANDOM] ^ _POWER[_RANDOM + 1]]
    last = _times(weighted ^ _times(plain, _RANDOM), 31 - divisor)
    return [*values, plain ^ last, last]
