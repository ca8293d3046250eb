"""With a full disk the log still takes ten thousand entries, and no part ever eats that room."""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.recorder.test_recorder_committer import check, opened, tape, work
from tests.recorder.test_recorder_service import Running
from tests.stories.box import PAIR

from greffier.audit import verify
from greffier.clock import SystemClock
from greffier.durable import Disk
from greffier.errors import StorageFailed
from greffier.recorder import archive as archives
from greffier.recorder import probe, recovery, reserve
from greffier.recorder.archive import Archive
from greffier.recorder.reserve import Reserve
from greffier.seal.frames import Meta
from greffier_sim.faults import Fault, FaultySystem

ENTRIES = 10_000
MIB = 1 << 20


def ran(*words: str) -> bool:
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small ext4 of its own."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("a file system of one's own needs root and mkfs.ext4")
    image, path = tmp_path / "image", tmp_path / "disk"
    image.touch()
    os.truncate(image, 256 * MIB)
    path.mkdir()
    if not ran("mkfs.ext4", "-q", "-m", "0", str(image)):
        pytest.skip("no ext4 can be made here")
    if not ran("mount", "-o", "loop", str(image), str(path)):
        pytest.skip("nothing may be mounted here")
    yield path
    ran("umount", "-l", str(path))


def fill(path: Path) -> Path:
    """Leave not one block free."""
    filler, end, step = path / "filler", 0, MIB
    with filler.open("wb", buffering=0) as file:
        while step >= 4096:
            try:
                os.posix_fallocate(file.fileno(), end, step)
                end += step
            except OSError as error:
                assert error.errno == errno.ENOSPC
                step //= 2
        os.fsync(file.fileno())
    return filler


def recording(folder: Path) -> Archive:
    """A data directory in use, with one part that is durable, and a reserve."""
    archives.create(folder, SystemClock(), PAIR.public.format().encode())
    box = Archive.open(folder, SystemClock())
    recovery.recover(box)
    box.keep_reserve(8 * MIB)
    box.open_epoch()
    return box


def tried(box: Archive, times: int = 2) -> None:
    """Commit as the writer does: again, with the same bytes."""
    for _ in range(times):
        try:
            box.tick()
        except StorageFailed as error:
            assert error.fields["number"] == errno.ENOSPC
        else:
            return


def test_a_full_disk_takes_ten_thousand_entries_and_not_one_frame(disk: Path) -> None:
    box = recording(disk / "box")
    one = tape(box, 0)
    box.add(one)
    one._put(Meta({"at": 0}))
    box.tick()
    held = disk / "box" / reserve.FILE
    assert reserve.blocks_of(held) >= 8 * MIB
    assert held.stat().st_size == 0
    (before,) = [durable.size for durable in box.committed.values()]
    filler = fill(disk)
    size = box.log.checkpoint.size
    one._put(Meta({"at": 1}))
    for at in range(ENTRIES):
        data = {"line": "desk", "channel": "desk/1", "from_ns": at, "to_ns": at + 1}
        box.log.append("coverage", one.recording.hex(), {**data, "state": "idle"})
        if at % 500 == 499:
            tried(box)
    assert box.log.checkpoint.size == size + ENTRIES, "durable, all of them"
    assert reserve.blocks_of(held) < 8 * MIB
    assert [durable.size for durable in box.committed.values()] == [before]
    filler.unlink()
    box.tick()
    assert reserve.blocks_of(held) >= 8 * MIB, "kept again"
    assert [durable.size > before for durable in box.committed.values()] == [True]
    one.finish("ended")
    box.tick()
    box.tick()
    box.close()
    assert verify.verify(disk / "box").problems == ()


