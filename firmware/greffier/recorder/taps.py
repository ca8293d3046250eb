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

    *open_tap* opens the interface, again and again while it is gone, or was not there at first.
    """

    def __init__(
        self, name: str, open_tap: Callable[[], Tap], clock: Clock, blind_after_s: int
    ) -> None:
        self.name = name
        self._open_tap = open_tap
        self._tap: Tap | None = None
        self._dropped_before = 0  # by the kernel, of taps that are gone
        self.missing: DeviceNotFound | None = None
        """Why the interface could not be opened when it was tried last."""
        self._open()
        self.since_ns = clock.wall_ns()
        """Since when frames are kept for us: the tap was open by then."""
        self.flows = Flows(waiting=WAITING_OCTETS)
        self.gone = self._tap is None
        """Whether the interface is not there, and is looked for."""
        self._clock = clock
        self._watch = Watch(blind_after_s * SECOND, clock.monotonic_ns())
        self._opened_ns = clock.monotonic_ns()

    def start(self) -> None:
        """Begin to listen."""
        if self._tap is not None:
            self.flows.start(self._tap, priority=PRIORITY)

    @property
    def dropped(self) -> int:
        """Frames lost in all: by the kernel, and where they found no room in memory."""
        counted = self.flows.counters
        by_kernel = self._dropped_before + (self._tap.counters.dropped if self._tap else 0)
        return by_kernel + counted.dropped + counted.overrun

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
        if self._tap is not None:
            self._tap.close()

    def _open(self) -> None:
        try:
            tap = self._open_tap()
        except DeviceNotFound as error:
            self.missing = error
            return
        if self._tap is not None:
            self._dropped_before += self._tap.counters.dropped
            self._tap.close()
        self._tap, self.missing = tap, None

    def _reopen(self) -> None:
        self.stop()
        self._open()
        if self.missing is None:
            self.start()
