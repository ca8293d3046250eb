"""An interface that goes away does not end the recorder: it is looked for until it is back."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LAB = Path(__file__).with_name("port_lab.py")
ROOT = Path(__file__).parents[2]


def test_an_interface_that_went_down_or_away_is_listened_to_again() -> None:
    trial = subprocess.run(["unshare", "--net", "ip", "link", "add", "try0", "type", "veth"],
                           capture_output=True, text=True, check=False)  # fmt: skip
    if trial.returncode != 0:
        pytest.skip(f"no network namespace with a veth pair here: {trial.stderr.strip()}")
    folders = ("firmware", "tools", "tests/capture")
    done = subprocess.run(
        ["unshare", "--net", sys.executable, str(LAB)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(str(ROOT / one) for one in folders)},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "absent": True,
        "plugged": True,
        "heard": [True, True, True],
        "blind": [False, True, False],
        "down": True,
        "up": True,
        "gone": True,
        "back": True,
        "dropped": 0,
    }
