"""The sound of one leg of a call, and how many of the call's packets went where."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

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

    def wait(self, waiting: DelayLine, dated: Sequence[Dated]) -> None:
        """Let *dated* wait; a packet for which there is no room leaves a gap."""
        for at, item in dated:
            if not waiting.append(at, item) and isinstance(item, Placed):
                end = item.position + item.samples
                waiting.append(at, Gap(item.position, end, 1, "overrun"))

    def hide(self, start: int, end: int) -> None:
        """A pause hides samples [start, end)."""
        if self.hidden and self.hidden[-1][1] == start:
            self.hidden[-1][1] = end
        else:
            self.hidden.append([start, end])


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
