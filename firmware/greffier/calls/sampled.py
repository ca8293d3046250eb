"""What is said of calls on analogue lines: sound that comes as samples of a card, not as packets.

Such a call has a CallStarted with its ``channel``, a CallAnswered where its beginning was heard,
and a CallEnded, as any other; between them come these. Positions count the samples of the call:
0 is at the time of its CallStarted (after a restart, of the one before the restart), and within the
call they are its only clock: what a card's clock is believed to say may step.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LineJoined:
    """The call's only leg: channel *channel* of a card at *rate* Hz, both parties together."""

    call: int
    time_ns: int
    channel: str
    rate: int


@dataclass(frozen=True, slots=True)
class Sampled:
    """Sound from *position* on; *octets* are L16 (RFC 3551 4.5.11)."""

    call: int
    position: int
    octets: bytes = field(repr=False)

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return len(self.octets) // 2


@dataclass(frozen=True, slots=True)
class NotCaptured:
    """Samples [start, end) are missing.

    *cause*: "overrun" (of the card, or of the ring behind it) or "card" (it was away).
    """

    call: int
    start: int
    end: int
    cause: str


@dataclass(frozen=True, slots=True)
class LineSummary:
    """What became of the leg: so many samples came, and so many are missing."""

    channel: str
    rate: int
    samples: int
    missing: int
