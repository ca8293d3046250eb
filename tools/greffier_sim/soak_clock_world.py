"""The world of a soak of clocks: what time it really is, what a box makes of it, what was seen."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from greffier.clock import BUILT_NS, SECOND, SystemClock
from greffier.policy.lifecycle import DAY_NS
from greffier.recorder.purger import OVERDUE_LOOK_NS, OVERDUE_NS

A_BOX: Final = 12
"""Sequences over one data directory."""
MOST: Final = 20
"""A run that has not met enough goes on until there are so many times its sequences."""
DUTY: Final = "regulatory"
TOLERANCE_NS: Final = 600 * SECOND
"""Wall clocks that are off by less are right; quartz, and the seconds of a cosignature."""
TURN_NS: Final = OVERDUE_NS + OVERDUE_LOOK_NS
"""No recorder that runs waits longer with what is due."""


@dataclass
class World:
    """What time it really is, and what the clocks of the box make of it."""

    now_ns: int = BUILT_NS + DAY_NS
    wall_off_ns: int = 0
    boot: str = ""
    booted_ns: int = 0
    ppm: int = 0

    @property
    def wall_ns(self) -> int:
        """What people read; no clock shows a time before 1970."""
        return max(0, self.now_ns + self.wall_off_ns)

    @property
    def wall_right(self) -> bool:
        """Whether it is, as far as anybody cares."""
        return abs(self.wall_off_ns) <= TOLERANCE_NS // 2


class MadeUpClock(SystemClock):
    """The real clock over a machine that is made up."""

    def __init__(self, world: World) -> None:
        self._world = world
        super().__init__()

    @property
    def boot_id(self) -> str:
        return self._world.boot

    def wall_ns(self) -> int:
        return self._world.wall_ns

    def monotonic_ns(self) -> int:
        lived = self._world.now_ns - self._world.booted_ns
        return SECOND + lived + lived * self._world.ppm // 1_000_000


@dataclass
class Born:
    """What the model knows of a part. *trusted*: trusted time came back in its boot."""

    born_ns: int
    purposes: dict[str, tuple[int, int]]
    boot: str
    wall_right: bool
    trusted: bool

    @property
    def due_ns(self) -> int:
        """From then on it must go."""
        return self.born_ns + max(most for _, most in self.purposes.values()) * DAY_NS

    @property
    def adrift(self) -> bool:
        """Whether nobody could know when it was created: a duty believes no wall clock alone."""
        return not self.trusted and not (self.wall_right and DUTY not in self.purposes)


@dataclass
class Figures:
    """What all sequences showed; days are the worst."""

    sequences: int = 0
    boots: int = 0
    lost_clocks: int = 0
    steps: int = 0
    cosigned: int = 0
    refused: int = 0
    turns: int = 0
    parts: int = 0
    deleted: int = 0
    early: int = 0
    late: int = 0
    latest_h: float = 0.0
    adrift: int = 0
    adrift_early: int = 0
    adrift_late: int = 0
    adrift_duty_early: int = 0
    first: list[str] = field(default_factory=list)


def rounds(figures: Figures, count: int, enough: Callable[[], bool]) -> Iterator[int]:
    """How many sequences each box lives through: *count* in all, then more until *enough* is true.

    A run proves nothing that met nothing, and what it meets hangs on a seed: it goes on until it
    met enough, for at most :data:`MOST` times *count*.
    """
    while figures.sequences < count:
        yield min(A_BOX, count - figures.sequences)
    while figures.sequences < MOST * count and not enough():
        yield A_BOX
