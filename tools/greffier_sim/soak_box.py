"""A recorder of a soak: its data directory, its process in a network namespace, what it says."""

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, Self

from greffier.cli.main import COMMANDS
from greffier.cli.main import run as command
from greffier.seal import keys
from greffier.seal.keys import PrivateKey, Role
from greffier_office.main import COMMANDS as OFFICE
from greffier_sim.appliance import Appliance
from greffier_sim.schedules import SAMPLED
from greffier_sim.service import Unwell, cpu_s, resident_kib
from greffier_sim.soak_policy import write_policy

CONFIG = """schema = "recorder/1"
data = "box"
policy = "policy.toml"
policy_signers = "signers"
tick_ms = {tick_ms}
[control]
socket = "{socket}"
[taps.trunk]
interface = "{interface}"
[[match]]
line = "accueil"
called = ["{sampled}"]
[[match]]
line = "desk"
"""


class SoakBox(Appliance):
    """One recorder. *namespace* and *interface* are where it listens."""

    def __init__(
        self,
        folder: Path,
        namespace: str,
        interface: str,
        *,
        codec: str,
        rate: float,
        consent: str = "opt_out",
        pauses: bool = False,
        tick_ms: int = 500,
    ) -> None:
        place = ("ip", "netns", "exec", namespace)
        super().__init__(folder, folder / "control.sock", place)
        self.data = folder / "box"
        self.key = folder / "keys/office.key"
        folder.mkdir(parents=True, exist_ok=True)
        policy = folder / "policy.toml"
        write_policy(policy, codec=codec, rate=rate, consent=consent, pauses=pauses)
        _told(OFFICE, "keygen", "-o", str(folder / "keys"))
        for name in ("alice", "bob"):
            _told(OFFICE, "signer", name, "-o", str(folder))
            _told(OFFICE, "sign", str(folder / "policy.toml"), "--key", str(folder / f"{name}.key"))
        known = [(folder / f"{name}.pub").read_text() for name in ("alice", "bob")]
        (folder / "signers").write_text("".join(known))
        self.config.write_text(
            CONFIG.format(socket=self.socket, interface=interface, sampled=SAMPLED, tick_ms=tick_ms)
        )
        office = str(folder / "keys/office.pub")
        _told(COMMANDS, "init", "--data", str(self.data), "--office-key", office)

    @property
    def private(self) -> PrivateKey:
        """Head office's key."""
        return keys.read_private(self.key, Role.OFFICE)

    def under(self, *words: str) -> Self:
        """From now on the recorder is started by the command *words* (a tracer)."""
        self._enter += words
        return self

    def ask(self, *words: str, key: bool = False) -> dict[str, Any]:
        """What one of the product's commands says of the data directory."""
        more = ["--key", str(self.key)] if key else []
        return asked(*words, "--data", str(self.data), *more, "--json")

    def export(self, recording: str, path: Path) -> int:
        """Export *recording* as WAV into *path*; the command's exit code."""
        words = ["export", recording, "--data", str(self.data), "--key", str(self.key)]
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            path.unlink(missing_ok=True)
            return command("greffier", COMMANDS, [*words, "--format", "wav", "-o", str(path)], "0")

    def used(self) -> tuple[float, int]:
        """CPU seconds of the process, and its resident KiB. Raises Unwell where it does not run."""
        return cpu_s(self.pid), resident_kib(self.pid)


def _told(table: Any, *words: str) -> None:
    name = "greffier-office" if table is OFFICE else "greffier"
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = command(name, table, list(words), "soak")
    if code != 0:
        raise Unwell(f"{name} {words[0]}: {said.getvalue().strip()[-300:]}")


def asked(*words: str) -> dict[str, Any]:
    """The JSON object that a command prints, whatever its exit code. Raises Unwell."""
    run = "from greffier.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", run, *words], capture_output=True, text=True, check=False
    )
    lines = done.stdout.strip().splitlines()
    if not lines:
        raise Unwell(f"greffier {words[0]}: {done.stderr.strip()[-300:]}")
    found: dict[str, Any] = json.loads(lines[-1])
    return found
