"""A live recorder with one sound card, inside the test's process: the test says what it hears."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.recorder.live_scene import Hands
from tests.stories.box import PACKS, Box

from greffier.audit import coverage
from greffier.capture.alsa import CardCounters
from greffier.capture.card_ring import Lost, Overrun, Returned
from greffier.clock import SECOND
from greffier.config.recorder import load
from greffier.control.board import Board
from greffier.policy import rules
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.archive import Archive
from greffier.recorder.cards import SoundCard
from greffier.recorder.live import Live

RATE, PERIOD = 8000, 160
CONFIG = """schema = "recorder/1"
data = "data"
policy = "policy.toml"
[control]
socket = "socket"
"""
LINE = """
[analogue.{name}]
line = "{line}"
pcm = "lines"
channel = {channel}
channels = 2
hang_over_s = 2
longest_s = {longest}
"""
Samples = NDArray[np.int16]


class Reader:
    """What the recorder asks a card's thread, without a thread."""

    def __init__(self, clock: Hands) -> None:
        self._clock = clock
        self.is_away = False
        self.is_running = True
        self.realtime = True
        self.counters = CardCounters(0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0)
        self.hangs_since: int | None = None
        self.given_up = 0

    @property
    def last_ns(self) -> int:
        return self._clock.now if self.hangs_since is None else self.hangs_since

    def start(self) -> None:
        pass

    def stop(self) -> bool:
        return True

    def give_up(self) -> bool:
        self.given_up += 1
        return False


class Scene(Box):
    """A box with the lines *a* and *b* on one card; *more* is what each of them says besides."""

    def __init__(
        self,
        folder: Path,
        policy: Path,
        line: str,
        more: str = "",
        *,
        ring_s: int = 30,
        longest_s: int = 60,
    ) -> None:
        """*ring_s*: seconds of sound for which there is room before the recorder takes it.

        *longest_s*: a call is cut into two after so long.
        """
        super().__init__(folder)
        self._ring_s = ring_s
        self.clock = Hands()
        self._policy = rules.load(policy)
        path = folder / "recorder.toml"
        lines = [
            LINE.format(name=name, line=line, channel=at, longest=longest_s)
            for at, name in enumerate("ab")
        ]
        path.write_text(CONFIG + "".join(one + more for one in lines))
        self.config = load(path)
        self.sent: list[list[Samples]] = [[], []]
        self.late_s = 0.0
        """How far the times of periods are off: a card is believed a little less each time."""
        self.start()

    def start(self) -> None:
        """Start the recorder, the first time or after :meth:`break_off`."""
        self.archive = Archive.open(self.config.data, self.clock)
        self.alarms = AlarmRoom(self.clock, "0" * 32)
        self.board = Board()
        self.live = Live(
            self.config, self._policy, PACKS, self.clock, self.archive, self.board, self.alarms
        )
        self.card = SoundCard(self.config.analogue, self.clock, self._ring_s)
        self.reader = Reader(self.clock)
        self.card.reader = self.reader  # type: ignore[assignment]
        self.at = 0
        self.live.begin([], [self.card])
        (self.source,) = self.live.sources

    # --- what the card does ---

    def hear(
        self, seconds: float, *loud: int, level: int = 8000, seed: int = 1, stalls: bool = False
    ) -> None:
        """Sound on the channels *loud*, silence on the others, for *seconds*.

        *stalls*: the recorder looked at the clock before, and takes all at once.
        """
        since_ns = self.clock.now
        noise = np.random.default_rng(seed + self.at)
        for _ in range(round(seconds * RATE / PERIOD)):
            frames = np.zeros((PERIOD, 2), np.int16)
            for channel in loud:
                frames[:, channel] = noise.integers(-level, level, PERIOD)
            for channel in (0, 1):
                self.sent[channel].append(frames[:, channel].copy())
            told_ns = self.clock.now + round(self.late_s * SECOND)
            self.card.ring.put_period(self.at, told_ns, frames.tobytes())
            self.at += PERIOD
            self.clock.now += PERIOD * SECOND // RATE
            if self.at % (PERIOD * 6) == 0 and not stalls:
                self.work()
        if stalls:
            self.source.work(since_ns)
        self.work()

    def miss(self, frames: int) -> None:
        """The card's buffer runs over."""
        self.card.ring.put(Overrun(self.at, frames, "card", self.clock.now))
        self._pass(frames)

    def pull_out(self) -> None:
        """The card goes."""
        self.reader.is_away = True
        self.card.ring.put(Lost(self.at, self.clock.now))

    def put_back(self, away_s: float) -> None:
        """The card comes back after so long."""
        start, frames = self.at, round(away_s * RATE)
        until = self.clock.now + round(away_s * SECOND)
        while self.clock.now < until:
            self.clock.now = min(self.clock.now + SECOND // 2, until)
            self.work()
        self._hole(frames)
        self.reader.is_away = False
        self.card.ring.put(Returned(start, frames, self.clock.now))

    def _pass(self, frames: int) -> None:
        self._hole(frames)
        self.clock.now += frames * SECOND // RATE

    def _hole(self, frames: int) -> None:
        for channel in (0, 1):
            self.sent[channel].append(np.zeros(frames, np.int16))
        self.at += frames

    def work(self) -> None:
        self.source.work(self.clock.now)
        for call in self.source.running:
            call.release(self.clock.now)
        self.source.watch()
        self.live.recall.age()
        self.archive.tick()

    # --- the end ---

    def break_off(self, away_s: float = 1.0) -> None:
        """The process ends without saying so, and another starts."""
        self.archive.tick()
        self.archive.close()
        self.clock.now += round(away_s * SECOND)
        self._hole(round(away_s * RATE))
        self.start()

    def stop(self) -> None:
        """End it in good order."""
        self.live.end()
        self.archive.close()

    # --- what came of it ---

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The data of every entry of a kind."""
        return [dict(entry.data) for entry in self.entries() if entry.ev == kind]

    def channel(self, name: str) -> coverage.Channel:
        """What the ledger says of a line; every second of which has one state."""
        summary = coverage.seconds(coverage.intervals_of(self.entries()))
        assert summary.accounted == 1.0
        (found,) = (one for one in summary.channels if one.channel == name)
        assert {one.channel for one in summary.channels} == {"a", "b"}
        return found

    def seconds(self, name: str) -> dict[str, float]:
        """The same, in seconds a state, without zeros."""
        found = self.channel(name).states
        return {state: ns / SECOND for state, ns in found.items() if ns}

    def sent_to(self, name: str) -> Samples:
        """All that the card sent on a line, silence where it was not captured."""
        return np.concatenate(self.sent["ab".index(name)])
