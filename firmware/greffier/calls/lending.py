"""Legs whose packets are counted elsewhere while nothing is doubtful about them.

Nearly every packet of a trunk is the next one of an established leg. Whoever reads the line may
borrow such a leg with its stream (:meth:`greffier.calls.tracker.Tracker.lend`): its packets are not
fed any more, and the tracker asks when the latest one came. What makes the leg doubtful takes it
back at once: a packet of it that is fed all the same, a description or an answer that names its
call or its addresses, the end of its call. So whatever is decided about a leg is decided as if each
of its packets had been fed.
"""

from typing import Protocol

from greffier.calls.call import Call
from greffier.calls.claims import Claims
from greffier.calls.flow import Flow
from greffier.calls.leg import Leg

_MOST_RETURNS = 8
"""A leg whose own packets brought it back so often is not lent again."""


class Borrower(Protocol):
    """Who has a leg."""

    def latest_ns(self) -> int:
        """When the latest packet of the leg came that is not younger than what is fed now."""

    def give_back(self) -> None:
        """The stream has everything until what is fed now; what came later is to be fed."""


def fit(flow: Flow, leg: Leg, call: Call, claims: Claims) -> bool:
    """Whether nothing is doubtful: one call that talks claims both addresses, or none does."""
    claim = claims.exact(*flow.pair)
    if call.call_id is None:
        whose = claim is None
    else:
        whose = claim is not None and claim.call is call and call.answered_ns is not None
    return (
        flow.hot_leg is leg
        and flow.call is call
        and not (flow.weak or flow.suspect or flow.refused)
        and whose
        and call.listed
        and not (call.ended or call.waiting)
        and leg.measured
        and not leg.encrypted
        and leg.returns < _MOST_RETURNS
    )
