"""What the shred store holds, for who only verifies: no lock, nothing mended, nothing removed."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from greffier.durable import Disk
from greffier.store.shred_format import BadBucket, BadRoot, Name, Root, open_root, walk
from greffier.trust.effaceable import COPIES
from greffier.trust.roots import open_root as open_effaceable

_PATIENCE = 5


def names_in(folder: Path) -> set[Name]:
    """Every whole entry of the store in *folder*, which is only read: nothing is mended or removed.

    A commit of a recorder meanwhile is waited out. Empty where no root opens. Raises TpmFailed,
    TpmLost, IntegrityError where the place of its key cannot be looked at.
    """
    key = open_effaceable(folder, Disk())
    for _ in range(_PATIENCE):
        before = key.peek()
        for effaceable in before:
            for root in _roots(folder, effaceable):
                found = _names_of(folder, root)
                if key.peek() == before:
                    return found
    return set()


def _roots(folder: Path, effaceable: bytes) -> Iterator[Root]:
    for copy in COPIES:
        for slot in (0, 1):
            with suppress(BadRoot):
                yield open_root(_bytes_of(folder / copy / f"root.{slot}"), effaceable)


def _names_of(folder: Path, root: Root) -> set[Name]:
    found: set[Name] = set()
    for day, key in root.buckets.items():
        copies = [_bytes_of(folder / copy / f"{day}.{key.generation}") for copy in COPIES]
        with suppress(BadBucket):
            found |= {one.entry.name for one in walk(copies, day, key).placed}
    return found


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # the other copy counts then
