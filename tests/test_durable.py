"""Durable writing: whole or not at all, and every fault at every system call."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.durable import Appender, Disk, LinuxSystem, commit
from greffier.errors import AlreadyThere, Busy, StorageFailed
from greffier_sim.faults import Fault, FaultySystem, PowerCut

OLD, NEW = b"old content", b"the new content, longer"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "file"
    Disk().write_file(path, OLD)
    Disk().write_file(path, NEW)
    assert path.read_bytes() == NEW
    assert mode_of(path) == 0o600
    assert names(tmp_path) == ["file"]


def test_write_file_makes_exactly_the_calls_of_its_list(tmp_path: Path) -> None:
    system = FaultySystem()
    Disk(system).write_file(tmp_path / "file", NEW)
    assert system.done == ["open", "write", "fdatasync", "rename", "open", "fsync"]


def test_a_file_for_its_folder_makes_the_same_calls(tmp_path: Path) -> None:
    system = FaultySystem()
    Disk(system).write_for_folder(tmp_path / "file", NEW)
    assert system.done == ["open", "write", "fdatasync", "rename", "open", "fsync"]
    assert (tmp_path / "file").read_bytes() == NEW
    assert mode_of(tmp_path / "file") == 0o600
    with pytest.raises(StorageFailed):
        Disk().write_for_folder(tmp_path / "none" / "file", NEW)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_what_root_writes_for_a_folder_belongs_to_its_owner(tmp_path: Path) -> None:
    os.chown(tmp_path, 4321, 4322)
    Disk().write_for_folder(tmp_path / "file", NEW)
    Disk().write_file(tmp_path / "other", NEW)
    owners = [(tmp_path / name).stat() for name in ("file", "other")]
    assert [(one.st_uid, one.st_gid) for one in owners] == [(4321, 4322), (0, 0)]


def test_many_files_are_written_with_one_sync_a_batch(tmp_path: Path) -> None:
    system = FaultySystem()
    (tmp_path / "sub").mkdir()
    files = {tmp_path / f"{n}": b"%d" % n for n in range(150)} | {tmp_path / "sub" / "x": NEW}
    Disk(system).write_files(files)
    assert {path: path.read_bytes() for path in files} == files
    assert (system.done.count("syncfs"), system.done.count("fdatasync")) == (2, 0)
    assert system.done.count("fsync") == 3
    assert len(names(tmp_path)) == 151
    Disk(system).write_files({})


def test_a_link_is_replaced_and_never_written_through(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(OLD)
    (tmp_path / "link").symlink_to(target)
    Disk().write_file(tmp_path / "link", NEW)
    assert target.read_bytes() == OLD
    (tmp_path / "link2").symlink_to(target)
    with pytest.raises(StorageFailed):
        Disk().truncate_to(tmp_path / "link2", 0)
    assert target.read_bytes() == OLD


def test_create_file_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "file"
    Disk().create_file(path, OLD)
    with pytest.raises(AlreadyThere):
        Disk().create_file(path, NEW)
    assert path.read_bytes() == OLD


def test_a_draft_that_is_not_published_leaves_nothing(tmp_path: Path) -> None:
    with Disk().draft(tmp_path / "file") as draft:
        draft.append(NEW)
    with pytest.raises(KeyError), Disk().draft(tmp_path / "file") as draft:
        draft.append(NEW)
        raise KeyError
    assert names(tmp_path) == []


def test_folders_are_made_with_their_parents_and_private(tmp_path: Path) -> None:
    Disk().make_dirs(tmp_path / "a" / "b" / "c")
    Disk().make_dirs(tmp_path / "a" / "b" / "c")
    assert mode_of(tmp_path / "a") == mode_of(tmp_path / "a" / "b" / "c") == 0o700
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageFailed):
        Disk().make_dirs(tmp_path / "file")


def test_remove_takes_all_it_can_and_passes_over_what_is_gone(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    paths[0].write_bytes(b"")
    paths[2].write_bytes(b"")
    (tmp_path / "dir").mkdir()
    with pytest.raises(StorageFailed):
        Disk().remove([*paths[:2], tmp_path / "dir", paths[2]])
    assert names(tmp_path) == ["dir"]


def test_an_empty_folder_is_removed_and_a_full_one_is_not(tmp_path: Path) -> None:
    system = FaultySystem()
    (tmp_path / "dir").mkdir()
    Disk(system).remove_dir(tmp_path / "dir")
    assert system.done == ["rmdir", "open", "fsync"]
    Disk().remove_dir(tmp_path / "dir")
    (tmp_path / "full" / "dir").mkdir(parents=True)
    with pytest.raises(StorageFailed):
        Disk().remove_dir(tmp_path / "full")
    assert names(tmp_path) == ["full"]


def test_truncate_to_cuts(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(NEW)
    Disk().truncate_to(path, 3)
    assert path.read_bytes() == NEW[:3]


def test_a_second_lock_is_busy_until_the_first_is_released(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with Disk().lock(path):
        with pytest.raises(Busy) as refused:
            Disk().lock(path)
        assert refused.value.exit_code == 11
        assert refused.value.fields == {"path": tmp_path}
    Disk().lock(path).release()
    assert mode_of(path) == 0o600


def test_a_full_device_is_a_storage_error_with_its_reason() -> None:
    appender = Appender(LinuxSystem(), Path("/dev/full"), os.open("/dev/full", os.O_RDWR), 0)
    with pytest.raises(StorageFailed) as refused:
        appender.append(b"x")
    assert "/dev/full" in str(refused.value)
    appender.close()


# --- appending ---


def test_appended_bytes_are_committed_by_a_sync(tmp_path: Path) -> None:
    appender = Disk().create(tmp_path / "file")
    assert (appender.append(b"abc"), appender.append(b"de")) == (0, 3)
    assert (appender.size, appender.committed, appender.dirty) == (5, 0, True)
    appender.sync()
    assert (appender.committed, appender.dirty) == (5, False)
    appender.finish()
    again = Disk().open(tmp_path / "file")
    assert again.append(b"f") == 5
    again.finish()
    assert (tmp_path / "file").read_bytes() == b"abcdef"
    with pytest.raises(StorageFailed):
        again.append(b"g")


def test_reserved_blocks_do_not_show_in_the_size_and_are_given_back(tmp_path: Path) -> None:
    appender = Disk().create(tmp_path / "file")
    if not appender.preallocate(1 << 20):
        pytest.skip("this file system reserves no blocks")
    appender.append(b"x" * 5000)
    assert (tmp_path / "file").stat().st_size == 5000
    assert (tmp_path / "file").stat().st_blocks * 512 >= 1 << 20
    appender.finish()
    assert (tmp_path / "file").stat().st_blocks * 512 < 1 << 16


class Stingy(LinuxSystem):
    """Writes at most *most* bytes a call."""

    most = 3

    def write(self, fd: int, data: memoryview, offset: int) -> int:
        return super().write(fd, data[: self.most], offset)


@settings(deadline=None, max_examples=30)
@given(chunks=st.lists(st.binary(max_size=20), max_size=6))
def test_short_writes_are_completed(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("short") / "file"
    appender = Disk(Stingy()).create(path)
    for chunk in chunks:
        appender.append(chunk)
    appender.finish()
    assert path.read_bytes() == b"".join(chunks)


class Silent(LinuxSystem):
    """Writes nothing and says so."""

    def write(self, fd: int, data: memoryview, offset: int) -> int:
        return 0


def test_a_write_of_nothing_is_a_failure_not_a_loop(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed):
        Disk(Silent()).write_file(tmp_path / "file", NEW)


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT, Fault.SHORT])
def test_a_failed_write_is_cut_and_repeated_with_the_same_bytes(
    tmp_path: Path, fault: Fault
) -> None:
    system = FaultySystem(at=2, fault=fault, calls=frozenset({"write"}), number=errno.ENOSPC)
    appender = Disk(system).create(tmp_path / "file")
    appender.append(b"first ")
    assert appender.append(b"second") == 6
    appender.finish()
    assert (tmp_path / "file").read_bytes() == b"first second"


class Full(LinuxSystem):
    """A disk that is full from some moment on, and takes half of each write."""

    full = False

    def write(self, fd: int, data: memoryview, offset: int) -> int:
        if not self.full:
            return super().write(fd, data, offset)
        if len(data) < 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(fd, data[: len(data) // 2], offset)


def test_a_full_disk_leaves_the_end_where_it_was_and_takes_the_bytes_later(tmp_path: Path) -> None:
    system = Full()
    appender = Disk(system).create(tmp_path / "file")
    appender.append(b"first ")
    system.full = True
    with pytest.raises(StorageFailed):
        appender.append(b"second, long")
    assert (tmp_path / "file").read_bytes() == b"first "
    assert not appender.dead
    system.full = False
    assert appender.append(b"second, long") == 6
    appender.finish()
    assert (tmp_path / "file").read_bytes() == b"first second, long"


def test_an_end_that_cannot_be_cut_kills_the_appender(tmp_path: Path) -> None:
    class Stuck(Full):
        def truncate(self, fd: int, size: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    system = Stuck()
    appender = Disk(system).create(tmp_path / "file")
    system.full = True
    with pytest.raises(StorageFailed):
        appender.append(b"second, long")
    assert appender.dead
    system.full = False
    with pytest.raises(StorageFailed):
        appender.append(b"second, long")
    appender.close()


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
def test_after_a_failed_sync_the_file_is_given_up(tmp_path: Path, fault: Fault) -> None:
    system = FaultySystem(at=1, fault=fault, calls=frozenset({"fdatasync"}))
    appender = Disk(system).create(tmp_path / "file")
    appender.append(b"x")
    for call in (appender.sync, appender.sync, lambda: appender.append(b"y")):
        with pytest.raises(StorageFailed):
            call()
    assert (appender.dead, appender.committed) == (True, 0)
    assert system.done.count("fdatasync") == 1
    appender.close()


# --- committing many ---


def several(tmp_path: Path, system: LinuxSystem, number: int) -> list[Appender]:
    appenders = [Disk(system).create(tmp_path / str(n)) for n in range(number)]
    for appender in appenders:
        appender.append(b"x" * 100)
    return appenders


@pytest.mark.parametrize(
    ("number", "calls"),
    [
        (0, {}),
        (1, {"fdatasync": 1}),
        (2, {"write_out": 4, "fdatasync": 2}),
        (8, {"write_out": 16, "syncfs": 1}),
    ],
)
def test_a_commit_takes_the_cheapest_sync(
    tmp_path: Path, number: int, calls: dict[str, int]
) -> None:
    system = FaultySystem()
    appenders = several(tmp_path, system, number)
    system.done.clear()
    assert commit(appenders) == []
    assert commit(appenders) == []  # clean ones cost nothing
    assert {name: system.done.count(name) for name in set(system.done)} == calls
    assert all(one.committed == 100 for one in appenders)
    for one in appenders:
        one.close()


def test_the_real_syncfs_commits(tmp_path: Path) -> None:
    appenders = several(tmp_path, LinuxSystem(), 3)
    assert commit(appenders) == []
    assert [one.committed for one in appenders] == [100, 100, 100]
    for one in appenders:
        one.close()
    with pytest.raises(OSError, match="Bad file"):
        LinuxSystem().syncfs(-1)
    with pytest.raises(OSError, match="Bad file"):
        LinuxSystem().allocate(-1, 1)


@pytest.mark.parametrize("bad", range(4))
def test_one_bad_file_does_not_take_the_others(tmp_path: Path, bad: int) -> None:
    class OneBad(LinuxSystem):
        fd = -1

        def syncfs(self, fd: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        def fdatasync(self, fd: int) -> None:
            if fd == self.fd:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            super().fdatasync(fd)

        def write(self, fd: int, data: memoryview, offset: int) -> int:
            if offset == 1:  # the marked one
                self.fd = fd
            return super().write(fd, data, offset)

    system = OneBad()
    appenders = [Disk(system).create(tmp_path / str(n)) for n in range(4)]
    for number, appender in enumerate(appenders):
        appender.append(b"x")
        if number == bad:
            appender.append(b"y")
    assert commit(appenders) == [appenders[bad]]
    assert [one.dead for one in appenders] == [number == bad for number in range(4)]
    assert [one.error is not None for one in appenders] == [number == bad for number in range(4)]
    assert commit(appenders) == []
    for one in appenders:
        one.close()


class Asked(FaultySystem):
    """Notes which descriptor a syncfs asked."""

    def __init__(self, **words: Any) -> None:
        super().__init__(**words)
        self.fds: list[int] = []
        self.asked: list[int] = []

    def open(self, path: str, flags: int, mode: int) -> int:
        self.fds.append(super().open(path, flags, mode))
        return self.fds[-1]

    def syncfs(self, fd: int) -> None:
        self.asked.append(fd)
        super().syncfs(fd)


def test_of_many_files_the_one_that_was_opened_first_is_asked(tmp_path: Path) -> None:
    system = Asked()
    appenders = [Disk(system).begin(tmp_path / str(n)) for n in range(4)]
    for one in appenders:
        one.append(b"x")
    commit(reversed(appenders))
    assert system.asked == system.fds[:1]
    for one in appenders[2:]:
        one.append(b"x")
    appenders[1].append(b"x")
    commit(appenders)
    assert system.asked == system.fds[:2]
    for one in appenders:
        one.close()


def test_a_kernel_whose_syncfs_tells_of_no_error_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greffier.durable.appender.SYNCFS_TELLS", False)
    system = FaultySystem()
    appenders = several(tmp_path, system, 4)
    assert commit(appenders) == []
    assert (system.done.count("syncfs"), system.done.count("fdatasync")) == (0, 4)
    for one in appenders:
        one.close()


@pytest.mark.parametrize("at", [2, 5])
def test_an_error_that_is_told_when_pages_are_written_out_counts_as_a_failed_sync(
    tmp_path: Path, at: int
) -> None:
    system = FaultySystem(at=at, calls=frozenset({"write_out"}), number=errno.ENOSPC)
    appenders = several(tmp_path, system, 3)
    (dead,) = commit(appenders)
    assert dead is appenders[1]
    assert dead.error is not None
    assert dead.error.fields["number"] == errno.ENOSPC
    assert [one.committed for one in appenders] == [100, 0, 100]
    for one in appenders:
        one.close()


# --- every fault at every call ---

Deed = Callable[[Disk, Path], object]


def draft(disk: Disk, path: Path) -> None:
    with disk.draft(path) as one:
        one.append(NEW[:5])
        one.append(NEW[5:])
        one.publish()


DEEDS: dict[str, tuple[Deed, bytes | None, bytes | None]] = {
    "write_file": (lambda disk, path: disk.write_file(path, NEW), OLD, NEW),
    "write_file, new": (lambda disk, path: disk.write_file(path, NEW), None, NEW),
    "write_for_folder": (lambda disk, path: disk.write_for_folder(path, NEW), OLD, NEW),
    "write_files": (lambda disk, path: disk.write_files({path: NEW}), OLD, NEW),
    "create_file": (lambda disk, path: disk.create_file(path, NEW), None, NEW),
    "draft": (draft, OLD, NEW),
    "truncate_to": (lambda disk, path: disk.truncate_to(path, 3), OLD, OLD[:3]),
    "remove": (lambda disk, path: disk.remove([path]), OLD, None),
}


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("deed", DEEDS)
def test_at_every_fault_a_file_is_old_or_new(tmp_path: Path, deed: str, fault: Fault) -> None:
    act, before, after = DEEDS[deed]
    at = 0
    while True:
        at += 1
        folder = tmp_path / str(at)
        folder.mkdir()
        path = folder / "file"
        if before is not None:
            path.write_bytes(before)
        system = FaultySystem(at=at, fault=fault)
        allowed = [before, after]
        if deed == "create_file":
            allowed.append(b"")  # the reservation: admitted in its comment
        try:
            act(Disk(system), path)
        except StorageFailed:
            assert fault is not Fault.LOST or not list(folder.glob(".*"))
        except PowerCut:
            pass
        else:
            allowed = [after]
        assert (path.read_bytes() if path.exists() else None) in allowed
        if system.count < at:
            break
    assert at >= 2


def test_no_file_descriptor_is_left_open(tmp_path: Path) -> None:
    before = len(names(Path("/proc/self/fd")))
    for at in range(1, 12):
        for deed, old, _ in DEEDS.values():
            path = tmp_path / "file"
            path.unlink(missing_ok=True)
            if old is not None:
                path.write_bytes(old)
            try:
                deed(Disk(FaultySystem(at=at, fault=Fault.KEPT)), path)
            except StorageFailed:
                continue
    assert len(names(Path("/proc/self/fd"))) == before


def test_a_planted_temporary_file_is_never_written_into(tmp_path: Path) -> None:
    planted = tmp_path / ".file.tmp"
    other = tmp_path / "other"
    for plant in (
        lambda: planted.write_bytes(b"mine"),
        lambda: planted.symlink_to(other),
        lambda: planted.hardlink_to(other),
    ):
        other.write_bytes(b"other")
        plant()
        planted.chmod(0o666)
        with planted.open("rb") as reader_along:
            Disk().write_file(tmp_path / "file", NEW)
            assert NEW not in reader_along.read()
        assert other.read_bytes() == b"other"
        assert (tmp_path / "file").read_bytes() == NEW
        assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
        assert not planted.exists() and not planted.is_symlink()
    planted.mkdir()
    with pytest.raises(StorageFailed):
        Disk().write_file(tmp_path / "file", NEW)


def test_a_created_file_that_was_interrupted_leaves_nothing(tmp_path: Path) -> None:
    class Interrupted(LinuxSystem):
        def write(self, fd: int, data: memoryview, offset: int) -> int:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Disk(Interrupted()).create_file(tmp_path / "file", NEW)
    assert names(tmp_path) == []


def test_a_cut_leaves_the_time_of_the_last_write(tmp_path: Path) -> None:
    # A start that is killed before its log is durable must not pass for the life of the last run.
    path = tmp_path / "part"
    path.write_bytes(b"0123456789")
    os.utime(path, ns=(1_000, 2_000_000_000))
    Disk().truncate_to(path, 4)
    assert path.read_bytes() == b"0123"
    assert path.stat().st_mtime_ns == 2_000_000_000
