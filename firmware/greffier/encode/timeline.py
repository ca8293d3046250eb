"""Where the packets of one leg lie on the recording's sample line.

The first packet lies where it arrived (rounded to a sample); later ones lie where their RTP
timestamp says, so that jitter moves nothing. Rules, in order:

* another SSRC (``restart``), or a timestamp that disagrees with the arrival clock by more than
  2 s since the last sound or comfort noise, or steps back by more than 200 ms (``jump``): the
  packet lies where it arrived, but never before the end of what is there, and timestamps count
  from it on;
* a smaller step back: the samples that are there already are skipped, never written twice;
* what lies between the end and the packet is one gap with its cause.

Positions only grow. Telephone events and comfort noise carry no sound; time goes on over them.
"""

from typing import NamedTuple, Protocol

from greffier.encode import BadPayload, Gap
from greffier.encode.codecs import Codec

JUMP_NS = 2_000_000_000
_STEP_BACK_PER_SECOND = 5  # a fifth of a second
_LATE = 1000  # a sequence number further back than this is a restart of the numbers
_SECOND = 1_000_000_000


class Packet(Protocol):
    """An RTP packet in order (greffier.capture.rtp): extended sequence and timestamp."""

    @property
    def sequence(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def payload_type(self) -> int: ...
    @property
    def arrival_ns(self) -> int: ...
    @property
    def payload(self) -> bytes: ...


class OtherRate(ValueError):
    """A codec of another sample rate: it needs a timeline and a leg of its own."""


class Placed(NamedTuple):
    """A packet whose samples from number *skip* on lie in [position, position + samples).

    A tuple for the same reason as ``Coded``.
    """

    position: int
    samples: int
    skip: int
    codec: Codec
    payload_type: int
    sequence: int
    payload: bytes


class State(NamedTuple):
    """All that a timeline knows, for the C core to go on from, and back (native/place.h)."""

    origin_ns: int
    end: int
    anchor_position: int
    anchor_timestamp: int
    sequence: int
    last_arrival_ns: int
    rate: int
    missing: int
    begun: bool
    """A packet came."""
    anchored: bool
    heard: bool
    reasons: frozenset[str]
    """Why there was no sound since the last sound."""


class Timeline:
    """The sample line of one leg, at *rate* Hz; *origin_ns* is when sample 0 arrived."""

    def __init__(self, origin_ns: int, rate: int) -> None:
        self.rate = rate
        self._origin = origin_ns
        self._end = 0
        self._source: int | None = None
        self._sequence = 0
        self._anchored = False
        self._anchor = (0, 0)  # timestamp, position
        self._last_arrival = 0
        self._heard = False
        self._missing = 0  # packets since the last audio that should have been audio
        self._reasons: set[str] = set()
        # What the next packet looks like if it just goes on: nearly every packet does.
        self._codec: Codec | None = None
        self._next = 0  # timestamp
        self._total = 0  # samples of the last packet
        self._ticks = 0  # the same in the codec's clock
        self._lasts = 0  # the same in nanoseconds

    @property
    def end(self) -> int:
        """The first position that nothing was placed at or before."""
        return self._end

    def place(self, packet: Packet, codec: Codec | None, source: int = 0) -> list[Placed | Gap]:
        """What *packet* (of SSRC *source*; *codec* None when unknown) adds: gaps, then itself.

        Raises OtherRate for audio at another rate than the timeline's.
        """
        if (
            packet.timestamp == self._next
            and packet.sequence == self._sequence + 1
            and codec is self._codec
            and source == self._source
            and not self._reasons
            and -JUMP_NS <= packet.arrival_ns - self._last_arrival - self._lasts <= JUMP_NS
        ):
            following = self._follow(packet)
            if following:
                return [following]
        if codec and codec.decodable and codec.rate != self.rate:
            raise OtherRate(f"{codec.name} has {codec.rate} Hz, this leg {self.rate} Hz")
        if self._count(packet, source):
            return [Gap(self._end, self._end, 1, "late")]
        total = self._audible(packet, codec)
        if codec is None or (total == 0 and codec.purpose != "noise"):
            return []
        position = self._position(packet, codec)
        return self._write(packet, codec, position, total) if total else []

    def _follow(self, packet: Packet) -> Placed | None:
        """Place a packet that continues the last one; what follows says the same, more slowly."""
        codec = self._codec
        if codec is None:
            return None
        try:
            total = codec.samples(packet.payload)
        except BadPayload:
            return None
        position = self._end
        self._sequence += 1
        self._last_arrival = packet.arrival_ns
        if total == self._total:
            self._end = position + total
            self._anchor = (packet.timestamp, position)
            self._next += self._ticks
        else:
            self._advance(packet.timestamp, position, total, codec)
        return Placed(
            position, total, 0, codec, packet.payload_type, packet.sequence, packet.payload
        )

    def _advance(self, stamp: int, position: int, total: int, codec: Codec) -> None:
        self._end = position + total
        self._anchor = (stamp, position)
        if total != self._total or codec is not self._codec:
            self._codec = codec if total * codec.clock % self.rate == 0 else None
            self._total, self._ticks = total, total * codec.clock // self.rate
            self._lasts = total * _SECOND // self.rate
        self._next = stamp + self._ticks

    @property
    def state(self) -> State:
        """Where the line is now."""
        stamp, position = self._anchor
        return State(
            self._origin,
            self._end,
            position,
            stamp,
            self._sequence,
            self._last_arrival,
            self.rate,
            self._missing,
            self._source is not None,
            self._anchored,
            self._heard,
            frozenset(self._reasons),
        )

    @classmethod
    def resume(cls, state: State, source: int = 0) -> "Timeline":
        """A timeline that goes on from *state*, of SSRC *source*."""
        line = cls(state.origin_ns, state.rate)
        line._end = state.end
        line._anchor = (state.anchor_timestamp, state.anchor_position)
        line._sequence = state.sequence
        line._last_arrival = state.last_arrival_ns
        line._missing = state.missing
        line._source = source if state.begun else None
        line._anchored = state.anchored
        line._heard = state.heard
        line._reasons = set(state.reasons)
        return line

    def finish(self) -> list[Gap]:
        """The packets at the end that no later audio could account for."""
        if not self._missing:
            return []
        gap = Gap(self._end, self._end, self._missing, self._cause())
        self._missing = 0
        self._reasons.clear()
        return [gap]

    def _count(self, packet: Packet, source: int) -> bool:
        """Follow SSRC and sequence numbers. True: this packet came too late to be used."""
        step = packet.sequence - self._sequence
        if source == self._source and -_LATE < step <= 0:
            return True
        if self._source is not None and (source != self._source or step <= -_LATE):
            self._anchored = False
            self._reasons.add("restart")
        elif self._source is not None and step > 1:
            self._missing += step - 1
            self._reasons.add("lost")
        self._source = source
        self._sequence = packet.sequence
        return False

    def _audible(self, packet: Packet, codec: Codec | None) -> int:
        """How many samples the packet holds; 0, with the reason kept, if it holds none."""
        if codec is None:
            reason = "unknown_codec"
        elif codec.purpose == "noise":
            self._reasons.add("dtx")
            return 0
        elif codec.purpose == "event":
            self._reasons.add("event")
            return 0
        elif not codec.decodable:
            reason = "undecodable"
        else:
            try:
                return codec.samples(packet.payload)
            except BadPayload:
                reason = "damaged"
        self._missing += 1
        self._reasons.add(reason)
        return 0

    def _position(self, packet: Packet, codec: Codec) -> int:
        """Where the packet lies; a new anchor where the timestamps cannot be followed."""
        offset = (packet.arrival_ns - self._origin) * self.rate
        arrived = (offset + _SECOND // 2) // _SECOND
        if self._anchored:
            stamp, position = self._anchor
            stamped = position + (packet.timestamp - stamp) * self.rate // codec.clock
            ahead = (stamped - position) * _SECOND // self.rate
            waited = packet.arrival_ns - self._last_arrival
            back = self._end - stamped
            if abs(ahead - waited) <= JUMP_NS and back * _STEP_BACK_PER_SECOND <= self.rate:
                self._last_arrival = packet.arrival_ns
                self._anchor = (packet.timestamp, stamped)
                return stamped
            self._reasons.add("jump")
        if self._heard:
            arrived = max(arrived, self._end)
        self._anchored = True
        self._anchor = (packet.timestamp, arrived)
        self._last_arrival = packet.arrival_ns
        return arrived

    def _write(self, packet: Packet, codec: Codec, position: int, total: int) -> list[Placed | Gap]:
        skip = max(self._end - position, 0)
        if skip >= total:
            cause = "overlap" if self._heard else "early"
            self._codec = None
            return [Gap(self._end, self._end, 1, cause)]
        out: list[Placed | Gap] = []
        if position > self._end:
            out.append(Gap(self._end, position, self._missing, self._cause()))
        self._missing = 0
        self._reasons.clear()
        self._heard = True
        self._advance(packet.timestamp, position, total, codec)
        out.append(
            Placed(
                position + skip,
                total - skip,
                skip,
                codec,
                packet.payload_type,
                packet.sequence,
                packet.payload,
            )
        )
        return out

    def _cause(self) -> str:
        """The weightiest reason since the last audio; silence of the sender if there is none."""
        if not self._heard and not self._missing:
            return "late_start"
        order = ("restart", "jump", "lost", "damaged", "undecodable", "unknown_codec", "event")
        return next((reason for reason in order if reason in self._reasons), "dtx")
