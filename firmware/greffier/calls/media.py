"""RTP: whose is it. Linked by both addresses at once, by one after a while, by none as bare RTP."""

from collections import Counter
from collections.abc import Callable

from greffier.calls import succession
from greffier.calls.call import Call
from greffier.calls.claims import Claim, Claims, other_side, same_side
from greffier.calls.events import Side
from greffier.calls.flow import SPEECH, Flow, Flows, Pair, Track
from greffier.calls.leg import Leg
from greffier.calls.limits import Limits
from greffier.calls.register import Register
from greffier.capture import rtp
from greffier.capture.datagram import Address, Datagram
from greffier.sip.sdp import Codec


class MediaPath:
    """Takes RTP datagrams, gives them to legs, or holds them."""

    def __init__(
        self,
        limits: Limits,
        flows: Flows,
        claims: Claims,
        register: Register,
        ignored: Counter[str],
        expected: Callable[[Pair], bool],
    ) -> None:
        self._limits = limits
        self._flows = flows
        self._claims = claims
        self._register = register
        self._ignored = ignored
        self._expected = expected

    def receive(self, datagram: Datagram) -> None:
        """Take a packet that the short cut of the tracker does not know."""
        time_ns, payload = datagram.time_ns, datagram.payload
        pair = (datagram.source, datagram.destination)
        flow = self._flows.table.get(pair)
        if flow is None:
            flow = self._flows.open(pair, time_ns, datagram.vlans)
            if not self._link_exactly(flow) and self._expected(pair):
                self._flows.watch(flow)
        flow.last_ns = max(flow.last_ns, time_ns)
        if flow.refused:
            self._ignored["not_audio"] += 1
            return
        key = payload[8:12]
        track = flow.tracks.get(key)
        if track is None:
            track = self._track(flow, key, time_ns)
        if track.leg is not None and track.leg.borrower is not None:
            track.leg.returns += 1
            self._register.take_back(flow.call, track.leg)
        if succession.begins_anew(flow, track, payload, time_ns):
            owner = flow.call
            self._detach(flow)
            if owner is not None and not owner.ended and not owner.holding:
                self._register.end(owner, owner.active_ns, "superseded")
            self._flows.loosen(flow, time_ns)
            track = self._track(flow, key, time_ns)
            if (claim := self._claims.exact(*flow.pair)) and claim.call is not owner:
                self._link_exactly(flow)
        if track.leg is not None:
            if not flow.suspect and not (flow.call is not None and flow.call.ended):
                flow.hot_key, flow.hot_leg = key, track.leg
            self.deliver(track.leg, payload, time_ns)
            return
        self._flows.hold(flow, track, payload, time_ns)
        if flow.call is not None:
            self._promote(flow, track)

    def deliver(self, leg: Leg, payload: bytes, time_ns: int) -> None:
        """Give a packet to its leg."""
        try:
            leg.stream.receive(payload, time_ns)
        except rtp.BadRtp:
            self._ignored["bad_rtp"] += 1
            return
        leg.last_ns = max(leg.last_ns, time_ns)
        leg.flushed = False
        kind = payload[1] & 0x7F
        if kind != leg.last_type and leg.saw(kind):
            leg.hand_on(self._register.out)
            leg.change(time_ns, self._register.out)
        if time_ns >= leg.due_ns:
            leg.due_ns = time_ns + self._limits.batch_ns
            leg.hand_on(self._register.out)

    def described(self, call: Call, addresses: list[Address], time_ns: int) -> None:
        """A description of *call* named *addresses*: link what waited for it, describe the rest."""
        self._register.take_back(call, *call.legs)
        if not call.listed:
            self._adopt(call, addresses)
        for address in addresses:
            for flow in self._flows.touching(address):
                self._reconsider(flow, call, time_ns)
        for pair in call.flows:
            self._describe(self._flows.table[pair], time_ns)

    def touches_bare(self, addresses: list[Address]) -> bool:
        """Whether bare RTP that is listed already uses one of the addresses."""
        return any(
            flow.call is not None and flow.call.call_id is None
            for address in addresses
            for flow in self._flows.touching(address)
        )

    def look(self, time_ns: int) -> None:
        """Decide what is old enough to be decided."""
        for call in self._register.joined():
            if time_ns - call.signal_ns >= self._limits.weak_ns:
                self._adopt_by_one_side(call)
        for flow in tuple(self._flows.loose.values()):
            self._decide(flow, time_ns, final=False)
        strange = self._flows.strange
        while strange:
            flow = next(iter(strange.values()))
            if time_ns - flow.last_ns < self._limits.held_ns:
                break
            self._flows.drop(flow)

    def finish(self, time_ns: int) -> None:
        """The capture is over: decide everything."""
        for call in self._register.joined():
            self._adopt_by_one_side(call)
        for flow in tuple(self._flows.loose.values()):
            self._decide(flow, time_ns, final=True)
        for table in (self._flows.strange, self._flows.loose):
            for flow in tuple(table.values()):
                self._link_exactly(flow, even_ended=True)
                if flow.call is None and not flow.refused:
                    self._flows.drop(flow)

    def _track(self, flow: Flow, key: bytes, time_ns: int) -> Track:
        """A new source in a flow; unproven ones make room for it."""
        unproven = [each for each, track in flow.tracks.items() if not track.proven]
        if len(unproven) >= self._limits.sources:
            track = flow.tracks.pop(unproven[0])
            self._ignored["stray"] += track.dropped + len(self._flows.release(track))
        track = flow.tracks[key] = Track(int.from_bytes(key, "big"), time_ns)
        return track

    def _link_exactly(self, flow: Flow, *, even_ended: bool = False) -> bool:
        """Link a flow whose both addresses one call names."""
        claim = self._claims.exact(*flow.pair)
        if claim is None:
            return False
        if claim.call.ended and not even_ended and self._claims.contested(claim.call, *flow.pair):
            # A call that is over and one that is being set up share an address: wait and see.
            return False
        if succession.begins_after(flow, claim.call):
            return False
        self._link(flow, claim, other_side(claim.side), weak=False)
        return True

    def _reconsider(self, flow: Flow, call: Call, time_ns: int) -> None:
        """A description touches this flow: is it *call*'s now?"""
        claim = self._claims.exact(*flow.pair)
        owner = flow.call
        if claim is None or claim.call is not call:
            if owner is not None and owner is not call and owner.ended:
                flow.suspect, flow.hot_key, flow.hot_leg = True, b"", None
            return
        if owner is call:
            flow.weak, flow.side = False, other_side(claim.side)
            return
        self._register.take_back(flow.call, *flow.legs)
        if owner is not None:
            quiet = time_ns - flow.latest_ns
            replaced = succession.replaced(flow, call)
            missed = succession.end_missed(owner, call)
            if owner.call_id is not None and not (
                flow.weak or owner.ended or quiet >= self._limits.silent_ns or replaced
            ):
                if flow.latest_ns < call.started_ns:
                    # Its BYE may have been missed: what comes now shows whose it is.
                    flow.suspect, flow.hot_key, flow.hot_leg = True, b"", None
                return
            self._detach(flow)
            if owner.call_id is None and not owner.flows:
                self._register.give_up(owner, "claimed")
            elif not owner.ended and (
                replaced or missed or time_ns - owner.media_ns >= self._limits.superseded_ns > 0
            ):
                self._register.end(owner, owner.active_ns, "superseded")
        self._link(flow, claim, other_side(claim.side), weak=False)

    def _adopt(self, call: Call, addresses: list[Address]) -> None:
        """Bare RTP between both sides of a call that is not listed yet is that call."""
        for address in addresses:
            for flow in self._flows.touching(address):
                claim = self._claims.exact(*flow.pair)
                bare = flow.call
                if not (claim and claim.call is call and bare and bare.call_id is None):
                    continue
                if succession.goes_on(bare, call):
                    self._register.adopt(call, bare)
                    return

    def _adopt_by_one_side(self, call: Call) -> None:
        """Only one side of a dialog is heard (half a mirror): its address has to be enough."""
        bare = {
            flow.call
            for address, _ in call.addresses
            if (claim := self._claims.single(address, call.signal_ns)) and claim.call is call
            for flow in self._flows.touching(address)
            if flow.call is not None and flow.call.call_id is None
        }
        if len(bare) != 1 or call.described:
            return
        self._register.adopt(call, bare.pop())
        for pair in call.flows:
            flow = self._flows.table[pair]
            flow.weak = True
            for place, side_of in ((1, other_side), (0, same_side)):
                claim = self._claims.single(pair[place], call.signal_ns)
                if claim and claim.call is call:
                    flow.side = side_of(claim.side)
            self._describe(flow, call.signal_ns)

    def _detach(self, flow: Flow) -> None:
        """The flow's call has no more of it; its legs stay, ended."""
        owner = flow.call
        self._register.take_back(flow.call, *flow.legs)
        for leg in flow.legs:
            leg.hand_on(self._register.out, everything=True)
        kept = {key: track for key, track in flow.tracks.items() if track.leg is None}
        flow.tracks, flow.hot_key, flow.hot_leg = kept, b"", None
        if owner is not None:
            del owner.flows[flow.pair]
        flow.call, flow.suspect = None, False

    def _link(self, flow: Flow, claim: Claim, side: Side, *, weak: bool) -> None:
        """The flow is of the claim's call, sent by *side*."""
        if claim.media.kind != "audio":
            flow.refused = True
            for track in flow.tracks.values():
                self._ignored["not_audio"] += track.dropped + len(self._flows.release(track))
            flow.tracks.clear()
        self._set_apart(flow, claim.call)
        flow.side, flow.weak = side, weak
        self._flows.link(flow, claim.call)
        for track in tuple(flow.tracks.values()):
            self._promote(flow, track)

    def _set_apart(self, flow: Flow, call: Call) -> None:
        """Sources that had stopped before *call* began are another call's, unheard of."""
        if call.joined_late or not call.invited:
            return
        old = [track for track in flow.tracks.values() if succession.over_before(track, call)]
        if any(self._speaks(track) for track in old):
            self._flows.link(flow, self._register.bare(flow.pair, flow.first_ns, flow.vlans))
            for track in old:
                self._promote(flow, track)
            self._detach(flow)
        for track in old:
            if track.leg is None:
                self._ignored["unclaimed"] += track.dropped + len(self._flows.release(track))
                del flow.tracks[track.ssrc.to_bytes(4, "big")]

    def _promote(self, flow: Flow, track: Track) -> None:
        """Make a leg of a source that has shown to be one."""
        call = flow.call
        if call is None or not track.held:
            return
        codecs, encrypted = self._meaning(flow, call)
        first_type = track.held[0][1][1] & 0x7F
        alone = not flow.weak and len(flow.tracks) == 1
        meant = first_type in codecs or first_type in SPEECH
        if not (track.proven or (alone and meant)):
            return
        if call.call_id is None and not track.speech:
            return  # a dynamic type without description means nothing
        if len(call.legs) >= self._limits.legs:
            self._ignored["limit"] += track.dropped + len(self._flows.release(track))
            track.dropped = 0
            return
        self._register.enlist(call)
        first_ns = track.held[0][0]
        leg = track.leg = Leg(call.number, len(call.legs), flow.pair, track.ssrc, first_ns)
        call.legs.append(leg)
        leg.dropped = track.dropped
        held = self._flows.release(track)
        for _, payload in held:
            leg.saw(payload[1] & 0x7F)
        leg.describe(flow.side, codecs, encrypted)
        self._register.out.append(leg.added())
        for time_ns, payload in held:
            self.deliver(leg, payload, time_ns)

    def _meaning(self, flow: Flow, call: Call) -> tuple[dict[int, Codec], bool]:
        """What payload types mean on a flow, and whether it is SRTP, by the descriptions."""
        source, destination = flow.pair
        claims = [
            claim
            for claim in (
                self._claims.of(call, flow.side, source),
                self._claims.of(call, other_side(flow.side), destination),
            )
            if claim
        ]
        # The receiver chooses the numbers, so what it says comes last and counts.
        codecs = {codec.payload_type: codec for claim in claims for codec in claim.media.codecs}
        # An offer may leave encryption open (RFC 8643); only what both ask for is done.
        return codecs, bool(claims) and all(claim.media.encrypted for claim in claims)

    def _describe(self, flow: Flow, time_ns: int) -> None:
        """Tell a linked flow's legs what the descriptions say now."""
        if flow.call is None:
            return
        codecs, encrypted = self._meaning(flow, flow.call)
        for track in flow.tracks.values():
            leg = track.leg
            if leg is None:
                continue
            # Packets of a type that is no longer named may still be on their way, or be held for
            # one that is missing; those of a number that means another codec now cannot wait.
            named = {**leg.codecs, **codecs}
            if (leg.side, leg.codecs, leg.encrypted) == (flow.side, named, encrypted):
                continue
            renamed = any(named[number] != codec for number, codec in leg.codecs.items())
            leg.hand_on(self._register.out, until_ns=time_ns, everything=renamed)
            if leg.describe(flow.side, named, encrypted):
                leg.change(time_ns, self._register.out)

    def _decide(self, flow: Flow, time_ns: int, *, final: bool) -> None:
        """Link a loose flow by one address, list it as bare RTP, give it up, or wait on."""
        limits = self._limits
        age, stopped = time_ns - flow.first_ns, time_ns - flow.last_ns
        if final or age >= limits.weak_ns:
            if self._link_exactly(flow):
                return
            claim = self._by_one_address(flow)
            if claim is not None:
                receiving = claim.address == flow.pair[1]
                side = other_side(claim.side) if receiving else claim.side
                self._link(flow, claim, side, weak=True)
                return
            if self._link_exactly(flow, even_ended=True):
                return
        waited = final or age >= limits.bare_ns or stopped >= limits.bare_stopped_ns
        # The other direction is listed, or this one was known before: one packet is enough.
        spoken = max((track.speech for track in flow.tracks.values()), default=0)
        known = bool(spoken and (self._register.bare_at(flow.pair) or self._expected(flow.pair)))
        if known or (waited and any(self._speaks(track) for track in flow.tracks.values())):
            self._link_bare(flow)
            return
        if stopped >= limits.held_ns:
            self._flows.drop(flow)

    def _speaks(self, track: Track) -> bool:
        """Whether a source without description is speech."""
        return track.proven and track.speech >= self._limits.bare_packets

    def _link_bare(self, flow: Flow) -> None:
        """List a flow that nobody claims, with the one in the other direction."""
        call = self._register.bare(flow.pair, flow.first_ns, flow.vlans)
        self._flows.link(flow, call)
        for track in tuple(flow.tracks.values()):
            self._promote(flow, track)

    def _by_one_address(self, flow: Flow) -> Claim | None:
        """The claim of the only call that names one of the flow's addresses, if that is safe."""
        source, destination = flow.pair
        claims = [self._claims.single(address, flow.first_ns) for address in (destination, source)]
        found = [
            claim
            for claim in claims
            if claim
            and not succession.stopped_before(flow, claim.call)
            and not succession.begins_after(flow, claim.call)
            and not self._busy(flow, claim)
        ]
        if len({claim.call for claim in found}) > 1:
            found = [claim for claim in found if not succession.over_at(claim.call, flow.first_ns)]
        if len({claim.call for claim in found}) > 1:
            # One without its description: the other would have matched. Else who shares nothing.
            missing = [claim for claim in found if not claim.call.described]
            found = missing or [claim for claim in found if self._claims.alone(claim.address)]
        if len({claim.call for claim in found}) != 1:
            return None
        return found[0]

    def _busy(self, flow: Flow, claim: Claim) -> bool:
        """Whether other media goes from or to that address, whosever it is.

        Then one address tells nothing: this flow is more likely another call's of which little was
        heard, and no sample may belong to two calls.
        """
        place = 1 if claim.address == flow.pair[1] else 0
        for other in self._flows.touching(claim.address):
            if other is flow or other.pair[place] != claim.address:
                continue
            if succession.at_once(other, flow, claim.call, self._limits.weak_ns):
                return True
        return False
