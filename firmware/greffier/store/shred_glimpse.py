"""The files of the shred store as anybody may look at them: nothing here writes or mends."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from greffier.errors import IntegrityError
from greffier.store.shred_format import (
    BadBucket,
    BadRoot,
    BucketKey,
    Entry,
    Name,
    Root,
    open_record,
    open_root,
    walk,
)

_MOST: Final = 16
"""Buckets that are kept in memory."""
Place = tuple[int, int, int]
"""Number, offset and length of a record."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where an entry lies: in the bucket of *day* under *key*, at *place*."""

    day: str
    key: BucketKey
    place: Place


def content(path: Path) -> bytes:
    """The file's bytes; none where it cannot be read (the other copy then counts)."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def find_root(folders: Sequence[Path], effaceable: bytes) -> tuple[Root, bytes]:
    """The root that *effaceable* opens, and its bytes. Raises IntegrityError."""
    found: list[tuple[int, bytes, Root]] = []
    for folder in folders:
        for slot in (0, 1):
            data = content(folder / f"root.{slot}")
            try:
                root = open_root(data, effaceable)
            except BadRoot:
                continue
            if root.generation % 2 == slot:
                found.append((root.generation, data, root))
    if not found:
        raise IntegrityError(what="the shred store", reason="no root opens")
    _, data, root = max(found, key=lambda one: one[0])
    return root, data


def read_at(folder: Path, found: Found, name: Name) -> Entry | None:
    """The entry *name* of one copy; None where it is not whole there."""
    seq, offset, length = found.place
    path = folder / f"{found.day}.{found.key.generation}"
    try:
        with path.open("rb") as file:
            file.seek(offset)
            entry = open_record(file.read(length), 0, found.day, found.key, seq)
    except (OSError, BadBucket):
        return None
    return entry if entry.name == name else None


def is_whole(folders: Sequence[Path], day: str, key: BucketKey) -> bool:
    """Whether all copies of a bucket are the same, and nothing in them is damaged."""
    copies = [content(folder / f"{day}.{key.generation}") for folder in folders]
    try:
        walked = walk(copies, day, key)
    except BadBucket:
        return False
    return not walked.lost and all(data == walked.good for data in copies)


class Glimpses:
    """What threads that do not own the store know of buckets that its owner has not opened."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        # Guards what was seen: day -> the key under which, and what is where.
        self._door = threading.Lock()
        self._seen: dict[str, tuple[BucketKey, Mapping[Name, Place]]] = {}

    def find(self, name: Name, buckets: Mapping[str, BucketKey], day: str | None) -> Found | None:
        """Where *name* lies in *buckets*: in that of *day*, or any other, the latest first."""
        for one in sorted(buckets, key=lambda at: (at == day, at), reverse=True):
            with self._door:
                seen = self._seen.get(one)
            if seen is None or seen[0] != buckets[one]:
                seen = buckets[one], self._look(one, buckets[one])
                with self._door:
                    while len(self._seen) >= _MOST:
                        del self._seen[next(iter(self._seen))]
                    self._seen[one] = seen
            if name in seen[1]:
                return Found(one, seen[0], seen[1][name])
        return None

    def _look(self, day: str, key: BucketKey) -> Mapping[Name, Place]:
        copies = [content(folder / f"{day}.{key.generation}") for folder in self._folders]
        try:
            walked = walk(copies, day, key)
        except BadBucket:
            return {}
        return {one.entry.name: (one.seq, one.offset, one.length) for one in walked.placed}
