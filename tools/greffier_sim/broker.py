"""A real mosquitto on a loopback port, with the files of a head office: for tests, demo, benches.

It is started, killed and started again on the same port. What is not awaited is not believed: the
broker counts as started when it has taken a TLS connection with the collector's certificate.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from greffier_office import broker
from greffier_office.place import Office
from greffier_sim.soak_missing import Missing

HOST = "127.0.0.1"
WAIT_S = 120.0
_RELOADING = "Reloading config."
_MOST_KEPT = 64
_KEPT: deque[int] = deque()
"""Descriptors that keep the latest ports that were given away, until this process ends."""


def free_port() -> int:
    """A loopback port that nobody listens on now, and that nobody else is given meanwhile.

    A socket that is bound and does not listen keeps it: the kernel gives such a port to no other
    process that asks for any, while one that names it may listen there (SO_REUSEADDR).
    """
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind((HOST, 0))
    port = int(one.getsockname()[1])
    _KEPT.append(one.detach())
    if len(_KEPT) > _MOST_KEPT:
        os.close(_KEPT.popleft())
    return port


def client_context(ca: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.3 as our own client does it: *ca* alone is believed, and the host's name compared."""
    context = ssl.create_default_context(cafile=str(ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificate, key)
    return context


class Broker:
    """One mosquitto process. Owned by the thread that made it; a context manager that stops it.

    *settings* replace or add lines of the configuration (``{"max_queued_messages": "10"}``).
    The server's certificate must name 127.0.0.1: make the office with ``Address(HOST, port)``.
    """

    def __init__(
        self,
        office: Office,
        folder: Path,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.office = office
        self.port = port or office.brokers[0].port
        self.log = folder / f"mosquitto-{self.port}.log"
        self._configuration = folder / f"mosquitto-{self.port}.conf"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        owner = pwd.getpwuid(os.geteuid()).pw_name
        text = broker.configuration(office.broker.absolute(), [self.port], owner, HOST)
        self._configuration.write_text(_changed(text, settings or {}))

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process, which must run. Raises RuntimeError."""
        if self._process is None:
            raise RuntimeError("the broker was not started")
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it takes connections. Raises Missing, RuntimeError."""
        program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
        if program is None:
            raise Missing("mosquitto is not installed: ./build.sh setup installs it")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-c", str(self._configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait()

    def kill(self) -> None:
        """SIGKILL, as a power cut would; everything it held is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order; does nothing where it does not run."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Kill it and start it again on the same port."""
        self.kill()
        self.start()

    def reload(self) -> None:
        """Tell it to read its lists again, and wait until it does. Raises RuntimeError.

        It says so before it reads, and takes no connection in between.
        """
        before = self.said().count(_RELOADING)
        os.kill(self.pid, signal.SIGHUP)
        end = time.monotonic() + WAIT_S
        while self.said().count(_RELOADING) == before:
            if time.monotonic() > end:
                raise RuntimeError("mosquitto does not reload")
            time.sleep(0.005)

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """End of :meth:`freeze`."""
        os.kill(self.pid, signal.SIGCONT)

    def said(self) -> str:
        """Its log until now."""
        return self.log.read_text("utf-8", "replace")

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGCONT)
            os.kill(self._process.pid, number)
        try:
            self._process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _wait(self) -> None:
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            if not self.running:
                raise RuntimeError(f"mosquitto ended at once: {self.said()[-2000:]}")
            if self._answers():
                return
            time.sleep(0.02)
        self.kill()
        raise RuntimeError(f"mosquitto takes no connection: {self.said()[-2000:]}")

    def _answers(self) -> bool:
        context = client_context(self.office.ca_certificate, *self.office.collector())
        try:
            with (
                socket.create_connection((HOST, self.port), 2.0) as plain,
                context.wrap_socket(plain, server_hostname=HOST),
            ):
                return True
        except (ConnectionError, TimeoutError):
            return False

    def __enter__(self) -> Self:
        if self._process is None:
            self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()


def _changed(text: str, settings: Mapping[str, str]) -> str:
    kept: Sequence[str] = [
        line for line in text.splitlines() if line.partition(" ")[0] not in settings
    ]
    head = [f"{name} {value}" for name, value in settings.items()]
    return "\n".join(["log_type information", *head, *kept]) + "\n"
