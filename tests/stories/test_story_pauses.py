"""A pause in the middle of a call, given by the command, survives a kill and ends when asked."""

import json
from pathlib import Path

import pytest
from tests.stories.live import Box, wire
from tests.stories.test_story_live import captures_of, check_whole

from greffier.audit import coverage, verify
from greffier.cli.main import COMMANDS, run


def command(box: Box, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code and what was said."""
    capsys.readouterr()
    code = run("greffier", COMMANDS, [*words, "--socket", str(box.socket)], "test")
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.story
def test_a_pause_outlives_a_kill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (
        wire() as namespace,
        Box(tmp_path, namespace, "paris-desk.toml", "desk", pauses=True) as box,
    ):
        box.start()
        code, _, error = command(box, capsys, "pause", "--line", "desk")
        assert code == 1 and "aucun appel" in error
        sender = box.replay(captures_of(tmp_path, 2, 14_000)[0])
        box.wait_for(
            lambda status: (
                len(status.committed) == 2
                and min(part.last_sample for part in status.committed) > 4_000
            )
        )
        code, out, _ = command(box, capsys, "pause", "--line", "desk", "--json")
        assert (code, json.loads(out)["done"]) == (0, ["desk"])
        box.kill()
        box.start()
        # Calls that go on under bare RTP are known again after ten seconds of it.
        box.wait_for(lambda status: status.lines[0].state == "paused" or sender.poll() is not None)
        assert sender.wait(timeout=300) == 0
        box.wait_for(lambda status: status.lines[0].calls == 0)
        box.stop()
    check_whole(box)
    entries = list(verify.entries(box.data))
    pauses = [one.data for one in entries if one.ev == "call.paused"]
    assert len(pauses) == 2
    assert all(one["at_ns"] - one["from_ns"] == 5_000_000_000 for one in pauses)
    told = coverage.seconds(coverage.intervals_of(entries)).channels
    for pause in pauses:
        (channel,) = [one for one in told if one.channel == pause["uid"]]
        assert channel.states["paused"] > 4_000_000_000
