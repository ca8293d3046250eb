"""A recorder that runs in a network namespace of its own, on one end of a wire."""

import contextlib
import itertools
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

import pytest

from greffier.cli.main import run as greffier
from greffier.control import client
from greffier.control.messages import AskStatus, Status, Stop
from greffier.errors import GreffierError
from greffier.policy import rules
from greffier_office.main import COMMANDS as OFFICE
from greffier_sim import lab
from greffier_sim.soak_missing import Missing

PYTHON = sys.executable
CONFIG = """schema = "recorder/1"
data = "box"
policy = "policy.toml"
policy_signers = "signers"
tick_ms = 300
[control]
socket = "{socket}"
[taps.trunk]
interface = "tap"
[[match]]
line = "{line}"
"""


@contextlib.contextmanager
def wire() -> Iterator[str]:
    """A namespace that holds a veth pair, `port` and `tap`; its name. Skips where not allowed."""
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(lab.wire())
        except Missing as error:
            pytest.skip(str(error))
        yield made.namespace


class Box:
    """One recorder: its folder, its process, and what it says of itself."""

    def __init__(
        self, folder: Path, namespace: str, policy: str, line: str, *, pauses: bool = False
    ) -> None:
        """Without *pauses* the policy names nothing that may start one, and no sound waits."""
        self.folder = folder
        self.namespace = namespace
        self.socket = folder / "control.sock"
        self.process: subprocess.Popen[bytes] | None = None
        content = rules.builtin(policy).read_text()
        if not pauses:
            content = re.sub(r"(?m)^sources = .*$", "sources = []", content)
        (folder / "policy.toml").write_text(content)
        self._office("keygen", "-o", str(folder / "keys"))
        for name in ("alice", "bob"):
            self._office("signer", name, "-o", str(folder))
            self._office("sign", str(folder / "policy.toml"), "--key", str(folder / f"{name}.key"))
        known = [(folder / f"{name}.pub").read_text() for name in ("alice", "bob")]
        (folder / "signers").write_text("".join(known))
        (folder / "recorder.toml").write_text(CONFIG.format(socket=self.socket, line=line))
        words = ["init", "--data", str(folder / "box")]
        words += ["--office-key", str(folder / "keys/office.pub")]
        from greffier.cli.main import COMMANDS  # noqa: PLC0415 - beside the office's

        assert greffier("greffier", COMMANDS, words, "test") == 0

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "box"

    @staticmethod
    def _office(*words: str) -> None:
        assert greffier("greffier-office", OFFICE, list(words), "test") == 0

    def start(self) -> None:
        """Start the recorder and wait until it says that it is armed."""
        command = [PYTHON, "-c", "from greffier.cli.main import main; main()", "run"]
        command += ["--config", str(self.folder / "recorder.toml")]
        with (self.folder / "stderr").open("ab") as said:
            self.process = self.launch(command, said)
        self.wait_for(lambda status: status.armed)

    def launch(self, command: list[str], said: IO[bytes]) -> "subprocess.Popen[bytes]":
        """Start the process."""
        return subprocess.Popen(["ip", "netns", "exec", self.namespace, *command], stderr=said)

    def status(self) -> Status | None:
        """What the recorder published last, or None while nobody answers."""
        try:
            answer = client.ask(self.socket, AskStatus())
        except (GreffierError, OSError):
            return None
        return answer if isinstance(answer, Status) else None

    def wait_for(self, wanted, seconds: float = 90.0) -> Status:  # type: ignore[no-untyped-def]
        """Return the first status for which *wanted* holds."""
        end = time.monotonic() + seconds
        for _ in itertools.count():
            status = self.status()
            if status is not None and wanted(status):
                return status
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "stderr").read_text()
            assert time.monotonic() < end, "the recorder does not come to this"
        raise AssertionError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def kill(self) -> None:
        """End it as a power cut of the process would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it in good order."""
        client.ask(self.socket, Stop())
        assert self.process is not None
        assert self.process.wait(timeout=90) == 0, (self.folder / "stderr").read_text()

    def replay(self, capture: Path) -> subprocess.Popen[bytes]:
        """Begin to send *capture* onto the wire."""
        command = [PYTHON, "-m", "greffier_sim.replay", str(capture), "port"]
        return subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, *command], stdout=subprocess.DEVNULL
        )
