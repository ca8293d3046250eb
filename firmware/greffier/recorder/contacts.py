"""The contacts that say whether a handset is off: files that the board's driver keeps.

A thread of its own reads them, because a driver may take its time; the recorder's loop never waits
for it and sees what was read last. What was not read for a while is not known.
"""

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from greffier.clock import SECOND

EVERY_S: Final = 0.05
"""Contacts bounce for 50 to 200 ms; what is shorter is no call."""
STALE_NS: Final = 2 * SECOND
_MOST: Final = 64  # octets of a file


class Contacts:
    """Reads the *inputs*, each a file and what it begins with while the handset is off.

    *now_ns* is a monotonic clock. ``off`` is for anyone, the thread alone reads.
    """

    def __init__(self, inputs: Iterable[tuple[Path, str]], now_ns: Callable[[], int]) -> None:
        self._inputs = tuple(dict.fromkeys(inputs))
        self._now_ns = now_ns
        # Written by the thread alone; a value is replaced whole: state, and when it was read.
        self._read: dict[tuple[Path, str], tuple[bool | None, int]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="contacts", daemon=True)

    def start(self) -> None:
        """Read once, and go on in a thread; without inputs there is nothing to do."""
        if self._inputs:
            self._look()
            self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(EVERY_S * 4)  # one that hangs in a driver ends with the process

    def off(self, path: Path, active: str) -> bool | None:
        """Whether the handset is off; None where that cannot be read."""
        state, at_ns = self._read.get((path, active), (None, 0))
        return state if self._now_ns() - at_ns <= STALE_NS else None

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            self._look()

    def _look(self) -> None:
        for path, active in self._inputs:
            self._read[path, active] = (_state(path, active), self._now_ns())


def _state(path: Path, active: str) -> bool | None:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            content = os.read(file, _MOST)
        finally:
            os.close(file)
    except OSError:
        return None
    return content.startswith(active.encode()) if content else None
