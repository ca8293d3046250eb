"""The writer: who hands over never waits, what fails is tried again, memory has a bound."""

import errno
import threading
from dataclasses import dataclass, field

import pytest

from greffier.audit.log import Log
from greffier.clock import SECOND, SystemClock
from greffier.errors import StorageFailed
from greffier.recorder.batch import Batch, Piece
from greffier.recorder.committer import Committer
from greffier.recorder.writer import MOST_ENTRIES, REOPEN_NS, Writer

PART = bytes(16)


class Hands(SystemClock):
    """A clock whose monotonic hand is moved by the test."""

    now = 0

    def monotonic_ns(self) -> int:
        return self.now


@dataclass
class Disk:
    """Where batches end: it waits while *still*, and fails while *error* is set."""

    still: threading.Event = field(default_factory=threading.Event)
    error: StorageFailed | None = None
    waiting: list[Batch] = field(default_factory=list)
    durable: list[Batch] = field(default_factory=list)
    came: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def take(self, batch: Batch) -> None:
        self.waiting.append(batch)

    def commit(self) -> None:
        self.came.release()
        self.still.wait()
        if self.error is not None:
            raise self.error
        self.durable += self.waiting
        self.waiting = []


@dataclass
class Entries:
    """A log, as far as the writer looks at it."""

    accepted: int = 0
    size: int = 0

    @property
    def checkpoint(self) -> "Entries":
        return self


def scene(stall_s: int = 30, most: int = 1000) -> tuple[Writer, Disk, Hands, Entries]:
    disk, clock, log = Disk(), Hands(), Entries()
    writer = Writer(disk, log, clock, stall_s, most)  # type: ignore[arg-type]
    assert {"take", "commit"} <= set(dir(Committer)) and {"accepted", "checkpoint"} <= set(dir(Log))
    writer.start()
    return writer, disk, clock, log


def batch(clock: Hands, octets: int = 10) -> Batch:
    return Batch(clock.now, pieces=(Piece(PART, bytes(octets), 0),))


def test_a_disk_that_stands_still_holds_nobody_up_and_memory_has_two_bounds() -> None:
    writer, disk, clock, _log = scene(stall_s=30, most=1000)
    writer.offer(batch(clock, 400))
    disk.came.acquire()
    clock.now += 32 * SECOND
    assert writer.has_room() and writer.waiting_ns() == 32 * SECOND
    writer.offer(batch(clock, 601))
    assert not writer.has_room(), "more bytes than may wait"
    clock.now += 1
    assert not writer.has_room(), "longer than a disk may stall"
    assert writer.trouble is None, "who waits has not failed"
    disk.still.set()
    writer.stop(60)
    assert [one.octets for one in disk.durable] == [400, 601]
    assert writer.has_room() and writer.waiting_ns() == 0


def test_what_failed_is_tried_again_until_it_is_done_with_what_came_since() -> None:
    writer, disk, clock, _log = scene()
    disk.still.set()
    disk.error = StorageFailed(path="x", reason="full", number=errno.ENOSPC)
    writer.offer(batch(clock))
    for _ in range(3):
        disk.came.acquire()
    assert writer.trouble is not None and writer.trouble.number == errno.ENOSPC
    clock.now += 10 * REOPEN_NS
    writer.check()  # a full disk comes back under open files
    writer.offer(batch(clock))
    disk.error = None
    writer.stop(60)
    assert len(disk.durable) == 2 and writer.trouble is None


@pytest.mark.parametrize("number", [errno.EROFS, errno.EIO])
def test_a_file_system_that_is_gone_has_to_be_opened_anew(number: int) -> None:
    writer, disk, clock, _log = scene()
    disk.still.set()
    disk.error = StorageFailed(path="x", reason="gone", number=number)
    writer.offer(batch(clock))
    disk.came.acquire()
    disk.came.acquire()
    writer.check()
    clock.now += REOPEN_NS + 1
    with pytest.raises(StorageFailed, match="gone"):
        writer.check()
    assert writer.halt()


def test_the_log_that_waits_has_a_bound() -> None:
    writer, disk, _clock, log = scene()
    disk.still.set()
    log.accepted = MOST_ENTRIES
    writer.check()
    log.accepted += 1
    with pytest.raises(StorageFailed):
        writer.check()
    assert writer.halt()


def test_an_end_while_the_disk_fails_says_so_and_ends() -> None:
    writer, disk, clock, _log = scene()
    disk.still.set()
    disk.error = StorageFailed(path="x", reason="full", number=errno.ENOSPC)
    writer.offer(batch(clock))
    with pytest.raises(StorageFailed, match="full"):
        writer.stop(60)
    assert writer.halt()


def test_an_end_while_the_disk_stands_still_is_not_waited_for_for_ever() -> None:
    writer, disk, clock, _log = scene()
    writer.offer(batch(clock))
    disk.came.acquire()
    with pytest.raises(StorageFailed, match="does not answer"):
        writer.stop(0.01)
    assert not writer.halt(), "it may still write: nobody else may"
    disk.still.set()
    assert writer.halt()
