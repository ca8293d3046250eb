"""The sound of one leg of a call, and how many of the call's packets went where."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from greffier.clock import SECOND
from greffier.encode import Gap
from greffier.encode.codecs import Codec, by_name, by_payload_type
from greffier.encode.delay import Dated, DelayLine
from greffier.encode.timeline import Placed, Timeline
from greffier.sip.sdp import Codec as Described

# What may wait of a leg: as much as the widest codec makes in its back-date, and as much again for
# a recorder that comes late.
_OCTETS_OF_SAMPLE = 16
_SPARE_NS = 30 * SECOND


@dataclass(slots=True)
class Frames:
    """How many RTP packets of the call went where; what is in none of them is lost."""

    recorded: int = 0
    not_recorded: int = 0
    masked: int = 0
    silent: int = 0  # comfort noise and telephone events: they hold no sound


class Size(NamedTuple):
    """The samples of sound of an item that waits, and the length of line that it stands for."""

    samples: int
    length: int

    @classmethod
    def of(cls, item: Placed | Gap) -> Self:
        """That of *item*."""
        if isinstance(item, Gap):
            return cls(0, item.end - item.start)
        return cls(item.samples, item.samples)


@dataclass(slots=True)
class Track:
    """The sound of one leg at one rate, on the recording's sample line."""

    number: int
    timeline: Timeline
    table: dict[str, Any]
    codec: Codec
    payload_type: int
    kept: list[int] = field(default_factory=list)  # first and last kept position
    waiting: DelayLine | None = None
    hidden: list[list[int]] = field(default_factory=list)  # spans that pauses hide, in order
    crowded: list[list[int]] = field(default_factory=list)
    """Spans for which there was no room where sound waits, in order."""
    sizes: deque[Size] | None = None
    """How much each item is that waits, while the call is held."""
    _early: list[Dated] = field(default_factory=list)  # refused before the first sound
    _begun: bool = False
    _untold: tuple[int, Gap] | None = None  # stands for the last of them, and does not wait yet
    _full_at: int = 0  # how many items waited when there was no room

    def wait(self, waiting: DelayLine, dated: Sequence[Dated]) -> None:
        """Let *dated* wait. What there is no room for becomes one gap, up to where there is again;
        it waits in its place.
        """
        for at, item in dated:
            if self._untold is not None and waiting.counts().items < self._full_at:
                self._untold = None if waiting.append(*self._untold) else self._untold
            if self._untold is None and waiting.append(at, item):
                if self.sizes is not None:
                    self.sizes.append(Size.of(item))
                continue
            self._crowd(at, item)
            self._full_at = waiting.counts().items

    def _crowd(self, at: int, item: Placed | Gap) -> None:
        if isinstance(item, Gap):
            start, end, packets = item.start, item.end, item.packets
        else:
            start, end, packets = item.position, item.position + item.samples, 1
        since, gap = self._untold or (at, Gap(start, start, 0, "overrun"))
        self._untold = since, Gap(gap.start, end, gap.packets + packets, gap.cause)
        extend(self.crowded, start, end)

    def with_early(self, dated: Sequence[Dated]) -> Sequence[Dated]:
        """*dated*, to be stored; with the first sound comes what was refused before it.

        A part knows no leg before its first sound, however packets were handed on together.
        """
        if self._begun:
            return dated
        self._begun = any(isinstance(item, Placed) for _, item in dated)
        if self._begun:
            early, self._early = self._early, []
            return [*early, *dated]
        self._early += [one for one in dated if isinstance(one[1], Gap) and _is_refusal(one[1])]
        return [one for one in dated if not (isinstance(one[1], Gap) and _is_refusal(one[1]))]

    def rest(self) -> list[Dated]:
        """The gap that did not find room to wait, for whoever has taken out all that waited."""
        rest: list[Dated] = [] if self._untold is None else [self._untold]
        self._untold = None
        return rest

    @property
    def holds_back(self) -> bool:
        """Whether anything waits."""
        return self._untold is not None or (
            self.waiting is not None and self.waiting.counts().items > 0
        )

    def hide(self, start: int, end: int) -> None:
        """A pause hides samples [start, end)."""
        extend(self.hidden, start, end)


def _is_refusal(gap: Gap) -> bool:
    """Whether it stands for packets that lie before the line, and not for time."""
    return gap.start == gap.end


def extend(spans: list[list[int]], start: int, end: int) -> None:
    """Put [start, end) behind *spans*, or lengthen the last of them if it ends there."""
    if spans and spans[-1][1] == start:
        spans[-1][1] = end
    else:
        spans.append([start, end])


def delay_line(waits_ns: int, rate: int) -> DelayLine | None:
    """Where sound at *rate* Hz waits *waits_ns*; None where it need not. Raises MemoryError."""
    if not waits_ns:
        return None
    return DelayLine((waits_ns + _SPARE_NS) * rate * _OCTETS_OF_SAMPLE // SECOND)


def codec_of(described: Described | None, payload_type: int) -> Codec | None:
    """The codec of a payload type: as the SDP says, else of RFC 3551, else None."""
    if described is not None:
        return by_name(described.name, described.clock, described.channels)
    return by_payload_type(payload_type)
