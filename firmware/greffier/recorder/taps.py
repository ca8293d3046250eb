"""A mirrored port of the live recorder: its tap, and the capture thread of the C core.

The thread hands frames over in a ring of fixed size (native/flow.h) and never waits for anybody;
what finds no room is dropped, newest first, and counted, as are the frames that the kernel could
not keep. The recorder's thread takes what has come.
"""

from contextlib import suppress
from typing import Final

from greffier.capture.flows import Flows
from greffier.capture.tap import Tap, Watch
from greffier.clock import SECOND, Clock
from greffier.errors import DeviceNotFound

WAITING_OCTETS: Final = 128 << 20
"""The ring: about 30 s of a hundred calls, as long as a disk may stall."""
PRIORITY: Final = 10
"""Of the capture thread under SCHED_FIFO, where the system allows it."""


class Port:
    """One interface that is listened to. One thread owns it, the recorder's."""

    def __init__(self, name: str, tap: Tap, clock: Clock, blind_after_s: int) -> None:
        self.name = name
        self.since_ns = clock.wall_ns()
        """Since when frames are kept for us: the tap was open by then."""
        self.flows = Flows(waiting=WAITING_OCTETS)
        self._tap = tap
        self._clock = clock
        self._watch = Watch(blind_after_s * SECOND, clock.monotonic_ns())

    def start(self) -> None:
        """Begin to listen."""
        self.flows.start(self._tap, priority=PRIORITY)

    @property
    def dropped(self) -> int:
        """Frames lost in all: by the kernel, and where they found no room in memory."""
        counted = self.flows.counters
        return self._tap.counters.dropped + counted.dropped + counted.overrun

    @property
    def blind(self) -> bool:
        """Whether nothing at all was seen for so long that the cable must be suspected."""
        return self._watch.look(self.flows.counters.frames, self._clock.monotonic_ns())

    def check(self) -> None:
        """Raises DeviceNotFound: the interface went away, and nothing is listened to any more."""
        if not self.flows.running:
            self.flows.stop()

    def stop(self) -> None:
        """Listen no more; what came can still be taken."""
        with suppress(DeviceNotFound):  # that it went away no longer matters
            self.flows.stop()

    def close(self) -> None:
        """Let interface and memory go."""
        self.flows.close()
        self._tap.close()
