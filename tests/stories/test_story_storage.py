"""The live recorder on a real file system that falls ill: short versions of the storage soak."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest


def played(case: str, seconds: float, stall_s: int) -> SimpleNamespace:
    """The figures of *case* with two calls. Skips where no such disk or wire can be made."""
    words = ["--calls", "2", "--case", case, "--seconds", str(seconds), "--tail-s", "7"]
    words += ["--stall-s", str(stall_s)]
    done = subprocess.run(
        [sys.executable, "-m", "greffier_sim.storage_soak", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 3:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr
    return SimpleNamespace(**json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.story
def test_a_disk_that_stands_still_costs_nothing() -> None:
    told = played("stalled", 4, 30)
    assert told.alarm == "storage.stalled"
    assert told.packets_lost == told.coverage_lost_s == 0
    assert told.packets_recorded == told.packets_received > 0
    assert len(told.outages_logged_s) == 1


@pytest.mark.story
def test_what_a_full_disk_costs_beyond_the_memory_is_accounted_for() -> None:
    told = played("long-full", 6, 1)
    assert told.alarm == "storage.full"
    assert 0 < told.packets_lost < told.packets_received
    assert told.packets_recorded + told.packets_lost == told.packets_received
    assert told.coverage_lost_s > 0


@pytest.mark.story
def test_a_file_system_that_went_read_only_is_let_go_and_taken_up_again() -> None:
    told = played("read-only", 6, 30)
    assert told.alarm == "storage.readonly"
    assert told.parts_checked == 4, "each call goes on in a new part of its recording"
    assert len(told.outages_logged_s) == 1