def test_a_start_on_a_full_disk_uses_the_reserve_since_only_who_runs_can_sync(
    disk: Path, tmp_path: Path
) -> None:
    box = Running(tmp_path)
    held = Disk().create(disk / "box" / reserve.FILE)
    assert held.preallocate(64 * MIB)
    held.close()
    filler = fill(disk)
    with box:
        box.wait_for(lambda status: status.armed)
        assert reserve.blocks_of(disk / "box" / reserve.FILE) < 64 * MIB
        filler.unlink()
    assert verify.verify(disk / "box").problems == ()


def test_without_enough_room_nothing_is_kept_and_parts_wait(disk: Path) -> None:
    kept = Reserve(disk, Disk(), 8 * MIB)
    filler = fill(disk)
    os.truncate(filler, filler.stat().st_size - 12 * MIB)
    with pytest.raises(StorageFailed) as caught:
        kept.guard()
    assert caught.value.fields["number"] == errno.ENOSPC
    assert not kept.held
    os.truncate(filler, filler.stat().st_size - 12 * MIB)
    kept.guard()
    assert kept.held


def test_only_a_full_disk_gives_the_blocks_back(disk: Path) -> None:
    kept = Reserve(disk, Disk(), 8 * MIB)
    kept.guard()
    kept.yield_to(StorageFailed(path=disk, reason="x", number=errno.EIO))
    assert kept.held
    kept.yield_to(StorageFailed(path=disk, reason="x", number=errno.ENOSPC))
    assert not kept.held
    assert reserve.blocks_of(disk / reserve.FILE) == 0
    kept.guard()
    assert kept.held
    assert not Reserve(disk, Disk(), 0).held


def test_a_file_system_that_keeps_no_blocks_is_left_free_instead(tmp_path: Path) -> None:
    system = FaultySystem(at=1, calls=frozenset({"allocate"}), number=errno.EOPNOTSUPP)
    kept = Reserve(tmp_path, Disk(system), 1 << 16)
    kept.guard()
    kept.guard()
    assert not kept.held


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh") / "box"
    archives.create(folder, SystemClock(), PAIR.public.format().encode())
    return folder


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
def test_a_disk_that_is_full_at_any_one_call_loses_nothing(
    tmp_path: Path, fresh: Path, fault: Fault
) -> None:
    for at in range(1, 200, 29):
        folder = tmp_path / str(at)
        system = FaultySystem(fault=fault, number=errno.ENOSPC)
        box = opened(fresh, folder, system)
        box.keep_reserve(1 << 16)
        system.count, system.at = 0, at
        tapes = work(box, lambda _failures: None)
        done, system.at = system.count < at, 0
        box.close()
        check(folder, tapes)
        if done:
            return


def test_a_running_recorder_climbs_the_ladder_of_a_real_medium_and_comes_down(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "EVERY_S", 0.05)
    box = Running(tmp_path, policy="fr-retail.toml", line="vente")
    filler = disk / "filler"
    with box, filler.open("wb") as file:
        held = disk / "box" / reserve.FILE
        box.wait_for(lambda status: bool(status.storage.step and reserve.blocks_of(held)))
        for percent, step, hours in ((87, "alarm", None), (94, "refuse", 0), (98, "duties", 0)):
            found = os.statvfs(disk)
            used = found.f_blocks - found.f_bfree - filler.stat().st_blocks * 512 // found.f_frsize
            total = used + filler.stat().st_blocks * 512 // found.f_frsize + found.f_bavail
            blocks = total * percent // 100 - used
            os.posix_fallocate(file.fileno(), 0, blocks * found.f_frsize)
            status = box.wait_for(lambda status, step=step: status.storage.step == step)  # type: ignore[misc]
            assert status.storage.hours_to_first_unsynced_loss == hours
        names = {one.name for one in status.alarms}
        assert names >= {"storage.filling", "storage.refusing", "storage.duties"}
        os.ftruncate(file.fileno(), 0)
        box.wait_for(lambda status: status.storage.step == "normal")
    steps = [one.data["to"] for one in verify.entries(disk / "box") if one.ev == "storage.step"]
    assert steps == ["alarm", "refuse", "duties", "normal"]
