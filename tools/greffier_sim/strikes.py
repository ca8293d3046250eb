"""When which process is killed, or the network cut, and for how long: a schedule by a seed. Pure.

Every target has its own sequence of strikes, which do not overlap; those of different targets do.
Some come right after the target was started again, while it still starts.
"""

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Target = Literal["recorder", "sync", "broker", "office", "line", "box", "site"]
# Of a line: connections are reset; nothing arrives, and then it goes on; it never goes on. Of a
# machine (the box, or head office's): the power is cut, all that runs there with its disk.
How = Literal["kill", "reset", "silent", "forgotten", "power"]
LONGEST_S = 8.0
"""The longest that a process is down."""
LONGEST_CUT_S = 80.0
"""The longest that the network is: longer than what any side waits before it thinks again."""
_STARTING_S = 1.5
_AGAIN = 0.25
"""The share of kills that hit what was just started."""
_Kind = tuple[Target, How]
_LINE: tuple[_Kind, ...] = (("line", "reset"), ("line", "silent"), ("line", "forgotten"))
# What is struck in turn, one at a time.
_PROCESSES: tuple[tuple[_Kind, ...], ...] = (
    (("recorder", "kill"),),
    (("sync", "kill"),),
    (("broker", "kill"),),
    (("office", "kill"),),
    _LINE,
)
_MACHINES: tuple[tuple[_Kind, ...], ...] = (
    (("box", "power"), ("recorder", "kill"), ("sync", "kill")),
    (("site", "power"), ("office", "kill"), ("broker", "kill")),
    _LINE,
)


@dataclass(frozen=True, slots=True)
class Strike:
    """At ``at_s`` from the beginning *target* is struck; it is back after ``down_s`` seconds."""

    at_s: float
    target: Target
    how: How
    down_s: float

    @property
    def back_s(self) -> float:
        """When it is started again, or the network mended."""
        return self.at_s + self.down_s


def plan(draw: random.Random, count: int, seconds: float, *, power: bool = False) -> list[Strike]:
    """*count* strikes in order, the first at 0 or later, the last before *seconds*.

    Each target has as many as the others (one more or less). With *power* machines lose theirs too;
    then those of each machine, its processes' included, do not overlap.
    """
    groups = _MACHINES if power else _PROCESSES
    found: list[Strike] = []
    for place, group in enumerate(groups):
        found += _of(draw, group, (count + len(groups) - 1 - place) // len(groups), seconds)
    return sorted(found, key=lambda one: one.at_s)


def _of(
    draw: random.Random, group: Sequence[_Kind], count: int, seconds: float
) -> Iterator[Strike]:
    cut = group is _LINE
    longest = LONGEST_CUT_S if cut else LONGEST_S
    kinds = itertools.cycle(group)
    again = 0 if cut else sum(draw.random() < _AGAIN for _ in range(count - 1))
    own = sorted(draw.uniform(0, seconds) for _ in range(count - again))
    more = Counter(draw.randrange(len(own)) for _ in range(again))
    for number, (at, end) in enumerate(zip(own, [*own[1:], seconds], strict=False)):
        for left in range(1 + more[number], 0, -1):
            room = (end - at) / left
            # Short ones are likelier: a service manager starts again at once.
            down = min(longest * draw.random() ** 3, 0.6 * room)
            yield Strike(at, *next(kinds), down)
            at += down + min(draw.uniform(0, _STARTING_S), 0.3 * room)
