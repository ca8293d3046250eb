"""What the service manager is told: sd_notify(3) without its library, over one datagram socket."""

import os
import socket
from collections.abc import Mapping
from typing import Final

from greffier.clock import SECOND, steady_ns

_LONGER_US: Final = 30_000_000


class Notifier:
    """Tells systemd how we are; does nothing where nobody asked to be told (``$NOTIFY_SOCKET``).

    A message that cannot be delivered is lost, never waited for: the manager then acts on its
    watchdog, as it should.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        whole = environment.get("WATCHDOG_USEC", "")
        ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._told_busy = -SECOND
        self._watchdog_us = int(whole) if ours and whole.isascii() and whole.isdecimal() else 0

    @property
    def watchdog_s(self) -> float | None:
        """How often at least :meth:`alive` must be called, half of what the manager waits."""
        return self._watchdog_us / 2_000_000 if self._watchdog_us else None

    def ready(self, status: str) -> None:
        """Everything runs."""
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def status(self, status: str) -> None:
        """One line for ``systemctl status``."""
        self._send(f"STATUS={_line(status)}")

    def alive(self) -> None:
        """The main loop goes round."""
        self._send("WATCHDOG=1")

    def busy(self) -> None:
        """Start or recovery goes on: wait for us half a minute more. Told at most once a second."""
        now = steady_ns()
        if now - self._told_busy >= SECOND:
            self._told_busy = now
            self._send(f"EXTEND_TIMEOUT_USEC={_LONGER_US}\nWATCHDOG=1")

    def stopping(self) -> None:
        """We have begun to end."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.setblocking(False)
                channel.sendto(message.encode(), self._address)
        except OSError:
            return


def _line(text: str) -> str:
    return " ".join(text.split())
