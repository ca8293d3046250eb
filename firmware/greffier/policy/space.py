"""The space ladder: on which step a medium stands, how much has to go, and what is lost when. Pure.

The order is published in docs/retention.md. The ladder never deletes what head office has not
confirmed, what is held, a duty before its maximum: it first lets go what head office has, then
stops recording what nobody is obliged to record.
"""

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

FALL_PERCENT: Final = 2
"""A step is left when so many points less than what it began at are used: no flutter."""
HOUR_S: Final = 3600
MOST_HOURS: Final = 87_600
"""Ten years: the gauge goes no further."""


class Step(IntEnum):
    """Where the medium stands: each step holds what those below it do."""

    NORMAL = 0
    ALARM = 1
    """Parts that head office has and no duty keeps are deleted, oldest first; an alarm."""
    REFUSE = 2
    """No new call is recorded for a voluntary purpose."""
    DUTIES = 3
    """Only duties and emergencies are: voluntary parts that run take no more sound."""

    @property
    def word(self) -> str:
        """Its name in log and status."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Space:
    """What a medium says of itself, octets. *free* is what we may still write."""

    free: int
    total: int

    @property
    def sane(self) -> bool:
        """Whether it can be true at all. Nothing is ever deleted for a figure that cannot."""
        return 0 <= self.free <= self.total and self.total > 0

    @property
    def used_percent(self) -> float:
        """How much of it is used; what is kept for root counts as used."""
        return 100 * (self.total - self.free) / self.total


@dataclass(frozen=True, slots=True)
class Ladder:
    """From which share of the medium on each step is taken, percent."""

    alarm: int = 85
    refuse: int = 92
    duties: int = 97

    def _begins(self, step: Step) -> int:
        return (0, self.alarm, self.refuse, self.duties)[step]

    def step(self, before: Step, space: Space) -> Step:
        """The step after *before* now that *space* was measured.

        Up at once; down only :data:`FALL_PERCENT` below where the step begins. What cannot be true
        changes nothing.
        """
        if not space.sane:
            return before
        used = space.used_percent
        up = max(one for one in Step if used >= self._begins(one))
        held = max(one for one in Step if one <= before and used >= self._begins(one) - _slack(one))
        return max(up, held)

    def wanted(self, step: Step, space: Space) -> int:
        """How many octets must go so that the alarm ends (0: none, or nobody can tell)."""
        if step < Step.ALARM or not space.sane:
            return 0
        goal = (self.alarm - FALL_PERCENT) * space.total // 100
        used = space.total - space.free
        return min(used, max(0, used - goal + 1))

    def room(self, space: Space, *, voluntary: bool) -> int:
        """How many octets may still be written before something is lost.

        A box with *voluntary* lines loses calls from the refusing step on; one that has only duties
        when nothing is free.
        """
        if not voluntary:
            return max(0, space.free)
        return max(0, self.refuse * space.total // 100 - (space.total - space.free))


def _slack(step: Step) -> int:
    return FALL_PERCENT if step else 0


class Pace:
    """Octets a second, exponentially weighted over a window of *window_s*. One owner.

    The weights add up to the time that was seen, so that the beginning is not biased towards 0.
    """

    def __init__(self, window_s: float, least_s: float = 600.0) -> None:
        """Nobody knows a pace before *least_s* seconds were seen."""
        self._window_s = window_s
        self._least_s = least_s
        self._octets = 0.0
        self._seconds = 0.0

    def add(self, octets: int, seconds: float) -> None:
        """*octets* were written in the last *seconds*."""
        if seconds <= 0:
            return
        decay = math.exp(-seconds / self._window_s)
        self._octets = self._octets * decay + max(0, octets)
        self._seconds = self._seconds * decay + seconds

    @property
    def octets_per_s(self) -> float | None:
        """The pace; None where nobody can know it yet."""
        if self._seconds < self._least_s:
            return None
        return self._octets / self._seconds


def hours_to_loss(room: int, pace: float | None, due_s: float | None) -> int | None:
    """Whole hours until something is lost that head office has not, if it confirms nothing more.

    *room*: octets until calls are not recorded; *pace*: octets a second; *due_s*: seconds until the
    first part that waits for head office reaches its legal maximum (None: none does). None: nobody
    can know, or nothing would be lost.
    """
    ends = [] if due_s is None else [max(0.0, due_s)]
    if room <= 0:
        ends.append(0.0)
    elif pace is not None and pace > 0:
        ends.append(room / pace)
    return min(MOST_HOURS, int(min(ends) // HOUR_S)) if ends else None
