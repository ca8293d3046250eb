"""RTP between two addresses before and after it is known whose it is.

A flow is one direction of one address pair, a track one source (SSRC) in it. Packets that no call
claims yet are held in memory, bounded in number, bytes and time; the oldest go first and are
counted.
"""

from collections import Counter, OrderedDict, deque

from greffier.calls.call import Call
from greffier.calls.events import Side
from greffier.calls.leg import Leg
from greffier.calls.limits import Limits
from greffier.capture.datagram import Address
from greffier.sip.sdp import STATIC

Pair = tuple[Address, Address]
SPEECH = frozenset(number for number in STATIC if number <= 18 and number not in {13})
"""Payload types that are audio without any description (RFC 3551 table 4), comfort noise not."""

NEAR = 16
"""Sequence numbers between two packets that show them to be of one source, despite some loss."""
_UNPROVEN = 64  # packets held of a source that has proven nothing


class Track:
    """One source in a flow."""

    __slots__ = (
        "dropped",
        "first_ns",
        "held",
        "held_bytes",
        "leg",
        "proven",
        "sequence",
        "speech",
        "ssrc",
    )

    def __init__(self, ssrc: int, time_ns: int) -> None:
        self.ssrc = ssrc
        self.leg: Leg | None = None
        self.first_ns = time_ns
        self.held: deque[tuple[int, bytes]] = deque()
        self.held_bytes = 0
        self.sequence = -1
        self.proven = False
        """Two packets had neighbouring numbers: chance does not do that."""
        self.speech = 0
        """Packets of static audio types with ascending numbers."""
        self.dropped = 0

    def hold(self, payload: bytes, time_ns: int, limits: Limits) -> int:
        """Keep a packet; how many bytes more (or, negative, less) are held now."""
        sequence = payload[2] << 8 | payload[3]
        ahead = (sequence - self.sequence) & 0xFFFF
        if self.sequence >= 0 and 0 < ahead <= NEAR:
            self.proven = True
        if self.sequence < 0 or 0 < ahead < 0x8000:
            self.speech += payload[1] & 0x7F in SPEECH
            self.sequence = sequence
        before = self.held_bytes
        self.held.append((time_ns, payload))
        self.held_bytes += len(payload)
        most = limits.held_packets if self.proven else _UNPROVEN
        while len(self.held) > most or time_ns - self.held[0][0] > limits.held_ns:
            self.held_bytes -= len(self.held.popleft()[1])
            self.dropped += 1
        return self.held_bytes - before

    def release(self) -> list[tuple[int, bytes]]:
        """Take out what is held."""
        held = list(self.held)
        self.held.clear()
        self.held_bytes = 0
        return held


class Flow:
    """One direction of one address pair."""

    __slots__ = (
        "call",
        "first_ns",
        "hot_key",
        "hot_leg",
        "last_ns",
        "pair",
        "refused",
        "side",
        "suspect",
        "tracks",
        "vlans",
        "weak",
    )

    def __init__(self, pair: Pair, time_ns: int, vlans: tuple[int, ...] = ()) -> None:
        self.pair = pair
        self.vlans = vlans
        """Of its first frame."""
        self.call: Call | None = None
        self.side: Side = "unknown"
        """Who sends."""
        self.weak = False
        """Linked by one of its addresses only."""
        self.suspect = False
        """Its call is over and another one is being set up on its addresses: from now on only what
        continues the numbers of a leg is a late packet."""
        self.refused = False
        """Somebody's video or fax."""
        self.tracks: dict[bytes, Track] = {}
        self.hot_key = b""
        """SSRC as on the wire of the leg that had the latest packet, and that leg: the short cut
        that nearly every packet takes."""
        self.hot_leg: Leg | None = None
        self.first_ns = time_ns
        self.last_ns = time_ns
        """Its last packet, those of the short cut not counted; ``latest_ns`` counts them."""

    @property
    def legs(self) -> list[Leg]:
        """Those of its sources that are legs."""
        return [track.leg for track in self.tracks.values() if track.leg is not None]

    @property
    def latest_ns(self) -> int:
        """Its last packet."""
        last = [leg.latest_ns for leg in self.legs]
        return max(self.last_ns, *last) if last else self.last_ns

    @property
    def proven(self) -> bool:
        """At least one source is real."""
        return any(track.proven for track in self.tracks.values())


