"""What the carrier of parts has others ask the recorder, so that it never waits for it itself.

An answer may take as long as a disk: the file of a part is read and compared, a receipt is durable
before it is taken. Meanwhile head office's needs are heard, and octets go out.
"""

import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from greffier.clock import steady_ns
from greffier.sync.inbox import Inbox

_LOOK_S: Final = 0.5
Job = TypeVar("Job")
Result = TypeVar("Result")


class Errands(Generic[Job, Result]):
    """A thread that carries out jobs in their order. ``put`` is for any thread."""

    def __init__(self, do: Callable[[Job], Result], tell: Callable[[Result], object]) -> None:
        """*do* and *tell* are called in the thread."""
        self._do = do
        self._tell = tell
        self._jobs: Inbox[Job] = Inbox()
        self.beat_ns = steady_ns()
        """When it last went round; its own thread writes."""

    def put(self, job: Job) -> None:
        """Have *job* done; one that finds no room is dropped, and given again by who waits."""
        self._jobs.put(job)

    def run(self, stop: threading.Event) -> None:
        """Do what comes until *stop*."""
        while not stop.is_set():
            self.beat_ns = steady_ns()
            for job in self._jobs.take(_LOOK_S):
                if stop.is_set():
                    return
                self.beat_ns = steady_ns()
                self._tell(self._do(job))
