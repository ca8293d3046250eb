"""All calls: how they are opened, listed, answered, ended, closed, and when time ends them."""

from collections import OrderedDict
from heapq import nsmallest

from greffier.calls.call import Call
from greffier.calls.claims import Claims
from greffier.calls.events import (
    CallAnswered,
    CallEnded,
    CallIdentified,
    CallStarted,
    Event,
    Reason,
)
from greffier.calls.flow import Flows, Pair
from greffier.calls.leg import Leg
from greffier.calls.limits import SECOND, Limits

_REST_NS = 5 * SECOND
"""How often a call is looked at whose legs are all lent: what is due by time then takes a minute at
least."""
_STOPPED_NS = SECOND  # media that pauses this long after a BYE has stopped
_MAX_INVITES = 256  # INVITEs of one call that are told from retransmissions


class Register:
    """Owns the calls; collects the events in ``out``, which the tracker empties."""

    def __init__(self, limits: Limits, flows: Flows, claims: Claims) -> None:
        self._limits = limits
        self._flows = flows
        self._claims = claims
        self.out: list[Event] = []
        self.by_id: dict[str, Call] = {}
        self._bare: dict[Pair, Call] = {}
        self._numbered: dict[int, Call] = {}
        self._past: OrderedDict[str, set[tuple[str | None, int]]] = OrderedDict()
        self._listed = 0

    def __len__(self) -> int:
        """Calls that are not closed."""
        return len(self.by_id) + len(self._bare)

    def numbered(self, number: int) -> Call | None:
        """The call that was listed under *number*, if it is not closed."""
        return self._numbered.get(number)

    def open(self, call_id: str, time_ns: int) -> Call:
        """A new call of that Call-ID, not listed yet."""
        self._make_room()
        call = self.by_id[call_id] = Call(call_id, time_ns)
        return call

    def bare(self, pair: Pair, time_ns: int, vlans: tuple[int, ...] = ()) -> Call:
        """The call without signalling between two addresses, opened if need be."""
        key = _key(pair)
        call = self._bare.get(key)
        if call is None:
            self._make_room()
            call = self._bare[key] = Call(None, time_ns)
            call.vlans = vlans
            self.enlist(call)
        return call

    def bare_at(self, pair: Pair) -> Call | None:
        """The call without signalling between two addresses, if there is one."""
        return self._bare.get(_key(pair))

    def bare_of(self, number: int) -> Call | None:
        """The call without signalling that was listed under *number*, if it is not closed."""
        return next((call for call in self._bare.values() if call.number == number), None)

    def past(self, call_id: str, tag: str | None, number: int) -> bool:
        """Whether a message repeats an INVITE transaction of a call that is closed."""
        return (tag, number) in self._past.get(call_id, ())

    def saw_invite(self, call: Call, tag: str | None, number: int) -> bool:
        """Note an INVITE transaction; whether it is new to the call."""
        if (tag, number) in call.invites:
            return False
        if len(call.invites) < _MAX_INVITES:
            call.invites.add((tag, number))
        return True

    def enlist(self, call: Call) -> None:
        """Say that there is this call, once."""
        if call.listed:
            return
        call.listed, call.waiting = True, False
        call.number = self._listed
        self._numbered[call.number] = call
        self._listed += 1
        self.out.append(
            CallStarted(
                call.number,
                call.started_ns,
                call.call_id,
                call.from_,
                call.to,
                call.source,
                call.destination,
                call.joined_late,
                call.message,
                call.vlans,
            )
        )
        self._tell_answer(call)

    def adopt(self, call: Call, bare: Call) -> None:
        """*call*, not listed yet, is the call that was listed as *bare*: one call, not two."""
        self.take_back(bare, *bare.legs)
        call.listed, call.waiting = True, False
        call.number = bare.number
        self._numbered[call.number] = call
        call.legs = bare.legs
        for pair in list(bare.flows):
            self._flows.table[pair].call = call
            call.flows[pair] = None
        bare.flows.clear()
        for key in [key for key, each in self._bare.items() if each is bare]:
            del self._bare[key]
        self.out.append(
            CallIdentified(
                call.number,
                call.signal_ns,
                call.call_id or "",
                call.from_,
                call.to,
                call.source,
                call.destination,
                call.message,
            )
        )
        self._tell_answer(call)

    def answer(self, call: Call, time_ns: int, tag: str | None) -> None:
        """One of the call's dialogs is answered."""
        call.answered_tags.add(tag)
        if call.ended and (call.reason != "bye" or call.answered_ns is None):
            self.revive(call)
        if call.answered_ns is None:
            call.answered_ns = time_ns
            if call.listed:
                self._tell_answer(call)

    def end(self, call: Call, time_ns: int, reason: Reason, status: int | None = None) -> None:
        """The call is over; late packets still count until it is closed."""
        self.take_back(call, *call.legs)
        if not call.ended:
            call.ended, call.ended_ns, call.reason = True, time_ns, reason
            for pair in call.flows:  # each packet is looked at: the next call may be on its way
                flow = self._flows.table[pair]
                flow.hot_key, flow.hot_leg = b"", None
        if status is not None:
            call.status = status

    def revive(self, call: Call) -> None:
        """It is not over after all: another attempt, another branch, a BYE refused."""
        call.ended, call.ended_ns, call.reason, call.status = False, 0, None, None

    def close(self, call: Call) -> None:
        """Say how the call ended, and forget it."""
        if call.call_id is None:
            for key in [key for key, each in self._bare.items() if each is call]:
                del self._bare[key]
        else:
            del self.by_id[call.call_id]
            self._past[call.call_id] = call.invites
            self._past.move_to_end(call.call_id)
            if len(self._past) > self._limits.remembered:
                self._past.popitem(last=False)
        if call.invited:
            self.enlist(call)
        if call.listed:
            for leg in call.legs:
                leg.hand_on(self.out, everything=True)
            legs = tuple(leg.summary() for leg in call.legs)
            encrypted = any(leg.encrypted for leg in legs) or (call.encrypted and not legs)
            reason = call.reason or "end_of_capture"
            self.out.append(
                CallEnded(call.number, call.ended_ns, reason, call.status, legs, encrypted)
            )
        self._numbered.pop(call.number, None)
        self._claims.release(call)
        for pair in list(call.flows):
            self._flows.drop(self._flows.table[pair], "stray")

    def take_back(self, call: Call | None, *legs: Leg) -> None:
        """Legs of *call* that are lent are not any more."""
        for leg in legs:
            leg.take_back()
        if call is not None:
            call.look_ns = 0

    def give_up(self, call: Call, reason: Reason) -> None:
        """End a call at its last sign of life, and close it."""
        self.end(call, call.active_ns, reason)
        self.close(call)

    def look(self, time_ns: int) -> None:
        """Do what is due by time."""
        for call in (*self.by_id.values(), *self._bare.values()):
            if time_ns < call.look_ns:
                continue
            self._hand_on(call, time_ns)
            if call.ended:
                if self._lingered(call, time_ns):
                    self.close(call)
            else:
                reason = self._overdue(call, time_ns - call.known_ns)
                if reason:
                    reason = self._overdue(call, time_ns - call.active_ns)
                if reason:
                    self.give_up(call, reason)

    def hand_on_all(self, time_ns: int) -> None:
        """Hand on what the legs of every call have ready, those that are lent left out.

        Everything that was captured until *time_ns* was fed.
        """
        for call in (*self.by_id.values(), *self._bare.values()):
            if time_ns < call.look_ns:
                continue  # every leg of it is lent
            for leg in call.legs:
                if leg.borrower is None and not leg.flushed:
                    leg.hand_on(self.out, until_ns=time_ns)

    def joined(self) -> list[Call]:
        """Calls that were joined late and are not listed yet."""
        return [call for call in self.by_id.values() if call.joined_late and not call.listed]

    def set_back(self, time_ns: int) -> None:
        """The clock was set back: what the legs have ready is due now, not when it is late."""
        for call in (*self.by_id.values(), *self._bare.values()):
            call.look_ns = 0
            for leg in call.legs:
                leg.due_ns = min(leg.due_ns, time_ns)

    def finish(self) -> None:
        """The capture is over: close every call."""
        for call in (*self.by_id.values(), *self._bare.values()):
            self.give_up(call, "end_of_capture")

    def _hand_on(self, call: Call, time_ns: int) -> None:
        """Hand on what the legs of a call have ready."""
        limits = self._limits
        resting = bool(call.legs)
        for leg in call.legs:
            if leg.borrower is not None:
                continue
            resting = False
            if time_ns < leg.due_ns or leg.flushed:
                continue
            silent = time_ns - leg.last_ns >= limits.silent_ns
            # Time may be that of a clock on the wall, and packets on their way: no longer of these.
            leg.hand_on(self.out, until_ns=time_ns if silent else None)
            leg.due_ns = time_ns + limits.batch_ns
            leg.flushed = silent
        call.look_ns = time_ns + _REST_NS if resting else 0

    def _lingered(self, call: Call, time_ns: int) -> bool:
        """Whether nothing more can be expected of a call that is over."""
        limits = self._limits
        if call.reason in {"cancelled", "rejected"}:
            since = time_ns - max(call.ended_ns, call.signal_ns)
            least, most = limits.retry_ns, limits.retry_ns + limits.linger_most_ns
        else:
            since = time_ns - call.ended_ns
            least, most = limits.linger_ns, limits.linger_most_ns
        return since >= most or (since >= least and time_ns - call.media_ns >= _STOPPED_NS)

    def _overdue(self, call: Call, quiet_ns: int) -> Reason | None:
        """Why a call of which nothing was heard for so long is over, or None if it goes on."""
        limits = self._limits
        if call.call_id is None:
            return "silence" if quiet_ns >= limits.bare_silence_ns else None
        if call.answered_ns is None or not (call.listed or call.waiting):
            return "no_answer" if quiet_ns >= limits.retry_ns else None
        patience = limits.quiet_ns if call.legs and not call.holding else limits.idle_ns
        return "timeout" if quiet_ns >= patience else None

    def _make_room(self) -> None:
        """Close some calls early if there are too many: of the least worth, the oldest.

        Several at once, so that a flood costs one look over all calls for many of its INVITEs.
        """
        if len(self) < self._limits.calls:
            return
        calls = (*self.by_id.values(), *self._bare.values())
        few = 1 + self._limits.calls // 64
        for victim in nsmallest(few, calls, key=lambda call: (_worth(call), call.active_ns)):
            self.give_up(victim, "overflow")

    def _tell_answer(self, call: Call) -> None:
        """Say that a listed call is answered."""
        if call.answered_ns is not None:
            self.out.append(CallAnswered(call.number, call.answered_ns))


def _worth(call: Call) -> int:
    """What is lost by closing a call early: least where nobody ever replied to its INVITE."""
    if call.ended:
        return 0
    if call.legs:
        return 4
    if call.answered_ns is not None:
        return 3
    return 2 if call.callee_tags else 1


def _key(pair: Pair) -> Pair:
    """Both directions of an address pair have one key."""
    source, destination = pair
    return pair if source <= destination else (destination, source)
