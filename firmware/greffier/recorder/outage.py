"""What the recorder says of its disk: alarms while it stalls or fails, an entry when it is back."""

import errno
from dataclasses import dataclass, replace
from typing import Any, Final

from greffier.clock import SECOND
from greffier.config import records
from greffier.control.messages import Storage
from greffier.policy.site import Policy
from greffier.policy.space import Ladder
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.archive import Archive
from greffier.recorder.mirror import Mirror, MirrorState
from greffier.recorder.probe import Probe
from greffier.recorder.space import SpaceWatch
from greffier.recorder.writer import FULL, Writer

STALL_NS: Final = 2 * SECOND


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

    def __init__(
        self, archive: Archive, alarms: AlarmRoom, config: records.Storage, policy: Policy
    ) -> None:
        """Asks the medium once, and waits for that."""
        self._archive = archive
        self._alarms = alarms
        self._standing: str | None = None
        self.outage: Outage | None = None
        """The one that lasts, with its latest reason."""
        window_s = config.rate_hours * 3600
        data = archive.data
        self._probe = Probe(data.path, data.index, archive.clock, archive.unconfirmed, window_s)
        self.mirror: Mirror | None = None
        if config.mirror is not None:
            self.mirror = Mirror(data, config.mirror, archive.unconfirmed, archive.clock)
        self._mirror_told = "ok"
        self.space = SpaceWatch(
            archive,
            alarms,
            self._probe,
            Ladder(config.alarm_percent, config.refuse_percent, config.duties_percent),
            window_s,
            voluntary=any(line.voluntary for line in policy.lines.values()),
        )

    def adopt(self, policy: Policy) -> None:
        """Calls that begin from now on are those of *policy*."""
        self.space.voluntary = any(line.voluntary for line in policy.lines.values())

    @property
    def storage(self) -> Storage:
        """What the status shows of the disk; of one that does not answer only what is certain."""
        hours, step = self.space.hours, self.space.step.word
        state = self.mirror.state if self.mirror is not None else MirrorState(word="")
        told = Storage(None, None, hours, step, state.word, state.missing)
        if self.space.is_stale():
            return told
        space = self._probe.latest.space
        return replace(told, free_bytes=max(0, space.free), total_bytes=max(0, space.total))

    def start(self) -> None:
        """From now on the medium is asked again and again, by a thread of its own."""
        self._probe.start()
        if self.mirror is not None:
            self.mirror.start()

    def stop(self) -> None:
        """No more of that."""
        self._probe.stop()
        if self.mirror is not None:
            self.mirror.stop()

    def look(self) -> None:
        """Raise and clear the alarms of the disk; tell the log of an outage that is over."""
        writer = self._archive.writer
        if writer is None:
            return
        waiting = writer.waiting_ns()
        self._stand(_wrong(writer, waiting), waiting)
        self._alarms_of_valve()
        self._look_at_mirror()
        self.space.look(losing=self._standing is not None or not self._archive.valve.open)

    def _look_at_mirror(self) -> None:
        if self.mirror is None:
            return
        word = self.mirror.state.word
        if word != self._mirror_told:
            self._mirror_told = word
            self._alarms.set(word not in ("ok", "starting"), "mirror.failed")

    def leave(self) -> None:
        """Clear the alarms: the archive is given up, and who waits for the disk has its own."""
        if self._standing is not None:
            self._alarms.clear(self._standing)
        self._alarms.clear("audio.dropped")
        self._alarms.clear("mirror.failed")
        self.stop()
        self.space.leave()

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
