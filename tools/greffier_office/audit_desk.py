"""The thread at which audit batches arrive: nothing of a recording ever stands before an entry."""

import contextlib
import queue
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from greffier.errors import GreffierError
from greffier_office import catching_up
from greffier_office.catalogue import Catalogue
from greffier_office.committer import Voice
from greffier_office.log_keeper import LogKeeper

MOST_BATCHES: Final = 512


class AuditDesk(threading.Thread):
    """Takes batches one after another; *told* takes one line for people."""

    def __init__(
        self,
        opened: Callable[[], tuple[LogKeeper, Catalogue]],
        voice: Voice,
        told: Callable[[str], None],
    ) -> None:
        super().__init__(name="audit", daemon=True)
        self._opened = opened
        self._voice = voice
        self._told = told
        self._queue: queue.Queue[tuple[str, bytes] | None] = queue.Queue(MOST_BATCHES)
        self.beat = time.monotonic()
        self.counts: Counter[str] = Counter()

    def batch(self, device: str, payload: bytes) -> None:
        """A batch came. Any thread; never waits: what has no room is dropped and asked again."""
        try:
            self._queue.put_nowait((device, payload))
        except queue.Full:
            self.counts["batches dropped"] += 1

    def stop(self) -> None:
        """End after what came until now; a thread that stands still ends with the process."""
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=5.0)

    def run(self) -> None:
        """The thread."""
        keeper, catalogue = self._opened()
        try:
            self._catch_up(keeper, catalogue)
            while True:
                self.beat = time.monotonic()
                try:
                    item = self._queue.get(timeout=1.0)
                except queue.Empty:
                    continue
                if item is None:
                    return
                self._take(keeper, *item)
        finally:
            catalogue.close()

    def _catch_up(self, keeper: LogKeeper, catalogue: Catalogue) -> None:
        """Read what an older version only kept; where that fails, the logs go on all the same."""
        try:
            done = catching_up.read_again(catalogue, keeper.entries, self._go_on)
        except (GreffierError, sqlite3.Error) as error:
            self.counts["log errors"] += 1
            self._told(f"entries that an older version kept are not read yet: {error}")
            return
        for device, count in done.items():
            self._told(f"{device}: {count} entries are read now that an older version kept")

    def _go_on(self) -> None:
        self.beat = time.monotonic()

    def _take(self, keeper: LogKeeper, device: str, payload: bytes) -> None:
        try:
            answer = keeper.take(device, payload)
        except (GreffierError, sqlite3.Error) as error:
            self.counts["log errors"] += 1
            self._told(f"{device}: {error}")
            return
        except Exception as error:  # noqa: BLE001 - one box's batch must not end all others' log
            self.counts["faults"] += 1
            self._told(f"{device}: {type(error).__name__} at a batch of its log")
            return
        if answer is None:
            self.counts["batches refused"] += 1
            return
        if answer.old:
            self.counts["old checkpoints"] += 1
        self._voice.audit(answer.device, answer.message)
        if answer.alarm:
            self._told(answer.alarm)
