"""Alarms to the system's log, over its local datagram socket as syslog(3) writes it."""

import os
import socket
from collections.abc import Sequence
from typing import Final

from greffier.config.records import Output
from greffier.control.messages import Alarm, Notice
from greffier.recorder.alarm import sentence
from greffier.recorder.outputs.outbox import OutputFailed

_DAEMON: Final = 3 << 3  # RFC 5424 6.2.1: facility 3, system daemons
_LEVELS: Final = {"info": 6, "warning": 4, "critical": 2}
PATIENCE_S = 5.0


class Syslog:
    """One message for each notice: ``<PRI>greffier[pid]: name subject what: text``."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def send(self, notices: Sequence[Notice], standing: Sequence[Alarm]) -> None:
        """Raises OutputFailed."""
        if not notices:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as log:
                log.settimeout(PATIENCE_S)
                log.connect(self._output.address)
                for notice in notices:
                    log.send(self._line(notice))
        except OSError as error:
            raise OutputFailed(str(error)) from error

    def _line(self, notice: Notice) -> bytes:
        alarm = notice.alarm
        level = _LEVELS[alarm.severity] if notice.what == "raised" else _LEVELS["info"]
        about = " ".join(filter(None, (alarm.name, alarm.subject, notice.what)))
        text = sentence(alarm, self._output.language)
        return f"<{_DAEMON | level}>greffier[{os.getpid()}]: {about}: {text}".encode()
