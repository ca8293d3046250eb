"""How long a process wanted a processor and had none: what a shared machine does to its times."""

import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

_PAUSE_S = 0.05
_KEPT = 200


class Waits(threading.Thread):
    """Follows a process, given by :meth:`follow`, by what the kernel counts of each thread."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._lock = threading.Lock()  # guards all below
        self._pid = 0
        self._waited: dict[str, int] = {}  # by thread, also of those that are gone
        self._sums: deque[tuple[int, int]] = deque(maxlen=_KEPT)

    def run(self) -> None:
        while True:
            self.look()
            time.sleep(_PAUSE_S)

    def follow(self, pid: int) -> None:
        """From now on, look at this process."""
        with self._lock:
            self._pid = pid

    def look(self) -> None:
        """Note what the threads have waited until now."""
        with self._lock:
            with suppress(OSError):  # it ends
                for task in Path(f"/proc/{self._pid}/task").iterdir():
                    _ran, waited, _turns = (task / "schedstat").read_text().split()
                    self._waited[f"{self._pid}/{task.name}"] = int(waited)
            self._sums.append((time.time_ns(), sum(self._waited.values())))

    def since(self, time_ns: int) -> int:
        """Nanoseconds that its threads have waited since then, taken together."""
        self.look()
        with self._lock:
            before = [waited for at, waited in self._sums if at <= time_ns]
            return self._sums[-1][1] - (before[-1] if before else 0)
