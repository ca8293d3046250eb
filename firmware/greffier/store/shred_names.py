"""What the shred store holds, for who only verifies: no lock, nothing mended, nothing removed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from greffier.durable import Disk
from greffier.errors import NotFound
from greffier.store.shred_format import BadBucket, BadRoot, Entry, Name, Root, open_root, walk
from greffier.trust.effaceable import COPIES
from greffier.trust.roots import open_root as open_effaceable

_PATIENCE = 5
Found = TypeVar("Found")


class Blocks:
    """Entries that were read of a store, and may be asked for like those of the store itself."""

    def __init__(self, entries: Mapping[Name, Entry]) -> None:
        self._entries = entries

    def get(self, name: Name, day: str | None = None) -> Entry:
        """The entry *name*. Raises NotFound."""
        found = self._entries.get(name)
        if found is None:
            raise NotFound(what="that entry of the shred store")
        return found


def names_in(folder: Path) -> set[Name]:
    """Every whole entry of the store in *folder*, which is only read: nothing is mended or removed.

    A commit of a recorder meanwhile is waited out. Empty where no root opens. Raises TpmFailed,
    TpmLost, IntegrityError where the place of its key cannot be looked at.
    """
    return _read(folder, lambda root: set(_entries_of(folder, root))) or set()


def blocks_in(folder: Path, what: int) -> dict[Name, Entry]:
    """Its entries of one kind, read and raised for as :func:`names_in` does."""

    def kept(root: Root) -> dict[Name, Entry]:
        found = _entries_of(folder, root)
        return {name: entry for name, entry in found.items() if name.what == what}

    return _read(folder, kept) or {}


def _read(folder: Path, look: Callable[[Root], Found]) -> Found | None:
    key = open_effaceable(folder, Disk())
    for _ in range(_PATIENCE):
        before = key.peek()
        for effaceable in before:
            for root in _roots(folder, effaceable):
                found = look(root)
                if key.peek() == before:
                    return found
    return None


def _roots(folder: Path, effaceable: bytes) -> Iterator[Root]:
    for copy in COPIES:
        for slot in (0, 1):
            with suppress(BadRoot):
                yield open_root(_bytes_of(folder / copy / f"root.{slot}"), effaceable)


def _entries_of(folder: Path, root: Root) -> dict[Name, Entry]:
    found: dict[Name, Entry] = {}
    for day, key in root.buckets.items():
        copies = [_bytes_of(folder / copy / f"{day}.{key.generation}") for copy in COPIES]
        with suppress(BadBucket):
            found |= {one.entry.name: one.entry for one in walk(copies, day, key).placed}
    return found


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # the other copy counts then
