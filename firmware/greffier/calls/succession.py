"""Calls one after another on the same addresses: where the media of one ends and the next begins.

A telephone with a fixed media port uses the same pair of addresses call after call, within a second
and often with signalling that the mirror shows late or not at all. What tells them apart is time
and the source: a source that begins when a call is over, or had stopped before it began, is no part
of it.
"""

from greffier.calls.call import Call
from greffier.calls.flow import NEAR, Flow, Track
from greffier.calls.leg import Leg
from greffier.calls.limits import SECOND

_LATE_NS = SECOND // 2
"""By how much a mirror may show signalling later than the media that it opens."""
_DISORDER_NS = SECOND // 5  # between frames of one capture


def begins_anew(flow: Flow, track: Track, payload: bytes, time_ns: int) -> bool:
    """Whether a packet on addresses whose call is over is no late packet of that call."""
    owner = flow.call
    if owner is None or owner.call_id is None or not (flow.suspect or owner.ended):
        return False
    if track.leg is None:
        return track.first_ns > owner.ended_ns
    return time_ns > owner.ended_ns and not _continues(track.leg, payload, time_ns)


def begins_after(flow: Flow, call: Call) -> bool:
    """Whether a flow began when *call* was over: no late packet, but another conversation."""
    return call.ended and flow.first_ns - call.ended_ns > _DISORDER_NS


def over_before(track: Track, call: Call) -> bool:
    """Whether a source that is no leg yet had stopped before *call* began."""
    stopped = track.leg is None and bool(track.held)
    return stopped and track.held[-1][0] < call.started_ns - _LATE_NS


def stopped_before(flow: Flow, call: Call) -> bool:
    """Whether a flow had stopped before *call* began."""
    return not call.joined_late and flow.latest_ns < call.started_ns - _LATE_NS


def goes_on(bare: Call, call: Call) -> bool:
    """Whether the media of a call without signalling was still heard when *call* began."""
    begun_ns = call.started_ns - _LATE_NS
    return call.joined_late or any(leg.latest_ns >= begun_ns for leg in bare.legs)


def over_at(call: Call, time_ns: int) -> bool:
    """Whether *call* was over at that time."""
    return call.ended and call.ended_ns < time_ns


def at_once(other: Flow, flow: Flow, call: Call, apart_ns: int) -> bool:
    """Whether *other*, on an address of *call*, was heard together with *flow*."""
    owner = other.call
    if (owner is not None and owner.ended and owner.ended_ns <= flow.first_ns) or stopped_before(
        other, call
    ):
        return False
    return flow.first_ns - other.latest_ns < apart_ns


def replaced(flow: Flow, call: Call) -> bool:
    """Whether another source took the place of an older one after *call* began."""
    legs = [track.leg for track in flow.tracks.values() if track.leg is not None]
    older = [leg for leg in legs if leg.first_ns < call.started_ns]
    return (
        0 < len(older) < len(legs)
        and not call.joined_late
        and all(leg.latest_ns < call.started_ns for leg in older)
    )


def end_missed(owner: Call, call: Call) -> bool:
    """Whether the media of *owner* had stopped when *call* began on its addresses."""
    if owner.call_id is None or owner.holding or call.joined_late:
        return False
    return 0 < owner.media_ns < call.started_ns


def _continues(leg: Leg, payload: bytes, time_ns: int) -> bool:
    """Whether a packet's number is near the highest of the leg.

    One that is behind it comes soon after the others: a sender that uses the same SSRC and the same
    first number in every call begins the next one behind the end of the last.
    """
    ahead = ((payload[2] << 8 | payload[3]) - leg.stream.counters.highest) & 0xFFFF
    behind = ahead == 0 or ahead >= 0x10000 - NEAR
    return time_ns - leg.last_ns <= _DISORDER_NS if behind else ahead <= NEAR
