"""A live recorder inside the test's process: frames in, effects out, time as the test says."""

import re
from collections.abc import Iterable
from pathlib import Path

from tests.stories.box import PACKS, PAIR

from greffier.audit import verify
from greffier.audit.entry import Entry
from greffier.capture.datagram import Datagram
from greffier.capture.flows import Flows
from greffier.capture.record import Record
from greffier.clock import SECOND, LowerBound, Source, SystemClock
from greffier.config.recorder import load
from greffier.control.board import Board
from greffier.control.messages import Alarm
from greffier.policy import rules
from greffier.recorder import archive
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.archive import Archive
from greffier.recorder.live import Live
from greffier.recorder.taps import Port
from greffier_sim.packets import frames_of

NOON_NS = 1_796_000_000 * SECOND
CONFIG = """schema = "recorder/1"
data = "data"
policy = "policy.toml"
[control]
socket = "socket"
[taps.trunk]
interface = "eth1"
"""


class Hands:
    """A clock whose hands the test moves."""

    boot_id = "0" * 32

    def __init__(self, wall_ns: int = NOON_NS) -> None:
        self.now = wall_ns

    def wall_ns(self) -> int:
        return self.now

    def monotonic_ns(self) -> int:
        return self.now

    def lower_bound(self) -> LowerBound:
        return SystemClock().lower_bound()

    def witnessed(self, t_ns: int, source: Source) -> None:
        """Nobody is believed here."""


class Shown(Port):
    """A mirrored port that shows what it is given, without an interface."""

    dropped = 0
    blind = False
    gone = False

    def __init__(self, clock: Hands) -> None:
        self.name = "trunk"
        self.since_ns = clock.wall_ns()
        self.flows = Flows(waiting=4 << 20)

    def start(self) -> None:
        pass

    def check(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def close(self) -> None:
        self.flows.close()


class Scene:
    """A box with one tap; *more* is what its configuration says besides.

    Nothing of its policy may start a pause, so no sound waits.
    """

    def __init__(self, folder: Path, policy: str, more: str) -> None:
        self.folder = folder
        self.clock = Hands()
        archive.create(folder / "data", self.clock, PAIR.public.format().encode())
        text = re.sub(r"(?m)^sources = .*$", "sources = []", rules.builtin(policy).read_text())
        (folder / "policy.toml").write_text(text)
        self._policy = rules.load(folder / "policy.toml")
        path = folder / "recorder.toml"
        path.write_text(CONFIG + more)
        self.config = load(path)
        self.start()

    def start(self) -> None:
        """Start the recorder, the first time or after :meth:`break_off`."""
        self.archive = Archive.open(self.config.data, self.clock)
        self.alarms = AlarmRoom(self.clock, "0" * 32)
        self.board = Board()
        self.live = Live(
            self.config, self._policy, PACKS, self.clock, self.archive, self.board, self.alarms
        )
        self.port = Shown(self.clock)
        self.live.begin([self.port])
        (self.source,) = self.live.sources

    def hear(self, datagrams: Iterable[Datagram], *, vlans: tuple[int, ...] = ()) -> None:
        """Let the port show *datagrams*, and time pass until the last of them."""
        for datagram in datagrams:
            frames = frames_of([datagram], vlans=vlans)
            self.clock.now = datagram.time_ns
            for at, data in frames:
                self.port.flows.feed(Record(at, 1, data, len(data)))
            self.source.work(self.clock.now)
        self.tick()

    def tick(self) -> None:
        """Commit what was heard."""
        self.source.collect(self.clock.now)
        self.live.recall.age()
        self.archive.tick()

    def beat(self) -> None:
        """A tick of the recorder's own loop."""
        self.live._tick(self.clock.now)
        self.archive.tick()

    def wait(self, seconds: float) -> None:
        """Let time pass in silence."""
        until = self.clock.now + round(seconds * SECOND)
        while self.clock.now < until:
            self.clock.now = min(self.clock.now + SECOND // 4, until)
            self.source.work(self.clock.now)
        self.tick()

    def break_off(self) -> None:
        """The process ends without saying so: nothing is ended, nothing is suspended."""
        self.archive.close()

    def stop(self) -> None:
        """End it in good order."""
        self.live.end()
        self.archive.close()

    @property
    def entries(self) -> list[Entry]:
        """The log."""
        return list(verify.entries(self.config.data))

    def told(self, kind: str) -> list[dict[str, object]]:
        """The data of every entry of a kind."""
        return [dict(entry.data) for entry in self.entries if entry.ev == kind]

    @property
    def standing(self) -> list[Alarm]:
        """The alarms that stand."""
        return list(self.alarms.view().alarms)
