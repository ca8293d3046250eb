"""Proofs over a log's file of leaf hashes: seconds for the first, milliseconds for each after it.

The roots of whole tiles of 256 leaves, and of 256 such tiles, are kept once they were computed:
32 bytes for 256 leaves. A leaf that was read never changes (docs/audit-format.md section 3). One
thread owns an instance.
"""

from collections.abc import Callable
from typing import Final

from greffier import merkle
from greffier.merkle import HASH_BYTES

_TILE_LEVEL: Final = 8
_TILE: Final = 1 << _TILE_LEVEL

Read = Callable[[int, int], bytes]
"""``read(offset, size)``: so many bytes of the file from there, fewer at its end."""


class LeafTree:
    """The tree over the leaves that *read* gives."""

    def __init__(self, read: Read) -> None:
        self._read = read
        # Level 8 and level 16: the roots of their perfect subtrees, from the first on.
        self._tiles: tuple[bytearray, bytearray] = (bytearray(), bytearray())

    def root(self, size: int) -> bytes:
        """The root over the first *size* leaves. Raises ValueError where there are fewer."""
        return merkle.range_root(self._subtree, 0, size) if size else merkle.empty_root()

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The proof of RFC 6962 section 2.1.2 from *old* to *new* leaves.

        Raises ValueError unless 0 <= old <= new, and where there are fewer leaves.
        """
        return merkle.consistency_path(self._subtree, old, new)

    def _subtree(self, level: int, index: int) -> bytes:
        if level < _TILE_LEVEL:
            return merkle.root(self._leaves(index << level, 1 << level))
        if level < 2 * _TILE_LEVEL:
            count = 1 << (level - _TILE_LEVEL)
            return merkle.root(self._roots(0, index * count, count))
        count = 1 << (level - 2 * _TILE_LEVEL)
        return merkle.root(self._roots(1, index * count, count))

    def _roots(self, floor: int, first: int, count: int) -> list[bytes]:
        """The roots of tiles *first* .. *first* + *count* - 1 of level 8 or 16."""
        known = self._tiles[floor]
        for number in range(len(known) // HASH_BYTES, first + count):
            below = number * _TILE
            leaves = self._roots(0, below, _TILE) if floor else self._leaves(below, _TILE)
            known += merkle.root(leaves)
        return _split(known[first * HASH_BYTES : (first + count) * HASH_BYTES])

    def _leaves(self, first: int, count: int) -> list[bytes]:
        data = self._read(first * HASH_BYTES, count * HASH_BYTES)
        if len(data) != count * HASH_BYTES:
            raise ValueError("the file has fewer leaves")
        return _split(data)


def _split(data: bytes | bytearray) -> list[bytes]:
    return [bytes(data[at : at + HASH_BYTES]) for at in range(0, len(data), HASH_BYTES)]
