"""Receipts on their way to the recorder, as they came; it alone says what they are worth. Pure.

The recorder answers when what it took is durable, so several hand-overs may be on their way at a
time; one that is not answered is made again. One thread owns an instance; times are monotonic ns.
"""

import re
from dataclasses import dataclass
from typing import Final

from greffier.clock import SECOND
from greffier.control.transfer import MOST_RECEIPTS
from greffier.sync.actions import HandOver

MOST_STRAY: Final = 16
"""Receipts of parts that are not on their way: late ones, or somebody's inventions."""
MOST_HAND_OVERS: Final = 2
LARGEST_RECEIPT: Final = 2048
HAND_OVER_NS: Final = 10 * SECOND
_AWAY_NS: Final = SECOND
_IS_RECEIPT = re.compile(r"[^\x00-\x09\x0b-\x1f\x7f]+", re.ASCII).fullmatch
_PART_LINE = re.compile(r"^part ([0-9a-f]{32})$", re.MULTILINE)


def part_of(text: str) -> str | None:
    """The part that a receipt names; None where it is none that the recorder could be asked."""
    named = _PART_LINE.search(text)
    good = len(text) <= LARGEST_RECEIPT and _IS_RECEIPT(text) and named is not None
    return named[1] if good and named else None


@dataclass(slots=True)
class _Held:
    text: str
    stray: bool
    again_ns: int = 0


class Receipts:
    """What the recorder was not asked about yet, or has not answered."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}
        self._unanswered: list[int] = []  # until when each hand-over is waited for

    def hold(self, part: str, text: str, *, stray: bool) -> bool:
        """Hand *text* over soon; False where too many *stray* ones wait already."""
        strays = sum(one.stray for one in self._held.values())
        if stray and (part in self._held or strays >= MOST_STRAY):
            return False
        self._held[part] = _Held(text, stray)
        return True

    def forget(self, part: str) -> None:
        """The recorder has answered."""
        self._held.pop(part, None)

    def answered(self) -> None:
        """One hand-over is over."""
        if self._unanswered:
            self._unanswered.pop(0)

    def not_taken(self, parts: tuple[str, ...], now_ns: int) -> None:
        """The recorder was away: these are handed over again."""
        self.answered()
        for part in parts:
            held = self._held.get(part)
            if held is not None:
                held.again_ns = now_ns + _AWAY_NS

    def due(self, now_ns: int) -> list[HandOver]:
        """What is to be handed over now."""
        self._unanswered = [one for one in self._unanswered if one > now_ns]
        made = []
        while len(self._unanswered) < MOST_HAND_OVERS:
            ready = [key for key, one in self._held.items() if now_ns >= one.again_ns]
            if not ready:
                break
            chosen = ready[:MOST_RECEIPTS]
            made.append(HandOver(tuple((key, self._held[key].text) for key in chosen)))
            for key in chosen:
                self._held[key].again_ns = now_ns + HAND_OVER_NS
            self._unanswered.append(now_ns + HAND_OVER_NS)
        return made
