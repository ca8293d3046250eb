"""What the recorder does on each step of the space ladder, and how long the space will last.

The pure ladder is :mod:`greffier.policy.space`. Here are its effects: an entry of the log and an
alarm for each step, how many octets are wanted, whether voluntary calls are taken. Nothing here
waits for the disk: what is known of it comes from :mod:`greffier.recorder.probe`.
"""

from typing import Final

from greffier.clock import SECOND
from greffier.policy.space import Ladder, Pace, Step, hours_to_loss
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.archive import Archive
from greffier.recorder.probe import STALE_NS, Measured, Probe
from greffier.recorder.purger import Freed

SOON_HOURS: Final = 24
"""Fewer hours than this until the first loss are an alarm."""
SETTLE_NS: Final = 5 * SECOND
REST_NS: Final = 60 * SECOND
_ALARMS: Final = {
    Step.ALARM: "storage.filling",
    Step.REFUSE: "storage.refusing",
    Step.DUTIES: "storage.duties",
}


class SpaceWatch:
    """Stands on the ladder. The recorder's thread owns it."""

    def __init__(
        self,
        archive: Archive,
        alarms: AlarmRoom,
        probe: Probe,
        ladder: Ladder,
        window_s: int,
        *,
        voluntary: bool,
    ) -> None:
        """*voluntary*: some line of the policy records for a voluntary purpose."""
        self._archive = archive
        self._alarms = alarms
        self.probe = probe
        self._ladder = ladder
        self.voluntary = voluntary
        self._window_s = window_s
        self._pace = Pace(window_s)
        self._written: int | None = None  # when the pace was taken last
        self._paced_ns = 0
        self._seeded = False
        self._looked = -1  # the serial of what was looked at last
        self._asked = Step.DUTIES  # by the last answer; the very first is believed
        self._near = False
        self.step = Step.NORMAL
        self._wanted = 0
        # The purger's thread alone writes it, whole: before that, nothing is asked for again.
        self._rest_until_ns = 0
        self.hours: int | None = None

    @property
    def refuses(self) -> bool:
        """Whether no new call is recorded for a voluntary purpose."""
        return self.step >= Step.REFUSE

    def look(self, *, losing: bool) -> None:
        """Take in what was measured since. *losing*: the disk takes nothing now."""
        measured = self.probe.latest
        self._take_pace()
        if measured.serial != self._looked:
            self._looked = measured.serial
            self._stand(measured)
        self.hours = self._hours(measured, losing)
        near = self.hours is not None and self.hours < SOON_HOURS
        if near != self._near:
            self._near = near
            self._alarms.set(near, "storage.loss_near")

    @property
    def wanted(self) -> int:
        """Octets that are to be freed now; 0 for a while after somebody tried, and of a medium that
        does not answer: nothing more goes for an old figure.
        """
        rests = self._archive.clock.monotonic_ns() < self._rest_until_ns
        return 0 if rests or self.is_stale() else self._wanted

    def freed(self, told: Freed) -> None:
        """What became of that wish. For the purger's thread.

        The medium is measured before more is asked for; where nothing could go, that is not looked
        for again at once: each look goes through all parts.
        """
        rest_ns = SETTLE_NS if told.octets else REST_NS
        self._rest_until_ns = self._archive.clock.monotonic_ns() + rest_ns

    def is_stale(self) -> bool:
        """Whether the medium has not answered for long."""
        return self._archive.clock.monotonic_ns() - self.probe.latest.at_ns > STALE_NS

    def leave(self) -> None:
        """Clear the alarms: the archive is given up."""
        self.probe.stop()
        for name in (*_ALARMS.values(), "storage.loss_near"):
            self._alarms.clear(name)

    def _stand(self, measured: Measured) -> None:
        asked = self._ladder.step(self.step, measured.space)
        # One answer may be a slip: what takes something away is done when two ask for it.
        step = asked if asked < self.step else max(self.step, min(asked, self._asked))
        self._asked = asked
        if step != self.step:
            self._move(step, measured)
        self._wanted = self._ladder.wanted(self.step, measured.space)

    def _move(self, step: Step, measured: Measured) -> None:
        space = measured.space
        used = 1000 * (space.total - space.free) // space.total
        data = {"from": self.step.word, "to": step.word, "used_permille": used}
        self._archive.log.append("storage.step", None, data)
        self.step = step
        for one, name in _ALARMS.items():
            self._alarms.set(step >= one, name)
        self._archive.duties_only = step >= Step.DUTIES

    def _take_pace(self) -> None:
        now, written = self._archive.clock.monotonic_ns(), self._archive.written
        recent = self.probe.latest.recent
        if not self._seeded and recent is not None:
            self._seeded = True
            self._pace.add(*recent)
        if self._written is None:
            self._written, self._paced_ns = written, now
        elif now - self._paced_ns >= 10 * SECOND:
            self._pace.add(written - self._written, (now - self._paced_ns) / SECOND)
            self._written, self._paced_ns = written, now

    def _hours(self, measured: Measured, losing: bool) -> int | None:
        if losing or (self.voluntary and self.refuses):
            return 0
        if not measured.space.sane or self.is_stale():
            return None
        room = self._ladder.room(measured.space, voluntary=self.voluntary) + measured.yielding
        due_s = None
        if measured.due_ns:
            due_s = (measured.due_ns - self._archive.clock.lower_bound().t_ns) / SECOND
        return hours_to_loss(room, self._pace.octets_per_s, due_s)
