"""A sound card of the live recorder: its thread's events, and the lines that are its channels."""

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np

from greffier.audit.intervals import Interval
from greffier.capture.card_ring import Event, Lost, Overrun, Period, Returned, channels_of
from greffier.clock import SECOND, Clock
from greffier.control.messages import Level
from greffier.recorder.call import Call
from greffier.recorder.card_line import CardLine, Heard
from greffier.recorder.cards import SoundCard
from greffier.recorder.contacts import Contacts
from greffier.recorder.intake import Intake
from greffier.recorder.pausable import release_all
from greffier.recorder.troubles import Troubles

AT_ONCE: Final = 1 << 18
"""Frames that are followed together at most."""
SLACK_NS: Final = 2 * SECOND
"""How far the ledger stays behind while a card is away: what it sends first is older than now."""
HUNG_NS: Final = 10 * SECOND
"""A card that gives no period for so long, and says nothing, hangs."""
_FULL_SCALE: Final = 32768.0**2


class CardSource:
    """A :class:`greffier.recorder.trunk.Source` over one card. The recorder's thread owns it."""

    unseen = "lost"
    behind = False

    def __init__(
        self,
        card: SoundCard,
        lines: Sequence[CardLine],
        intake: Intake,
        contacts: Contacts,
        clock: Clock,
        troubles: Troubles,
        *,
        patience: int = 1,
    ) -> None:
        """*patience* makes everything wait so many times as long: a card that runs faster than
        time."""
        self._card = card
        self._lines = tuple(lines)
        self._intake = intake
        self._contacts = contacts
        self._clock = clock
        self._troubles = troubles
        self._slack_ns, self._hung_ns = SLACK_NS * patience, HUNG_NS * patience
        self._waiting: list[Period] = []  # in a row, not followed yet
        self._frames = 0  # of them
        self._wall_ns = 0  # what is added to the monotonic time
        self._wrong: set[tuple[str, str]] = set()  # alarms that stand
        self._overruns = 0

    @property
    def name(self) -> str:
        return self._card.name

    @property
    def lines(self) -> Collection[str]:
        return {line.config.line for line in self._lines}

    @property
    def blind(self) -> bool:
        return self._card.reader.is_away or self._hangs

    @property
    def _hangs(self) -> bool:
        reader = self._card.reader
        silent_ns = self._clock.monotonic_ns() - reader.last_ns
        return not reader.is_away and silent_ns > self._hung_ns

    @property
    def running(self) -> Collection[Call]:
        return self._intake.running

    def start(self) -> None:
        self._contacts.start()
        self._card.reader.start()

    def work(self, now_ns: int) -> None:
        # Not from now_ns: others worked since then, and at the end cards were waited for.
        self._wall_ns = self._clock.wall_ns() - self._clock.monotonic_ns()
        for event in self._card.ring.events():
            self._take(event)
        self._follow()
        for line in self._lines:
            line.wait(now_ns - self._slack_ns, now_ns)

    def fetch(self, call: Call) -> None:
        """Samples come through Python anyway."""

    def release(self, now_ns: int) -> None:
        release_all(self.running, now_ns)  # each line knows by itself how far it was heard

    def collect(self, now_ns: int) -> None:
        self.work(now_ns)

    @property
    def owes(self) -> bool:
        return False

    def watch(self) -> None:
        """Raise and clear alarms, and replace a thread that hangs in the card.

        Raises RuntimeError: the card's thread ended.
        """
        reader, troubles = self._card.reader, self._troubles
        if not reader.is_running:
            raise RuntimeError("a sound card's thread ended")
        counted = reader.counters
        overruns = counted.overruns + counted.slips + counted.dropped
        if overruns > self._overruns and not reader.is_away:
            troubles.happened("card.overrun", self.name)
        self._overruns = overruns
        if not reader.realtime:
            troubles.set(True, "priority.missing")
        self._set(self.blind, "card.gone", self.name)
        for line in self._lines:
            config = line.config
            self._set(config.name in self._card.gain_failed, "card.gain", config.name)
            self._set(line.contact_unread, "line.contact", config.name)
        if self._hangs:
            self._card.renew()  # the alarm stands: a new reader's card is away at first

    def _set(self, wrong: bool, name: str, subject: str) -> None:
        """An alarm that stands as long as its cause: told when that changes."""
        if wrong != ((name, subject) in self._wrong):
            self._troubles.set(wrong, name, subject)
            self._wrong ^= {(name, subject)}

    def levels(self) -> Sequence[Level]:
        return [level for line in self._lines if (level := line.level()) is not None]

    def settle(self, now_ns: int) -> list[Interval]:
        return [interval for line in self._lines for interval in line.settle()]

    def stop(self, now_ns: int) -> None:
        self._card.reader.stop()
        self._contacts.stop()
        self.work(now_ns)
        for line in self._lines:
            line.stop(now_ns)
        self._intake.suspend(now_ns)

    def drop(self) -> None:
        self._card.reader.stop()
        self._contacts.stop()

    # --- the card's events ---

    def _take(self, event: Event) -> None:
        match event:
            case Period():
                last = self._waiting[-1] if self._waiting else None
                apart = last is not None and last.position + last.frames != event.position
                if apart or self._frames + event.frames > AT_ONCE:
                    self._follow()
                self._waiting.append(event)
                self._frames += event.frames
            case Overrun():
                self._follow()
                until_ns = event.t_ns + event.frames * SECOND // self._card.settings.rate
                for line in self._lines:
                    line.skip(event.position, event.frames, self._wall(until_ns), "overrun")
            case Lost():
                self._follow()
                for line in self._lines:
                    line.lose(event.position, self._wall(event.t_ns))
            case Returned():
                self._follow()
                for line in self._lines:
                    line.skip(event.position, event.frames, self._wall(event.t_ns), "card")

    def _wall(self, monotonic_ns: int) -> int:
        return monotonic_ns + self._wall_ns

    def _follow(self) -> None:
        """Give the periods that wait to the lines, and zero them."""
        periods, self._waiting, self._frames = self._waiting, [], 0
        if not periods:
            return
        whole = bytearray().join(period.data for period in periods)
        for period in periods:
            period.data[:] = bytes(len(period.data))
        sound = channels_of(whole, self._card.settings.channels)
        sizes = [period.frames for period in periods]
        first = periods[0]
        starts = np.cumsum([0, *sizes[:-1]])
        at_ns = self._wall(first.t_ns)
        for line in self._lines:
            pcm = np.ascontiguousarray(sound[line.config.channel])
            energy = np.square(pcm, dtype=np.float64)
            powers = np.add.reduceat(energy, starts) / (np.array(sizes) * _FULL_SCALE)
            energy.fill(0)
            line.hear(Heard(first.position, at_ns, pcm, sizes, powers.tolist()))
            pcm.fill(0)
        whole[:] = bytes(len(whole))
        # After a stall more comes at once than there is room for where sound waits. How much of it
        # has waited long enough is not known from a time of before the stall.
        now_ns = self._clock.wall_ns()
        for call in self._intake.running:
            call.release(now_ns)
