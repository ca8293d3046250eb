"""Datagrams in, calls out."""

from collections import Counter
from collections.abc import Callable

from greffier.calls.claims import Claims
from greffier.calls.events import Event, Farewell
from greffier.calls.flow import Flow, Flows, Pair
from greffier.calls.leg import Leg
from greffier.calls.lending import Borrower, fit
from greffier.calls.limits import SECOND, Limits
from greffier.calls.media import MediaPath
from greffier.calls.register import Register
from greffier.calls.signalling import Signalling
from greffier.capture import rtp
from greffier.capture.datagram import Datagram
from greffier.sip.message import is_sip

_LOOK_NS = SECOND // 4
_STEP_NS = 600 * SECOND
"""Time that passes at once only if the next datagrams agree: one wrong time ends no call."""
_BACK_NS = 2 * SECOND
"""Disorder of a capture; what is older is a clock that was set back, if the next ones agree."""
_AGREE = 8


class Tracker:
    """Follows every call of one trunk or capture. Not for use by two threads.

    Time is the capture time of the datagrams. A clock that is set back delays what is to end by
    time, and nothing else. Memory is bounded by :class:`~greffier.calls.limits.Limits`. Nothing in
    a datagram makes it raise.

    *expected* says of two addresses whether RTP between them is of a call that was known before
    this tracker began: it is listed at once, without waiting for a description.
    """

    def __init__(
        self, limits: Limits | None = None, expected: Callable[[Pair], bool] | None = None
    ) -> None:
        limits = limits or Limits()
        self.ignored: Counter[str] = Counter()
        """Datagrams that count for no call, by reason: other (neither SIP nor RTP), no_call (SIP
        of no call), bad_sip, bad_sdp (its message still counts), bad_rtp, not_audio (claimed as
        video or fax), unclaimed, stray (of no proven source), limit."""
        self.rtcp = 0
        """RTCP datagrams: neither a leg's nor ignored."""
        self._batch_ns = limits.batch_ns
        self._now_ns = 0
        self._oldest_ns = 0
        self._next_look_ns = 0
        self._disagreeing = 0
        claims = self._claims = Claims(limits.claims)
        self._flows = Flows(limits, self.ignored)
        self._table = self._flows.table
        self._register = Register(limits, self._flows, claims)
        self._media = MediaPath(
            limits, self._flows, claims, self._register, self.ignored, expected or _nobody
        )
        self._signalling = Signalling(self._register, claims, self._media, self.ignored)

    @property
    def now_ns(self) -> int:
        """The time that it believes to be, a quarter of a second late at most; 0 at first."""
        return self._now_ns

    def feed(self, datagram: Datagram) -> list[Event]:
        """What a datagram, and the time that has passed, bring about."""
        time_ns, source, destination, payload, transport, _ = datagram
        if not self._oldest_ns <= time_ns < self._next_look_ns:
            self._look(time_ns)
        if len(payload) >= 12 and payload[0] & 0xC0 == 0x80 and transport == "udp":
            second = payload[1]
            flow = self._table.get((source, destination))
            if flow is not None and flow.hot_leg is not None and flow.hot_key == payload[8:12]:
                leg = flow.hot_leg
                if second & 0x7F == leg.last_type and time_ns < leg.due_ns and not leg.flushed:
                    # By far the most packets: the next one of a leg that is known.
                    try:
                        leg.stream.receive(payload, time_ns)
                    except rtp.BadRtp:
                        self.ignored["bad_rtp"] += 1
                    else:
                        leg.last_ns = max(leg.last_ns, time_ns)
                    return self._take() if self._register.out else []
            if 200 <= second <= 207:
                self.rtcp += 1
            else:
                self._media.receive(datagram)
        elif is_sip(payload):
            self._signalling.take(datagram)
        else:
            self.ignored["other"] += 1
        return self._take()

    def advance(self, time_ns: int) -> list[Event]:
        """Let time pass without a datagram: for a live tap, on which nothing may be heard."""
        if time_ns > self._now_ns:
            self._disagreeing = _AGREE
            self._look(time_ns)
        return self._take()

    def farewells(self) -> list[Farewell]:
        """Ends of dialogs that were not heard, since this was asked last."""
        found = list(self._signalling.farewells)
        self._signalling.farewells.clear()
        return found

    def end(self, call: int, time_ns: int) -> list[Event]:
        """Somebody knows that the bare RTP listed as *call* ended by a BYE at *time_ns*."""
        bare = self._register.bare_of(call)
        if bare is not None:
            self._register.end(bare, time_ns, "bye")
        return self._take()

    def lendable(self, call: int, leg: int) -> Leg | None:
        """The leg *leg* of the call *call*, if it may be lent (greffier.calls.lending).

        Its packets must be handed on before (:meth:`hand_on`), and nothing of it fed in between.
        """
        found = self._register.numbered(call)
        if found is None or leg >= len(found.legs):
            return None
        wanted = found.legs[leg]
        flow = self._flow_of(wanted)
        lent = wanted.borrower is not None
        return wanted if flow and not lent and fit(flow, wanted, found, self._claims) else None

    def hand_on(self, leg: Leg) -> list[Event]:
        """The packets of *leg* whose turn has come."""
        leg.hand_on(self._register.out)
        return self._take()

    def hand_on_all(self, time_ns: int) -> list[Event]:
        """The packets of every leg whose turn has come, though their time is not up.

        Everything that was captured until *time_ns* was fed: what was held for missing packets
        long enough by then (:data:`greffier.capture.rtp.PATIENCE_NS`) is among them.
        """
        self._register.hand_on_all(time_ns)
        return self._take()

    def lend(self, leg: Leg, borrower: Borrower) -> None:
        """From now on *borrower* takes the packets of *leg*, which is lendable."""
        flow = self._flow_of(leg)
        if flow is not None:
            flow.hot_key, flow.hot_leg = b"", None
            leg.borrower = borrower

    def take_back(self, leg: Leg) -> None:
        """The borrower of *leg* wants it no longer: its packets are to be fed again."""
        self._register.take_back(self._register.numbered(leg.call), leg)

    def finish(self, time_ns: int = 0) -> list[Event]:
        """The capture is over: everything that is still open ends, at its last sign of life."""
        self._now_ns = max(self._now_ns, time_ns)
        self._media.finish(self._now_ns)
        self._register.finish()
        return self._take()

    def __len__(self) -> int:
        """Calls that are not over, those included whose last packets are awaited."""
        return len(self._register)

    def _flow_of(self, leg: Leg) -> Flow | None:
        """The flow that *leg* comes by, if it still does."""
        return self._table.get((leg.source, leg.destination))

    def _look(self, time_ns: int) -> None:
        """Let time pass."""
        if self._now_ns and not -_BACK_NS < time_ns - self._now_ns < _STEP_NS:
            self._disagreeing += 1
            if self._disagreeing < _AGREE:
                return
            if time_ns < self._now_ns:
                self._register.set_back(time_ns)
        self._disagreeing = 0
        self._now_ns = time_ns
        self._oldest_ns = time_ns - _BACK_NS
        self._next_look_ns = time_ns + _LOOK_NS
        self._media.look(time_ns)
        self._register.look(time_ns)

    def _take(self) -> list[Event]:
        """The events collected."""
        events = self._register.out
        if events:
            self._register.out = []
        return events


def _nobody(_pair: Pair) -> bool:
    """No RTP is expected."""
    return False
