"""The weekly windows in which staff were told that they may be recorded.

Written ``"Mon-Fri 09:00-18:00"`` or ``"Mon,Wed 08:30-12:00"``, in the policy's own time zone. A
window ends before its last minute begins; one that ends earlier than it starts runs past midnight.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY_MINUTES = 24 * 60
_WINDOW = re.compile(r"(?P<days>\S+) +(?P<h1>\d\d):(?P<m1>\d\d)-(?P<h2>\d\d):(?P<m2>\d\d)")


class BadWindow(ValueError):
    """A window is not written as this module's description says."""


@dataclass(frozen=True, slots=True)
class Window:
    """One window: weekdays (0 = Monday) and minutes since local midnight."""

    days: frozenset[int]
    start: int
    end: int

    def holds(self, local: datetime) -> bool:
        """Whether the local time *local* lies in the window."""
        minute = local.hour * 60 + local.minute
        today = local.weekday()
        if self.start < self.end:
            return today in self.days and self.start <= minute < self.end
        if today in self.days and minute >= self.start:
            return True
        return (today - 1) % 7 in self.days and minute < self.end

    def on(self, day: date) -> bool:
        """Whether the window opens on *day*."""
        return day.weekday() in self.days


def parse(text: str) -> Window:
    """The window written as *text*. Raises BadWindow."""
    found = _WINDOW.fullmatch(text.strip())
    if found is None:
        raise BadWindow(text)
    start = _minute(found["h1"], found["m1"])
    end = _minute(found["h2"], found["m2"])
    if start in (end, DAY_MINUTES):
        raise BadWindow(text)
    return Window(frozenset(_days(found["days"])), start, end)


def _minute(hours: str, minutes: str) -> int:
    minute = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or minute > DAY_MINUTES:
        raise BadWindow(f"{hours}:{minutes}")
    return minute


def _days(text: str) -> set[int]:
    days: set[int] = set()
    for span in text.split(","):
        first, dash, last = span.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise BadWindow(text)
        start = DAYS.index(first)
        length = (DAYS.index(last) - start) % 7 if dash else 0
        days |= {(start + step) % 7 for step in range(length + 1)}
    return days
