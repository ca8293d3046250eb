"""When calls begin and end on one analogue line: by its level, its hook contact, or both. Pure.

docs/config.md, ``[analogue.NAME]``, says what is decided here. Time is the card's sample line: what
was captured is heard period by period, what was not is skipped. There is no detector of voices: a
line that carries a tone is as busy as one that carries speech.
"""

from dataclasses import dataclass
from typing import Literal

from greffier.config.records import Detection

Trigger = Literal["level", "off_hook"]
End = Literal["silence", "on_hook", "longest", "card_lost"]


@dataclass(frozen=True, slots=True)
class Began:
    """A call began at *position*; that it did was clear at *decided*, which is not earlier.

    *trigger* is what told. *joined_late*: nothing shows that the line was idle before.
    """

    position: int
    decided: int
    trigger: Trigger
    joined_late: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """The call ended; *position* is the first sample that is not its own."""

    position: int
    reason: End


Change = Began | Ended


def power_of(dbfs: float) -> float:
    """The mean square, 1 for a full-scale square wave, that is so many decibels."""
    return float(10 ** (dbfs / 10))


class LineWatch:
    """One line at *rate* frames a second. One thread owns it.

    Positions only grow, and nothing is left out: each call goes on where the last one ended.
    """

    def __init__(self, detection: Detection, rate: int) -> None:
        self.running = False
        """Whether a call runs."""
        self._kind = detection.kind
        self._start_power = power_of(detection.start_dbfs)
        self._end_power = power_of(detection.end_dbfs)
        self._onset = max(1, detection.onset_ms * rate // 1000)
        self.hang_over = max(1, round(detection.hang_over_s * rate))
        """Frames of silence, or of a card's absence, that end a call."""
        self._longest = detection.longest_s * rate
        self._off: bool | None = None
        self._off_at = 0
        self._trigger: Trigger = "level"
        self._began = 0
        self._floor: int | None = None  # no call begins before this
        self._loud_since: int | None = None
        self._quiet_since: int | None = None
        self._seen_idle = False

    def reach(self, period: int) -> int:
        """How many of the last frames of an idle line a call may begin in: the detector's latency.

        That is the onset in whole periods of *period* frames, and one more, in which the sound may
        have begun without filling it.
        """
        return (-(-self._onset // period) + 1) * period

    # --- what comes in ---

    def hook(self, off: bool | None, at: int) -> None:
        """The handset is off, or on, or nobody can tell; read when position *at* was captured."""
        self._off, self._off_at = off, at

    def resume(self, position: int, elapsed: int, unheard: int) -> None:
        """A call goes on at *position* that began *elapsed* frames ago; the last *unheard* of them
        were not listened to, and count as silence.
        """
        self.running = True
        self._floor = position
        self._began = position - elapsed
        self._quiet_since = position - unheard

    def hear(self, position: int, frames: int, power: float) -> list[Change]:
        """*frames* frames from *position* on were captured; *power* is their mean square, 0..1."""
        end = position + frames
        if self._floor is None:
            self._floor = position
        if power >= self._end_power:
            self._quiet_since = None
        elif self._quiet_since is None:
            self._quiet_since = position
        if self.running:
            return self._go_on(end)
        return self._wait(position, end, power)

    def skip(self, position: int, frames: int) -> list[Change]:
        """*frames* frames from *position* on were not captured."""
        if not frames:
            return []
        end = position + frames
        out: list[Change] = []
        if self._quiet_since is None:
            self._quiet_since = position
        if self.running:
            out = self.wait(position, frames) or self._cut(end)
        if not self.running:
            if frames > self._onset:
                self._seen_idle = False
            self._floor = end
        self._loud_since = None
        return out

    def wait(self, position: int, frames: int) -> list[Change]:
        """The card has been away since *position*, for *frames* frames by now."""
        if not self.running or frames < self.hang_over:
            return []
        if self._kind != "level" and self._off:
            return []  # the contact says that the call goes on
        self._seen_idle = False
        return [self._end(position, "card_lost")]

    # --- what it means ---

    def _wait(self, position: int, end: int, power: float) -> list[Change]:
        """Whether a call begins."""
        by_level = self._kind != "off_hook" or self._off is None
        by_hook = self._kind != "level" and self._off is True
        loud = power > self._start_power
        if not loud:
            self._loud_since = None
        elif self._loud_since is None:
            self._loud_since = position
        if not by_hook and not (by_level and loud):
            self._seen_idle = True
        if by_hook:
            return self._start(position, max(end, self._off_at), "off_hook")
        since = self._loud_since
        if by_level and since is not None and end - since >= self._onset:
            return self._start(since - (end - position), end, "level")
        return []

    def _start(self, position: int, decided: int, trigger: Trigger) -> list[Change]:
        self.running = True
        self._trigger = trigger
        self._began = max(position, self._floor or 0)
        return [Began(self._began, decided, trigger, not self._seen_idle)]

    def _go_on(self, end: int) -> list[Change]:
        """Whether the call ends, or is cut in two."""
        reason = self._over(end)
        if reason is not None:
            return [self._end(min(end, self._began + self._longest), reason)]
        return self._cut(end)

    def _over(self, end: int) -> End | None:
        silent = self._quiet_since is not None and end - self._quiet_since >= self.hang_over
        if self._kind == "level" or self._off is None:
            return "silence" if silent else None
        if self._off or end < self._off_at:
            return None
        if self._kind == "off_hook":
            return "on_hook"
        return "on_hook" if silent else None

    def _cut(self, end: int) -> list[Change]:
        """A call that lasts too long is another one from the sample on at which it does."""
        out: list[Change] = []
        while self.running and end - self._began > self._longest:
            at = self._began + self._longest
            out += [self._end(at, "longest"), Began(at, at, self._trigger, joined_late=False)]
            self.running = True
            self._began = at
        return out

    def _end(self, position: int, reason: End) -> Ended:
        self.running = False
        self._floor = position
        self._loud_since = None
        if reason != "card_lost":
            self._seen_idle = True
        return Ended(position, reason)
