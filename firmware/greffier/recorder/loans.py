"""What a call lends of its legs to the C core (greffier.recorder.armed), and takes over again."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from greffier.calls.events import LegAdded, LegChanged
from greffier.encode import Gap
from greffier.encode.codecs import Codec
from greffier.encode.timeline import State, Timeline
from greffier.recorder.notice_ear import NoticeEar
from greffier.recorder.outcome import LOSSES
from greffier.recorder.plans import Plan
from greffier.recorder.recall import CallRecall
from greffier.recorder.tape import Tape
from greffier.recorder.times import LONGEST_SILENCE_NS
from greffier.recorder.track import Frames, Track
from greffier.seal.spool import MOST_PARTS, LegCounters


@dataclass(frozen=True, slots=True)
class Loan:
    """What the core goes on from with a leg: its sample line, and its number in *tapes*."""

    state: State
    track: int
    tapes: tuple[Tape, ...]


class Lender:
    """The half of a call that lends legs; :class:`greffier.recorder.call.Call` is the other."""

    start_ns: int
    waits_ns: int
    recall: CallRecall | None
    frames: Frames
    _plans: list[Plan]
    _tapes: list[Tape]
    _legs: dict[int, LegAdded | LegChanged]
    _tables: dict[int, dict[str, Any]]
    _tracks: dict[tuple[int, int], Track]
    _media: list[int]
    _given: dict[Tape, int]
    notice_ear: NoticeEar | None

    if TYPE_CHECKING:  # the other half's

        @property
        def holding(self) -> bool: ...

    def _muted(self, track: Track) -> bool:
        raise NotImplementedError

    def _lose(self, track: Track, gap: Gap) -> None:
        raise NotImplementedError

    def lend(self, leg: int, codec: Codec, payload_type: int, heard_ns: int) -> Loan | None:
        """What the core needs to take the packets of *codec* of *leg*; None: not now.

        Only if all of them go the same way, whatever happens: into every part that the call will
        have, or into none because it has none. *heard_ns* is when its latest packet came.
        Sound that has to wait, or is kept for a replay, goes no such way.
        """
        if self.notice_ear is not None:
            return None  # whoever listens needs each packet
        if not self._media or heard_ns - self._media[1] > LONGEST_SILENCE_NS:
            return None  # its times are not believed (greffier.recorder.times)
        if not self._plans and not self.holding:
            return Loan(Timeline(self.start_ns, codec.rate).state, 0, ())
        if not self.may_lend(leg):
            return None
        (track,) = (track for key, track in self._tracks.items() if key[0] == leg)
        if track.timeline.rate != codec.rate:
            return None
        if not all(tape.holds(track.number, codec, payload_type) for tape in self._tapes):
            return None
        for tape in self._tapes:
            tape.flush()
        return Loan(track.timeline.state, track.number, tuple(self._tapes))

    def may_lend(self, leg: int) -> bool:
        """Whether it is worth asking: nothing forbids it that stays as it is for a while."""
        if self.notice_ear is not None:
            return False
        if not self._plans and not self.holding:
            return True
        tracks = [track for key, track in self._tracks.items() if key[0] == leg]
        return (
            not self.waits_ns
            and not self.holding
            and self.recall is None
            and len(self._tapes) == len(self._plans) <= MOST_PARTS
            and len(tracks) == 1
            and not self._legs[leg].encrypted
            and not self._muted(tracks[0])
        )

    def note(self, leg: int, gap: Gap) -> None:
        """The core found a gap on the line of *leg*."""
        for key, track in self._tracks.items():
            if key[0] == leg and gap.cause in LOSSES:
                self._lose(track, gap)

    def take_over(self, leg: int, loan: Loan, state: State, counters: LegCounters) -> None:
        """Go on with *leg* where the core stopped, and count what it counted."""
        self.frames.recorded += counters.recorded
        self.frames.not_recorded += counters.not_recorded
        self.frames.silent += counters.silent
        for tape in loan.tapes:
            self._given[tape] = self._given.get(tape, 0) + counters.recorded
        if counters.first_ns:
            self._media = [
                min([*self._media, counters.first_ns]),
                max([*self._media, counters.last_ns]),
            ]
        for key, track in self._tracks.items():
            if key[0] != leg or not loan.tapes:
                continue
            track.timeline = Timeline.resume(state, int(self._tables[leg]["ssrc"], 16))
            if counters.kept_to >= 0:
                track.kept = [
                    min([*track.kept, counters.kept_from]),
                    max([*track.kept, counters.kept_to]),
                ]
