"""A bounded queue and a thread between the room of alarms and one output.

Whoever offers a notice returns at once. The thread sends, and where that fails tries again, later
and later, until it succeeds; meanwhile the queue keeps the newest notices and counts the others.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from greffier.config.records import Output
from greffier.control.messages import Alarm, Notice
from greffier.recorder.alarm import SEVERITIES

MOST_QUEUED = 64
# Seconds before the next attempt, the last one for ever.
BACK_OFF_S: Final = (1.0, 2.0, 5.0, 15.0, 60.0, 300.0)


class OutputFailed(Exception):
    """A notice could not be sent now. The text is for our own tests: it never leaves the thread."""


class Sender(Protocol):
    """Something that tells people. Called by one thread; every wait in it has an end."""

    def send(self, notices: Sequence[Notice], standing: Sequence[Alarm]) -> None:
        """Tell *notices*, oldest first (none: at the start), and what stands now.

        Raises OutputFailed.
        """


class Outbox:
    """The queue of one output: ``offer`` is called by anybody, the sender by our thread alone."""

    def __init__(
        self,
        output: Output,
        sender: Sender,
        trouble: Callable[[str, bool], None],
        *,
        every_s: float = 0.0,
        back_off_s: Sequence[float] = BACK_OFF_S,
    ) -> None:
        self.name = output.name
        self._least = SEVERITIES.index(output.severity)
        self._sender = sender
        self._trouble = trouble
        self._every_s = every_s
        self._back_off_s = back_off_s
        # Guards what follows; held for a few assignments only.
        self._change = threading.Condition()
        # Numbered by us: notices of two rooms may have the same serial.
        self._queue: deque[tuple[int, Notice]] = deque(maxlen=MOST_QUEUED)
        self._offered = 0
        self._standing: Sequence[Alarm] = ()
        self._dropped = 0
        self._due = True  # the start, when a lamp of the last run may still be lit
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"output {output.name}", daemon=True)

    @property
    def dropped(self) -> int:
        """Notices that were never sent because newer ones took their place."""
        return self._dropped

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def offer(self, notice: Notice, standing: Sequence[Alarm]) -> None:
        """Queue *notice* if it is grave enough. Returns at once."""
        if SEVERITIES.index(notice.alarm.severity) < self._least:
            return
        with self._change:
            self._dropped += len(self._queue) == MOST_QUEUED
            self._offered += 1
            self._queue.append((self._offered, notice))
            self._standing = standing
            self._due = True
            self._change.notify()

    def stand(self, standing: Sequence[Alarm]) -> None:
        """These stand now, though no notice says so (the recorder began anew). Returns at once."""
        with self._change:
            if list(standing) != list(self._standing):
                self._standing = standing
                self._due = True
                self._change.notify()

    def stop(self, patience_s: float = 2.0) -> bool:
        """Send what is queued if that can be done in *patience_s*; whether it was."""
        with self._change:
            self._stopping = True
            self._change.notify()
        if self._thread.ident is not None:
            self._thread.join(patience_s)
        return not self._thread.is_alive() and not self._queue

    def _run(self) -> None:
        failures = 0
        while True:
            with self._change:
                while not self._due and not self._stopping:
                    self._change.wait()
                if not self._due:
                    return
                self._due = False
                batch = list(self._queue)
                standing = [one for one in self._standing if self._concerns(one)]
            failed = not self._sent([notice for _, notice in batch], standing)
            if failed and failures == 0:
                self._trouble(self.name, True)
            elif not failed and failures:
                self._trouble(self.name, False)
            failures = failures + 1 if failed else 0
            with self._change:
                if failed:
                    self._due = True
                else:
                    self._forget(batch)
                if failed and self._stopping:
                    return
            if failed:
                last = len(self._back_off_s) - 1
                self._rest(self._back_off_s[min(failures - 1, last)])
            else:
                self._rest(self._every_s)

    def _concerns(self, alarm: Alarm) -> bool:
        return SEVERITIES.index(alarm.severity) >= self._least

    def _sent(self, batch: Sequence[Notice], standing: Sequence[Alarm]) -> bool:
        try:
            self._sender.send(batch, standing)
        except OutputFailed:
            return False
        except Exception:  # noqa: BLE001 - a fault of ours in one output must not silence it for ever
            return False
        return True

    def _forget(self, batch: Sequence[tuple[int, Notice]]) -> None:
        last = batch[-1][0] if batch else 0
        while self._queue and self._queue[0][0] <= last:
            self._queue.popleft()

    def _rest(self, seconds: float) -> None:
        """Wait so long, or until the end."""
        with self._change:
            self._change.wait_for(lambda: self._stopping, seconds)
