"""What of a call waits, and what a pause hides of it; the rest is in greffier.recorder.call."""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from greffier.calls.events import Side
from greffier.encode import Gap
from greffier.encode.delay import Dated
from greffier.encode.timeline import Placed
from greffier.errors import NotDecodable
from greffier.recorder.listening import Listening
from greffier.recorder.outcome import Span
from greffier.recorder.recall import CallRecall
from greffier.recorder.tape import Tape
from greffier.recorder.track import Frames, Track

_ALL = 2**63 - 1
SETTLED_NS = 500_000_000
"""Nothing of a leg is handed on later than this: what a packet may wait for others, and a batch."""
_HIDDEN = "paused"  # the cause of a gap that stands, where sound waits, for hidden sound


class Pausable(Listening):
    """The half of a call that keeps sound waiting, and hides it. Owned by the call's thread."""

    frames: Frames
    recall: CallRecall | None
    _tapes: list[Tape]
    _tracks: dict[tuple[int, int], Track]
    _unusable: set[int]

    if TYPE_CHECKING:  # the other halves'

        @property
        def holding(self) -> bool: ...
        @property
        def undecided(self) -> bool: ...
        def _hold_on(self, now_ns: int) -> None: ...

    def _store(self, track: Track, dated: Sequence[Dated]) -> None:
        raise NotImplementedError

    # --- orders, and time that goes by ---

    def pause(self, now_ns: int, since_ns: int | None = None, source: str = "") -> bool:
        """Keep nothing of the call from its back-date on; of a duty, nothing of the card's leg.

        What waits is zeroed. *since_ns* is where the back-date begins; None: as far back as sound
        waits. *source* is what asks for it. False: it was paused already.
        """
        since = now_ns - self.waits_ns if since_ns is None else since_ns
        if not self.pauses.begin(since, source):
            return False
        for track in self._tracks.values():
            if self._mutable(track):
                self._scrub(track, since, now_ns)
        return True

    def bear(self, sides: Collection[Side], since_ns: int, now_ns: int) -> None:
        """A pause lasts, and legs of *sides* turn out to bear card data since *since_ns*."""
        new = [track for track in self._tracks.values() if not self._mutable(track)]
        self.card_sides |= set(sides)
        for track in new:
            if self._mutable(track):
                self._scrub(track, max(since_ns, self.pauses.windows[-1].from_ns), now_ns)

    def _scrub(self, track: Track, since_ns: int, now_ns: int) -> None:
        """Zero what waits and came since *since_ns*; what came before it is stored."""
        if track.waiting is None:
            return
        if not self.holding:
            self._pass_on(track, track.waiting.take(since_ns, now_ns))
        wiped = track.waiting.scrub(since_ns)
        if track.sizes is not None:
            while len(track.sizes) > track.waiting.counts().items:
                track.sizes.pop()
        if wiped is not None:
            self.pauses.wiped(track.number, track.timeline.rate)
            self._mask(track, wiped.start, wiped.end)
            self._count_hidden(wiped.packets, wiped.samples)

    def unpause(self, now_ns: int) -> bool:
        """What is spoken from now on is kept again. False: it was not paused."""
        self.card_sides.clear()
        if self.hearing is not None:
            self.hearing.keypad.forget()
        return self.pauses.end(now_ns)

    def release(self, now_ns: int, heard_ns: int | None = None) -> None:
        """Store what has waited long enough; of a call that is held, zero what did for too long.

        Until *heard_ns* (None: now) all that came was heard: what waits for a key that may show it
        to be card data waits by that clock.
        """
        heard_ns = now_ns if heard_ns is None else min(heard_ns, now_ns)
        self._let_keys_pass(heard_ns - SETTLED_NS)
        if self.holding:
            self._hold_on(now_ns)
            return
        cards = self.hearing is not None and self.hearing.keypad.plan.cards
        until = (heard_ns if cards else now_ns) - self.waits_ns
        self.released_ns = max(self.released_ns, until)
        for track in self._tracks.values():
            if track.waiting is not None:
                self._pass_on(track, track.waiting.take(until, now_ns))

    def _drain(self) -> None:
        """Store all that waits: nothing can hide it any more."""
        for track in self._tracks.values():
            if track.waiting is not None:
                self._pass_on(track, track.waiting.take(_ALL) + track.rest())

    def _pass_on(self, track: Track, dated: Sequence[Dated]) -> None:
        """Store what has waited, in its order; what stands for hidden sound is told."""
        run: list[Dated] = []
        for at, item in dated:
            if isinstance(item, Placed) or item.cause != _HIDDEN:
                run.append((at, item))
                continue
            self._store(track, run)
            run = []
            self._mask(track, item.start, item.end)
        if run:
            self._store(track, run)

    # --- what comes ---

    def _mutable(self, track: Track) -> bool:
        """Whether a pause hides this leg from every part: of a duty, only the card's leg is."""
        if not self.verdict.mandatory:
            return True
        side = track.table.get("side", "unknown")
        return side in (self._outside, "unknown") or side in self.card_sides

    @property
    def _outside(self) -> str:
        """The side of the outside party."""
        return "callee" if self.facts.dir == "out" else "caller"

    def _muted(self, track: Track) -> bool:
        """Whether nothing of this leg may be kept now."""
        return self.pauses.paused and self._mutable(track)

    def _hear(self, track: Track, dated: Sequence[Dated]) -> None:
        """Sound as it comes: it is hidden, or waits, or is stored at once."""
        if self.holding and track.sizes is None:
            track.sizes = deque()
        runs = [(False, dated)]
        if self._mutable(track):
            runs = list(self.pauses.split(track.number, track.timeline.rate, dated))
        for hidden, run in runs:
            if hidden:
                self._hide(track, run)
                continue
            if self.recall is not None:
                side = str(track.table.get("side", "unknown"))
                self.recall.keep(track.number, side, self.start_ns, track.timeline.rate, run)
            if track.waiting is not None:
                track.wait(track.waiting, run)
            else:
                self._store(track, run)

    def _hide(self, track: Track, dated: Sequence[Dated]) -> None:
        placed = [(at, item) for at, item in dated if isinstance(item, Placed)]
        if not placed:
            return
        (first, begin), (_, last) = placed[0], placed[-1]
        start, end = begin.position, last.position + last.samples
        self._count_hidden(len(placed), sum(item.samples for _, item in placed))
        if track.waiting is not None and track.holds_back:
            # Kept sound waits before it: the mask waits for its turn.
            track.wait(track.waiting, [(first, Gap(start, end, len(placed), _HIDDEN))])
        else:
            self._mask(track, start, end)

    def _count_hidden(self, packets: int, samples: int) -> None:
        self.frames.masked += packets

    # --- what the parts are told ---

    def _mask(self, track: Track, start: int, end: int) -> None:
        track.hide(start, end)
        for tape in self._tapes:
            self._tell_mask(tape, track, start, end)

    def _tell_hidden(self, tape: Tape) -> None:
        """Tell a part that begins what was hidden before."""
        for track in self._tracks.values():
            for start, end in track.hidden:
                self._tell_mask(tape, track, start, end)

    def _tell_mask(self, tape: Tape, track: Track, start: int, end: int) -> None:
        try:
            tape.know(track.number, track.table, track.codec, track.payload_type)
        except NotDecodable:  # then none of it would have been stored, paused or not
            self._unusable.add(track.number)
            return
        tape.mask(track.number, start, end)

    def _give(self, tape: Tape, track: Track, dated: Sequence[Dated]) -> None:
        """Into the part, but for what a pause hides from parts that no duty demands.

        Raises NotDecodable as ``Tape.take``.
        """
        runs = [(False, dated)]
        if not tape.plan.in_file and not self._mutable(track):
            name = (track.number, tape.plan.number)
            runs = list(self.pauses.split(name, track.timeline.rate, dated))
        for hidden, run in runs:
            placed = [item for _, item in run if isinstance(item, Placed)]
            if hidden and placed:
                end = placed[-1].position + placed[-1].samples
                self._tell_mask(tape, track, placed[0].position, end)
            elif not hidden:
                tape.take(track.number, track.table, [item for _, item in run])

    def _paused(self, end_ns: int) -> list[Span]:
        pauses = (Span(one.from_ns, one.to_ns or end_ns) for one in self.pauses.all)
        return [span for span in pauses if span.from_ns < span.to_ns]


def release_all(calls: Iterable[Pausable], now_ns: int, heard_ns: int | None = None) -> None:
    """Time has passed until *now_ns* for *calls*: see :meth:`Pausable.release`."""
    for call in calls:
        if call.undecided or call.hearing is not None:
            call.release(now_ns, heard_ns)


def hurried(calls: Iterable[Pausable]) -> bool:
    """Whether a pause of one of *calls* began by itself since this was asked last."""
    found = [call for call in calls if call.hurries]
    for call in found:
        call.hurries = False
    return bool(found)
