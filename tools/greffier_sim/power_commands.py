"""The real commands on a disk that lost its power."""

import json
import shutil
import subprocess
from pathlib import Path

from greffier_sim.appliance import Appliance
from greffier_sim.power_work import BOX
from greffier_sim.service import BIN, Unwell
from greffier_sim.storage_soak import prepare_policy

_CONFIG = """schema = "recorder/1"
data = "{data}"
policy = "policy.toml"
policy_signers = "signers"
[control]
socket = "control.sock"
[taps.trunk]
interface = "lo"
[[match]]
line = "desk"
"""


def ask_commands(disk: Path, key: Path) -> list[str]:
    """What is wrong with the answers of ``audit verify``, ``calls``, ``coverage``, ``index``."""
    data = str(disk / BOX)
    wrong = []
    answers = {}
    for words in (
        ["audit", "verify"],
        ["calls", "--key", str(key)],
        ["coverage"],
        ["index", "rebuild"],
    ):
        name = " ".join(words[:2] if words[0] != "calls" else words[:1])
        done = subprocess.run(
            [str(BIN / "greffier"), *words, "--data", data, "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            wrong.append(f"greffier {name}: exit {done.returncode}: {done.stderr[-300:]}")
        else:
            answers[name] = json.loads(done.stdout.splitlines()[-1])
    if not answers.get("audit verify", {"ok": True})["ok"]:
        wrong.append("greffier audit verify is not ok")
    rebuilt = answers.get("index rebuild", {"added": 0, "removed": 0})
    if rebuilt["added"] or rebuilt["removed"]:
        wrong.append(f"the index was not what the files say: {rebuilt}")
    return wrong


def start_recorder(disk: Path, folder: Path) -> None:
    """Start ``greffier run`` on *disk*, see it armed, end it in good order. Raises Unwell.

    Its line is the loopback of a network of its own, on which nothing is heard.
    """
    home = folder / "recorder"
    if not home.exists():
        home.mkdir()
        prepare_policy(home)
    (home / "recorder.toml").write_text(_CONFIG.format(data=disk / BOX))
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        raise Unwell("needs unshare and ip")
    quiet = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
    recorder = Appliance(home, home / "control.sock", quiet)
    try:
        recorder.start()
        recorder.stop()
    finally:
        recorder.kill()
