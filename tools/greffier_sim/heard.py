"""What a tracker made of datagrams, call by call, with the order of its events checked."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from greffier.calls import events as e
from greffier.calls.limits import Limits
from greffier.calls.tracker import Tracker
from greffier.capture.datagram import Datagram
from greffier.capture.rtp import Packet


class OutOfOrder(AssertionError):
    """Events came in an order that their documentation rules out."""


@dataclass
class HeardLeg:
    """One leg."""

    added: e.LegAdded
    changes: list[e.LegChanged] = field(default_factory=list)
    packets: list[Packet] = field(default_factory=list)
    summary: e.LegSummary | None = None

    @property
    def payloads(self) -> list[bytes]:
        """What was said, in order."""
        return [packet.payload for packet in self.packets]


@dataclass
class HeardCall:
    """One call."""

    started: e.CallStarted
    identified: e.CallIdentified | None = None
    answered: e.CallAnswered | None = None
    holds: list[e.CallHeld | e.CallResumed] = field(default_factory=list)
    told: list[e.KeyTold] = field(default_factory=list)
    legs: list[HeardLeg] = field(default_factory=list)
    ended: e.CallEnded | None = None

    @property
    def call_id(self) -> str | None:
        """The Call-ID, if one is known by now."""
        return self.identified.call_id if self.identified else self.started.call_id

    @property
    def packets(self) -> int:
        """Packets of all legs, as counted."""
        return sum(leg.summary.counters.packets for leg in self.legs if leg.summary)


class Heard:
    """Collects events; a violation of their documented order raises OutOfOrder."""

    def __init__(self, events: Iterable[e.Event] = ()) -> None:
        self.calls: list[HeardCall] = []
        for event in events:
            self.take(event)

    def take(self, event: e.Event) -> None:
        """One event."""
        if isinstance(event, e.CallStarted):
            if event.call != len(self.calls):
                raise OutOfOrder(f"call {event.call} is not the next one")
            self.calls.append(HeardCall(event))
            return
        if event.call >= len(self.calls):
            raise OutOfOrder(f"{type(event).__name__} of a call that did not start")
        call = self.calls[event.call]
        if call.ended is not None:
            raise OutOfOrder(f"{type(event).__name__} of a call that has ended")
        if isinstance(event, e.CallIdentified):
            call.identified = event
        elif isinstance(event, e.CallAnswered):
            if call.answered is not None:
                raise OutOfOrder("a call is answered twice")
            call.answered = event
        elif isinstance(event, e.CallHeld | e.CallResumed):
            call.holds.append(event)
        elif isinstance(event, e.CallEnded):
            call.ended = event
            if [leg.leg for leg in event.legs] != list(range(len(call.legs))):
                raise OutOfOrder("the legs at the end are not those that were added")
            for leg, summary in zip(call.legs, event.legs, strict=True):
                leg.summary = summary
        else:
            self._take_leg(call, event)

    def _take_leg(
        self, call: HeardCall, event: e.KeyTold | e.LegAdded | e.LegChanged | e.LegMedia
    ) -> None:
        """An event of a leg, or a key."""
        if isinstance(event, e.KeyTold):
            call.told.append(event)
            return
        if isinstance(event, e.LegAdded):
            if event.leg != len(call.legs):
                raise OutOfOrder(f"leg {event.leg} is not the next one")
            call.legs.append(HeardLeg(event))
            return
        if event.leg >= len(call.legs):
            raise OutOfOrder(f"{type(event).__name__} of a leg that was not added")
        leg = call.legs[event.leg]
        if isinstance(event, e.LegChanged):
            leg.changes.append(event)
            return
        codecs = leg.changes[-1].codecs if leg.changes else leg.added.codecs
        if event.codecs != codecs:
            raise OutOfOrder("media comes with another description than the latest one")
        for packet in event.packets:
            if leg.packets and packet.sequence <= leg.packets[-1].sequence:
                raise OutOfOrder("packets are not in ascending order")
            leg.packets.append(packet)

    def by_id(self, call_id: str | None) -> HeardCall:
        """The one call of that Call-ID."""
        found = [call for call in self.calls if call.call_id == call_id]
        if len(found) != 1:
            raise OutOfOrder(f"{len(found)} calls have that Call-ID")
        return found[0]


def hear(
    datagrams: Iterable[Datagram], limits: Limits | None = None, *, finish: bool = True
) -> tuple[Heard, Tracker]:
    """Everything that a new tracker makes of some datagrams."""
    tracker = Tracker(limits)
    heard = Heard()
    for datagram in datagrams:
        for event in tracker.feed(datagram):
            heard.take(event)
    if finish:
        for event in tracker.finish():
            heard.take(event)
    return heard, tracker
