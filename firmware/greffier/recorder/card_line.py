"""One analogue line: its samples become calls, its time becomes coverage, its level is measured.

What the line says while no call runs is held in a small buffer that is zeroed (see ``backdate``),
because a call begins before its detector can know; nothing of it goes anywhere else. Positions are
those of the card's sample line, times the wall clock's.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from greffier.audit.intervals import Interval
from greffier.calls.events import CallAnswered, CallEnded, CallStarted, LineEvent, Reason
from greffier.calls.line import Began, Change, Ended, LineWatch
from greffier.calls.sampled import LineJoined, NotCaptured, Sampled
from greffier.clock import SECOND
from greffier.config.records import AnalogueLine
from greffier.control.messages import Level
from greffier.recorder.backdate import BackDate
from greffier.recorder.call import Call
from greffier.recorder.fate import NEVER, NOT_KEPT, fate_of, state_of
from greffier.recorder.intake import Intake
from greffier.recorder.ledger import UNDECIDED, Ledger
from greffier.recorder.line_call import LineCall
from greffier.recorder.meter import Meter
from greffier.recorder.outcome import STORAGE
from greffier.recorder.recovery import CutCall

Samples = NDArray[np.int16]


class Heard(NamedTuple):
    """Periods of one line in a row: *pcm* from *position* on, captured from *at_ns* on.

    Each of *sizes* frames had the mean square *powers*, 0..1.
    """

    position: int
    at_ns: int
    pcm: Samples
    sizes: Sequence[int]
    powers: Sequence[float]


@dataclass(frozen=True, slots=True)
class Cut:
    """A call that ran on this line when the last process ended, at *last_ns*."""

    call: CutCall
    last_ns: int


class CardLine:
    """One channel of a card. The recorder's thread owns it.

    *off* tells the contact's state, *number* numbers the calls of the card's intake. *tell* logs an
    interval of the ledger, *list_cut* gives a call that did not go on its end. *never*: nothing of
    this line may be kept, not even when it was busy.
    """

    def __init__(
        self,
        config: AnalogueLine,
        intake: Intake,
        ledger: Ledger,
        *,
        off: Callable[[], bool | None],
        number: Iterator[int],
        tell: Callable[[Interval], None],
        list_cut: Callable[[CutCall], None],
        cut: Cut | None = None,
        never: bool = False,
    ) -> None:
        self.config = config
        self._intake = intake
        self._ledger = ledger
        self._off = off
        self._number = number
        self._tell = tell
        self._list_cut = list_cut
        self._cut = cut
        self._never = never
        self._watch = LineWatch(config.detection, config.rate)
        period = config.rate * config.period_ms // 1000
        self._reach = self._watch.reach(period)
        self._before = BackDate(self._reach)
        self._begun = False  # the ledger knows of the line
        self._heard = False  # sound came, so that positions have times
        self._clock = (0, 0)  # a position, and when it was captured
        self._at = 0  # the position behind the last sound
        self._call: int | None = None
        self._base = 0  # the position of the call's sample 0
        self._fed = 0  # up to here the call has its samples
        self._recorded = False  # the ledger has told of a sample that was kept
        self._away: tuple[int, int] | None = None  # the position and time of the loss
        self._told = 0  # of the frames that are missing now, how many the ledger knows of
        self._changed = True  # the next settling is due at once
        self._meter = Meter(config.line, config.name)

    @property
    def contact_unread(self) -> bool:
        """Whether the contact that should tell of calls cannot be read now."""
        return self.config.detection.kind != "level" and self._off() is None

    @property
    def _rate(self) -> int:
        return self.config.rate

    def _time_of(self, position: int) -> int:
        at, t_ns = self._clock
        return t_ns + (position - at) * SECOND // self._rate

    # --- what comes of the card ---

    def hear(self, heard: Heard) -> None:
        """Sound, which goes on where the last event ended. Raises StorageFailed."""
        position, at_ns, pcm, sizes, powers = heard
        end = position + len(pcm)
        self._come(at_ns)
        self._clock, self._at, self._heard = (position, at_ns), end, True
        self._meter.measure(pcm, sizes, powers)
        if self._never:
            self._ledger.until(self._time_of(end), *NEVER)
            return
        if self.config.detection.kind != "level":
            self._watch.hook(self._off(), end)
        if self._cut is not None:
            self._go_on(self._cut, position, at_ns)
        at = position
        for frames, power in zip(sizes, powers, strict=True):
            for change in self._watch.hear(at, frames, power):
                self._follow(change, position, pcm, "overrun")
            at += frames
        told_ns = self._ledger.at_ns
        if self._call is None:
            idle = max(position, self._fed)  # from the end of the last call on
            self._before.keep(idle, pcm[idle - position :])
            self._ledger.until(self._time_of(end - self._reach), "idle")
        else:
            self._feed(end, position, pcm)
            self._account(end)
        if self._ledger.at_ns > told_ns:  # else what is told last is the state of before
            self._settle_change()

    def skip(
        self, position: int, frames: int, until_ns: int, cause: Literal["overrun", "card"]
    ) -> None:
        """[position, position + frames), up to *until_ns*, was not captured.

        Raises StorageFailed.
        """
        end = position + frames
        self._before.wipe()
        if self._away is None:
            self._told = 0
            self._pass_time(position)
        if self._heard and not self._never:
            for change in self._watch.skip(position, frames):
                self._follow(change, end, _NOTHING, cause)
            self._miss(end, cause)
        self._lose(until_ns, max(frames - self._told, 0), cause)
        self._away = None
        self._changed = True

    def lose(self, position: int, at_ns: int) -> None:
        """The card is gone, or was never there."""
        self._before.wipe()
        self._come(at_ns)
        self._pass_time(position)
        self._settle()
        self._away = (position, self._ledger.at_ns)
        self._told = 0
        self._changed = True

    def wait(self, until_ns: int, now_ns: int) -> None:
        """Time goes by: the card is away at least until *until_ns*. Raises StorageFailed."""
        if self._cut is not None and now_ns - self._cut.last_ns > self._hang_over_ns:
            self._give_up(self._cut)
        if self._away is None:
            return
        position, since_ns = self._away
        if self._heard and not self._never:
            if self.config.detection.kind != "level":
                self._watch.hook(self._off(), position)
            frames = (until_ns - since_ns) * self._rate // SECOND
            for change in self._watch.wait(position, frames):
                self._follow(change, position, _NOTHING, "card")
        if until_ns > self._ledger.at_ns:
            frames = (until_ns - self._ledger.at_ns) * self._rate // SECOND
            self._lose(until_ns, frames, "card")
            self._settle_change()

    def stop(self, now_ns: int) -> None:
        """Nothing more comes: the time up to here is accounted for."""
        self._before.wipe()
        if self._away is not None:
            self.wait(now_ns, now_ns)
        else:
            self._pass_time(self._at)
        call = self._running()
        if isinstance(call, LineCall):
            call.drain()
        self._decide(call, over=True)

    def settle(self) -> list[Interval]:
        """The intervals of its time that were not told yet."""
        self._decide(self._running())
        return self._ledger.settle()

    # --- calls ---

    @property
    def _hang_over_ns(self) -> int:
        return self._watch.hang_over * SECOND // self._rate

    def _take(self, *events: LineEvent) -> None:
        self._intake.take(events)

    def _follow(self, change: Change, position: int, pcm: Samples, cause: str) -> None:
        """What a change of the line means; *pcm* lies at *position*."""
        if isinstance(change, Began):
            self._begin(change, position)
        else:
            if len(pcm):
                self._feed(change.position, position, pcm)
                self._account(change.position)
            elif change.position > self._fed:
                self._lose(self._time_of(change.position), change.position - self._fed, cause)
                self._miss(change.position, cause)
            self._end(change)

    def _begin(self, began: Began, position: int) -> None:
        """A call begins, perhaps with sound that was held back."""
        start_ns = self._time_of(began.position)
        self._ledger.until(start_ns, "idle")
        self._settle()
        call = self._open(start_ns, began.position, began.trigger, joined_late=began.joined_late)
        self._take(call)
        self._base = self._fed = began.position
        self._join(call.call, start_ns)
        if not began.joined_late:
            self._take(CallAnswered(call.call, self._time_of(began.decided)))
        first, held = self._before.take(began.position)
        if len(held) and first < position:
            self._feed(first + len(held), first, held)
            held.fill(0)

    def _open(self, time_ns: int, position: int, trigger: str, *, joined_late: bool) -> CallStarted:
        self._call = next(self._number)
        self._fed = self._base = position
        self._recorded = False
        return CallStarted(
            self._call, time_ns, None, None, None, None, None, joined_late, None,
            channel=self.config.name, trigger=trigger,
        )  # fmt: skip

    def _join(self, call: int, time_ns: int) -> None:
        self._take(LineJoined(call, time_ns, self.config.name, self._rate))

    def _go_on(self, cut: Cut, position: int, at_ns: int) -> None:
        """The call of before the restart goes on, if it may be the same one."""
        silent_ns = at_ns - cut.last_ns
        on_hook = self.config.detection.kind == "off_hook" and self._off() is False
        if not 0 <= silent_ns < self._hang_over_ns or on_hook:
            self._give_up(cut)
            return
        started = self._open(at_ns, position, "", joined_late=False)
        if not self._intake.resume(started, cut.call):
            self._call = None
            self._give_up(cut)
            return
        self._cut = None
        elapsed = max(at_ns - cut.call.start_ns, 0) * self._rate // SECOND
        self._base = position - elapsed
        self._watch.resume(position, elapsed, silent_ns * self._rate // SECOND)
        self._join(started.call, at_ns)

    def _give_up(self, cut: Cut) -> None:
        self._cut = None
        self._list_cut(cut.call)

    def _end(self, ended: Ended) -> None:
        call = self._running()
        if self._call is not None:
            start_ns = call.start_ns if call is not None else self._time_of(self._base)
            at_ns = start_ns + (ended.position - self._base) * SECOND // self._rate
            reason = cast("Reason", ended.reason)
            self._take(CallEnded(self._call, at_ns, reason, None, (), encrypted=False))
        self._call = None
        self._decide(call, over=True)
        self._settle()
        self._changed = True

    def _feed(self, upto: int, position: int, pcm: Samples) -> None:
        """Hand the call its samples up to *upto*; *pcm* lies at *position*."""
        upto = min(upto, position + len(pcm))
        if self._call is None or upto <= self._fed:
            return
        self._miss(min(position, upto), "overrun")
        octets = pcm[self._fed - position : upto - position].astype(">i2").tobytes()
        self._take(Sampled(self._call, self._fed - self._base, octets))
        self._fed = upto

    def _miss(self, upto: int, cause: str) -> None:
        """Tell the call that there are no samples up to *upto*."""
        if self._call is not None and upto > self._fed:
            start, end = self._fed - self._base, upto - self._base
            self._take(NotCaptured(self._call, start, end, cause))
            self._fed = upto

    # --- time ---

    def _come(self, at_ns: int) -> None:
        """The line is heard of; until it was for the first time, the recorder was not there."""
        if not self._begun:
            self._begun = True
            self._ledger.until(at_ns, "off")

    def _pass_time(self, position: int) -> None:
        """Account for the time up to *position*, after which something else is true."""
        if not self._heard:
            return
        if self._never:
            self._ledger.until(self._time_of(position), *NEVER)
        elif self._call is None:
            self._ledger.until(self._time_of(position), "idle")
        else:
            self._account(position)

    def _account(self, position: int) -> None:
        """Account for the time of the running call up to *position*."""
        at_ns = self._time_of(position)
        call = self._running()
        if call is not None and call.undecided:
            self._ledger.until(at_ns, UNDECIDED)
            self._decide(call)
            return
        state, reason = state_of(call)
        if state == "recorded" and not self._recorded and call is not None:
            kept = call.heard(at_ns).recorded
            self._recorded = kept is not None
            before_ns = kept.from_ns if kept is not None else at_ns
            if before_ns - self._ledger.at_ns > SECOND // self._rate:
                self._ledger.until(before_ns, "not_recorded", "NOTICE_PENDING")
        if state == "recorded" and call is not None and not call.writable:
            state, reason = "lost", STORAGE
        known = state in ("recorded", "lost")
        samples = (at_ns - self._ledger.at_ns) * self._rate // SECOND if known else 0
        self._ledger.until(at_ns, state, reason, max(samples, 0))

    def _running(self) -> Call | None:
        return None if self._call is None else self._intake.find(self._call)

    def _lose(self, until_ns: int, frames: int, cause: str) -> None:
        """Account for time of which no sound is there."""
        self._told += frames
        if self._never:
            self._ledger.until(until_ns, *NEVER)
            return
        if self._call is not None:
            call = self._running()
            state, reason = state_of(call)
            if call is not None and call.undecided and call.verdict.record not in NOT_KEPT:
                state = "recorded"
            if state != "recorded":
                self._ledger.until(until_ns, state, reason)
                return
        reason = "CARD_LOST" if cause == "card" else "CARD_OVERRUN"
        self._ledger.until(until_ns, "lost", reason, frames)

    def _decide(self, call: Call | None, *, over: bool = False) -> None:
        """Account for what is known by now of the sound of *call*; all of it where it is *over*."""
        if not isinstance(call, LineCall) or not call.undecided:
            return

        def time_of(at: int) -> int:
            return self._time_of(self._base + at)

        upto = self._ledger.at_ns if over else time_of(call.decided)
        self._ledger.decide(upto, fate_of(call, time_of, self._rate))

    def _settle(self) -> None:
        for interval in self._ledger.settle():
            self._tell(interval)

    def _settle_change(self) -> None:
        """What is new is on record soon: a restart must know in which state the line was."""
        if self._changed:
            self._changed = False
            self._settle()

    def level(self) -> Level | None:
        """How loud it was since this was asked last; None before anything was heard."""
        return self._meter.level()


_NOTHING: Final = np.zeros(0, np.int16)
