"""A recorder whose disk is full or read-only at its start waits, says so, and begins by itself."""

import itertools
import os
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest
from tests.stories.box import PACKS, PAIR

from greffier.audit import verify
from greffier.clock import SystemClock
from greffier.config.recorder import load
from greffier.control.board import Board, Handed
from greffier.control.messages import AskStatus, Done, Failure, Replay, Status
from greffier.control.transfer import AskWork, Work
from greffier.encode.codecs import by_name
from greffier.encode.timeline import Placed
from greffier.errors import NotADataDirectory
from greffier.policy import rules
from greffier.recorder import archive
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.service import Inputs, Service

CONFIG = """schema = "recorder/1"
data = "disk/box"
policy = "policy.toml"
policy_signers = "signers"
tick_ms = 100
[taps.trunk]
interface = "none"
[[match]]
line = "desk"
"""


def mounted(*words: str) -> None:
    if subprocess.run(["mount", *words], capture_output=True, check=False).returncode:
        pytest.skip("nothing may be mounted here")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, with room. Skips where none may be mounted."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting needs root")
    path = tmp_path / "disk"
    path.mkdir()
    mounted("-t", "tmpfs", "-o", "size=64M", "tmpfs", str(path))
    yield path
    subprocess.run(["umount", "-l", str(path)], check=False)


class Running:
    """A service in a thread of its own."""

    def __init__(
        self,
        folder: Path,
        *,
        made: bool = True,
        policy: str = "paris-desk.toml",
        line: str = "desk",
    ) -> None:
        self.clock = SystemClock()
        if made:
            archive.create(folder / "disk/box", self.clock, PAIR.public.format().encode())
        (folder / "recorder.toml").write_text(CONFIG.replace('"desk"', f'"{line}"'))
        self.config = load(folder / "recorder.toml")
        self.board = Board()
        self.said: list[str] = []
        self.service = Service(
            self.config,
            rules.load(rules.builtin(policy)),
            PACKS,
            self.clock,
            self.board,
            AlarmRoom(self.clock, secrets.token_hex(16)),
            "box",
            open_inputs=lambda: Inputs(()),
            say=self.said.append,
        )
        self.thread = threading.Thread(target=self.service.run)

    def wait_for(self, wanted: Callable[[Status], bool]) -> Status:
        """The first status for which *wanted* holds."""
        end = time.monotonic() + 180
        for _ in itertools.count():
            status = self.board.ask(AskStatus(), self.clock.monotonic_ns())
            if isinstance(status, Status) and wanted(status):
                return status
            assert time.monotonic() < end, "it does not come to this"
            assert self.thread.is_alive()
            time.sleep(0.01)  # between two looks
        raise AssertionError

    def stop(self) -> None:
        self.service.stop()
        self.thread.join(180)
        assert not self.thread.is_alive()

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@pytest.mark.parametrize(
    ("ill", "well", "alarm"),
    [("size=1M", "size=64M", "storage.full"), ("ro", "rw", "storage.readonly")],
)
def test_a_start_waits_for_its_disk(
    tmp_path: Path, disk: Path, ill: str, well: str, alarm: str
) -> None:
    box = Running(tmp_path)
    mounted("-o", f"remount,{ill}", str(disk))
    with box:
        status = box.wait_for(lambda status: bool(status.alarms))
        assert [one.name for one in status.alarms] == [alarm]
        assert not status.armed and {line.state for line in status.lines} == {"lost"}
        mounted("-o", f"remount,{well}", str(disk))
        status = box.wait_for(lambda status: status.armed)
        assert status.alarms == () and status.storage.total_bytes > 0
    assert len(box.said) == 1, "one line, however often it was tried"
    assert verify.verify(disk / "box").problems == ()


def test_a_replay_is_heard_while_the_disk_is_away_and_on_record_when_it_is_back(
    tmp_path: Path, disk: Path
) -> None:
    box = Running(tmp_path, policy="sdis18.toml", line="l18")
    uid = "box-1/l18/0000000001"
    kept = box.service.recall.of("l18", uid)
    assert kept is not None
    mounted("-o", "remount,ro", str(disk))
    with box:
        box.wait_for(lambda status: bool(status.alarms))
        now = box.clock.wall_ns()
        placed = Placed(0, 8000, 0, by_name("PCMA"), 8, 1, b"x" * 8000)
        kept.keep(0, "caller", now, 8000, [(now, placed)])
        handed = box.board.serve(Replay("l18", 30), 1000, 0, lambda _: None)
        assert isinstance(handed, Handed)
        assert handed.answer == Done() and handed.fd is not None
        assert os.fstat(handed.fd).st_size == 44 + 2 * 8000
        os.close(handed.fd)
        mounted("-o", "remount,rw", str(disk))
        box.wait_for(lambda status: status.armed)
    (entry,) = [one for one in verify.entries(disk / "box") if one.ev == "replay"]
    assert (entry.data["user"], entry.data["calls"]) == (1000, [uid])
    assert entry.data["at_ns"] >= now
    assert verify.verify(disk / "box").problems == ()


def test_an_end_that_is_asked_for_while_the_disk_is_away_is_an_end(
    tmp_path: Path, disk: Path
) -> None:
    box = Running(tmp_path)
    mounted("-o", "remount,ro", str(disk))
    with box:
        box.wait_for(lambda status: bool(status.alarms))


def test_a_folder_that_never_was_a_data_directory_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(NotADataDirectory):
        Running(tmp_path, made=False).service.run()


def test_the_transfer_is_answered_again_when_the_disk_is_back(tmp_path: Path, disk: Path) -> None:
    box = Running(tmp_path)

    def work() -> object:
        return box.board.serve(AskWork(), 0, 0, lambda _: None)

    assert work() == Failure("busy", "starting")
    mounted("-o", "remount,ro", str(disk))
    with box:
        box.wait_for(lambda status: bool(status.alarms))
        assert work() == Failure("busy", "starting")
        mounted("-o", "remount,rw", str(disk))
        status = box.wait_for(lambda status: status.armed)
        found = work()
        assert isinstance(found, Work)
        assert (found.device, found.waiting) == (status.device, 0)
        assert found.log_size > 0
    assert work() == Failure("busy", "starting")
