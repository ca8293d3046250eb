"""What the recorder holds in memory reaches no swap and no core file."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import resource
from pathlib import Path
from greffier.recorder import memory
memory.forbid_core_files()
locked = memory.lock_all()
kept = bytearray(8 << 20)
for at in range(0, len(kept), 4096):
    kept[at] = 1
(held,) = [line for line in Path("/proc/self/status").read_text().splitlines() if "VmLck" in line]
print(int(locked), held.split()[1], resource.getrlimit(resource.RLIMIT_CORE)[0])
"""


def tell(*before: str) -> list[int]:
    done = subprocess.run(
        [*before, sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    return [int(word) for word in done.stdout.split()]


@pytest.mark.skipif(os.geteuid() != 0, reason="locking without limit needs root")
def test_all_that_is_used_later_is_locked_too() -> None:
    locked, kib, core = tell()
    assert locked == 1
    assert kib > 8 << 10
    assert core == 0


def test_a_limit_leaves_the_memory_unlocked_rather_than_break_later() -> None:
    unable = ["setpriv", "--bounding-set=-ipc_lock"] if os.geteuid() == 0 else []
    locked, kib, core = tell("prlimit", "--memlock=65536:65536", *unable)
    assert locked == 0
    assert kib == 0
    assert core == 0
