"""A judge of what was captured from a simulated card: every sample, every gap.

It knows what the card sends (:func:`greffier_sim.faketap.pattern`), so it needs no copy of it.
After each gap it looks where in the card's sound the audio goes on, and compares that with where
the recorder says it goes on.
"""

from dataclasses import dataclass, field

import numpy as np

from greffier.capture.card_ring import Event, Lost, Overrun, Period, Returned, channels_of
from greffier_sim.faketap import Tap, locate, pattern

SEARCH_PERIODS = 50
SEEN_FRAMES = 16
AT_ONCE = 64
"""Periods that are compared together, because comparing one costs as much as comparing many."""


@dataclass(frozen=True, slots=True)
class Gap:
    """What the recorder said is missing, and what is; *frame* of the card is heard next."""

    kind: str
    frame: int
    position: int
    told: int
    true: int

    @property
    def error(self) -> int:
        return abs(self.told - self.true)


@dataclass(slots=True)
class Judge:
    """Hears all events of one card, in order; :meth:`finish` compares what is left.

    *origin* is the card's frame at position 0.
    """

    tap: Tap
    period_frames: int
    origin: int | None = None
    frames: int = 0
    wrong_frames: int = 0
    out_of_line: int = 0
    gaps: list[Gap] = field(default_factory=list)
    _position: int = 0  # where the next event must stand
    _frame: int = 0  # of the card, after the last that was heard
    _told: list[tuple[str, int, int]] = field(default_factory=list)
    _unread: list[bytearray] = field(default_factory=list)  # of the frames before _frame

    def hear(self, event: Event) -> None:
        self.out_of_line += event.position != self._position
        match event:
            case Period():
                self._hear_period(event)
                self._position = event.position + event.frames
            case Overrun():
                self._told.append((event.cause, event.position, event.frames))
                self._position = event.position + event.frames
            case Returned():
                self._told.append(("returned", event.position, event.frames))
                self._position = event.position + event.frames
            case Lost():
                pass

    @property
    def worst_gap_error(self) -> int:
        """Frames, of the gap that was measured worst."""
        return max((gap.error for gap in self.gaps), default=0)

    @property
    def offset(self) -> int:
        """How far position and card are apart now: the errors of all gaps together."""
        return self._frame - (self.origin or 0) - self._position

    def _hear_period(self, period: Period) -> None:
        if self.origin is None or self._told:
            self.finish()
            self._find(channels_of(period.data, self.tap.channels).T, period)
        self._unread.append(period.data)
        self._frame += period.frames
        self.frames += period.frames
        if len(self._unread) >= AT_ONCE:
            self.finish()

    def finish(self) -> None:
        """Compare what was heard and not compared yet."""
        samples = channels_of(b"".join(self._unread), self.tap.channels).T
        first = self._frame - len(samples)
        expected = pattern(first, len(samples), self.tap.channels, self.tap.seed)
        if not np.array_equal(expected, samples):
            self.wrong_frames += int(np.count_nonzero((expected != samples).any(axis=1)))
        self._unread.clear()

    def _find(self, samples: "np.ndarray[tuple[int, ...], np.dtype[np.int16]]", p: Period) -> None:
        """Where the card's sound goes on; the gaps told before it are one gap in truth."""
        if self.origin is None:
            near, within = 0, round(self.tap.rate * self.tap.speed * 60)
        else:
            near = self._frame + sum(frames for _, _, frames in self._told)
            within = SEARCH_PERIODS * self.period_frames
        found = locate(samples[:SEEN_FRAMES], near, within, self.tap.seed)
        if found is None:
            self.wrong_frames += p.frames
            found = near
        if self.origin is None:
            self.origin = found - p.position
        elif self._told:
            kinds = "+".join(dict.fromkeys(kind for kind, _, _ in self._told))
            told = sum(frames for _, _, frames in self._told)
            self.gaps.append(Gap(kinds, found, self._told[0][1], told, found - self._frame))
        self._frame = found
        self._told.clear()
