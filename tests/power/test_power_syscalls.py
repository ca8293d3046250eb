"""A system call that fails in a real process: the short version of `./build.sh soak syscalls`."""

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_a_call_that_fails_is_told_or_mended_and_nothing_is_lost() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "greffier_sim.soak",
            "syscalls",
            "--every",
            "97",
            "--first",
            "37",
            "--json",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 3:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["counted"]["archive"] > 200 and told["counted"]["import"] > 100
    assert told["undocumented"] == told["failed_starts"] == told["silent_losses"] == 0
    assert told["said"] > 0 and told["went_on"] > 0
    assert told["mutants"] == told["mutants_caught"] == 1
