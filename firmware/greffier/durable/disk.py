"""Whole files, names and folders, made durable."""

import os
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from greffier.durable.appender import Appender, commit
from greffier.durable.system import LinuxSystem, System, failed
from greffier.errors import AlreadyThere, Busy, StorageFailed

# How many files write_files holds open at once: far below the usual limit of 1,024.
BATCH = 128
FILE_MODE = 0o600
DIR_MODE = 0o700


class Draft:
    """A file that appears under its name whole or not at all (made by :meth:`Disk.draft`).

    As a context manager it discards what was not published.
    """

    def __init__(self, disk: "Disk", target: Path, appender: Appender) -> None:
        self._disk = disk
        self._open = True
        self.appender = appender
        self.target = target

    def append(self, data: bytes) -> int:
        """As :meth:`Appender.append`."""
        return self.appender.append(data)

    # fdatasync close rename open(dir) fsync close
    def publish(self) -> None:
        """Make it durable under its name, replacing what was there. Raises StorageFailed."""
        try:
            self.appender.finish()
            self._disk.rename(self.appender.path, self.target)
        except StorageFailed:
            self.discard()
            raise
        self._open = False

    # close rename
    def take_name(self) -> None:
        """Give what is durable already its name; the caller syncs the folder.

        Raises StorageFailed.
        """
        self.appender.close()
        self._disk.rename_only(self.appender.path, self.target)
        self._open = False

    # close unlink
    def discard(self) -> None:
        """Remove what was written so far.

        BUG: when that fails too, a file ``.<name>.tmp`` stays until the name is written again.
        """
        if self._open:
            self._open = False
            self.appender.close()
            self._disk.remove_leftover(self.appender.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.discard()


class Lock:
    """An exclusive lock of this process, held until ``release`` or the end of the ``with``."""

    def __init__(self, system: System, fd: int) -> None:
        self._system = system
        self._fd = fd

    # close
    def release(self) -> None:
        """Let others in."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            self._system.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.release()


class Disk:
    """Writing that survives. Holds no state but the system calls it makes; threads may share it."""

    def __init__(self, system: System | None = None) -> None:
        self._system = system or LinuxSystem()

    # open(tmp) pwrite* fdatasync close rename open(dir) fsync close
    def write_file(self, path: Path, data: bytes, mode: int = FILE_MODE) -> None:
        """Put *data* at *path*, replacing what was there; at any power cut it is old or new, whole.

        Raises StorageFailed.
        BUG: if the last fsync fails the new content is there, and a power cut may bring the old
        back.
        """
        with self.draft(path, mode) as draft:
            draft.append(data)
            draft.publish()

    # stat(dir) open(tmp) [fchown] pwrite* fdatasync close rename open(dir) fsync close
    def write_for_folder(self, path: Path, data: bytes, mode: int = FILE_MODE) -> None:
        """As :meth:`write_file`; the file is its folder's owner's where we may give it away (root).

        For files that a command of root's writes for a process of less rights. Raises
        StorageFailed.
        """
        with self.draft(path, mode) as draft:
            try:
                owner = path.parent.stat()
                if os.geteuid() == 0 and (owner.st_uid, owner.st_gid) != (0, 0):
                    draft.appender.give(owner.st_uid, owner.st_gid)
            except OSError as error:
                raise failed(path, error) from error
            draft.append(data)
            draft.publish()

    # for each BATCH files: (open(tmp) pwrite*)* syncfs (close rename)* (open(dir) fsync close)*
    def write_files(self, files: Mapping[Path, bytes], mode: int = FILE_MODE) -> None:
        """As :meth:`write_file` for each of *files*, with few syncs; not atomic together.

        Raises StorageFailed: then each file is old or new.
        """
        rest = iter(files.items())
        while batch := dict(islice(rest, BATCH)):
            self._write_batch(batch, mode)

    def _write_batch(self, files: Mapping[Path, bytes], mode: int) -> None:
        drafts: list[Draft] = []
        try:
            for path, data in files.items():
                drafts.append(self.draft(path, mode))
                drafts[-1].append(data)
            if dead := commit([draft.appender for draft in drafts]):
                raise dead[0].error or StorageFailed(path=dead[0].path, reason="its sync failed")
            for draft in drafts:
                draft.take_name()
            for folder in dict.fromkeys(path.parent for path in files):
                self.sync_dir(folder)
        finally:
            for draft in drafts:
                draft.discard()

    # open(O_CREAT|O_EXCL) close, then as write_file
    def create_file(self, path: Path, data: bytes, mode: int = FILE_MODE) -> None:
        """Put *data* at *path*, which must not exist. Raises AlreadyThere, StorageFailed.

        The name is reserved first (link(2) would do without, but sticks with FAT have none).
        BUG: a power cut right after the reservation leaves an empty file under the name.
        """
        self._open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode, close=True)
        try:
            self.write_file(path, data, mode)
        except BaseException:  # also when the user has had enough: no empty file is left
            self.remove_leftover(path)
            raise

    # open(tmp, O_CREAT|O_EXCL) [unlink open(tmp, O_CREAT|O_EXCL)]
    def draft(self, path: Path, mode: int = FILE_MODE) -> Draft:
        """Begin a file that appears at *path* when it is published.

        The temporary name is fixed, so a second draft of one path takes over the first. What is
        there under that name is removed and never written into: in a folder of many, somebody may
        have put it there to read along. Raises StorageFailed.
        """
        return Draft(self, path, self.begin_draft(path, mode))

    # as draft
    def begin_draft(self, path: Path, mode: int = FILE_MODE) -> Appender:
        """The file of a :meth:`draft`, for who publishes it himself. Raises StorageFailed."""
        temporary = path.with_name(f".{path.name}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            fd = self._open(temporary, flags, mode)
        except AlreadyThere:
            self.remove_leftover(temporary)
            try:
                fd = self._open(temporary, flags, mode)
            except AlreadyThere:
                raise StorageFailed(path=temporary, reason="it cannot be removed") from None
        return Appender(self._system, temporary, fd, 0)

    # open(O_CREAT|O_EXCL) open(dir) fsync close
    def create(self, path: Path, mode: int = FILE_MODE) -> Appender:
        """Begin an empty file at *path* that grows in place; its name is durable.

        Raises AlreadyThere, StorageFailed.
        """
        appender = self.begin(path, mode)
        try:
            self.sync_dir(path.parent)
        except StorageFailed:
            appender.close()
            self.remove_leftover(path)
            raise
        return appender

    # open(O_CREAT|O_EXCL)
    def begin(self, path: Path, mode: int = FILE_MODE) -> Appender:
        """As :meth:`create`; its name is durable once its folder is synced, by the caller.

        Raises AlreadyThere, StorageFailed.
        """
        fd = self._open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        return Appender(self._system, path, fd, 0)

    # open fstat
    def open(self, path: Path) -> Appender:
        """Go on at the end of the existing file *path*. Raises StorageFailed."""
        fd = self._open(path, os.O_RDWR, FILE_MODE)
        return Appender(self._system, path, fd, os.fstat(fd).st_size)

    # open pwrite close
    def write_device(self, path: Path, data: bytes) -> None:
        """Write *data* to the existing file *path* that a driver keeps (an LED, a GPIO value).

        Nothing is made, cut or synced, for nothing is stored. Raises StorageFailed.
        """
        fd = self._open(path, os.O_WRONLY, FILE_MODE)
        try:
            self._system.write(fd, memoryview(data), 0)
        except OSError as error:
            raise failed(path, error) from error
        finally:
            self._system.close(fd)

    # open ftruncate fsync close
    def truncate_to(self, path: Path, size: int) -> None:
        """Cut the file *path* to its first *size* bytes. Raises StorageFailed."""
        fd = self._open(path, os.O_RDWR, FILE_MODE)
        try:
            self._system.truncate(fd, size)
            self._system.fsync(fd)
        except OSError as error:
            raise failed(path, error) from error
        finally:
            self._system.close(fd)

    # rename open(dir) fsync close [open(dir) fsync close]
    def rename(self, source: Path, target: Path) -> None:
        """Give *source* the name *target*, replacing what was there. Raises StorageFailed.

        BUG: if the fsync fails, the name is new but a power cut may bring the old back.
        """
        self.rename_only(source, target)
        self.sync_dir(target.parent)
        if source.parent != target.parent:
            self.sync_dir(source.parent)

    # rename
    def rename_only(self, source: Path, target: Path) -> None:
        """As :meth:`rename`, but durable only once the folder is synced. Raises StorageFailed."""
        try:
            self._system.rename(str(source), str(target))
        except OSError as error:
            raise failed(target, error) from error

    # renameat2(RENAME_EXCHANGE)
    def exchange_only(self, one: Path, other: Path) -> None:
        """Two files change names, durable once the folder is synced. Raises StorageFailed."""
        try:
            self._system.exchange(str(one), str(other))
        except OSError as error:
            raise failed(other, error) from error

    # unlink* (open(dir) fsync close)*
    def remove(self, paths: Sequence[Path]) -> None:
        """Remove *paths*; one that is gone already is fine. Raises StorageFailed.

        All are tried, and each folder is synced once, before the first error is raised.
        BUG: the blocks stay readable on the medium; only destroyed keys make content unreadable.
        """
        errors: list[StorageFailed] = []
        for path in paths:
            try:
                self._system.unlink(str(path))
            except FileNotFoundError:
                continue
            except OSError as error:
                errors.append(failed(path, error))
        for folder in dict.fromkeys(path.parent for path in paths):
            try:
                self.sync_dir(folder)
            except StorageFailed as error:
                errors.append(error)
        if errors:
            raise errors[0]

    # rmdir open(parent) fsync close
    def remove_dir(self, path: Path) -> None:
        """Remove the empty folder *path*; gone already is fine. Raises StorageFailed."""
        try:
            self._system.rmdir(str(path))
        except FileNotFoundError:
            return
        except OSError as error:
            raise failed(path, error) from error
        self.sync_dir(path.parent)

    # unlink
    def remove_leftover(self, path: Path) -> None:
        """Try to remove a file that nothing refers to; it is no harm if it stays."""
        try:
            self._system.unlink(str(path))
        except OSError:
            return

    # for each missing folder, outermost first: mkdir open(parent) fsync close
    def make_dirs(self, path: Path, mode: int = DIR_MODE) -> None:
        """Make the folder *path* and its missing parents, durable. Raises StorageFailed.

        The name of *path* is synced even if it is there: a call before this one may have failed.
        BUG: a parent whose own sync failed in an earlier call is not synced again.
        """
        missing = [folder for folder in (path, *path.parents) if not folder.is_dir()]
        for folder in reversed(missing):
            try:
                self._system.mkdir(str(folder), mode)
            except FileExistsError as error:
                if not folder.is_dir():
                    raise failed(folder, error) from error
            except OSError as error:
                raise failed(folder, error) from error
            self.sync_dir(folder.parent)
        if not missing:
            self.sync_dir(path.parent)

    # open fsync close
    def sync_file(self, path: Path) -> None:
        """Make what another program wrote into the file *path* durable. Raises StorageFailed.

        BUG: an error that somebody else's sync of the file was told already is not told again.
        """
        self._sync(path, 0)

    # open(dir) fsync close
    def sync_dir(self, path: Path) -> None:
        """Make the names in the folder *path* durable. Raises StorageFailed."""
        self._sync(path, os.O_DIRECTORY)

    def _sync(self, path: Path, flags: int) -> None:
        fd = self._open(path, os.O_RDONLY | flags, FILE_MODE)
        try:
            self._system.fsync(fd)
        except OSError as error:
            raise failed(path, error) from error
        finally:
            self._system.close(fd)

    # open flock
    def lock(self, path: Path) -> Lock:
        """Take the lock file *path*, made if need be, for this process. Raises Busy, StorageFailed.

        The error names the folder. The kernel lets go when the process ends, however it ends.
        """
        fd = self._open(path, os.O_RDWR | os.O_CREAT, FILE_MODE)
        try:
            self._system.lock(fd)
        except BlockingIOError:
            self._system.close(fd)
            raise Busy(path=path.parent) from None
        except OSError as error:
            self._system.close(fd)
            raise failed(path, error) from error
        return Lock(self._system, fd)

    def _open(self, path: Path, flags: int, mode: int, close: bool = False) -> int:
        try:
            follow = 0 if flags & os.O_DIRECTORY else os.O_NOFOLLOW
            fd = self._system.open(str(path), flags | follow, mode)
        except FileExistsError:
            raise AlreadyThere(path=path) from None
        except OSError as error:
            raise failed(path, error) from error
        if close:
            self._system.close(fd)
        return fd
