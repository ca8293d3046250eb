"""Power cuts of a real ext4 below the real archive, and of archives that forget a sync: the short
version of `./build.sh test --power N`."""

import json
import random
import subprocess
import sys

import pytest

from greffier_sim.block_disk import FLUSH, NOTE, SECTOR, WRITE, Operation
from greffier_sim.power_cuts import places, survivors
from greffier_sim.power_mutants import MUTANTS


def played(*words: str) -> dict[str, object]:
    """The figures of a rig. Skips where no such disk can be made."""
    done = subprocess.run(
        [sys.executable, "-m", "greffier_sim.power_cuts", *words, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 3:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


@pytest.mark.slow
def test_no_power_cut_loses_what_was_committed() -> None:
    told = played("40", "--calls", "6", "--mutant", "none")
    assert told["cuts"] == 40
    assert told["committed_bytes_lost"] == told["failed_starts"] == told["failed_mounts"] == 0
    assert isinstance(told["worst_beyond_s"], float)
    assert 0 < told["worst_beyond_s"] <= 1.0


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_caught(mutant: str) -> None:
    told = played("1", "--calls", "2", "--mutant", mutant)
    assert told["mutants"] == told["mutants_caught"] == 1


def test_survivors_are_sectors_of_writes_that_were_under_way() -> None:
    loose = [Operation(WRITE, 8192 * at, bytes([at]) * 4096) for at in range(6)]
    seen: set[int] = set()
    torn = 0
    for seed in range(300):
        found = list(survivors(loose, random.Random(seed)))
        for one in found:
            assert one.offset % SECTOR == len(one.data) % SECTOR == 0
            assert one.data == loose[one.offset // 8192].data[: len(one.data)]
        seen.add(sum(len(one.data) for one in found))
        torn += any(len(one.data) == SECTOR for one in found)
    assert {0, 6 * 4096} <= seen and len(seen) > 20
    assert torn > 50


def test_a_cut_comes_before_any_operation_or_at_the_end() -> None:
    kinds = [WRITE, FLUSH, NOTE, WRITE, WRITE, FLUSH]
    found = places([Operation(kind) for kind in kinds], 400, random.Random(1))
    assert found == sorted(found)
    assert set(found) == set(range(1, len(kinds) + 1))
