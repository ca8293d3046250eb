"""The object store: names to bytes, written once, durable when :meth:`Objects.put` returns.

A folder by default; any store that obstore speaks to (S3, GCS, Azure) by its URL. Names:
``blocks/<2 hex>/<sha256>`` and ``audit/<device>/<first>-<end>-<first 16 hex of its sha256>``.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from greffier.durable import Disk
from greffier.errors import StorageFailed

if TYPE_CHECKING:
    from obstore.store import RetryConfig

AUDIT = "audit"
_RETRY: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}
"""Of a remote store; then the boxes are told to come back, which is the better retry."""
BLOCKS = "blocks"


class Missing(StorageFailed):
    """An object that a row names is not there."""

    cause = "the object {path} is missing"
    step = "restore it from a backup of the objects, then run `greffier-office verify`"


@dataclass(frozen=True, slots=True)
class Listed:
    """An object that is there: octets, and when it was last written (Unix seconds)."""

    name: str
    size: int
    written_s: float


def block_name(sha256: str) -> str:
    """The name of the object of the block with this SHA-256 (hex)."""
    return f"{BLOCKS}/{sha256[:2]}/{sha256}"


def batch_name(device: str, first: int, end: int, sha256: str) -> str:
    """The name of the object of the entries *first* .. *end* - 1 of *device*.

    The hash in it keeps two histories of the same numbers apart.
    """
    return f"{AUDIT}/{device}/{first:012}-{end:012}-{sha256[:16]}"


class Objects:
    """Threads may share one."""

    def __init__(self, place: Path | str, disk: Disk) -> None:
        """*place* is a folder, which must be there, or the URL of a store.

        Raises StorageFailed for a URL that names none.
        """
        self._folder = place if isinstance(place, Path) else None
        self._disk = disk
        self._synced: set[Path] = set()  # folders whose own names are durable; only ever grows
        try:
            self._store: ObjectStore = (
                LocalStore(str(place.absolute()))
                if isinstance(place, Path)
                else from_url(place, retry_config=_RETRY)
            )
        except (BaseError, ValueError) as error:
            raise StorageFailed(path=place, reason=_reason(error)) from error

    def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        """Make *data* durable as *name*, whose hash is in its name.

        One that is there already is the same: a store answers for it after a look at its length; in
        a folder it is written anew, for nobody knows whether its sync succeeded. Raises
        StorageFailed.
        """
        try:
            if self._folder is None:
                self._put_remote(name, data)
            else:
                self._put_local(self._folder / name, name, data)
        except BaseError as error:
            raise StorageFailed(path=name, reason=_reason(error)) from error

    def get(self, name: str, size: int | None = None) -> bytes:
        """What is stored as *name*, or its first *size* octets. Raises Missing, StorageFailed."""
        try:
            if size is None:
                return bytes(obstore.get(self._store, name).bytes())
            return bytes(obstore.get_range(self._store, name, start=0, length=size))
        except FileNotFoundError:
            raise Missing(path=name) from None
        except BaseError as error:
            raise StorageFailed(path=name, reason=_reason(error)) from error

    def size(self, name: str) -> int | None:
        """How many octets are stored as *name*; None if nothing is. Raises StorageFailed."""
        try:
            return int(obstore.head(self._store, name)["size"])
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise StorageFailed(path=name, reason=_reason(error)) from error

    def remove(self, names: Sequence[str]) -> None:
        """Remove the objects *names*, durably; one that is gone is fine. Raises StorageFailed."""
        if self._folder is not None:
            self._disk.remove([self._folder / name for name in names])
            return
        try:
            obstore.delete(self._store, list(names))
        except FileNotFoundError:
            for name in names:
                self._remove_remote(name)
        except BaseError as error:
            raise StorageFailed(path=names[0], reason=_reason(error)) from error

    def remove_partial(self, prefix: str, before_s: float) -> int:
        """Remove what writes into the folder *prefix* that were cut short left; how many.

        Those last written before *before_s* (Unix seconds). A store of its own kind has none.
        Raises StorageFailed.
        """
        if self._folder is None:
            return 0
        left = [
            path for path in (self._folder / prefix).glob("*#*") if path.stat().st_mtime < before_s
        ]
        if left:
            self._disk.remove(left)
        return len(left)

    def listed(self, prefix: str) -> Iterator[Listed]:
        """Every object whose name begins with the folder *prefix*. Raises StorageFailed."""
        try:
            for chunk in obstore.list(self._store, prefix):
                for one in chunk:
                    yield Listed(one["path"], one["size"], one["last_modified"].timestamp())
        except BaseError as error:
            raise StorageFailed(path=prefix, reason=_reason(error)) from error

    def _remove_remote(self, name: str) -> None:
        try:
            obstore.delete(self._store, name)
        except FileNotFoundError:
            return
        except BaseError as error:
            raise StorageFailed(path=name, reason=_reason(error)) from error

    def free(self) -> int | None:
        """Free octets where objects go; None where nobody knows (a remote store)."""
        if self._folder is None:
            return None
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize

    def _put_remote(self, name: str, data: bytes | bytearray | memoryview) -> None:
        try:
            obstore.put(self._store, name, data, mode="create")
        except AlreadyExistsError:
            if self.size(name) != len(data):
                obstore.put(self._store, name, data, mode="overwrite")

    def _put_local(self, path: Path, name: str, data: bytes | bytearray | memoryview) -> None:
        if path.parent not in self._synced:
            self._disk.make_dirs(path.parent)
            self._synced.add(path.parent)
        try:
            obstore.put(self._store, name, data, mode="create")
        except AlreadyExistsError:
            obstore.put(self._store, name, data, mode="overwrite")
        self._disk.sync_file(path)
        self._disk.sync_dir(path.parent)


def _reason(error: Exception) -> str:
    """The first line: what follows is of the library's inside."""
    return str(error).partition("\n")[0]