class Flows:
    """Every flow there is: linked ones, loose ones, and strange ones that may be anything."""

    def __init__(self, limits: Limits, ignored: Counter[str]) -> None:
        self._limits = limits
        self._ignored = ignored
        self.table: dict[Pair, Flow] = {}
        self.loose: OrderedDict[Pair, Flow] = OrderedDict()
        """Unclaimed and proven, in order of their last packet."""
        self.strange: OrderedDict[Pair, Flow] = OrderedDict()
        """Unclaimed and unproven, in order of their last packet."""
        self._at: dict[Address, dict[Pair, Flow]] = {}
        self.held_bytes = 0

    def open(self, pair: Pair, time_ns: int, vlans: tuple[int, ...] = ()) -> Flow:
        """A new flow, strange until more is known."""
        flow = self.table[pair] = Flow(pair, time_ns, vlans)
        self.strange[pair] = flow
        for address in pair:
            self._at.setdefault(address, {})[pair] = flow
        return flow

    def loosen(self, flow: Flow, time_ns: int) -> None:
        """A flow that was linked is nobody's again."""
        flow.first_ns = flow.last_ns = time_ns
        self.strange[flow.pair] = flow

    def watch(self, flow: Flow) -> None:
        """Whose a flow is must be decided though no packet has proven it to be RTP yet."""
        self.strange.pop(flow.pair, None)
        self.loose[flow.pair] = flow

    def touching(self, address: Address) -> list[Flow]:
        """The flows from and to an address."""
        return list(self._at.get(address, {}).values())

    def hold(self, flow: Flow, track: Track, payload: bytes, time_ns: int) -> None:
        """Keep a packet until it is known whose it is."""
        self.held_bytes += track.hold(payload, time_ns, self._limits)
        pair = flow.pair
        if flow.call is not None:
            return
        if pair in self.loose:
            self.loose.move_to_end(pair)
        elif track.proven:
            self.strange.pop(pair, None)
            self.loose[pair] = flow
        elif pair in self.strange:
            self.strange.move_to_end(pair)
        limits = self._limits
        while len(self.strange) > limits.strange_flows:
            self.drop(next(iter(self.strange.values())), "limit")
        while len(self.loose) > limits.loose_flows:
            self.drop(next(iter(self.loose.values())), "limit")
        while self.held_bytes > limits.held_bytes and (self.strange or self.loose):
            self.drop(next(iter((self.strange or self.loose).values())), "limit")

    def link(self, flow: Flow, call: Call) -> None:
        """The flow belongs to *call* from now on."""
        self.loose.pop(flow.pair, None)
        self.strange.pop(flow.pair, None)
        flow.call = call
        call.flows[flow.pair] = None

    def release(self, track: Track) -> list[tuple[int, bytes]]:
        """Take out what a track holds."""
        self.held_bytes -= track.held_bytes
        return track.release()

    def drop(self, flow: Flow, reason: str = "unclaimed") -> None:
        """Forget a flow; packets that are still held are counted as ignored."""
        for track in flow.tracks.values():
            lost = track.dropped if track.leg is None else 0
            lost += len(self.release(track))
            if lost:
                self._ignored[reason] += lost
        self.loose.pop(flow.pair, None)
        self.strange.pop(flow.pair, None)
        del self.table[flow.pair]
        for address in set(flow.pair):
            there = self._at[address]
            del there[flow.pair]
            if not there:
                del self._at[address]
        if flow.call is not None:
            del flow.call.flows[flow.pair]
