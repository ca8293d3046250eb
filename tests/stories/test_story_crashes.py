"""A kill at any instant, a disk that fails: what was committed stays, and everything is told."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.stories.box import Box, coded, command, payloads

from greffier.durable import LinuxSystem, disk
from greffier.recorder import importing
from greffier_sim import captures
from greffier_sim.captures import Plan
from greffier_sim.faults import Fault, FaultySystem

CALLS = 6
PLAN = Plan(talk_ms=400, ring_ms=40)


def plans(prefix: str, count: int = CALLS) -> list[Plan]:
    """Calls that overlap, each on ports of its own."""
    return [
        replace(
            PLAN,
            call_id=f"{prefix}{number}",
            start_ns=PLAN.start_ns + number * 130 * captures.MS,
            caller_media=PLAN.caller_media._replace(port=20_000 + 2 * number),
            callee_media=PLAN.callee_media._replace(port=30_000 + 2 * number),
            caller_ssrc=0x1000 + number,
            callee_ssrc=0x2000 + number,
        )
        for number in range(count)
    ]


def capture(box: Box, prefix: str, count: int = CALLS) -> Path:
    made = plans(prefix, count)
    return box.capture(captures.in_order([one for plan in made for one in captures.call(plan)]))


class KilledSystem(LinuxSystem):
    """The process is killed right before, or right after, its *at*-th call."""

    counted = 0
    at = 0
    after = False

    def _step(self) -> None:
        KilledSystem.counted += 1
        if KilledSystem.counted == KilledSystem.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def _do(self, call: Callable[[], Any]) -> Any:
        if not self.after:
            self._step()
            return call()
        result = call()
        self._step()
        return result

    def write(self, fd: int, data: memoryview, offset: int) -> int:
        return int(self._do(lambda: LinuxSystem.write(self, fd, data, offset)))

    def fsync(self, fd: int) -> None:
        self._do(lambda: None)

    def fdatasync(self, fd: int) -> None:
        self._do(lambda: None)

    def syncfs(self, fd: int) -> None:
        self._do(lambda: None)

    def rename(self, source: str, target: str) -> None:
        self._do(lambda: LinuxSystem.rename(self, source, target))

    def unlink(self, path: str) -> None:
        self._do(lambda: LinuxSystem.unlink(self, path))


def in_a_child(work: Callable[[], int]) -> int:
    """Run *work* in a fork; its wait status."""
    child = os.fork()
    if not child:
        code = 99
        try:
            code = work()
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


@dataclass
class Killing:
    """An import that commits after nearly every packet and dies at its *at*-th system call."""

    box: Box
    path: Path
    policy: Path
    monkeypatch: pytest.MonkeyPatch

    def __call__(self, at: int, *, after: bool) -> int:
        def work() -> int:
            KilledSystem.at, KilledSystem.after, KilledSystem.counted = at, after, 0
            self.monkeypatch.setattr(disk, "LinuxSystem", KilledSystem)
            self.monkeypatch.setattr(importing, "TICK_NS", 0)
            self.monkeypatch.setattr(importing, "TICK_FRAMES", 16)
            code = self.box.bring(self.path, policy=self.policy).code
            if not at:
                (self.box.folder / "count").write_text(str(KilledSystem.counted))
            return code

        return in_a_child(work)


def check(box: Box) -> None:
    """What must hold after any number of kills and one import that went well."""
    found = box.verified()
    assert found["ok"], found["problems"]
    coverage = command("coverage", "--data", box.data, "--json")
    assert coverage.json["accounted"] == 1.0
    entries = box.entries()
    decided = [entry.data["uid"] for entry in entries if entry.ev == "call.decided"]
    assert decided == [f"{box.device}/vente/{n:010d}" for n in range(1, len(decided) + 1)]
    listed = box.listed("--key", box.key)
    assert sorted(call["number"] for call in listed) == sorted(decided)
    sealed = {entry.data["part"] for entry in entries if entry.ev == "part.sealed"}
    kept = {entry.data["part"] for entry in entries
            if entry.ev == "part.recovered" and entry.data["bytes"]}  # fmt: skip
    assert sealed | kept == {path.stem for path in box.parts}
    recordings = {call["recording"] for call in listed if call["recording"]}
    kept_calls = [call for call in listed if call["recording"]]
    for call in random.Random(len(listed)).sample(kept_calls, min(len(kept_calls), 8)):
        path = box.folder / "check.wav"
        path.unlink(missing_ok=True)
        said = box.export(call["recording"], path)
        if call["end"] == "interrupted":
            assert call["result"] in ("degraded", "ok") and said.code in (0, 2), said.err
            assert call["from"] is None and call["duration_s"] is None
        else:
            assert said.code == 0, said.err
    assert command("index", "rebuild", "--data", box.data, "--json").json == {
        "recordings": len(recordings), "added": 0, "removed": 0, "unreadable": [],
    }  # fmt: skip
    assert box.listed("--key", box.key) == listed


def test_a_kill_at_any_system_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box(tmp_path)
    policy = coded(box.folder, "original")
    (tmp_path / "dry").mkdir()
    dry = Box(tmp_path / "dry")
    killing = Killing(dry, capture(dry, "dry"), policy, monkeypatch)
    assert killing(0, after=False) == 0
    calls = int((dry.folder / "count").read_text())
    assert calls > 150
    check(dry)
    draw = random.Random(11)
    killing = Killing(box, capture(box, "call-"), policy, monkeypatch)
    for turn in range(20):
        status = killing(draw.randrange(1, calls * 3 // 5), after=bool(turn % 2))
        assert os.WTERMSIG(status) == signal.SIGKILL, (turn, status)
        if turn % 5 == 4:
            last = box.calls(capture(box, f"last-{turn}-", 1), policy=policy)
            assert [call["result"] for call in last] == ["ok"]
            check(box)
    every = b"".join(payloads(_whole(box)))
    assert b"last-4-0/caller/000019" in every


def _whole(box: Box) -> list[Any]:
    """The parts that have an end."""
    torn = {entry.data["part"] for entry in box.entries()
            if entry.ev == "part.recovered"}  # fmt: skip
    for path in box.parts:
        if path.stem in torn:
            path.unlink()
    return box.opened()


def test_a_process_killed_from_outside(tmp_path: Path) -> None:
    """The instant is chosen by how far the log has come."""
    box = Box(tmp_path)
    policy = coded(box.folder, "original")
    path = capture(box, "out", 24)
    program = (
        "import sys; from greffier.recorder import importing; importing.TICK_NS = 0;"
        "importing.TICK_FRAMES = 16;"
        "from greffier.cli.main import main; main()"
    )
    words = ["import-pcap", path, "--policy", policy, "--data", box.data, "--line", "vente"]
    words += ["--draw", "0", "--facts", "window=true", "--json"]
    leaves = box.data / "audit" / "leaves"
    for more in (3, 12, 25):
        wanted = leaves.stat().st_size + 32 * more
        with subprocess.Popen(
            [sys.executable, "-c", program, *map(str, words)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            while leaves.stat().st_size < wanted and process.poll() is None:
                time.sleep(0.0005)  # a poll of progress, not a delay
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
    box.calls(capture(box, "end", 1), policy=policy)
    check(box)


FAULTS = [
    (fault, number)
    for fault in (Fault.LOST, Fault.KEPT, Fault.SHORT)
    for number in (errno.ENOSPC, errno.EIO)
]


@pytest.mark.parametrize(("fault", "number"), FAULTS, ids=str)
def test_a_failing_disk_is_one_line_and_loses_nothing_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault, number: int
) -> None:
    box = Box(tmp_path)
    policy = coded(box.folder, "original")
    monkeypatch.setattr(importing, "TICK_NS", 0)
    monkeypatch.setattr(importing, "TICK_FRAMES", 64)
    path = capture(box, "call-", 4)
    draw = random.Random(number + len(fault.name))
    failed = 0
    for turn in range(8):
        system = FaultySystem(at=draw.randrange(1, 120), fault=fault, number=number)
        with monkeypatch.context() as patch:
            patch.setattr(disk, "LinuxSystem", lambda system=system: system)
            said = box.bring(path, policy=policy)
        assert said.code in (0, 1), said.err
        if said.code:
            failed += 1
            assert "program" not in said.complaint, said.err
            assert os.strerror(number) in said.complaint or "sync" in said.complaint
        assert "Traceback" not in said.err
        if turn % 4 == 3:
            box.calls(capture(box, f"end-{turn}-", 1), policy=policy)
            check(box)
    assert failed >= 2


def test_a_full_disk_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From some write on every write fails, as on a disk that is full."""
    box = Box(tmp_path)
    policy = coded(box.folder, "original")
    monkeypatch.setattr(importing, "TICK_NS", 0)
    path = capture(box, "call-", 4)

    class Full(LinuxSystem):
        left = 0

        def write(self, fd: int, data: memoryview, offset: int) -> int:
            Full.left -= len(data)
            if Full.left < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(fd, data, offset)

    for room in (0, 3_000, 20_000, 60_000):
        Full.left = room
        with monkeypatch.context() as patch:
            patch.setattr(disk, "LinuxSystem", Full)
            said = box.bring(path, policy=policy)
        assert said.code == 1 and os.strerror(errno.ENOSPC) in said.complaint
        assert not said.out
    box.calls(capture(box, "end", 1), policy=policy)
    check(box)
