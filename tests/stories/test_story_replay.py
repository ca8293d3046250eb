"""Instant replay on the wire while the disk stands still: the sound comes, its entry follows."""

import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.stories.live import PYTHON, Box, wire
from tests.stories.test_story_live import captures_of, check_whole

from greffier.audit import verify
from greffier.encode.decoders import TABLES
from greffier_sim import captures
from greffier_sim.sickdisk import SickDisk, Unable

TALK_MS = 14_000
EDGE = 1600  # samples


def replays(box: Box) -> list[dict[str, object]]:
    """What the log says of them."""
    return [dict(entry.data) for entry in verify.entries(box.data) if entry.ev == "replay"]


def heard(box: Box, seconds: int) -> np.ndarray:
    """What the command gives to a pipe."""
    words = ["replay", "--line", "l18", "--seconds", str(seconds), "--socket", str(box.socket)]
    done = subprocess.run(
        [PYTHON, "-c", "from greffier.cli.main import main; main()", *words],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pcm, rate = soundfile.read(io.BytesIO(done.stdout), dtype="int16", always_2d=True)
    assert rate == 8000
    return pcm


@pytest.mark.story
def test_a_disk_that_stands_still_delays_the_entry_and_not_the_dispatcher(tmp_path: Path) -> None:
    try:
        disk = SickDisk.make(tmp_path, 96)
    except Unable as error:
        pytest.skip(str(error))
    with disk, wire() as namespace:
        (tmp_path / "box").symlink_to(disk.path / "box")
        (disk.path / "box").mkdir()
        with Box(tmp_path, namespace, "sdis18.toml", "l18") as box:
            box.start()
            sender = box.replay(captures_of(tmp_path, 1, TALK_MS)[0])
            box.wait_for(lambda status: any(one.last_sample > 8_000 for one in status.committed))
            disk.freeze()
            box.wait_for(lambda status: any(one.name == "storage.stalled" for one in status.alarms))
            pcm = heard(box, 5)
            assert replays(box) == []
            disk.thaw()
            assert sender.wait(timeout=300) == 0
            box.wait_for(lambda status: status.lines[0].calls == 0)
            whole = len(heard(box, 600))  # the call is over, its sound is not
            box.stop()
        check_whole(box)
        first, second = replays(box)
    assert pcm.shape[1] == 2
    assert TALK_MS * 8 <= whole <= TALK_MS * 8 + EDGE, "the legs begin when their packets come"
    assert EDGE * 4 < len(pcm) <= 5 * 8000
    for column, side in enumerate(("caller", "callee")):
        said = b"".join(
            captures.tagged("live-0@sim", side, index) for index in range(TALK_MS // 20)
        )
        sent = TABLES["PCMA"].take(np.frombuffer(said, np.uint8)).tobytes()
        # At either end one leg may have a packet more than the other.
        said_last = np.ascontiguousarray(pcm[EDGE:-EDGE, column]).tobytes()
        assert sent.find(said_last) > 0
    assert first["calls"] == second["calls"] != []
    assert int(str(first["to_ns"])) - int(str(first["from_ns"])) <= 5_000_000_000
