"""A real swtpm(8) on two loopback ports: for tests of what lies in a TPM.

Its state outlives it, so a SIGKILL is the power cut of a TPM. What tpm2-tools say of it is the
second opinion on what :mod:`greffier.trust.tpm_wire` writes.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from greffier.errors import TpmFailed
from greffier.trust.tpm_chip import Chip, Connect, connector
from greffier_sim.soak_missing import Missing

HOST = "127.0.0.1"
WAIT_S = 120.0
_STATE = "tpm2-00.permall"


class EmulatedTpm:
    """One swtpm process. Owned by the thread that made it; a context manager that stops it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()  # a relative one is lost when swtpm changes its folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def words(self) -> str:
        """What the environment's GREFFIER_TPM, and tpm2-tools, call it."""
        return f"swtpm:host={HOST},port={self.port}"

    @property
    def connect(self) -> Connect:
        """How it is reached."""
        found = connector(self.words)
        if found is None:
            raise RuntimeError("swtpm has an address")
        return found

    @property
    def state(self) -> bytes:
        """Everything it keeps without power."""
        return (self.folder / _STATE).read_bytes()

    def put_state(self, state: bytes) -> None:
        """What it is to keep without power, while it does not run."""
        (self.folder / _STATE).write_bytes(state)

    def start(self) -> Self:
        """Start it, on other ports than before if those were taken. Raises Missing, RuntimeError.

        It is started when it answers.
        """
        program = shutil.which("swtpm")
        if program is None:
            raise Missing("swtpm is not installed: ./build.sh setup installs it")
        for _ in range(5):
            self.port = self.port or _two_free_ports()
            channel = f"bindaddr={HOST},port="
            self._process = subprocess.Popen(
                [
                    program,
                    "socket",
                    "--tpm2",
                    *("--tpmstate", f"dir={self.folder}"),
                    *("--server", f"type=tcp,{channel}{self.port}"),
                    *("--ctrl", f"type=tcp,{channel}{self.port + 1}"),
                    *("--flags", "not-need-init,startup-clear"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            if self._answers():
                return self
            self.kill()
            self.port = 0
        raise RuntimeError("swtpm does not start")

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order; does nothing where it does not run."""
        self._end(signal.SIGTERM)

    def tool(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Run one of tpm2-tools on it. Raises Missing."""
        if shutil.which(words[0]) is None:
            raise Missing("tpm2-tools are not installed: ./build.sh setup installs them")
        environment = {**os.environ, "TPM2TOOLS_TCTI": self.words}
        return subprocess.run(words, env=environment, capture_output=True, timeout=300, check=False)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    def _answers(self) -> bool:
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end and self._process and self._process.poll() is None:
            with contextlib.suppress(TpmFailed), Chip(self.connect) as chip:
                chip.greet()
                return True
            time.sleep(0.005)
        return False

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            self._process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(WAIT_S)
        self._process = None


def _two_free_ports() -> int:
    """A loopback port that nobody listens on now, nor on the next one."""
    while True:
        with socket.socket() as one, socket.socket() as next_to_it:
            one.bind((HOST, 0))
            port = int(one.getsockname()[1])
            with contextlib.suppress(OSError, OverflowError):
                next_to_it.bind((HOST, port + 1))
                return port
