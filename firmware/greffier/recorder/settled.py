"""Of every part that waits no more: what was received of it, or that it was destroyed.

There are as many as the box ever recorded, so most of them stand in two sorted arrays, 15 bytes a
part; what came since they were made stands in a mapping in front of them. The arrays never change,
so several may share them.

One thread at a time uses a Settled.
"""

import sys
from array import array
from bisect import bisect_left
from typing import Final, Self

DESTROYED: Final = 0
_KEY = 8
_PRINT = 7  # octets of a fingerprint
_MOST_RECENT: Final = 1 << 16
"""Numbers that stand in front of the arrays before a set takes them in."""


class Settled:
    """First 8 octets of a part's id, as a number -> a fingerprint of 7 octets, or DESTROYED."""

    def __init__(self) -> None:
        self._keys = array("Q")
        self._prints = b""
        self._recent: dict[int, int] = {}

    def get(self, key: int) -> int | None:
        """What is known of *key*."""
        found = self._recent.get(key)
        if found is not None:
            return found
        at = bisect_left(self._keys, key)
        return self._print(at) if at < len(self._keys) and self._keys[at] == key else None

    def set(self, key: int, value: int) -> None:
        """Know *value* of *key* from now on."""
        self._recent[key] = value

    def _print(self, at: int) -> int:
        return int.from_bytes(self._prints[at * _PRINT : (at + 1) * _PRINT], "big")

    def merge(self) -> None:
        """Take what came since into new arrays."""
        if not self._recent:
            return
        keys, prints = array("Q"), bytearray()
        low = 0
        for key in sorted(self._recent):
            at = bisect_left(self._keys, key, low)
            keys.extend(self._keys[low:at])
            prints += self._prints[low * _PRINT : at * _PRINT]
            keys.append(key)
            prints += self._recent[key].to_bytes(_PRINT, "big")
            low = at + (at < len(self._keys) and self._keys[at] == key)
        keys.extend(self._keys[low:])
        prints += self._prints[low * _PRINT :]
        self._keys, self._prints, self._recent = keys, bytes(prints), {}

    def share(self, other: "Settled") -> None:
        """Use the arrays of *other*; what they do not say yet stays in front of them."""
        self._keys, self._prints = other._keys, other._prints
        recent, self._recent = self._recent, {}
        self._recent = {key: value for key, value in recent.items() if self.get(key) != value}

    def copy(self) -> "Settled":
        """One that shares the arrays."""
        made = Settled()
        made._keys, made._prints, made._recent = self._keys, self._prints, dict(self._recent)
        return made

    def dump(self) -> bytes:
        """All of it, merged: keys big-endian in ascending order, then the fingerprints."""
        self.merge()
        return _swapped(self._keys).tobytes() + self._prints

    @classmethod
    def load(cls, data: bytes) -> Self:
        """What :meth:`dump` gave. Raises ValueError for anything else."""
        count, rest = divmod(len(data), _KEY + _PRINT)
        keys = array("Q")
        keys.frombytes(data[: count * _KEY])
        made = cls()
        made._keys, made._prints = _swapped(keys), data[count * _KEY :]
        if rest:
            raise ValueError("no table of parts")
        return made


class Marks:
    """A set of 64-bit numbers, 15 octets each: of hashes, or of what a device drew."""

    def __init__(self) -> None:
        self._known = Settled()

    def add(self, number: int) -> None:
        """It is in."""
        self._put(number, 1)

    def discard(self, number: int) -> None:
        """It is not in."""
        self._put(number, DESTROYED)

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and bool(self._known.get(number % 2**64))

    def _put(self, number: int, value: int) -> None:
        self._known.set(number % 2**64, value)
        if len(self._known._recent) >= _MOST_RECENT:
            self._known.merge()


class Ids:
    """A set of ids that a device drew, such as parts', by their first 8 octets."""

    def __init__(self) -> None:
        self._marks = Marks()

    def add(self, name: str) -> None:
        """It is in. Raises ValueError for what is no id."""
        self._marks.add(int(name[: 2 * _KEY], 16))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and int(name[: 2 * _KEY], 16) in self._marks


def _swapped(keys: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        return keys
    swapped = keys[:]
    swapped.byteswap()
    return swapped
