"""A process of ours that runs on: started and awaited, killed, ended, listened to.

The recorder, sync, head office: each runs as a service manager would run it, and may be killed at
any instant and started again. What it writes is kept, over all its lives.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

BIN = Path(sys.executable).parent
PATIENCE_S = 180.0
LOOK_S = 0.05
_HERTZ = os.sysconf("SC_CLK_TCK")
_T = TypeVar("_T")


class Unwell(Exception):
    """A process did not do what it must: what, in one line."""


def wait_until(
    look: Callable[[], _T | None], what: str, seconds: float = PATIENCE_S, every_s: float = LOOK_S
) -> _T:
    """What *look* returns as soon as it is true. Raises Unwell."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(every_s)
    raise Unwell(f"it does not come to this: {what}")


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used, all threads: fields 14 and 15 of proc_pid_stat(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _HERTZ


def resident_kib(pid: int) -> int:
    """KiB of a process that are in memory: VmRSS of proc_pid_status(5)."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def children(pid: int) -> list[int]:
    """The processes that the process *pid* has started; none where no /proc tells."""
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def is_gone(pid: int) -> bool:
    """Whether the process *pid* has ended; nobody may have asked how (proc_pid_stat(5), state)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


class Service:
    """One process of *words*, the first of which is a program of ours; its words go to *log*.

    *enter* stands before its command (a namespace, a tracer). Owned by the thread that made it.
    """

    def __init__(
        self,
        words: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        enter: Sequence[str] = (),
    ) -> None:
        self.name = " ".join(words[:2])
        self.log = log
        self._words = [str(BIN / words[0]), *words[1:]]
        self._enter = [*enter]
        self.environment = {**os.environ, **(environment or {})}
        """Of its next life."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its id (of the tracer, where there is one). Raises Unwell where it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise Unwell(f"{self.name} ended: {self.last_words()}")
        return self._process.pid

    def must_run(self) -> None:
        """Raises Unwell where it does not."""
        _ = self.pid

    @property
    def runs(self) -> bool:
        """Whether it does."""
        return self._process is not None and self._process.poll() is None

    def spawn(self) -> int:
        """Start it and do not wait; its id."""
        with self.log.open("ab") as said:
            self._process = subprocess.Popen(
                [*self._enter, *self._words],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=self.environment,
            )
        return self._process.pid

    def start(self) -> float:
        """Start it and wait until it is ready; the seconds that this took. Raises Unwell."""
        begun = time.monotonic()
        self.spawn()
        self.wait_until(self.ready, "it is ready")
        return time.monotonic() - begun

    def ready(self) -> bool:
        """Whether it does its work; of a process that tells nobody, that it runs."""
        return self.runs

    def wait_until(
        self, look: Callable[[], _T | None], what: str, seconds: float = PATIENCE_S
    ) -> _T:
        """What *look* returns as soon as it is true; the process runs until then. Raises Unwell."""

        def look_again() -> _T | None:
            found = look()
            if not found:
                self.must_run()
            return found

        try:
            return wait_until(look_again, what, seconds)
        except Unwell:
            if self.runs:
                raise Unwell(
                    f"{self.name} does not come to this: {what}; {self.last_words()}"
                ) from None
            raise

    def kill(self) -> None:
        """SIGKILL: it has no say in it; what a tracer traces would outlive its tracer."""
        traced = children(self._process.pid) if self._process is not None and self.runs else []
        for child in traced:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self._end(signal.SIGKILL)
        for child in traced:
            wait_until(partial(is_gone, child), "what was traced is gone", every_s=0.005)

    def stop(self) -> int:
        """SIGTERM; its exit code (0 where it did not run)."""
        return self._end(signal.SIGTERM)

    def said(self) -> str:
        """What it wrote until now, in all its lives."""
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def last_words(self) -> str:
        """The last line of it."""
        return (self.said().strip().splitlines() or [""])[-1][-500:]

    def _end(self, number: int) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(number)
        code = self._process.wait(PATIENCE_S)
        self._process = None
        return code
