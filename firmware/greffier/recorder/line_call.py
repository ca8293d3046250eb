"""A call on an analogue line: a call like any other, whose sound comes as samples.

What there is no payload of cannot be kept as its ``original``: such a line's samples are kept
without loss as FLAC then.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from greffier.calls.sampled import LineJoined, LineSummary, NotCaptured, Sampled
from greffier.encode import Gap
from greffier.encode.codecs import Codec, by_name
from greffier.encode.delay import Dated
from greffier.encode.stored import Kind
from greffier.encode.timeline import Placed
from greffier.recorder.call import Call
from greffier.recorder.outcome import STORAGE, Span
from greffier.recorder.tape import first_sample, unwritten_of
from greffier.recorder.track import Track, extend

_SECOND = 1_000_000_000
_NO_TYPE: Final = 0xFF
_LEG: Final = 0
CROWDED: Final = "CARD_OVERRUN"
"""Why sound is lost that came faster than there was room: the recorder was held up."""


class LineCall(Call):
    """Mutable; owned by the intake's thread."""

    joined: LineJoined | None = None
    codec: Codec
    decided = 0
    """The position up to which it is known what became of the sound: stored, hidden or missing."""
    _sequence = 0
    _dropped: list[list[int]]
    """Spans that came while no disk took anything, in order."""

    def join(self, event: LineJoined) -> None:
        """Its leg is known: both parties on one channel of a card."""
        self.joined = event
        self._dropped = []
        self.codec = by_name("L16", event.rate)
        self._tables[_LEG] = {"source": event.channel, "side": "unknown", "codec": "L16"}

    def sampled(self, event: Sampled) -> None:
        """Samples, in order: into the parts, or counted as not recorded."""
        position, count = event.position, event.samples
        until_ns = self._time_of(position + count)
        self._media = [min([*self._media, self._time_of(position)]), until_ns]
        if self.hearing is not None:
            pcm = np.frombuffer(event.octets, ">i2").astype(np.int16)
            self._listen_to(_LEG, self.codec.rate, pcm, until_ns)
        placed = Placed(position, count, 0, self.codec, _NO_TYPE, self._sequence, event.octets)
        if self.notice_ear is not None and self.answer_ns is not None:
            self.notice_ear.take_sampled(placed)
        if not self._plans and not self.holding:
            self.frames.not_recorded += count
            self.decided = position + count
            return
        self._sequence += 1
        self._hear(self._track(), [(until_ns, placed)])

    def not_captured(self, event: NotCaptured) -> None:
        """Samples are missing: a gap in every part."""
        if event.start >= event.end:
            return
        if not self._plans and not self.holding:
            self.decided = event.end
            return
        gap = Gap(event.start, event.end, 0, event.cause)
        self._hear(self._track(), [(self._time_of(event.end), gap)])

    def release(self, now_ns: int, heard_ns: int | None = None) -> None:
        """As of any call; a line is heard without a break, so it knows by itself how far it is."""
        super().release(now_ns, self._media[1] if self._media else heard_ns)

    def drain(self) -> None:
        """Nothing hides any more what waits: it is stored."""
        self._drain()

    @property
    def hidden(self) -> Sequence[Sequence[int]]:
        """The samples that pauses hide, spans in order."""
        return [span for track in self._tracks.values() for span in track.hidden]

    @property
    def missing(self) -> Iterator[tuple[int, int, str]]:
        """The samples that came and are in no part, spans, and the ledger's reason for each."""
        for track in self._tracks.values():
            yield from ((start, end, CROWDED) for start, end in track.crowded)
        yield from ((start, end, STORAGE) for start, end in self._dropped)

    @property
    def kept_from(self) -> int | None:
        """The first sample that a part has taken; None before."""
        tracks = (*self._tracks.values(), *self._left)
        return min((track.kept[0] for track in tracks if track.kept), default=None)

    def summary(self) -> LineSummary:
        """What became of its leg."""
        joined = self.joined or LineJoined(0, 0, "", 1)
        frames = self.frames
        heard = frames.recorded + frames.not_recorded + frames.masked
        missing = sum(span.packets for span in self._lost)
        return LineSummary(joined.channel, joined.rate, heard, missing)

    def kind(self) -> Kind:
        """How the parts hold its sound."""
        wanted = super().kind()
        return "flac" if wanted == "original" else wanted

    def _time_of(self, position: int) -> int:
        return self.start_ns + position * _SECOND // self.codec.rate

    def _track(self) -> Track:
        key = (_LEG, self.codec.rate)
        if key not in self._tracks:
            timeline, waiting = self._line(self.codec.rate)
            self._tracks[key] = Track(
                _LEG, timeline, self._tables[_LEG], self.codec, _NO_TYPE, waiting=waiting
            )
        return self._tracks[key]

    def _is_loss(self, gap: Gap) -> bool:
        return bool(self._tapes)

    def _lose(self, track: Track, gap: Gap) -> None:
        low, high = self._time_of(gap.start), self._time_of(gap.end)
        self._lost.append(Span(low, high, gap.end - gap.start))

    # --- counted in samples ---

    def _store(self, track: Track, dated: Sequence[Dated]) -> None:
        super()._store(track, dated)
        if not self.writable:
            for _, item in dated:
                if isinstance(item, Placed):
                    extend(self._dropped, item.position, item.position + item.samples)
        if dated:
            last = dated[-1][1]
            self.decided = last.end if isinstance(last, Gap) else last.position + last.samples

    def _mask(self, track: Track, start: int, end: int) -> None:
        super()._mask(track, start, end)
        self.decided = end

    def _count(self, track: Track, placed: Sequence[tuple[int, Placed]]) -> None:
        begin = min((tape.plan.start_ns for tape in self._tapes), default=None)
        for at, one in placed:
            end = one.position + one.samples
            kept = 0
            if begin is not None and at >= begin:
                first = first_sample(begin, self.start_ns, track.timeline.rate)
                kept = max(end - max(one.position, first), 0)
                if kept:
                    track.kept = [min([*track.kept, end - kept]), max([*track.kept, end])]
            self.frames.recorded += kept
            self.frames.not_recorded += one.samples - kept

    def _amount(self, dated: Sequence[Dated]) -> int:
        return sum(item.samples for _, item in dated if isinstance(item, Placed))

    def _pass(self, length: int) -> None:
        self.decided += length

    def _count_unkept(self, packets: int, samples: int) -> None:
        self.frames.not_recorded += samples

    def _count_hidden(self, packets: int, samples: int) -> None:
        self.frames.masked += samples

    def accounted(self) -> dict[str, Any]:
        """What became of its samples."""
        summary, frames = self.summary(), self.frames
        length = sum(one.to_ns - one.from_ns for one in unwritten_of(self._tapes))
        unwritten = min(round(length * summary.rate / _SECOND), frames.recorded)
        return {
            "unit": "samples",
            "received": summary.samples,
            "recorded": frames.recorded - unwritten,
            "not_recorded": frames.not_recorded,
            "masked": frames.masked,
            "lost": summary.missing + unwritten,
        }
