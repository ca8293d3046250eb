"""What unlocks stays in memory: in no swap, core file, list of processes, file or log."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.stories.box import Box, command

from greffier.recorder import memory, operators
from greffier.store import layout
from greffier.trust import wrapping
from greffier_sim import captures
from greffier_sim.captures import Plan


def field(pid: int, name: str, file: str = "status") -> str:
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(name):
            return line.removeprefix(name).strip(" :\t")
    raise AssertionError(f"no {name}")


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_an_export_locks_its_memory_dumps_no_core_and_leaves_no_secret(box: Box) -> None:
    made = command("operator", "add", "marie", "--data", box.data, "--json").json
    words = made["passphrase"]
    recording = box.call(captures.call(Plan(talk_ms=300)))["recording"]
    pipe, output = box.folder / "passphrase", box.folder / "out.wav"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", "from greffier.cli.main import main; main()"),
            *("export", recording, "--data", str(box.data), "--operator", "marie"),
            *("--passphrase-file", str(pipe), "-o", str(output), "--json"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with pipe.open("w") as writer:  # opened: the process waits for the passphrase
        limit = field(process.pid, "Max core file size", "limits").split()[0]
        locked = int(field(process.pid, "VmLck").split()[0])
        arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        writer.write(words + "\n")
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err.decode()
    assert limit == "0"
    if memory.lockable():
        assert locked > 10_000  # KiB: all that was mapped and touched
    card = wrapping.parse_card((box.data / "keys/operators/marie.json").read_bytes())
    unlocked = operators.unlock(card, operators.secret_octets("generated", words, "marie"))
    plain = words.replace("-", "")
    secrets = [words, plain, unlocked.seed.hex(), unlocked.seed]
    found = [out, err, arguments, environment]
    found += [path.read_bytes() for path in box.data.rglob("*") if path.is_file()]
    for one in secrets:
        octets = one if isinstance(one, bytes) else one.encode()
        assert not any(octets in text for text in found)
    assert layout.open(box.data).operators.stat().st_mode & 0o777 == 0o700
    for path in (box.data / "keys").rglob("*.json"):
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_secret_is_no_argument_of_any_command(box: Box) -> None:
    for words in (
        ("operator", "add", "marie", "--passphrase", "secret"),
        ("export", "0" * 32, "--operator", "marie", "--passphrase", "secret", "-o", "x"),
    ):
        said = command(*words, "--data", box.data)
        assert said.code == 2 and "secret" not in said.err
