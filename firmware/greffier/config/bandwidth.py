"""How much may be sent to head office at which hour: lines such as ``Mon-Fri 08:00-19:00 256k``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = "|".join(_DAYS)
_LINE = re.compile(
    rf"(?:(?P<all>\*)|(?P<from>{_DAY})(?:-(?P<to>{_DAY}))?)"
    r"(?: (?P<begin>[0-2]\d:[0-5]\d)-(?P<end>[0-2]\d:[0-5]\d))?"
    r" (?P<rate>off|none|[1-9]\d{0,5}[kM])",
    re.ASCII,
)
_DAY_MINUTES: Final = 1440


class BadLimit(ValueError):
    """A line is no limit such as ``Mon-Fri 08:00-19:00 256k``."""


@dataclass(frozen=True, slots=True)
class Limit:
    """On these weekdays (0 is Monday), from *begin* to *end* (minutes of the day): so much.

    *bps* bits per second; 0 sends no parts at all, None knows no limit.
    """

    days: frozenset[int]
    begin: int
    end: int
    bps: int | None

    def holds(self, at: datetime) -> bool:
        """Whether this is the limit at the civil time *at*; a span over midnight is of the day it
        begins on.
        """
        minute = at.hour * 60 + at.minute
        if self.begin < self.end:
            return at.weekday() in self.days and self.begin <= minute < self.end
        if minute >= self.begin:
            return at.weekday() in self.days
        return minute < self.end and (at.weekday() - 1) % 7 in self.days


def read_limit(line: str) -> Limit:
    """The limit of ``DAYS [HH:MM-HH:MM] RATE``; the rate is 256k, 2M (bits/s), off or none.

    Raises BadLimit.
    """
    found = _LINE.fullmatch(line)
    if found is None:
        raise BadLimit(line)
    first, last = (_DAYS.index(found[one] or found["from"] or "Mon") for one in ("from", "to"))
    if found["all"]:
        first, last = 0, 6
    days = frozenset((first + one) % 7 for one in range((last - first) % 7 + 1))
    begin, end = (
        _minutes(found[one] or text) for one, text in (("begin", "00:00"), ("end", "24:00"))
    )
    if begin == end or begin >= _DAY_MINUTES:
        raise BadLimit(line)
    rate = found["rate"]
    known: dict[str, int | None] = {"off": 0, "none": None}
    bps = known[rate] if rate in known else int(rate[:-1]) * {"k": 1_000, "M": 1_000_000}[rate[-1]]
    return Limit(days, begin, end, bps)


def limit_at(table: Sequence[Limit], at: datetime) -> int | None:
    """The limit at the civil time *at*: the first line that holds; None where none does."""
    return next((one.bps for one in table if one.holds(at)), None)


def _minutes(text: str) -> int:
    hour, minute = int(text[:2]), int(text[3:])
    total = hour * 60 + minute
    if hour > 24 or total > _DAY_MINUTES:
        raise BadLimit(text)
    return total
