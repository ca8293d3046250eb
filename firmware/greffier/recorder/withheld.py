"""Sound of a call that is held until a fact allows it, and what was captured and must go.

What is held lies in memory that is locked and zeroed (native/delay.h), at most a minute of a call:
at the bound the oldest is zeroed and counted, and the verdict stays open. What was captured and
must go is out of the recorder's hands at once; its key, its envelopes and its file go with the next
commit, after the log says so.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from greffier.clock import SECOND
from greffier.encode.delay import Dated, DelayLine
from greffier.encode.timeline import Timeline
from greffier.recorder.archive import Archive
from greffier.recorder.outcome import Span
from greffier.recorder.plans import Plan
from greffier.recorder.tape import Tape, first_sample
from greffier.recorder.track import Frames, Track, delay_line

HELD_NS: Final = 60 * SECOND
"""How much of a call is held at most."""
_ALL: Final = 2**63 - 1
_BEGINNING: Final = -(2**62)


class Withheld:
    """The half of a call that holds sound back, and lets it go. Owned by the call's thread."""

    start_ns: int
    waits_ns: int
    answer_ns: int | None
    frames: Frames
    recording: bytes | None
    zeroed: int
    _archive: Archive
    _plans: list[Plan]
    _tapes: list[Tape]
    _tracks: dict[tuple[int, int], Track]
    _left: list[Track]
    _lost: list[Span]
    _given: dict[Tape, int]
    _earlier_parts: int
    _held_ever: bool
    _ended_tapes: list[Tape]

    if TYPE_CHECKING:  # the other halves'

        @property
        def holding(self) -> bool: ...
        def _pass_on(self, track: Track, dated: Sequence[Dated]) -> None: ...

    @property
    def undecided(self) -> bool:
        """Whether what becomes of its sound is known later than the sound comes."""
        return self.waits_ns > 0 or self._held_ever or self.holding

    def _line(self, rate: int) -> tuple[Timeline, DelayLine | None]:
        """The sample line of a leg, and where its sound waits."""
        waits_ns = self.waits_ns
        if self.holding:
            self._held_ever = True
            waits_ns = max(waits_ns, HELD_NS)
        return Timeline(self.start_ns, rate), delay_line(waits_ns, rate)

    # --- what is held ---

    def _hold_on(self, now_ns: int) -> None:
        """Zero what was held for too long, and count it."""
        for track in self._tracks.values():
            if track.waiting is not None:
                self._count_zeroed(track, track.waiting.drop(now_ns - HELD_NS))

    def _count_zeroed(self, track: Track, items: int) -> None:
        sizes = track.sizes or deque()
        found = [sizes.popleft() for _ in range(min(items, len(sizes)))]
        packets = sum(1 for one in found if one.samples)
        self._count_unkept(packets, sum(one.samples for one in found))
        self._pass(sum(one.length for one in found))
        self.zeroed += packets

    def _pass(self, length: int) -> None:
        """So many samples more of the only leg are nowhere."""

    def _count_unkept(self, packets: int, samples: int) -> None:
        self.frames.not_recorded += packets

    def _settle_held(self) -> None:
        """A fact came: what was held goes where it belongs now, or nowhere."""
        if self.holding:
            return
        if not self._plans:
            self._forget_sound()
        elif not self.waits_ns:
            for track in self._tracks.values():
                if track.waiting is not None:
                    dated = track.waiting.take(_ALL) + track.rest()
                    track.waiting = None
                    track.sizes = None
                    self._pass_on(track, dated)
        else:
            for track in self._tracks.values():
                track.sizes = None

    def _forget_sound(self) -> None:
        """Nothing of it is kept any more: zero what waits, and let its sample lines go."""
        for track in self._tracks.values():
            if track.waiting is not None:
                wiped = track.waiting.scrub(_BEGINNING)
                if wiped is not None:
                    self._count_unkept(wiped.packets, wiped.samples)
                    self._pass(wiped.end - wiped.start)
                track.rest()
        self._left += [track for track in self._tracks.values() if track.kept]
        self._tracks.clear()

    # --- what was captured ---

    def _give_up(self, tapes: Mapping[Tape, bool], reason: str) -> None:
        """End *tapes*; those that are marked are destroyed, *reason* says why."""
        doomed = [tape for tape, destroys in tapes.items() if destroys]
        for tape, destroys in tapes.items():
            if not destroys:
                tape.finish("ended")
                self._ended_tapes.append(tape)
        if not doomed:
            return
        self._archive.discard(doomed, reason)
        kept = [*self._tapes, *self._ended_tapes]
        for tape in doomed:
            self._given.pop(tape, None)
        left = max((self._given.get(tape, 0) for tape in kept), default=0)
        gone = max(self.frames.recorded - left, 0)
        self.frames.recorded -= gone
        self.frames.not_recorded += gone
        for track in (*self._tracks.values(), *self._left):
            self._trim(track, kept)
        if not kept:
            self._lost.clear()
            if not self._earlier_parts:
                self.recording = None

    def _trim(self, track: Track, tapes: Sequence[Tape]) -> None:
        """What is kept of *track* begins with the first of *tapes*."""
        if not track.kept:
            return
        begin = min((tape.plan.start_ns for tape in tapes), default=None)
        if begin is None:
            track.kept = []
            return
        low = max(track.kept[0], first_sample(begin, self.start_ns, track.timeline.rate))
        track.kept = [low, track.kept[1]] if low < track.kept[1] else []
