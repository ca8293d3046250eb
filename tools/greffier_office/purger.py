"""The thread that deletes at head office: a round a minute, and now and then what kills left.

It has connections of its own; whoever stores parts waits for it a few milliseconds at a time.
"""

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from greffier.clock import format_time
from greffier.errors import Busy, GreffierError
from greffier_office.purging import Purging
from greffier_office.sweeping import Sweeping

ROUND_S: Final = 60.0


class Purger(threading.Thread):
    """*opened* makes its stores in its own thread; *told* takes one line for people.

    *visa*: the archives administration agreed to the destruction of public archives.
    """

    def __init__(
        self,
        opened: Callable[[], tuple[Purging, Sweeping]],
        visa: bool,
        told: Callable[[str], None],
    ) -> None:
        super().__init__(name="purge", daemon=True)
        self._opened = opened
        self._visa = visa
        self._told = told
        self._stopping = threading.Event()
        self._said = ""  # this thread's: an alarm is told once as long as it stands
        self.beat = time.monotonic()
        self.counts: Counter[str] = Counter()
        """What went wrong; read by anybody."""
        self.done: Counter[str] = Counter()

    def stop(self) -> None:
        """End after the step that is under way."""
        self._stopping.set()

    def run(self) -> None:
        """The thread."""
        purging, sweeping = self._opened()
        try:
            while True:
                self._round(purging, sweeping)
                if self._wait():
                    return
        finally:
            purging.close()
            sweeping.close()

    def _wait(self) -> bool:
        """Until the next round, or the end: then True."""
        end = time.monotonic() + ROUND_S
        while not self._stopping.wait(min(1.0, max(0.0, end - time.monotonic()))):
            self.beat = time.monotonic()
            if self.beat >= end:
                return False
        return True

    def _round(self, purging: Purging, sweeping: Sweeping) -> None:
        try:
            plan = purging.plan(self._visa)
            if plan.leap_ns:
                self._tell(
                    f"nothing is deleted: the clock says {format_time(time.time_ns(), digits=0)},"
                    f" {plan.leap_ns // 86_400_000_000_000} days after the last round;"
                    " if that is right, run `greffier-office purge`"
                )
                return
            self.done["deleted"] += purging.carry_out(plan, self._beat)
            self.done["swept"] += sweeping.step(self._beat)
            if sweeping.is_put_back:
                self._tell(
                    "the catalogue was put back from a backup: nothing without a row is removed;"
                    " when `verify` finds nothing missing, run `greffier-office purge --sweep`"
                )
            else:
                self._said = ""
        except Busy:  # another collector, or a person, deletes just now
            self.counts["deletion busy"] += 1
        except (GreffierError, sqlite3.Error) as error:
            self.counts["deletion errors"] += 1
            self._tell(f"deletion: {error}")

    def _beat(self) -> None:
        self.beat = time.monotonic()

    def _tell(self, line: str) -> None:
        if line != self._said:
            self._said = line
            self._told(line)
