"""Alarms of the recorder's own loop: those that stand while something is wrong, and those of
events, which clear by themselves when their cause stays away for a while.

One thread, the recorder's, owns a Troubles.
"""

from typing import Final

from greffier.clock import SECOND, Clock
from greffier.recorder.alarm import AlarmRoom

QUIET_NS: Final = 60 * SECOND


class Troubles:
    """What the sources and the loop have to complain of, told to the alarm room."""

    def __init__(self, alarms: AlarmRoom, clock: Clock) -> None:
        self._alarms = alarms
        self._clock = clock
        self._said: dict[tuple[str, str], bool] = {}
        self._passing: dict[tuple[str, str], int] = {}  # -> when it clears, monotonic

    def happened(self, name: str, subject: str = "", *, for_ns: int = QUIET_NS) -> None:
        """Something happened; its alarm clears when it has not happened again for *for_ns*."""
        self._alarms.raise_alarm(name, subject)
        self._passing[name, subject] = self._clock.monotonic_ns() + for_ns

    def set(self, wrong: bool, name: str, subject: str = "") -> None:
        """Something is *wrong*, or right; may be said again and again.

        What happened before stands as long as it would have.
        """
        if self._said.get((name, subject)) != wrong:
            self._said[name, subject] = wrong
            if wrong or (name, subject) not in self._passing:
                self._alarms.set(wrong, name, subject)

    def calm(self) -> None:
        """Clear what has not happened for long enough."""
        now = self._clock.monotonic_ns()
        for name, subject in [key for key, until in self._passing.items() if until <= now]:
            del self._passing[name, subject]
            if not self._said.get((name, subject)):
                self._alarms.clear(name, subject)

    def leave(self) -> None:
        """Whoever complained is gone: nothing of it stands any more."""
        for name, subject in {*self._passing, *self._said}:
            self._alarms.clear(name, subject)
        self._passing.clear()
        self._said.clear()
