"""What opens of a stolen box and of what was purged, and what a cut leaves of a purge: the short
versions of `./build.sh soak thief`, `deletion` and `purge`."""

import json
import subprocess
import sys
from typing import Any

import pytest


def proved(*words: str) -> dict[str, Any]:
    """The figures of a soak. Skips where this machine lacks what it needs."""
    done = subprocess.run(
        [sys.executable, "-m", "greffier_sim.soak", *words, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 3:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_what_was_purged_stays_shut_and_everything_else_plays() -> None:
    told = proved("deletion", "--voluntary", "5", "--duty", "1")
    found = told["with_tpm"]
    assert (found["purged_voluntary"], found["purged_voluntary_opened"]) == (25, 0)
    assert found["purged_opened_by_old_tpm_states"] == 25
    assert found["others"] == found["others_opened"] == found["others_played"] > 25
    assert found["duty_purged"] == found["duty_purged_opened"] == 3
    assert found["keys_in_clear"] == found["stray_envelopes"] == 0
    assert told["without_tpm"]["purged_voluntary_opened"] == 25


@pytest.mark.slow
def test_a_thief_opens_nothing_and_the_right_keys_everything() -> None:
    told = proved("thief", "--parts", "20", "--purged", "4", "--guesses", "0")
    for found in (told["with_tpm"], told["without_tpm"]):
        assert found["parts_opened"] == found["numbers_opened"] == 0
        assert found["numbers_in_clear"] == found["sound_in_clear"] == found["keys_in_clear"] == 0
        assert found["parts"] == found["office_opens"] == found["operator_opens"] == 20
        assert found["office_shows_numbers"] == found["calls"] == 24
    reached = told["with_tpm"]["envelopes_reached"]
    assert reached == {"disk": 0, "chip_answers": 20, "chip_opened": 20}
    assert told["with_tpm"]["purged_reopened_with_office_key"] == 0
    assert told["passphrase"]["years"] > 1000


@pytest.mark.slow
def test_a_purge_that_is_cut_is_all_old_or_all_new() -> None:
    told = proved("purge", "--shuffled", "1", "--every", "31")
    for found in (told["A"], told["C"]):
        assert found["cuts"] >= 6 and found["old"] and found["new"]
        assert found["halves"] == found["failed_starts"] == found["other_faults"] == 0
    assert told["mutants"] == told["mutants_caught"] == 1
