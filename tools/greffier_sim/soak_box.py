"""A recorder of a soak: its data directory, its process in a network namespace, what it says."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, Self

from greffier.cli.main import COMMANDS
from greffier.cli.main import run as command
from greffier.control import client
from greffier.control.messages import AskStatus, Status, Stop
from greffier.errors import GreffierError
from greffier.seal import keys
from greffier.seal.keys import PrivateKey, Role
from greffier_office.main import COMMANDS as OFFICE
from greffier_sim.schedules import SAMPLED
from greffier_sim.soak_policy import write_policy

CONFIG = """schema = "recorder/1"
data = "box"
policy = "policy.toml"
policy_signers = "signers"
tick_ms = 500
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
_HERTZ = os.sysconf("SC_CLK_TCK")


class Unwell(Exception):
    """The recorder did not do what it must: what, in one line."""


class SoakBox:
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
    ) -> None:
        self.folder = folder
        self.data = folder / "box"
        self.socket = folder / "control.sock"
        self.key = folder / "keys/office.key"
        self.process: subprocess.Popen[bytes] | None = None
        self._namespace = namespace
        self._prefix: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)
        write_policy(folder / "policy.toml", codec=codec, rate=rate, consent=consent)
        _told(OFFICE, "keygen", "-o", str(folder / "keys"))
        for name in ("alice", "bob"):
            _told(OFFICE, "signer", name, "-o", str(folder))
            _told(OFFICE, "sign", str(folder / "policy.toml"), "--key", str(folder / f"{name}.key"))
        known = [(folder / f"{name}.pub").read_text() for name in ("alice", "bob")]
        (folder / "signers").write_text("".join(known))
        words = CONFIG.format(socket=self.socket, interface=interface, sampled=SAMPLED)
        (folder / "recorder.toml").write_text(words)
        office = str(folder / "keys/office.pub")
        _told(COMMANDS, "init", "--data", str(self.data), "--office-key", office)

    @property
    def private(self) -> PrivateKey:
        """Head office's key."""
        return keys.read_private(self.key, Role.OFFICE)

    def under(self, *words: str) -> Self:
        """From now on the recorder is started by the command *words* (a tracer)."""
        self._prefix = list(words)
        return self

    def spawn(self) -> int:
        """Start the process; its id (of the tracer, where there is one)."""
        run = "from greffier.cli.main import main; main()"
        words = [sys.executable, "-c", run, "run", "--config", str(self.folder / "recorder.toml")]
        with (self.folder / "stderr").open("ab") as said:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self._namespace, *self._prefix, *words],
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
        return self.process.pid

    def start(self) -> float:
        """Start it and wait until it is armed; the seconds that this took."""
        begun = time.monotonic()
        self.spawn()
        self.wait_for(lambda status: status.armed)
        return time.monotonic() - begun

    def status(self) -> Status | None:
        """What it published last, or None while nobody answers."""
        try:
            answer = client.ask(self.socket, AskStatus())
        except (GreffierError, OSError):
            return None
        return answer if isinstance(answer, Status) else None

    def wait_for(self, wanted: Callable[[Status], bool], seconds: float = 120.0) -> Status:
        """The first status for which *wanted* holds. Raises Unwell."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            status = self.status()
            if status is not None and wanted(status):
                return status
            if self.process is None or self.process.poll() is not None:
                raise Unwell(f"the recorder ended: {self.said()[-500:]}")
            time.sleep(0.05)
        raise Unwell("the recorder does not come to what is waited for")

    def wait_idle(self, seconds: float = 120.0) -> Status:
        """Wait until no call runs and every part is finished. Raises Unwell."""
        return self.wait_for(
            lambda status: not status.committed and not any(one.calls for one in status.lines),
            seconds,
        )

    def said(self) -> str:
        """What it wrote on stderr."""
        return (self.folder / "stderr").read_text(errors="replace")

    def kill(self) -> None:
        """kill -9; of a traced recorder too, which would outlive its tracer."""
        if self.process is not None and self.process.poll() is None:
            for child in children(self.process.pid):
                os.kill(child, signal.SIGKILL)
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """End it in good order. Raises Unwell."""
        if self.process is None:
            return
        client.ask(self.socket, Stop())
        if self.process.wait(timeout=120) != 0:
            raise Unwell(f"the recorder failed at its end: {self.said()[-500:]}")

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
        """CPU seconds of the process, and its resident KiB."""
        pid = self.process.pid if self.process else 0
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        return (int(fields[11]) + int(fields[12])) / _HERTZ, resident


def children(pid: int) -> list[int]:
    """The processes that the process *pid* has started."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


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
