"""The recorder of a demonstration: one process in its folder, which may be killed.

It runs as a service manager would run it, by ``greffier run``; what is asked of it is asked over
its control socket.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from greffier.control import client
from greffier.control.messages import AskStatus, Status, Stop
from greffier.errors import GreffierError

BIN = Path(sys.executable).parent
PATIENCE_S = 30.0


class Failed(Exception):
    """The recorder did not do what was expected of it: what, in one line."""


class Appliance:
    """One recorder, of the configuration in *folder*, which names its control *socket*.

    *enter* is put before its command (a namespace).
    """

    def __init__(
        self,
        folder: Path,
        socket: Path,
        enter: tuple[str, ...],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.socket = socket
        self.config = folder / "recorder.toml"
        self._enter = enter
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it and wait until it is armed; how many seconds that took. Raises Failed."""
        begun = time.monotonic()
        with (self.folder / "recorder.log").open("ab") as said:
            self._process = subprocess.Popen(
                [*self._enter, str(BIN / "greffier"), "run", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=self._environment,
            )
        self.wait_for(lambda status: status.armed)
        return time.monotonic() - begun

    def status(self) -> Status | None:
        """What it published last; None while it does not answer."""
        try:
            answer = client.ask(self.socket, AskStatus())
        except (GreffierError, OSError):
            return None
        return answer if isinstance(answer, Status) else None

    def wait_for(self, wanted: Callable[[Status], bool], seconds: float = PATIENCE_S) -> Status:
        """The first status for which *wanted* holds. Raises Failed."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            status = self.status()
            if status is not None and wanted(status):
                return status
            if self._process is None or self._process.poll() is not None:
                raise Failed(self._last_words())
            time.sleep(0.05)
        raise Failed(f"the recorder does not come to it: {self._last_words()}")

    def kill(self) -> None:
        """SIGKILL: it has no say in it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End it in good order. Raises Failed."""
        if self._process is None:
            return
        client.ask(self.socket, Stop())
        if self._process.wait(timeout=PATIENCE_S) != 0:
            raise Failed(self._last_words())

    def _last_words(self) -> str:
        lines = (self.folder / "recorder.log").read_text("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "the recorder ended"
