"""A box and its head office, every process the real one: recorder, sync, broker, collector.

The recorder listens in a network namespace of its own, so that what sync sends is not on its tap;
the rest meets on the loopback interface, sync through a slow line where one is asked for.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from greffier.audit import verify
from greffier.capture.datagram import Address
from greffier.control.transfer import SyncState
from greffier.store import layout
from greffier.sync.folder import SyncFolder
from greffier_sim import captures, packets
from greffier_sim.broker import HOST
from greffier_sim.head_office import HeadOffice
from greffier_sim.lab import Wire, wire
from greffier_sim.schedules import DUTY
from greffier_sim.service import BIN, Service, Unwell
from greffier_sim.soak_box import SoakBox
from greffier_sim.transfer import Transfer
from greffier_sim.uplink import Uplink

SYNC = """
[sync]
folder = "{folder}"
socket = "{socket}"
"""


@dataclass(frozen=True, slots=True)
class Shape:
    """A slow line: bits a second, delay each way, octets that its queue holds."""

    rate: int
    delay_ms: float
    queue: int


def told(*words: str) -> dict[str, Any]:
    """The JSON object of a command that went well. Raises Unwell."""
    done = subprocess.run(
        [str(BIN / words[0]), *words[1:], "--json"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Unwell(f"{' '.join(words[:3])}: {done.stderr.strip()[-500:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


class SyncLab:
    """Made ready and enrolled, nothing started but the broker; :func:`lab` makes one."""

    def __init__(
        self,
        folder: Path,
        cable: Wire,
        stack: ExitStack,
        *,
        codec: str = "original",
        settings: Mapping[str, str] | None = None,
        shape: Shape | None = None,
        more: str = "",
        data: Path | None = None,
        pauses: bool = False,
    ) -> None:
        """*settings* are the broker's, *more* lines of recorder.toml; *data* is copied.

        Without *pauses* no sound waits for one.
        """
        self.folder = folder
        self.cable = cable
        self.box = SoakBox(
            folder / "box", cable.namespace, cable.tap, codec=codec, rate=0.3, pauses=pauses
        )
        if data:
            shutil.rmtree(self.box.data)
            shutil.copytree(data, self.box.data)
        self.head = HeadOffice(folder / "head", dict(settings or {}))
        self.sync_folder = folder / "sync"
        self.socket = folder / "sync.sock"
        config = folder / "box/recorder.toml"
        words = SYNC.format(folder=self.sync_folder, socket=self.socket)
        config.write_text(config.read_text() + words + more)
        office = ["greffier-office", "serve", "--office", str(self.head.office.path)]
        self.office = Service(office, folder / "serve.log")
        self.sync = Transfer(config, self.socket, folder / "sync.log")
        self.uplink: Uplink | None = None
        self.head.enrol(layout.open(self.box.data), SyncFolder(self.sync_folder))
        stack.enter_context(self.head)
        if shape:
            self._shape(stack, shape)
        stack.callback(self.sync.kill)
        stack.callback(self.office.kill)
        stack.callback(self.box.kill)

    @property
    def device(self) -> str:
        """The box's name."""
        name: str = json.loads((self.box.data / "device.json").read_text())["device"]
        return name

    @property
    def line(self) -> Uplink:
        """The slow line. Raises Unwell where none was asked for."""
        if self.uplink is None:
            raise Unwell("there is no slow line in this lab")
        return self.uplink

    def _shape(self, stack: ExitStack, shape: Shape) -> None:
        to = (HOST, self.head.broker.port)
        made = Uplink(to, rate=shape.rate, delay_ms=shape.delay_ms, queue=shape.queue)
        self.uplink = stack.enter_context(made)
        path = self.sync_folder / "enrolment.json"
        content = path.read_text().replace(f"{HOST}:{to[1]}", f"{HOST}:{made.port}")
        path.write_text(content)

    def state(self) -> SyncState | None:
        """What sync says of itself, or None while it does not answer."""
        return self.sync.state()

    def wait_for(
        self, wanted: Callable[[SyncState], bool], what: str, seconds: float = 180.0
    ) -> SyncState:
        """The first state that is *wanted*. Raises Unwell, also where sync has ended."""
        return self.sync.wait_for(wanted, what, seconds)

    @contextmanager
    def calls(self, count: int, every_ms: int = 1000) -> Iterator["subprocess.Popen[bytes]"]:
        """*count* calls of a second on the tap, one each *every_ms*, all to be recorded."""
        plans = [
            captures.Plan(
                call_id=f"call-{number}@lab",
                start_ns=number * every_ms * captures.MS,
                caller_media=Address(f"10.1.{number // 250}.{1 + number % 250}", 4000),
                callee_media=Address(f"10.2.{number // 250}.{1 + number % 250}", 5000),
                to_number=DUTY,
            )
            for number in range(count)
        ]
        datagrams = captures.in_order([one for plan in plans for one in captures.call(plan)])
        path = self.folder / "calls.pcap"
        path.write_bytes(packets.pcap(packets.frames_of(datagrams)))
        words = [sys.executable, "-m", "greffier_sim.replay", str(path), self.cable.port]
        with subprocess.Popen(self.cable.inside(*words), stdout=subprocess.DEVNULL) as process:
            try:
                yield process
            finally:
                process.kill()

    @contextmanager
    def talking(self, calls: int, *more: str) -> Iterator["subprocess.Popen[bytes]"]:
        """So many calls on the tap at any time, until the end; *more*: options of ``talk``.

        Without any they are of 5 to 30 s, nearly all to be recorded.
        """
        words = [sys.executable, "-m", "greffier_sim.talk", self.cable.port]
        words += [str(self.folder / "talk.log"), "--calls", str(calls), *more]
        with subprocess.Popen(
            self.cable.inside(*words), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def fresh(self, count: int = 1) -> set[str]:
        """*count* parts that are sealed from now on, while calls come. Raises Unwell."""
        known = sealed(self.box.data)

        def look() -> set[str] | None:
            found = sealed(self.box.data) - known
            return found if len(found) >= count else None

        return self.box.wait_until(look, "calls are recorded")

    def start(self) -> Self:
        """Start all three."""
        self.office.start()
        self.box.start()
        self.sync.start()
        return self


def sealed(data: Path) -> set[str]:
    """The parts whose end the log in the data directory *data* tells."""
    return {
        str(one.data["part"])
        for one in verify.entries(data)
        if one.ev in ("part.sealed", "part.recovered")
    }


@contextmanager
def lab(folder: Path, **options: Any) -> Iterator[SyncLab]:
    """A lab on a cable of its own. Raises Missing, Unwell."""
    with ExitStack() as stack:
        yield SyncLab(folder, stack.enter_context(wire()), stack, **options)


def filled(parts: int, seconds: int) -> list[captures.Plan]:
    """The calls that :func:`fill` puts there, the newest first."""
    return [
        captures.Plan(
            call_id=f"filled-{number}@sim",
            start_ns=time.time_ns() - (number + 2) * (seconds + 60) * 1_000_000_000,
            talk_ms=seconds * 1000,
            ptime_ms=60,
        )
        for number in range(parts)
    ]


def fill(box: SoakBox, parts: int, seconds: int) -> None:
    """Put *parts* sealed parts of calls of *seconds* into the data directory of a box at rest."""
    for plan in filled(parts, seconds):
        frames = packets.frames_of(captures.in_order(captures.call(plan)))
        path = box.folder / "filled.pcap"
        path.write_bytes(packets.pcap(frames, nanoseconds=True))
        policy = ["--policy", str(box.folder / "policy.toml"), "--line", "desk"]
        told("greffier", "import-pcap", str(path), *policy, "--data", str(box.data))
        path.unlink()
