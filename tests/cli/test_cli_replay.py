"""``greffier replay``: sound to a pipe or a file, never to a terminal; refusals in one line."""

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.recorder.live_scene import NOON_NS, Scene
from tests.stories.box import command

from greffier.clock import SystemClock
from greffier.control.access import Access
from greffier.control.server import Server
from greffier_sim import captures
from greffier_sim.captures import MS, Plan

ME = os.geteuid()
PROGRAM = (sys.executable, "-c", "from greffier.cli.main import main; main()")


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Scene]:
    """A recorder with a call on an emergency line, and its socket."""
    scene = Scene(tmp_path, "sdis18.toml", '[[match]]\nline = "l18"\n')
    plan = Plan(start_ns=NOON_NS + 1_000 * MS, talk_ms=3_000)
    scene.hear([one for one in captures.call(plan) if one.time_ns < plan.end_ns])
    scene.wait(0.25)
    with Server(tmp_path / "s", scene.board, Access(frozenset({ME})), SystemClock()):
        yield scene
    scene.stop()


def words(box: Scene, *more: object) -> list[str]:
    return ["replay", "--line", "l18", "--socket", str(box.folder / "s"), *map(str, more)]


def test_sound_goes_to_a_pipe_and_nothing_else(box: Scene) -> None:
    done = subprocess.run([*PROGRAM, *words(box)], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    pcm, rate = soundfile.read(io.BytesIO(done.stdout), dtype="int16")
    assert (rate, pcm.shape) == (8000, (3 * 8000, 2))
    assert np.abs(pcm.astype(int)).max(axis=0).min() > 0


def test_a_terminal_gets_no_sound_and_nothing_is_asked(box: Scene) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [*PROGRAM, *words(box)], stdout=theirs, stderr=subprocess.PIPE, check=False
    )
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 2
    assert b"aplay" in done.stderr
    assert done.stderr.count(b"\n") == 1
    box.tick()
    assert box.told("replay") == []


def test_a_file_is_written_only_where_one_is_named_and_none_is_overwritten(box: Scene) -> None:
    path = box.folder / "last.wav"
    said = command(*words(box, "--seconds", 2, "-o", path, "--json"))
    assert said.code == 0
    assert said.json == {"line": "l18", "output": str(path), "bytes": path.stat().st_size}
    assert path.stat().st_mode & 0o777 == 0o600
    assert soundfile.info(path).channels == 2
    again = command(*words(box, "-o", path))
    assert again.code == 1
    assert again.complaint
    box.tick()
    assert [entry["user"] for entry in box.told("replay")] == [ME]
    told = command(*words(box, "-o", box.folder / "other.wav"))
    assert "l18" in told.out


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("--line", "l99", "-o", "x"), 1),
        (("--seconds", "0", "-o", "x"), 2),
        (("--seconds", "601", "-o", "x"), 2),
        (("--json",), 2),
        (("--socket", "/nowhere/s", "-o", "x"), 1),
    ],
)
def test_what_cannot_be_is_one_line_and_its_code(
    box: Scene, more: tuple[str, ...], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(box.folder)
    said = command(*words(box, *more))
    assert said.code == code
    assert said.complaint
    assert said.out == ""
    assert not Path("x").exists()
    if code == 1:
        assert json.dumps(box.told("replay")) == "[]"
