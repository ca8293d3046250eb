"""A mirrored port of the live recorder: its tap, and the capture thread of the C core.

The thread hands frames over in a ring of fixed size (native/flow.h) and never waits for anybody;
what finds no room is dropped, newest first, and counted, as are the frames that the kernel could
not keep. The recorder's thread takes what has come.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from greffier.capture.flows import Flows
from greffier.capture.tap import Tap, Watch
from greffier.clock import SECOND, Clock
from greffier.errors import DeviceNotFound

WAITING_OCTETS: Final = 64 << 20
"""The ring, of locked memory: about three seconds of a thousand calls that begin at once."""
PRIORITY: Final = 10
"""Of the capture thread under SCHED_FIFO, where the system allows it."""
LASTING_NS: Final = SECOND
"""How often an interface that is gone is looked for, and how long one must last to be back."""


class Port:
    """One interface that is listened to. One thread owns it, the recorder's.

    *open_tap* opens the interface, again and again while it is gone. Raises DeviceNotFound when it
    is not there at first.
    """

    def __init__(
        self, name: str, open_tap: Callable[[], Tap], clock: Clock, blind_after_s: int
    ) -> None:
        self.name = name
        self._open_tap = open_tap
        self._tap = open_tap()
        self.since_ns = clock.wall_ns()
        """Since when frames are kept for us: the tap was open by then."""
        self.flows = Flows(waiting=WAITING_OCTETS)
        self.gone = False
        """Whether the interface went away, and is looked for."""
        self._clock = clock
        self._watch = Watch(blind_after_s * SECOND, clock.monotonic_ns())
        self._dropped_before = 0  # by the kernel, of taps that are gone
        self._opened_ns = clock.monotonic_ns()

    def start(self) -> None:
        """Begin to listen."""
        self.flows.start(self._tap, priority=PRIORITY)

    @property
    def dropped(self) -> int:
        """Frames lost in all: by the kernel, and where they found no room in memory."""
        counted = self.flows.counters
        return self._dropped_before + self._tap.counters.dropped + counted.dropped + counted.overrun

    @property
    def blind(self) -> bool:
        """Whether nothing at all can be seen, or was for so long that the cable is suspected."""
        quiet = self._watch.look(self.flows.counters.frames, self._clock.monotonic_ns())
        return quiet or self.gone

    def check(self) -> None:
        """Look whether the interface is still there; open it again if it is back."""
        now = self._clock.monotonic_ns()
        if self.flows.running:
            # One that is there but down opens, and is gone again at once.
            self.gone = self.gone and now - self._opened_ns < LASTING_NS
            return
        self.gone = True
        if now - self._opened_ns >= LASTING_NS:
            self._opened_ns = now
            self._reopen()

    def stop(self) -> None:
        """Listen no more; what came can still be taken."""
        with suppress(DeviceNotFound):  # that it went away no longer matters
            self.flows.stop()

    def close(self) -> None:
        """Let interface and memory go."""
        self.flows.close()
        self._tap.close()

    def _reopen(self) -> None:
        self.stop()
        try:
            tap = self._open_tap()
        except DeviceNotFound:
            return
        self._dropped_before += self._tap.counters.dropped
        self._tap.close()
        self._tap = tap
        self.start()
