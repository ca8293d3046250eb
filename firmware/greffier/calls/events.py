"""What the tracker says about calls. Frozen; times are nanoseconds since the Unix epoch.

A call's events come in this order: CallStarted, then any of the others, CallEnded last and once.
``call`` numbers calls of one tracker from 0, ``leg`` the legs of one call from 0. Fields that may
hold a number, a name or sound stay out of ``repr``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from greffier.calls.sampled import LineJoined, LineSummary, NotCaptured, Sampled
from greffier.capture import rtp
from greffier.capture.datagram import Address
from greffier.sip.address import Address as Party
from greffier.sip.message import Message
from greffier.sip.sdp import Codec

Side = Literal["caller", "callee", "unknown"]
"""Who speaks on a leg: the party in From, the one in To, or nobody can tell (bare RTP)."""

Reason = Literal[
    "bye",  # a BYE of either side
    "cancelled",  # CANCEL, or a final 487
    "rejected",  # another final failure
    "no_answer",  # no final response in time
    "timeout",  # nothing heard of an answered call for very long: its BYE was missed
    "superseded",  # its addresses belong to a newer call: its BYE was missed
    "silence",  # bare RTP stopped, or an analogue line fell silent
    "on_hook",  # the handset of an analogue line was put down
    "longest",  # an analogue call was cut in two, because no call may last longer
    "card_lost",  # an analogue line's sound card was away for too long
    "claimed",  # bare RTP turned out to belong to a call that was already listed
    "end_of_capture",
    "overflow",  # more calls at once than the limits allow
]


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A call is known. For bare RTP the parties and signalling addresses are None."""

    call: int
    time_ns: int
    call_id: str | None = field(repr=False)
    from_: Party | None = field(repr=False)
    to: Party | None = field(repr=False)
    source: Address | None
    """Where the first message came from, and went to."""
    destination: Address | None
    joined_late: bool
    """Its beginning was not heard; From and To are those of the first request heard."""
    message: Message | None = field(repr=False)
    """The first message heard, for facts that only headers carry."""
    vlans: tuple[int, ...] = ()
    """VLAN tags of the frame of the first message or packet, the outer one first."""
    channel: str = ""
    """The analogue line, as the configuration calls it; "" for a call of a trunk."""
    trigger: str = ""
    """What told that a call begins on an analogue line: "level" or "off_hook"."""


@dataclass(frozen=True, slots=True)
class CallIdentified:
    """Bare RTP that was already listed turns out to belong to this Call-ID."""

    call: int
    time_ns: int
    call_id: str = field(repr=False)
    from_: Party | None = field(repr=False)
    to: Party | None = field(repr=False)
    source: Address | None
    destination: Address | None
    message: Message | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """A 2xx to an INVITE, or the first sign of a dialog that was joined late. Once a call."""

    call: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class Farewell:
    """The answer to a BYE of a dialog of which nothing else was heard. It belongs to no call."""

    call_id: str = field(repr=False)
    time_ns: int


@dataclass(frozen=True, slots=True)
class CallHeld:
    """One side's description says that audio does not flow both ways (RFC 3264 8.4)."""

    call: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class CallResumed:
    """Audio may flow both ways again."""

    call: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class KeyTold:
    """A SIP INFO says that *side* pressed a key; told once, however often it is sent."""

    call: int
    time_ns: int
    side: Side
    digit: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LegAdded:
    """One RTP source between two addresses belongs to the call."""

    call: int
    leg: int
    time_ns: int
    """Arrival of its first packet that is kept (linked late: in the past)."""
    source: Address
    destination: Address
    ssrc: int
    side: Side
    codec: Codec | None
    """Of the first audio payload type seen; None while none was, or nobody said what it means."""
    codecs: Mapping[int, Codec]
    """What each payload type means, as the receiving side described it."""
    encrypted: bool
    """SRTP: the payloads cannot be decoded."""


@dataclass(frozen=True, slots=True)
class LegChanged:
    """The meaning of a leg's payload types, its codec, side or encryption is another now."""

    call: int
    leg: int
    time_ns: int
    side: Side
    codec: Codec | None
    codecs: Mapping[int, Codec]
    encrypted: bool


@dataclass(frozen=True, slots=True)
class LegMedia:
    """Packets of a leg, by ascending sequence, each once in all."""

    call: int
    leg: int
    packets: tuple[rtp.Packet, ...] = field(repr=False)
    codecs: Mapping[int, Codec]
    """As in the latest LegAdded or LegChanged."""


@dataclass(frozen=True, slots=True)
class LegSummary:
    """What became of a leg."""

    leg: int
    source: Address
    destination: Address
    ssrc: int
    side: Side
    codec: Codec | None
    counters: rtp.Counters
    dtmf_events: int
    """Keys pressed as telephone events (RFC 4733): how many, never which."""
    packet_ns: int
    """Sound in one packet; 0 where it cannot be told."""
    dropped: int
    """Packets that came before the call was known and were too many or too old to hold."""
    encrypted: bool

    @property
    def seconds(self) -> float:
        """Last minus first arrival, plus one packet."""
        counted = self.counters
        span = counted.last_arrival_ns - counted.first_arrival_ns + self.packet_ns
        return span / 1_000_000_000


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call is over, and so are its late packets."""

    call: int
    ended_ns: int
    """Of the BYE, CANCEL or failure; where none was heard, of the last sign of life."""
    reason: Reason
    status: int | None
    """The final failure response to its INVITE, if there was one."""
    legs: tuple[LegSummary, ...]
    encrypted: bool
    """At least one leg is, or the descriptions said so and no packet came."""
    sampled: LineSummary | None = None
    """The leg of a call on an analogue line, which has no other."""


Event = (
    CallStarted
    | CallIdentified
    | CallAnswered
    | CallHeld
    | CallResumed
    | KeyTold
    | LegAdded
    | LegChanged
    | LegMedia
    | CallEnded
)
LineEvent = CallStarted | CallAnswered | LineJoined | Sampled | NotCaptured | CallEnded
"""What is said of a call on an analogue line, in that order."""
