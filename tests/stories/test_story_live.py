"""The live recorder on a wire: calls in, calls listed; a kill loses nothing that was committed."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from tests.stories.live import Box, wire

from greffier.audit import coverage, verify
from greffier.capture.datagram import Address
from greffier.cli.main import COMMANDS, run
from greffier_sim import captures
from greffier_sim.packets import frames_of, pcap


def captures_of(folder: Path, calls: int, talk_ms: int, *cuts_ms: int) -> list[Path]:
    """A capture of *calls* calls, a tenth of a second apart, in files that end at *cuts_ms*."""
    datagrams = []
    for number in range(calls):
        plan = captures.Plan(
            call_id=f"live-{number}@sim",
            start_ns=1_700_000_000_000_000_000 + number * 100_000_000,
            talk_ms=talk_ms,
            caller_media=Address(f"10.1.0.{number + 1}", 4000),
            callee_media=Address(f"10.2.0.{number + 1}", 5000),
        )
        datagrams += captures.call(plan)
    frames = frames_of(captures.in_order(datagrams))
    first = frames[0][0]
    ends = [*(first + cut * captures.MS for cut in cuts_ms), frames[-1][0] + 1]
    paths = []
    for number, (begin, end) in enumerate(pairwise([0, *ends])):
        paths.append(folder / f"wire-{number}.pcap")
        paths[-1].write_bytes(pcap([one for one in frames if begin <= one[0] < end]))
    return paths


def listed(box: Box, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """The calls, with names and numbers."""
    capsys.readouterr()
    key = ["--key", str(box.folder / "keys/office.key"), "--json"]
    assert run("greffier", COMMANDS, ["calls", "--data", str(box.data), *key], "test") == 0
    return list(json.loads(capsys.readouterr().out.splitlines()[-1])["calls"])


def check_whole(box: Box) -> None:
    """The log verifies, numbers have no gaps, every second has one state."""
    report = verify.verify(box.data)
    assert report.problems == (), report.problems
    entries = list(verify.entries(box.data))
    numbers = [int(e.data["uid"][-10:]) for e in entries if e.ev == "call.decided"]
    assert numbers == list(range(1, len(numbers) + 1))
    assert coverage.seconds(coverage.intervals_of(entries)).accounted == 1.0


@pytest.mark.story
def test_calls_in_are_calls_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with wire() as namespace, Box(tmp_path, namespace, "paris-desk.toml", "desk") as box:
        box.start()
        (capture,) = captures_of(tmp_path, calls=5, talk_ms=1500)
        sender = box.replay(capture)
        assert sender.wait(timeout=300) == 0
        box.wait_for(lambda status: status.lines[0].calls == 0 and not status.committed)
        box.stop()
    calls = listed(box, capsys)
    assert [call["call_id"] for call in calls] == [f"live-{number}@sim" for number in range(5)]
    assert {call["result"] for call in calls} == {"ok"}
    for call in calls:
        accounted = call["accounted"]
        assert isinstance(accounted, dict)
        assert accounted["received"] == accounted["recorded"] == 150
    check_whole(box)


@pytest.mark.story
def test_a_kill_loses_nothing_committed_and_calls_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with wire() as namespace, Box(tmp_path, namespace, "paris-desk.toml", "desk") as box:
        box.start()
        before, after = captures_of(tmp_path, 4, 5000, 2500)
        assert box.replay(before).wait(timeout=300) == 0
        status = box.wait_for(
            lambda status: (
                len(status.committed) == 4
                and min(part.last_sample for part in status.committed) > 8000
            )
        )
        box.kill()
        for part in status.committed:
            (path,) = box.data.rglob(f"{part.part}.gpart")
            assert path.stat().st_size >= part.bytes
        box.start()
        for part in status.committed:
            (path,) = box.data.rglob(f"{part.part}.gpart")
            assert path.stat().st_size >= part.bytes, "recovery cut what was committed"
        sender = box.replay(after)
        box.wait_for(lambda status: len(status.committed) == 4)
        assert sender.wait(timeout=300) == 0
        box.stop()
    calls = listed(box, capsys)
    assert len(calls) == 4
    for call in calls:
        assert call["from"] == "+33140506070"
        parts = call["parts"]
        assert isinstance(parts, list)
        assert len(parts) == 2, "a call that a kill cut stays one recording"
    check_whole(box)
