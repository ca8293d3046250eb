"""Established legs whose packets the C core takes, from the capture thread to the sealed frame.

A leg of G.711 that is stored as it came, or as Opus, or of which nothing is stored, needs no
Python for its packets (native/leg.h). It goes to the core with its stream, the state of its sample
line and its encoders, once nothing about it is doubtful (:mod:`greffier.calls.lending`), and comes
back at the very packet, or the message, that makes it so. Whoever has it, the parts get the same
frames and the call the same counts.

One thread owns an Armory, with the tracker and the intake that it serves.
"""

import heapq
from collections.abc import Iterable, Mapping
from itertools import count
from typing import Final

from greffier.calls.leg import Leg
from greffier.calls.tracker import Tracker
from greffier.capture.datagram import Datagram
from greffier.capture.flows import Flows, Late, TooManyFlows
from greffier.encode.codecs import Codec
from greffier.encode.timeline import Timeline
from greffier.recorder.call import Call
from greffier.recorder.intake import Intake
from greffier.recorder.loans import Loan
from greffier.recorder.tape import Tape, first_sample
from greffier.recorder.track import codec_of
from greffier.seal.spool import Batch, Kind, Spool
from greffier.seal.spool import Leg as CoreLeg

SPOOL_OCTETS: Final = 256 << 20
"""Plaintext held at once: more than what a thousand calls say between two ticks."""
_FOREVER: Final = (1 << 63) - 1
_G711 = ("PCMU", "PCMA")


class Lent:
    """One leg that the core has. A :class:`greffier.calls.lending.Borrower`."""

    def __init__(
        self, armory: "Armory", number: int, leg: Leg, core: CoreLeg, call: Call | None, loan: Loan
    ) -> None:
        self.number = number
        self.leg = leg
        self.core = core
        self.call = call
        self.loan = loan
        self.heard_rate = 0
        """Hz of the ear that hears it; 0: none does."""
        self._armory = armory
        self._latest = (-1, 0)  # asked at, and what was said

    def latest_ns(self) -> int:
        fed_ns = self._armory.fed_ns
        if self._latest[0] != fed_ns:
            self._latest = (fed_ns, self._armory.latest_of(self))
        return self._latest[1]

    def give_back(self) -> None:
        self._armory.give_back(self)


