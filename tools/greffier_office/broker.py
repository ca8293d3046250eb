"""What mosquitto reads: its configuration, who may say what, and who no more.

Everything lies in the folder ``broker/`` of head office's directory, which is all that a broker on
another machine needs. Written for mosquitto 2.0.11 (Debian 12); the reasons of each line are in
docs/office-directory.md.
"""

import os
import re
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from greffier.errors import UsageError
from greffier.language import translate as _
from greffier.sync.topics import BULK

PORT = 8883
PID_FILE = "mosquitto.pid"
COLLECTOR = "collector"
MOST_ADDRESS = 260
_HOST = re.compile(r"[0-9A-Za-z]([0-9A-Za-z.-]{0,251}[0-9A-Za-z])?", re.ASCII)
_SIX = re.compile(r"\[([0-9a-f:]{2,39})\]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker answers. ``str`` writes it as ``host:port``, IPv6 in brackets."""

    host: str
    port: int = PORT

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of ``HOST[:PORT]``. Raises UsageError."""
        six = _SIX.match(text)
        host, rest = (six[1], text[six.end() :]) if six else _cut(text)
        if rest and not re.fullmatch(r":[1-9][0-9]{0,4}", rest, re.ASCII):
            raise UsageError(reason=_("{text} is no HOST[:PORT]").format(text=text))
        port = int(rest[1:]) if rest else PORT
        if port > 65535 or not (six or _HOST.fullmatch(host)):
            raise UsageError(reason=_("{text} is no HOST[:PORT]").format(text=text))
        return cls(host, port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _cut(text: str) -> tuple[str, str]:
    host, colon, port = text.partition(":")
    return host, colon + port


def configuration(folder: Path, ports: Sequence[int], user: str, bind: str = "") -> str:
    """The text of mosquitto.conf, whose files are in *folder*.

    *user* is whom a broker that root starts becomes ("": mosquitto's own choice); *bind* limits it
    to one local address.
    """
    head = f"""\
# Made by greffier-office. docs/office-directory.md says why each line is there.
per_listener_settings false
{f"user {user}" if user else "# started by the user that this folder belongs to"}
allow_anonymous false
acl_file {folder / "acl"}
pid_file {folder / PID_FILE}
# A broker keeps nothing: what counts is head office's signed receipt.
persistence false
retain_available true
set_tcp_nodelay true
max_inflight_messages 100
max_queued_messages 20000
max_queued_bytes 0
max_packet_size 262144
sys_interval 10
log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages true
"""
    return head + "".join(_listener(folder, port, bind) for port in ports)


def _listener(folder: Path, port: int, bind: str) -> str:
    return f"""
listener {port}{" " + bind if bind else ""}
protocol mqtt
tls_version tlsv1.3
cafile {folder / "ca.crt"}
certfile {folder / "broker.crt"}
keyfile {folder / "broker.key"}
crlfile {folder / "crl.pem"}
require_certificate true
use_identity_as_username true
use_username_as_clientid true
"""


def access(devices: Iterable[str], revoked: Iterable[str]) -> str:
    """The text of the access list, for the *devices* that may speak and those that no more may.

    What no rule allows is denied, and a denial goes before every allowance. Subscribing is not
    refused (mosquitto 2.0's file knows no such rule), but what a client may not read is not given
    to it. Reading the file takes mosquitto a time that grows with users times lines, while it does
    nothing else: so control connections share one set of patterns, and a device has one line.
    """
    text = f"""\
# Made by greffier-office from its catalogue: changes are lost.
pattern write greffier/1/%u/up/offer
pattern write greffier/1/%u/up/audit
pattern write greffier/1/%u/up/p
pattern read greffier/1/%u/down/#
pattern read greffier/1/{COLLECTOR}/+/p
"""
    for name in (COLLECTOR, COLLECTOR + BULK):
        text += f"""
user {name}
topic read greffier/1/+/up/#
topic write greffier/1/+/down/#
topic readwrite greffier/1/{COLLECTOR}/#
topic read $SYS/broker/#
"""
    silent = "".join(
        f"\nuser {name}\ntopic deny #\n"
        for device in sorted(revoked)
        for name in (device, device + BULK)
    )
    return (
        text
        + silent
        + "".join(
            f"\nuser {device}{BULK}\ntopic write greffier/1/{device}/up/c/+\n"
            for device in sorted(devices)
        )
    )


def reload(pid_file: Path) -> bool:
    """Tell the mosquitto whose process id *pid_file* holds to read its lists again (SIGHUP).

    False where no such process runs on this machine: then nobody was told. Connections stay; who is
    not in the lists any more may say and hear nothing, and does not get in again.
    """
    try:
        pid = int(pid_file.read_text("ascii"))
        # A process id is given again after a broker that was killed: somebody else is left alone.
        if Path(f"/proc/{pid}/comm").read_text("utf-8").strip() != "mosquitto":
            return False
        os.kill(pid, signal.SIGHUP)
    except (OSError, ValueError):
        return False
    return True
