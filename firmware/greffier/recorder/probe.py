"""The thread that asks the medium how full it is, so that nobody else has to wait for the answer.

``statvfs`` of a medium that is gone, or of one behind a network, may hang for ever: then this
thread hangs, what was measured last stays, and its age says so.
"""

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from greffier.clock import SECOND, Clock
from greffier.errors import StorageFailed
from greffier.policy.purposes import VOLUNTARY
from greffier.policy.space import Space
from greffier.recorder.unconfirmed import Unconfirmed
from greffier.store.room import kept_in

EVERY_S: Final = 1.0
STALE_NS: Final = 30 * SECOND
"""What is older than this is no answer any more."""
_COUNT_NS: Final = 300 * SECOND


@dataclass(frozen=True, slots=True)
class Measured:
    """What the medium said at *at_ns*, monotonic: its *serial*-th answer.

    *yielding*: octets that could go at once, as far as the index knows. *recent*: octets that came
    in the window before the start, and its seconds, fewer where the first part is younger; None
    before that was counted. *due_ns*: when the first voluntary
    part that waits for head office reaches its maximum, trusted time (0: none waits).
    """

    serial: int
    at_ns: int
    space: Space
    yielding: int = 0
    recent: tuple[int, float] | None = None
    due_ns: int = 0


def space_of(path: Path) -> Space:
    """What the file system of *path* says. Raises OSError."""
    found = os.statvfs(path)
    free = found.f_bavail * found.f_frsize
    # As df counts: what only root may use is neither free nor there.
    return Space(free, (found.f_blocks - found.f_bfree) * found.f_frsize + free)


class Probe:
    """Measures the medium of *data* once, when made, and then from :meth:`start` to :meth:`stop`.

    The maker's thread waits for the first answer alone.
    """

    def __init__(
        self, data: Path, index: Path, clock: Clock, unconfirmed: Unconfirmed, window_s: int
    ) -> None:
        self._data = data
        self._index = index
        self._clock = clock
        self._unconfirmed = unconfirmed
        self._window_s = window_s
        self._counted_ns: int | None = None
        self._begun_ns = clock.wall_ns()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)
        try:
            space = space_of(data)
        except OSError:  # it was there a moment ago: whoever writes next says what is wrong
            space = Space(0, 0)
        # Replaced whole by the probe's thread; any thread reads it.
        self.latest = Measured(0, clock.monotonic_ns(), space)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask for an end, and do not wait for it: it only reads, and the medium may hold it."""
        self._stopping.set()

    def measure(self) -> None:
        """Ask the medium once. May wait for it. Raises OSError."""
        before = self.latest
        space = space_of(self._data)
        now = self._clock.monotonic_ns()
        yielding, recent, due_ns = before.yielding, before.recent, before.due_ns
        if self._counted_ns is None or now - self._counted_ns >= _COUNT_NS:
            self._counted_ns = now
            due_ns = self._unconfirmed.first_due_ns()
            yielding, recent = self._count(recent)
        self.latest = Measured(before.serial + 1, now, space, yielding, recent, due_ns)

    def _count(self, recent: tuple[int, float] | None) -> tuple[int, tuple[int, float] | None]:
        """What could go now, and what had come before this run."""
        try:
            kept = kept_in(self._index, self._begun_ns - self._window_s * SECOND)
        except StorageFailed:
            return 0, recent
        going = [one for one in kept if one.received and not one.held and one.purposes]
        yielding = sum(one.octets for one in going if set(one.purposes) <= set(VOLUNTARY))
        if recent is None:
            first = min((one.first_ns for one in kept), default=self._begun_ns)
            seconds = min(float(self._window_s), max(0, self._begun_ns - first) / SECOND)
            recent = sum(one.recent for one in kept), seconds
        return yielding, recent

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_S):
            try:
                self.measure()
            except OSError:
                continue  # the writer's trouble tells of it
