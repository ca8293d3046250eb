"""What the recorder says of its disk: alarms while it stalls or fails, an entry when it is back."""

import errno
import shutil
from dataclasses import dataclass
from typing import Any, Final

from greffier.clock import SECOND
from greffier.control.messages import Storage
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.archive import Archive
from greffier.recorder.writer import FULL, Writer

STALL_NS: Final = 2 * SECOND
FILLING: Final = 0.85
"""The share of the disk from which somebody should look at it (the first step of the ladder)."""


def word_of(alarm: str) -> str:
    """What the log calls the cause that *alarm* stands for."""
    return alarm.removeprefix("storage.")


def alarm_of(number: int | None) -> str:
    """The alarm that a write which failed with errno *number* raises."""
    if number in FULL:
        return "storage.full"
    return "storage.readonly" if number == errno.EROFS else "storage.failed"


@dataclass(frozen=True, slots=True)
class Outage:
    """The disk took nothing from *from_ns* on, wall clock, for a *reason* that is a word."""

    from_ns: int
    reason: str

    def entry(self, to_ns: int) -> dict[str, Any]:
        """What the log says of it when it was over at *to_ns*."""
        to_ns = max(to_ns, self.from_ns)
        return {"from_ns": self.from_ns, "to_ns": to_ns, "reason": self.reason}


class StorageWatch:
    """Looks at the writer once a tick. The recorder's thread owns it."""

    def __init__(self, archive: Archive, alarms: AlarmRoom) -> None:
        self._archive = archive
        self._alarms = alarms
        self._standing: str | None = None
        self.outage: Outage | None = None
        """The one that lasts, with its latest reason."""
        self._space = shutil.disk_usage(archive.data.path)

    @property
    def storage(self) -> Storage:
        """What the status shows of the disk."""
        return Storage(self._space.free, self._space.total, None)

    def look(self) -> None:
        """Raise and clear the alarms of the disk; tell the log of an outage that is over."""
        writer = self._archive.writer
        if writer is None:
            return
        waiting = writer.waiting_ns()
        self._stand(_wrong(writer, waiting), waiting)
        self._alarms_of_valve()
        if self._standing is None:  # a disk that does not answer must not be asked
            self._space = shutil.disk_usage(self._archive.data.path)
            filling = self._space.used >= FILLING * (self._space.used + self._space.free)
            self._alarms.set(filling, "storage.filling")

    def leave(self) -> None:
        """Clear the alarms: the archive is given up, and who waits for the disk has its own."""
        if self._standing is not None:
            self._alarms.clear(self._standing)
        self._alarms.clear("audio.dropped")

    def _stand(self, wrong: str | None, waiting_ns: int) -> None:
        if wrong == self._standing:
            return
        now = self._archive.clock.wall_ns()
        if self._standing is not None:
            self._alarms.clear(self._standing)
        if wrong is not None:
            self._alarms.raise_alarm(wrong)
            since = self.outage.from_ns if self.outage else now - waiting_ns
            self.outage = Outage(since, word_of(wrong))
        elif self.outage is not None:
            self._archive.log.append("storage.outage", None, self.outage.entry(now))
            self.outage = None
        self._standing = wrong

    def _alarms_of_valve(self) -> None:
        if not self._archive.valve.open:
            self._alarms.raise_alarm("audio.dropped")
        else:
            self._alarms.clear("audio.dropped")


def _wrong(writer: Writer, waiting_ns: int) -> str | None:
    trouble = writer.trouble
    if trouble is not None:
        return alarm_of(trouble.number)
    return "storage.stalled" if waiting_ns > STALL_NS else None
