"""One thread an interface: it takes frames and hands them on, and never waits for anybody.

The hand-over is bounded in frames; what does not fit is dropped, newest first, and counted, as are
the frames that the kernel could not keep. The recorder's thread takes what has come.
"""

import threading
from collections import deque
from typing import Final, Protocol

from greffier.capture.record import Record
from greffier.capture.tap import TapCounters, Watch
from greffier.clock import SECOND, Clock

MOST_FRAMES: Final = 400_000
"""About 30 s of a hundred calls: as long as a disk may stall."""
_PATIENCE_S: Final = 0.2


class Source(Protocol):
    """Where frames come from: a :class:`greffier.capture.tap.Tap`."""

    @property
    def counters(self) -> TapCounters:
        """What was read and lost so far."""

    def read(self, timeout_s: float) -> list[Record]:
        """What arrived, after at most *timeout_s*."""

    def stop(self) -> None:
        """End every wait."""

    def close(self) -> None:
        """Let the interface go."""


class TapThread:
    """Reads one source. ``take`` and ``blind`` are the recorder's, all else the thread's."""

    def __init__(self, name: str, source: Source, clock: Clock, blind_after_s: int) -> None:
        self.name = name
        self.since_ns = clock.wall_ns()
        """Since when frames are kept for us: the source was open by then."""
        self._source = source
        self._clock = clock
        # Asked by the recorder's thread alone.
        self._watch = Watch(blind_after_s * SECOND, clock.monotonic_ns())
        # Appended by the thread, popped by the recorder: both ends of a deque are safe.
        self._frames: deque[Record] = deque()
        # Written by the thread alone; an integer is read whole.
        self.overflowed = 0
        self.seen = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"tap-{name}", daemon=True)
        self.error: BaseException | None = None

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def take(self) -> list[Record]:
        """The frames that have come, oldest first."""
        found = []
        while True:
            try:
                found.append(self._frames.popleft())
            except IndexError:
                return found

    @property
    def dropped(self) -> int:
        """Frames lost in all: by the kernel, and by a hand-over that was full."""
        return self.overflowed + self._source.counters.dropped

    @property
    def blind(self) -> bool:
        """Whether nothing at all was seen for so long that the cable must be suspected."""
        return self._watch.look(self.seen, self._clock.monotonic_ns())

    def stop(self) -> None:
        """End; returns when the thread has ended."""
        self._stop.set()
        self._source.stop()
        self._thread.join()
        self._source.close()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                records = self._source.read(_PATIENCE_S)
                self.seen += len(records)
                room = max(MOST_FRAMES - len(self._frames), 0)
                self.overflowed += max(len(records) - room, 0)
                self._frames.extend(records[:room])
        except BaseException as error:  # the recorder's thread must hear of it, whatever it is
            self.error = error
            raise
