"""One leg: a source of RTP inside a call, its packets in order, and what they mean."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from greffier.calls.events import Event, LegAdded, LegChanged, LegMedia, LegSummary, Side
from greffier.capture import rtp
from greffier.capture.datagram import Address
from greffier.sip.sdp import STATIC, Codec

if TYPE_CHECKING:
    from greffier.calls.lending import Borrower

_NO_SPEECH = {"telephone-event", "cn", "red", "tone"}
_MEASURED = 64  # packets after which the length of a packet is known well enough


class Leg:
    """Mutable; owned by the call whose ``call`` number it bears."""

    __slots__ = (
        "_measured",
        "_previous",
        "_steps",
        "borrower",
        "call",
        "codec",
        "codecs",
        "destination",
        "dropped",
        "due_ns",
        "encrypted",
        "first_ns",
        "flushed",
        "kept_aside",
        "last_ns",
        "last_type",
        "number",
        "returns",
        "side",
        "source",
        "ssrc",
        "stream",
        "types",
    )

    def __init__(
        self, call: int, number: int, pair: tuple[Address, Address], ssrc: int, first_ns: int
    ) -> None:
        self.call = call
        self.number = number
        self.source, self.destination = pair
        self.ssrc = ssrc
        self.side: Side = "unknown"
        self.codecs: Mapping[int, Codec] = {}
        self.codec: Codec | None = None
        self.encrypted = False
        self.stream = rtp.Stream()
        self.first_ns = first_ns
        self.last_ns = first_ns
        """Its last packet, as far as is known; ``latest_ns`` asks a borrower."""
        self.borrower: Borrower | None = None
        """Who takes its packets instead: then the stream is not to be touched."""
        self.returns = 0
        """How often one of its own packets brought it back."""
        self.due_ns = first_ns
        """When its packets are to be handed on."""
        self.flushed = False
        """Nothing came since the stream was told to hand out everything."""
        self.kept_aside = False
        """Packets of it are kept until it is lent: not all that was captured is in its stream."""
        self.last_type = -1
        self.types: dict[int, None] = {}
        """Payload types seen, in order."""
        self.dropped = 0
        self._steps: Counter[int] = Counter()
        self._previous: rtp.Packet | None = None
        self._measured = 0

    @property
    def latest_ns(self) -> int:
        """Its last packet."""
        if self.borrower is not None:
            self.last_ns = max(self.last_ns, self.borrower.latest_ns())
        return self.last_ns

    @property
    def measured(self) -> bool:
        """Whether the length of a packet is known."""
        return self._measured >= _MEASURED

    def take_back(self) -> None:
        """Take its packets again, if somebody has borrowed it."""
        if self.borrower is not None:
            self.due_ns, self.flushed = self.latest_ns, False
            borrower, self.borrower = self.borrower, None
            borrower.give_back()

    def added(self) -> LegAdded:
        """The event that introduces it."""
        return LegAdded(
            self.call,
            self.number,
            self.first_ns,
            self.source,
            self.destination,
            self.ssrc,
            self.side,
            self.codec,
            self.codecs,
            self.encrypted,
        )

    def describe(self, side: Side, codecs: Mapping[int, Codec], encrypted: bool) -> bool:
        """Take over what the descriptions say now; whether anything is another."""
        before = (self.side, self.codecs, self.codec, self.encrypted)
        for number, codec in codecs.items():
            known = self.codecs.get(number)
            if codec.name.lower() == "telephone-event" and (known is None or known != codec):
                self.stream.expect_events(number)
        self.side, self.codecs, self.encrypted = side, codecs, encrypted
        if self.codec is None or self.codecs.get(self.codec.payload_type, self.codec) != self.codec:
            self.codec = self._speech()
        return before != (self.side, self.codecs, self.codec, self.encrypted)

    def saw(self, payload_type: int) -> bool:
        """Another payload type than before begins; whether the codec is known only now."""
        self.last_type = payload_type
        self.types[payload_type] = None
        if self.codec is None:
            self.codec = self._speech()
            return self.codec is not None
        return False

    def hand_on(
        self, out: list[Event], *, until_ns: int | None = None, everything: bool = False
    ) -> None:
        """Emit the packets whose turn has come, or *everything* that is there.

        *until_ns*: all packets until then were given, so none older is waited for.
        """
        if until_ns is not None and not self.kept_aside:
            self.stream.expire(until_ns)
        packets = self.stream.flush() if everything else self.stream.ready()
        if not packets:
            return
        if self._measured < _MEASURED:
            self._measure(packets)
        out.append(LegMedia(self.call, self.number, tuple(packets), self.codecs))

    def change(self, time_ns: int, out: list[Event]) -> None:
        """Say that it is described anew; what came before goes out under the old description
        by a ``hand_on`` of the caller, made before ``describe``."""
        out.append(
            LegChanged(
                self.call,
                self.number,
                time_ns,
                self.side,
                self.codec,
                self.codecs,
                self.encrypted,
            )
        )

    def summary(self) -> LegSummary:
        """What became of it so far."""
        counters = self.stream.counters
        return LegSummary(
            self.number,
            self.source,
            self.destination,
            self.ssrc,
            self.side,
            self.codec,
            counters,
            counters.keys,
            self._packet_ns(counters),
            self.dropped,
            self.encrypted,
        )

    def _speech(self) -> Codec | None:
        """The codec of the first audio payload type seen."""
        for number in self.types:
            codec = self.codecs.get(number) or STATIC.get(number)
            if codec and codec.name.lower() not in _NO_SPEECH:
                return codec
        return None

    def _measure(self, packets: list[rtp.Packet]) -> None:
        """Learn from neighbouring packets how much sound one holds."""
        previous = self._previous
        for packet in packets:
            if previous and packet.sequence == previous.sequence + 1:
                step = packet.timestamp - previous.timestamp
                if step > 0 and packet.payload_type == previous.payload_type:
                    self._steps[step] += 1
            previous = packet
        self._previous = previous
        self._measured += len(packets)

    def _packet_ns(self, counters: rtp.Counters) -> int:
        """Sound in one packet: by the usual step of timestamps, else by arrival."""
        if self._steps and self.codec:
            step = self._steps.most_common(1)[0][0]
            if step < self.codec.clock:  # more than a second in one packet is a pause, not sound
                return step * 1_000_000_000 // self.codec.clock
        if counters.packets > 1:
            span = counters.last_arrival_ns - counters.first_arrival_ns
            return max(0, span) // (counters.packets - 1)
        return 0