class Armory:
    """Lends legs of *tracker* to the core, and writes what the core seals of them."""

    def __init__(self, flows: Flows, tracker: Tracker, intake: Intake, encoders: int = 0) -> None:
        """*encoders*: threads that encode; without any, the caller's does."""
        self.fed_ns = 0
        """The time of what the tracker is being fed: a leg that comes back has come so far."""
        self._flows = flows
        self._tracker = tracker
        self._intake = intake
        self._spool = Spool(SPOOL_OCTETS, threads=encoders)
        self._numbers = count()
        self._lent: dict[int, Lent] = {}
        self._parts: dict[int, tuple[Tape, set[int]]] = {}  # number -> its tape, legs attached
        self._named: dict[Tape, int] = {}
        self._held: dict[tuple[int, int], tuple[Leg, int]] = {}  # with the mark of its hold
        self._late: list[tuple[int, int, Datagram]] = []  # a heap: time, order

    def __len__(self) -> int:
        """Legs that the core has."""
        return len(self._lent)

    @property
    def held(self) -> int:
        """Legs whose packets are kept until it may have them."""
        return len(self._held)

    @property
    def overrun(self) -> int:
        """Packets for which there was no room, or gaps that could not be told."""
        counted = self._spool.counters
        return counted.overrun + counted.unnoted

    def late(self, until_ns: int = _FOREVER) -> Iterable[Datagram]:
        """What came back with a leg and was captured until *until_ns*; it is still to be fed."""
        while self._late and self._late[0][0] <= until_ns:
            yield heapq.heappop(self._late)[2]

    # --- to the core ---

    def lend(self, call: int, leg: int) -> bool:
        """Give a leg to the core, if it may have it.

        False: something of it may still be on its way to the tracker; take that first.
        """
        name = (call, leg)
        found = self._tracker.lendable(call, leg)
        kinds = kinds_of(found) if found is not None else {}
        if found is None or not kinds:
            return self._keep(name)
        if name not in self._held and self._flows.waiting:
            owner = self._intake.find(call)
            return not ((owner is None or owner.may_lend(leg)) and self._hold(name, found))
        if self._late or not self._all_taken(name):
            return False
        self._intake.take(self._tracker.hand_on(found))
        if not found.stream.held_types <= kinds.keys():
            return self._keep(name)
        return self._arm(name, found, self._intake.find(call), kinds)

    def _hold(self, name: tuple[int, int], leg: Leg) -> bool:
        """So much comes that records always wait: keep what comes later of the leg."""
        try:
            mark = self._flows.hold(leg.source, leg.destination, leg.ssrc)
        except TooManyFlows:
            return False
        self._held[name] = (leg, mark)
        leg.kept_aside = True
        return True

    def _all_taken(self, name: tuple[int, int]) -> bool:
        """Whether the tracker has all of a leg that came before it was held."""
        if name in self._held:
            return self._flows.passed(self._held[name][1])
        return not self._flows.waiting

    def _keep(self, name: tuple[int, int]) -> bool:
        """The core does not get it (True); what was kept for it is still to be fed."""
        if name in self._held:
            leg, _mark = self._held.pop(name)
            leg.kept_aside = False
            self._put_off(leg, self._flows.release(leg.source, leg.destination, leg.ssrc))
        return True

    def _arm(
        self, name: tuple[int, int], leg: Leg, call: Call | None, kinds: Mapping[int, Kind]
    ) -> bool:
        sound = sound_of(leg)
        loan: Loan | None = Loan(Timeline(0, 8000).state, 0, ())  # of which nothing is kept
        if call is not None and sound is not None:
            loan = call.lend(leg.number, sound, leg.last_type, leg.last_ns)
        if loan is None:
            return self._keep(name)
        number = next(self._numbers)
        lent = Lent(
            self, number, leg, self._spool.leg(leg.stream, loan.state, kinds, number), call, loan
        )
        for tape in loan.tapes:
            begin_ns = tape.plan.start_ns
            start = first_sample(begin_ns, tape.plan.origin_ns, loan.state.rate)
            lent.core.attach(
                self._part(tape, number),
                loan.track,
                start,
                begin_ns,
                coder=tape.coder(loan.track),
                law=sound.name if sound is not None else "",
            )
        flow = (leg.source, leg.destination, leg.ssrc, lent.core.handle)
        if sound is not None:
            self._listen(lent, sound.rate, sound.name)
        held = name in self._held
        try:
            armed = self._flows.bind(*flow) if held else self._flows.arm(*flow)
        except TooManyFlows:
            self._let_go(lent)
            return True
        if not armed:
            self._let_go(lent)
            return self._keep(name) if held else False
        self._held.pop(name, None)
        leg.kept_aside = False
        self._lent[number] = lent
        self._tracker.lend(leg, lent)
        return True

    def _listen(self, lent: Lent, rate: int, law: str) -> None:
        """Let an ear hear what the core has, where keys mean anything."""
        ear = lent.call.ear_of(lent.leg.number, rate) if lent.call is not None else None
        if ear is not None:
            lent.core.listen(ear, law)
            lent.heard_rate = rate

    def _collect_keys(self, lent: Lent) -> None:
        if lent.call is not None and lent.heard_rate:
            lent.call.collect_keys(lent.leg.number, lent.heard_rate)

    def _part(self, tape: Tape, leg: int) -> int:
        """The spool's number of the part that *tape* makes, which leg number *leg* goes to."""
        number = self._named.get(tape)
        if number is None:
            number = self._named[tape] = next(self._numbers)
            self._parts[number] = (tape, set())
            self._spool.add(tape.writer, number)
        self._parts[number][1].add(leg)
        return number

    # --- back from the core ---

    def latest_of(self, lent: Lent) -> int:
        """When its latest packet came that is not younger than what is being fed."""
        leg = lent.leg
        return self._flows.latest_ns(leg.source, leg.destination, leg.ssrc, self.fed_ns)

    def give_back(self, lent: Lent) -> None:
        """The tracker has the leg again, with everything until now; the rest is :meth:`late`."""
        leg = lent.leg
        later = self._flows.disarm(leg.source, leg.destination, leg.ssrc, self.fed_ns)
        self._put_off(leg, later or ())
        state, counters = lent.core.state, lent.core.counters
        self._let_go(lent)
        if lent.call is not None:
            lent.call.take_over(leg.number, lent.loan, state, counters)
            self._collect_keys(lent)
        del self._lent[lent.number]

    def _put_off(self, leg: Leg, packets: Iterable[Late]) -> None:
        for time_ns, payload in packets:
            datagram = Datagram(time_ns, leg.source, leg.destination, payload)
            heapq.heappush(self._late, (time_ns, next(self._numbers), datagram))

    def _let_go(self, lent: Lent) -> None:
        """Seal what the core has of a leg, and forget it."""
        lent.core.close()
        self._write(self._spool.seal())
        for number in [self._named[tape] for tape in lent.loan.tapes]:
            tape, legs = self._parts[number]
            legs.discard(lent.number)
            if not legs:
                self._spool.remove(number)
                del self._parts[number], self._named[tape]

    def take_all_back(self) -> None:
        """Every leg comes back, with all that was captured of it."""
        for name in tuple(self._held):
            self._keep(name)
        self.fed_ns = _FOREVER
        self.recall()

    def fetch(self, call: Call) -> None:
        """The legs of *call* come back, as :meth:`recall` brings all of them."""
        for lent in tuple(self._lent.values()):
            if lent.call is call:
                self._tracker.take_back(lent.leg)

    def recall(self) -> None:
        """Every leg comes back as it is now; what was captured of it later is :meth:`late`."""
        for lent in tuple(self._lent.values()):
            self._tracker.take_back(lent.leg)

    # --- each tick ---

    def collect(self, settled_ns: int) -> None:
        """Seal what came for the legs until the tick began (``Flows.take(begin=True)``).

        With everything that was captured until *settled_ns*.
        """
        self._write(self._spool.settle(self._flows))
        self._spool.expire(settled_ns)
        self._write(self._spool.seal())
        for lent in self._lent.values():
            self._collect_keys(lent)

    def _write(self, batches: Iterable[Batch]) -> None:
        parts = self._parts
        for part, _frames, data, end in batches:
            parts[part][0].add(bytes(data), end)
        for number, gap in self._spool.gaps():
            lent = self._lent.get(number)
            if lent is not None and lent.call is not None:
                lent.call.note(lent.leg.number, gap)

    def close(self) -> None:
        """Give the memory back; no leg may be armed any more. Safe to repeat."""
        self._spool.close()


def _meant(leg: Leg, payload_type: int) -> Codec | None:
    return codec_of(leg.codecs.get(payload_type), payload_type)


def sound_of(leg: Leg) -> Codec | None:
    """The codec of its latest packet, if it is G.711, one octet a sample."""
    codec = _meant(leg, leg.last_type)
    if codec is None or codec.name not in _G711 or codec.width != 1 or codec.clock != codec.rate:
        return None
    return codec


def kinds_of(leg: Leg) -> dict[int, Kind]:
    """What the core is to make of the payload types that were seen; empty: it cannot have it."""
    sound = sound_of(leg)
    if sound is None:
        return {}
    kinds = {leg.last_type: Kind.SOUND}
    for number in leg.types:
        codec = _meant(leg, number)
        if codec is not None and codec.name == "telephone-event":
            kinds[number] = Kind.EVENT
        elif codec is not None and codec.purpose == "noise" and codec.clock == sound.rate:
            kinds[number] = Kind.NOISE
    return kinds
