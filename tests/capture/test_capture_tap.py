"""A tapped interface gives the frames that were sent, and says when it sees nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from greffier.capture.tap import Tap, Watch, reason_of
from greffier.errors import DeviceNotFound

LAB = Path(__file__).with_name("tap_lab.py")
ROOT = Path(__file__).parents[2]
SECOND = 1_000_000_000


def lab(name: str) -> dict[str, Any]:
    """What the lab says that it saw."""
    trial = subprocess.run(["unshare", "--net", "ip", "link", "add", "try0", "type", "veth"],
                           capture_output=True, text=True, check=False)  # fmt: skip
    if trial.returncode != 0:
        pytest.skip(f"no network namespace with a veth pair here: {trial.stderr.strip()}")
    paths = os.pathsep.join(str(ROOT / folder) for folder in ("firmware", "tools"))
    done = subprocess.run(
        ["unshare", "--net", sys.executable, str(LAB), name],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env=os.environ | {"PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_may_be_a_call_passes_the_filter_as_it_was_sent() -> None:
    found = lab("kinds")
    assert found["seen"] == found["wanted"]
    assert set(found["lengths"]) == {0}
    assert found["dropped"] == 0


def test_a_live_call_is_followed_like_one_in_a_file() -> None:
    found = lab("call")
    assert found["live"] == found["file"]
    assert any("CallEnded" in event for event in found["live"])


def test_the_capture_thread_ends_when_told_and_when_the_wire_is_gone() -> None:
    assert lab("thread") == {"seen": 50, "running": True, "stopped": True, "gone": "10"}


def test_an_interface_that_is_not_there_is_an_error_with_a_next_step() -> None:
    with pytest.raises(DeviceNotFound) as caught:
        Tap("nothing0")
    assert caught.value.exit_code == 10
    assert "CAP_NET_RAW" in reason_of(1)
    assert reason_of(12) == os.strerror(12)


def test_a_tap_is_blind_only_after_its_time_without_a_frame() -> None:
    watch = Watch(5 * SECOND, 100 * SECOND)
    assert not watch.look(0, 104 * SECOND)
    assert watch.look(0, 105 * SECOND)
    assert watch.since_ns == 100 * SECOND
    assert not watch.look(1, 106 * SECOND)
    assert not watch.look(1, 110 * SECOND)
    assert watch.look(1, 111 * SECOND)
    assert watch.since_ns == 106 * SECOND
