"""Where a demonstration takes place, and its head office: broker, collector, access line.

Every process is the real one. Between the box and the broker lies a line that can be cut
(:mod:`greffier_sim.uplink`); head office reaches its own broker without it.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from greffier.control import client
from greffier.control.transfer import AskWork, Work
from greffier.errors import GreffierError
from greffier_office import place
from greffier_sim.broker import HOST, Broker, free_port
from greffier_sim.service import Service
from greffier_sim.stage import command
from greffier_sim.uplink import Uplink

RATE = 1_000_000
DELAY_MS = 15
PATIENCE_S = 180.0
LABEL = "demo"
SMALL = ("--reserve", "16", "--memory", "16")
"""MiB: of a disk that is to stay free, and of memory."""
CONFIG = """[sync]
folder = "{folder}"
socket = "{socket}"
"""


@dataclass(frozen=True, slots=True)
class Sites:
    """Where everything lies. Sockets have short names, and *folder*'s may be long."""

    folder: Path
    sockets: Path

    @property
    def device(self) -> Path:
        """The recorder's data directory."""
        return self.folder / "device"

    @property
    def sync(self) -> Path:
        """Sync's own folder."""
        return self.folder / "sync"

    @property
    def office(self) -> Path:
        """Head office's directory."""
        return self.folder / "office"

    @property
    def keys(self) -> Path:
        """What head office keeps offline: its key, and those who sign policies."""
        return self.folder / "keys"

    @property
    def work(self) -> Path:
        """What is gone when the demonstration ends: logs, sounds, configurations."""
        return self.folder / "work"

    @property
    def broker(self) -> Path:
        """What the broker's machine holds beside head office's files."""
        return self.work / "broker"

    @property
    def control_socket(self) -> Path:
        """The recorder's."""
        return self.sockets / "control.sock"

    @property
    def sync_socket(self) -> Path:
        """Sync's."""
        return self.sockets / "sync.sock"

    @property
    def sync_config(self) -> str:
        """The configuration's section of sync."""
        return CONFIG.format(folder=self.sync, socket=self.sync_socket)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What the two sides told each other. *expires* is a date and time."""

    code: str
    device: str
    expires: str


class Headquarters:
    """Head office's broker, and the line that leads there from the box; both begin here.

    The certificate is good for the line's end too: devices are told that the broker is there.
    """

    def __init__(self, sites: Sites) -> None:
        """Make head office's keys and directory. Raises Broken, OSError."""
        port = free_port()
        self.uplink = Uplink((HOST, port), rate=RATE, delay_ms=DELAY_MS).start()
        command("greffier-office", "keygen", "-o", str(sites.keys))
        office = ("--office", str(sites.office))
        command("greffier-office", "init", *office, "--broker", f"{HOST}:{self.uplink.port}")
        self.broker = Broker(place.open(sites.office), sites.broker, port)
        serve = ("greffier-office", "serve", *office, "--broker", f"{HOST}:{port}")
        self.collector = Service((*serve, *SMALL), sites.work / "collector.log")
        self._cut_at = 0.0

    def start(self) -> None:
        """Start broker and collector. Raises Missing, Unwell, RuntimeError."""
        self.broker.start()
        self.collector.start()

    def cut(self) -> None:
        """Cut the line."""
        self.uplink.cut()
        self._cut_at = time.monotonic()

    def restore(self) -> float:
        """Mend it; for how many seconds it was cut."""
        self.uplink.restore()
        return time.monotonic() - self._cut_at

    def restart(self) -> None:
        """Kill broker and collector, and start them again. Raises Unwell, RuntimeError."""
        self.collector.kill()
        self.broker.restart()
        self.collector.start()

    def stop(self) -> None:
        """End everything that runs."""
        self.collector.kill()
        self.broker.kill()
        self.uplink.close()


def enrol(sites: Sites) -> Iterator[Enrolled]:
    """Let the box in: by a code, a request and an answer. What is known grows with each step.

    Raises Broken.
    """
    office = ("--office", str(sites.office))
    box = ("--data", str(sites.device), "--sync", str(sites.sync))
    request, response = (str(sites.work / f"box.{name}") for name in ("request", "response"))
    code = command("greffier-office", "claim", *office, "--label", LABEL)["code"]
    yield Enrolled(code, "", "")
    made = command("greffier", "enrol", "request", "--claim", code, "-o", request, *box)
    yield Enrolled(code, made["device"], "")
    command("greffier-office", "enrol", request, *office, "-o", response)
    done = command("greffier", "enrol", "install", response, *box)
    yield Enrolled(code, made["device"], done["expires"])


def unconfirmed(sites: Sites) -> int | None:
    """How many sealed parts head office has not confirmed, as the recorder knows it."""
    try:
        answer = client.ask(sites.control_socket, AskWork(0, 1))
    except (GreffierError, OSError):
        return None
    return answer.waiting if isinstance(answer, Work) else None
