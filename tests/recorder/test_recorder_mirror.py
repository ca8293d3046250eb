"""A second medium: never an empty mount point, every copy read back, gone with its key; and ill."""

import errno
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.recorder.office_scene import QUALITY, Box, made
from tests.stories.box import DESK, RETAIL, command
from tests.stories.box import Box as StoryBox

from greffier.clock import SystemClock
from greffier.durable import Disk
from greffier.errors import AlreadyThere, NoMedium
from greffier.recorder import purge, recovery
from greffier.recorder.archive import Archive
from greffier.recorder.mirror import STUCK_NS, Mirror
from greffier.store import medium
from greffier_sim import captures
from greffier_sim.faults import Fault, FaultySystem


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A medium that was prepared for the data directory ``data``."""
    folder = tmp_path / "stick"
    folder.mkdir()
    made(tmp_path / "data")
    said = command("mirror", "prepare", folder, "--data", tmp_path / "data", "--json")
    assert said.code == 0, said.complaint
    return folder


def mirror_of(box: Box, folder: Path, disk: Disk | None = None) -> Mirror:
    return Mirror(box.archive.data, folder, box.archive.unconfirmed, box.clock, disk)


def on(folder: Path) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in (folder / "parts").rglob("*.gpart")}


def in_vault(box: Box) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in box.archive.data.parts.rglob("*.gpart")}


def test_sealed_parts_are_copied_as_they_are_and_once(tmp_path: Path, stick: Path) -> None:
    with Box(tmp_path / "data") as box:
        mirror = mirror_of(box, stick)
        mirror.look()
        assert (mirror.state.word, on(stick)) == ("ok", {})
        for number in range(3):
            box.seal(number, QUALITY)
        mirror.look()
        assert on(stick) == in_vault(box)
        assert (mirror.state.copied, mirror.state.missing) == (3, 0)
        before = {path: path.stat().st_mtime_ns for path in stick.rglob("*.gpart")}
        mirror.look()
        again = mirror_of(box, stick)
        again.look()
        assert again.state.copied == 0, "what is there is not written again"
        assert {path: path.stat().st_mtime_ns for path in stick.rglob("*.gpart")} == before
    assert not list(stick.rglob(".*.tmp"))


def test_an_empty_mount_point_is_never_written_to(tmp_path: Path, stick: Path) -> None:
    with Box(tmp_path / "data") as box:
        box.seal(0, QUALITY)
        empty = tmp_path / "empty"
        empty.mkdir()
        for place in (empty, tmp_path / "nowhere"):
            mirror = mirror_of(box, place)
            mirror.look()
            assert mirror.state.word == "away"
        assert list(empty.iterdir()) == []
        assert not (tmp_path / "nowhere").exists()
        (empty / "greffier-mirror.json").write_bytes((stick / "greffier-mirror.json").read_bytes())
        mirror = mirror_of(box, empty)
        mirror.look()
        assert mirror.state.word == "ok"


@pytest.mark.parametrize(
    "marker",
    [
        b"",
        b"{}",
        b"[" * 2000,
        b"\xff",
        b'{"device":"box-00000000","format":1,"mirror":"00112233445566778899aabbccddeeff"}',
        b'{"device":"box-00000000","format":1}',
    ],
)
def test_a_medium_of_another_device_is_not_touched(
    tmp_path: Path, stick: Path, marker: bytes
) -> None:
    (stick / "greffier-mirror.json").write_bytes(marker)
    with Box(tmp_path / "data") as box:
        box.seal(0, QUALITY)
        mirror = mirror_of(box, stick)
        mirror.look()
        assert (mirror.state.word, on(stick)) == ("foreign", {})
        with pytest.raises(NoMedium), medium.opened(stick, box.device):
            raise AssertionError


def test_a_medium_is_prepared_once(tmp_path: Path, stick: Path) -> None:
    with pytest.raises(AlreadyThere):
        medium.prepare(stick, "box-00000000", Disk())


def test_a_destroyed_part_goes_from_a_medium_that_was_away_too(tmp_path: Path, stick: Path) -> None:
    with Box(tmp_path / "data") as box:
        gone, kept = box.seal(0, QUALITY), box.seal(1, QUALITY)
        mirror = mirror_of(box, stick)
        mirror.look()
        stick.rename(tmp_path / "drawer")
        mirror.look()
        assert mirror.state.word == "away"
        with box.turn:
            rows = [row for row in box.archive.index.parts() if row.part_id == gone]
            purge.carry_out(box.archive, [purge.Verdict(row, "DELETE_DUE") for row in rows])
        box.seal(2, QUALITY)
        (tmp_path / "drawer").rename(stick)
        mirror.look()
        assert set(on(stick)) == set(in_vault(box)) != set()
        assert gone not in on(stick)
        assert kept in on(stick)


def test_a_file_that_only_the_vault_lost_stays_on_the_medium(tmp_path: Path, stick: Path) -> None:
    with Box(tmp_path / "data") as box:
        part = box.seal(0, QUALITY)
        mirror = mirror_of(box, stick)
        mirror.look()
        box.archive.vault.path_of(part).unlink()
        mirror.look()
        assert part in on(stick)


def test_a_part_that_is_still_written_is_not_copied(tmp_path: Path, stick: Path) -> None:
    with Box(tmp_path / "data") as box:
        with box.turn:
            box.archive.add(box.tape(0, QUALITY))
            box.archive.tick()
        mirror = mirror_of(box, stick)
        mirror.look()
        assert (on(stick), len(in_vault(box))) == ({}, 1)
        assert mirror.state.missing == 1


def test_a_part_that_is_not_what_was_sealed_is_not_copied(tmp_path: Path, stick: Path) -> None:
    with Box(tmp_path / "data") as box:
        part, good = box.seal(0, QUALITY), box.seal(1, QUALITY)
        path = box.archive.vault.path_of(part)
        path.write_bytes(path.read_bytes()[:-1] + b"\0")
        mirror = mirror_of(box, stick)
        mirror.look()
        assert set(on(stick)) == {good}
        assert (mirror.state.word, mirror.state.damaged) == ("ok", 1)


class Forgetful(FaultySystem):
    """A medium that stores one bit otherwise."""

    def write(self, fd: int, data: memoryview, offset: int) -> int:
        return super().write(fd, memoryview(bytes([data[0] ^ 1]) + data[1:]), offset)


def test_a_medium_that_gives_back_something_else_gets_no_name(tmp_path: Path, stick: Path) -> None:
    with Box(tmp_path / "data") as box:
        box.seal(0, QUALITY)
        mirror = mirror_of(box, stick, Disk(Forgetful()))
        mirror.look()
        assert (mirror.state.word, on(stick)) == ("failed", {})
        assert not list(stick.rglob(".*.tmp"))
        healed = mirror_of(box, stick)
        healed.look()
        assert on(stick) == in_vault(box)


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
@pytest.mark.parametrize(
    ("number", "word"),
    [(errno.ENOSPC, "full"), (errno.EROFS, "readonly"), (errno.EIO, "failed")],
)
def test_at_every_fault_of_the_medium_what_has_a_name_is_whole_and_the_rest_is_caught_up(
    tmp_path: Path, stick: Path, fault: Fault, number: int, word: str
) -> None:
    with Box(tmp_path / "data") as box:
        for one in range(2):
            box.seal(one, QUALITY)
        vault = in_vault(box)
        at, words = number % 2, 0
        while True:
            at += 2
            system = FaultySystem(at=at, fault=fault, number=number)
            mirror = mirror_of(box, stick, Disk(system))
            mirror.look()
            assert on(stick).items() <= vault.items()
            words += mirror.state.word == word
            done, system.at = system.count < at, 0
            mirror.look()
            assert (mirror.state.word, on(stick)) == ("ok", vault)
            shutil.rmtree(stick / "parts")
            if done:
                break
        assert words > at // 4


def test_a_medium_that_hangs_is_told_and_holds_its_own_thread_alone(
    tmp_path: Path, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, let_go = threading.Event(), threading.Event()
    copied = medium.copy

    def hangs(source: Path, target: Path, disk: Disk, expected: str | None) -> int:
        entered.set()
        assert let_go.wait(300)
        return copied(source, target, disk, expected)

    monkeypatch.setattr(medium, "copy", hangs)
    with Box(tmp_path / "data") as box:
        box.seal(0, QUALITY)
        mirror = mirror_of(box, stick)
        mirror.start()
        assert entered.wait(120)
        assert mirror.state.word == "starting"
        mirror._busy_since_ns = box.clock.monotonic_ns() - STUCK_NS - 1
        assert mirror.state.word == "stuck"
        mirror.stop()
        let_go.set()
        mirror._thread.join(120)
        assert on(stick) == in_vault(box), "what it was at is finished, and right"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 1 MiB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting needs root")
    path = tmp_path / "small"
    path.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(path)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=False)


def remounted(path: Path, words: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{words}", str(path)], check=True)


def test_a_medium_that_is_really_full_read_only_or_gone(tmp_path: Path, small: Path) -> None:
    made(tmp_path / "data")
    assert command("mirror", "prepare", small, "--data", tmp_path / "data").code == 0
    filler = small / "filler"
    with Box(tmp_path / "data") as box:
        mirror = mirror_of(box, small)
        box.seal(0, QUALITY)
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
            while True:
                file.write(bytes(4096))
        mirror.look()
        assert mirror.state.word == "full"
        filler.unlink()
        remounted(small, "ro")
        mirror.look()
        assert mirror.state.word == "readonly"
        remounted(small, "rw")
        mirror.look()
        assert (mirror.state.word, on(small)) == ("ok", in_vault(box))
        subprocess.run(["umount", str(small)], check=True)
        box.seal(1, QUALITY)
        mirror.look()
        assert (mirror.state.word, list(small.iterdir())) == ("away", [])


def test_of_a_dead_board_a_dutys_copy_opens_with_head_offices_key_alone(tmp_path: Path) -> None:
    """A voluntary part's needs its envelope, which the shred store had and head office has."""
    codes = {}
    for line, policy in (("desk", DESK), ("vente", RETAIL)):
        (tmp_path / line).mkdir()
        box, stick = StoryBox(tmp_path / line), tmp_path / line / "stick"
        box.call(captures.call(captures.Plan()), line, policy)
        stick.mkdir()
        assert command("mirror", "prepare", stick, "--data", box.data).code == 0
        with Archive.open(box.data, SystemClock()) as opened:
            recovery.recover(opened)
            Mirror(opened.data, stick, opened.unconfirmed, opened.clock).look()
        shutil.rmtree(box.data)
        (copy,) = (stick / "parts").rglob("*.gpart")
        said = command("open", copy, "--key", box.key, "--json", program="greffier-office")
        codes[line] = said.code
    assert codes == {"desk": 0, "vente": 12}
