"""The thread that waits for the disk, so that nobody else has to.

The recorder's thread offers a batch a tick; this thread takes all that has come, makes it durable
as one, and tries again, with the same bytes and ever longer pauses, while that fails. What may wait
in memory is bounded in time and in bytes: then :meth:`Writer.has_room` says no, and audio is
dropped before it is sealed, newest first.
"""

import errno
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from greffier.audit.log import Log
from greffier.clock import SECOND, Clock
from greffier.errors import GreffierError, IntegrityError, StorageFailed
from greffier.recorder.batch import Batch
from greffier.recorder.committer import Committer
from greffier.recorder.errand import Errand

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
MOST_ENTRIES: Final = 100_000
"""About 100 MB: so much of the log may wait in memory while the disk is full."""
REOPEN_NS: Final = 5 * SECOND
_SLACK_NS: Final = 2 * SECOND  # a stall of just the agreed length loses nothing
_SHORTEST_S: Final = 0.1
_LONGEST_S: Final = 1.0
_LAST_TRIES: Final = 3
_ENDED: Final = "the archive is being closed"

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Commits fail with *error*, for the first time at *since_ns*, monotonic."""

    error: GreffierError
    since_ns: int

    @property
    def number(self) -> int | None:
        """The errno of it, where it has one."""
        found = self.error.fields.get("number")
        return found if isinstance(found, int) else None


class Writer:
    """Owns a committer from :meth:`start` until it has ended. Made by the recorder's thread."""

    def __init__(
        self, committer: Committer, log: Log, clock: Clock, stall_s: int, most_octets: int
    ) -> None:
        """At most *stall_s* seconds of audio wait here, and at most *most_octets* bytes."""
        self._committer = committer
        self._log = log
        self._clock = clock
        self._most_ns = stall_s * SECOND + _SLACK_NS
        self._most_octets = most_octets
        # Guarded by _door: the two threads meet here.
        self._door = threading.Condition()
        self._queue: deque[Batch] = deque()
        self._offered = 0
        self._errands: deque[tuple[int, Errand[Any]]] = deque()  # behind so many entries
        self._ended = False  # nobody runs errands any more
        # The recorder's thread alone: what is offered and not durable (serial, when, bytes).
        self._flight: deque[tuple[int, int, int]] = deque()
        # Written by the writer's thread alone, each whole; the recorder's reads.
        self._done = 0
        self.trouble: Trouble | None = None
        self.error: BaseException | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    # --- the recorder's thread ---

    def offer(self, batch: Batch) -> None:
        """Take *batch*; returns at once."""
        with self._door:
            if batch.empty and self._queue:  # the log is committed as far as it is then, anyway
                return
            self._offered += 1
            self._queue.append(batch)
            self._flight.append((self._offered, batch.at_ns, batch.octets))
            self._door.notify()

    def waiting_ns(self) -> int:
        """For how long the oldest batch that is not durable has waited; 0 where none does."""
        done = self._done
        while self._flight and self._flight[0][0] <= done:
            self._flight.popleft()
        return self._clock.monotonic_ns() - self._flight[0][1] if self._flight else 0

    def has_room(self) -> bool:
        """Whether more audio may wait."""
        if self.waiting_ns() > self._most_ns:
            return False
        return sum(octets for _serial, _at, octets in self._flight) <= self._most_octets

    def check(self) -> None:
        """Raises StorageFailed when only a new opening of the directory helps: the file system does
        not come back under open files, or too much waits. Raises RuntimeError: the thread died.
        """
        if self.error is not None:
            raise RuntimeError("the writer's thread ended") from self.error
        if self._log.accepted - self._log.checkpoint.size > MOST_ENTRIES:
            raise StorageFailed(path="-", reason="too much waits for the disk")
        trouble = self.trouble
        if trouble is None or trouble.number in FULL:
            return
        if self._clock.monotonic_ns() - trouble.since_ns > REOPEN_NS:
            if isinstance(trouble.error, StorageFailed):
                raise trouble.error
            raise StorageFailed(path="-", reason=str(trouble.error)) from trouble.error

    def stop(self, patience_s: float) -> None:
        """End when everything is durable, or after *patience_s*.

        Raises StorageFailed: something is not durable, or the disk does not answer.
        """
        self._stopping.set()
        with self._door:
            self._door.notify()
        self._thread.join(patience_s)
        if self.error is not None:
            raise RuntimeError("the writer's thread ended") from self.error
        trouble = self.trouble
        if trouble is not None:
            raise StorageFailed(path="-", reason=str(trouble.error)) from trouble.error
        if self._thread.is_alive():
            raise StorageFailed(path="-", reason="the disk does not answer")

    def halt(self) -> bool:
        """Ask for an end, durable or not; whether nothing here touches a file any more."""
        self._stopping.set()
        with self._door:
            self._door.notify()
        self._thread.join(_LONGEST_S)
        return not self._thread.is_alive()

    # --- a thread that may wait for the disk ---

    def perform(self, work: Callable[[], Value]) -> Value:
        """Let *work* be done by the thread that owns the stores, and wait; what it returns.

        It is done once everything that was accepted before is durable, one errand between two
        commits, so that what is recorded waits for one at most. Never called by the recorder's
        thread. Raises what *work* raises, StorageFailed where the archive is closed before.
        """
        errand = Errand(work)
        with self._door:
            if self._ended:
                raise StorageFailed(path="-", reason=_ENDED)
            self._errands.append((self._log.accepted, errand))
            self._door.notify()
        return errand.wait()

    # --- its own thread ---

    def _run(self) -> None:
        try:
            while self._worked():
                pass
        except BaseException as error:  # the recorder's thread must hear of it, whatever it is
            self.error = error
            raise
        finally:
            with self._door:
                self._ended = True
                left = list(self._errands)
                self._errands.clear()
            for _size, errand in left:
                errand.refuse(StorageFailed(path="-", reason=_ENDED))

    def _worked(self) -> bool:
        """Make durable what has come, and do one errand; False at the end."""
        with self._door:
            while not (self._queue or self._errands or self._stopping.is_set()):
                self._door.wait()
            last = not (self._queue or self._errands)
        if last:
            return False
        self._persist()
        if self.trouble is None:
            self._lend()
        return self.trouble is None or not self._stopping.is_set()

    def _persist(self) -> None:
        """Commit until it is done; with more and more that has come meanwhile."""
        pause, last_tries = _SHORTEST_S, _LAST_TRIES
        while last_tries:
            serial = self._taken()
            try:
                self._committer.commit()
            except (StorageFailed, IntegrityError) as error:  # a disk that fails may show anything
                since = self.trouble.since_ns if self.trouble else self._clock.monotonic_ns()
                self.trouble = Trouble(error, since)
            else:
                self._done = serial
                self.trouble = None
                return
            if self._errands:  # one of them may be what frees a full disk
                with suppress(StorageFailed, IntegrityError):
                    self._committer.commit_log()
                    self._lend()
            last_tries -= self._stopping.is_set()
            self._stopping.wait(pause)
            pause = min(2 * pause, _LONGEST_S)

    def _lend(self) -> None:
        """Do the oldest errand, once the log says durably why."""
        with self._door:
            if not self._errands or self._errands[0][0] > self._log.checkpoint.size:
                return
            _size, errand = self._errands.popleft()
        errand.run()

    def _taken(self) -> int:
        """Give the committer all that has come; the serial of the last of it."""
        with self._door:
            batches, serial = list(self._queue), self._offered
            self._queue.clear()
        for batch in batches:
            self._committer.take(batch)
        return serial
