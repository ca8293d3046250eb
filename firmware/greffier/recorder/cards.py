"""Sound cards of the configuration: how they are opened, and which lines are theirs."""

from collections.abc import Callable, Sequence
from typing import Final

from greffier.capture import alsa_device
from greffier.capture.alsa import CardReader
from greffier.capture.alsa_device import Card, CardSettings
from greffier.capture.card_ring import CardRing
from greffier.clock import Clock
from greffier.config.records import AnalogueLine, Config
from greffier.errors import DeviceNotFound

PRIORITY: Final = 20
"""Of a card's thread under SCHED_FIFO, where the system allows it."""
MOST_GIVEN_UP: Final = 8
"""Threads of one card that hang in it, and were replaced."""
_HEAD_OCTETS: Final = 40  # of a record in the ring, filling included


class SoundCard:
    """One card, opened or not, with the *lines* that are its channels.

    *pause*: as :class:`greffier.capture.alsa.CardReader` has it. The recorder's thread owns it.
    """

    def __init__(
        self,
        lines: Sequence[AnalogueLine],
        clock: Clock,
        stall_s: int,
        *,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self.lines = tuple(lines)
        first = lines[0]
        period = first.rate * first.period_ms // 1000
        periods = max(2, first.buffer_ms // first.period_ms)
        self.settings = CardSettings(first.pcm, first.rate, first.channels, period, periods)
        a_second = first.rate * self.settings.frame_octets + first.rate // period * _HEAD_OCTETS
        self.ring = CardRing(self.settings.frame_octets, a_second * stall_s)
        self._clock = clock
        self._pause = pause
        self.reader = self._reader(None)
        self._given_up: list[CardReader] = []  # whose threads still hang in the card
        self.gain_failed: frozenset[str] = frozenset()
        """Lines whose gain could not be set. Replaced whole, by the thread that opens the card."""

    @property
    def name(self) -> str:
        """What alarms call the card: its first line."""
        return self.lines[0].name

    def renew(self) -> bool:
        """Give up a reader that hangs in the card, and start another; whether that was done.

        Not for ever: a thread that hangs cannot be ended, and so many may stay behind at most.
        """
        self._given_up = [one for one in self._given_up if one.is_running]
        if len(self._given_up) >= MOST_GIVEN_UP or not self.reader.give_up():
            return False
        self._given_up.append(self.reader)
        self.reader = self._reader(self.reader)
        self.reader.start()
        return True

    def _reader(self, after: CardReader | None) -> CardReader:
        return CardReader(
            self.settings,
            self.ring,
            self._clock.monotonic_ns,
            open_card=self._open,
            pause=self._pause,
            priority=PRIORITY,
            after=after,
        )

    def _open(self, settings: CardSettings) -> Card:
        """Open the card and set its gains: one that was pulled out has forgotten them."""
        card = alsa_device.AlsaCard(settings)
        failed = set()
        for line in self.lines:
            if line.gain_percent is None:
                continue
            try:
                alsa_device.set_gain_percent(line.card or "default", line.mixer, line.gain_percent)
            except DeviceNotFound:
                failed.add(line.name)
        self.gain_failed = frozenset(failed)
        return card


def of(config: Config, clock: Clock) -> list[SoundCard]:
    """The cards of *config*. Raises MemoryError."""
    by_pcm: dict[str, list[AnalogueLine]] = {}
    for line in config.analogue:
        by_pcm.setdefault(line.pcm, []).append(line)
    return [SoundCard(lines, clock, config.limits.stall_s) for lines in by_pcm.values()]
