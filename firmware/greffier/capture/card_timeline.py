"""The one sample line of a sound card: where each period stands, and what is missing. Pure.

Position 0 is the first frame that was ever read from the card. While the card delivers, positions
count frames and nothing else: no clock can move them, so audio stays whole for days. Where frames
were lost the clock decides how many, through :mod:`greffier.capture.card_drift`, so a gap is right
within the error of one look at the card's counter, however long the card has run and however far
its quartz is off.
"""

from dataclasses import dataclass

from greffier.capture.card_drift import SECOND, Drift

SLIP_LOOKS = 8
"""So many looks in a row must find the card behind before that counts as frames lost."""
SLIP_PARTS = 4
"""Behind: by more than a second's frames divided by this."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a card: at *t_ns* (give or take half of *spread_ns*), *waiting* frames were
    captured and not yet read."""

    t_ns: int
    waiting: int
    spread_ns: int


@dataclass(frozen=True, slots=True)
class Placed:
    """Frames that were read begin at *position*; *missing* frames before it were lost.

    *slipped*: the card lost them without saying so.
    """

    position: int
    missing: int
    slipped: bool


class CardTimeline:
    """Places what is read from one card of *rate* frames a second. One thread owns it."""

    def __init__(self, rate: int) -> None:
        self.drift = Drift(rate)
        self.next = 0
        """The position after the last frame that was read."""
        self._started = False
        self._broken = False
        self._behind = 0  # looks in a row
        self._pending: tuple[Look, int] | None = None  # and the frame that it saw

    @property
    def interrupted(self) -> bool:
        """Whether the next frames may follow a loss."""
        return self._broken

    def interrupt(self) -> None:
        """Frames may have been lost; how many, the next :meth:`place` finds out."""
        self._broken = self._started
        self._pending = None

    def place(self, frames: int, look: Look) -> Placed:
        """*frames* frames were read, and *look* was taken directly after."""
        self._believe()
        slipped = self._slipped(frames, look)
        position, missing = self.next, 0
        if self._broken or slipped:
            end = self.drift.frame_at(look.t_ns)
            position = max(self.next, round(end) - look.waiting - frames)
            missing = position - self.next
            self.drift.break_run()
            self._behind = 0
        self._broken = False
        self.next = position + frames
        if self._behind == 0:  # else the count is in doubt, and would bend the line
            self._pending = (look, self.next + look.waiting)
        if not self._started:
            self._started = True
            self._believe()
        return Placed(position, missing, slipped)

    def _believe(self) -> None:
        """The card went on after its last look, so what it said then was true.

        A card that is pulled out, or whose buffer runs over, may still name a count, a stale one.
        """
        if self._pending is not None:
            look, frame = self._pending
            self.drift.observe(look.t_ns, frame, look.spread_ns)
            self._pending = None

    def time_of(self, position: int) -> int:
        """When the frame at *position* was captured. Raises ValueError before the first frame."""
        return self.drift.time_of(position)

    def _slipped(self, frames: int, look: Look) -> bool:
        """Whether the card stands still, or threw frames away, while it says that all is well.

        Looks that a busy machine drew out prove nothing, and neither does a single one.
        """
        if not self._started or self._broken:
            return False
        allowed = self.drift.rate / SLIP_PARTS
        if look.spread_ns * self.drift.rate > allowed * SECOND / 2:
            return False
        seen = self.next + frames + look.waiting
        behind = self.drift.frame_at(look.t_ns) - seen > allowed
        self._behind = self._behind + 1 if behind else 0
        return self._behind >= SLIP_LOOKS
