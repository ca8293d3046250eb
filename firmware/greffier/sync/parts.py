"""The way of each part from *sealed* to *received* (docs/sync-protocol.md section 5). Pure.

Events go in by methods, what is to be done comes out of :meth:`Parts.step`. Only some parts are on
their way at a time; all others are rows of the outbox. Every wait has an end, after which the part
is sealed again. Nothing here believes a broker: a part is done when the recorder took its receipt.
One thread owns an instance. Times are monotonic ns unless they are called *wall*.
"""

import math
from typing import Final

from greffier.clock import SECOND
from greffier.sync.actions import (
    Action,
    Prepare,
    PublishOffer,
    Release,
    Send,
    Unprepared,
)
from greffier.sync.flight import Counts, Flight, State
from greffier.sync.messages import MOST_PARTS, Later, Need, Offered, Refused
from greffier.sync.outbox import REFUSED_NS, Outbox
from greffier.sync.queue import Queue
from greffier.sync.receipts import Receipts, part_of
from greffier.sync.sending import Grant
from greffier.sync.waits import Backoff, Draw, Tries

MOST_FLIGHTS: Final = 32
_DELETED: Final = "deleted"
FEW_FLIGHTS: Final = 4
"""So many parts may always be on their way."""
ANSWER_NS: Final = 10 * SECOND
"""An offer that was not answered by then is made again."""
WAITING_NS: Final = 15 * SECOND
LONGEST_WAITING_NS: Final = 120 * SECOND
"""However slow the line is said to be: no wait may depend on a measurement alone."""
PREPARE_NS: Final = 120 * SECOND
ALTERED_NS: Final = 3600 * SECOND
REJECTED_NS: Final = 60 * SECOND
_MOST_TRIES_NS: Final = 600 * SECOND
_OFFER_OCTETS: Final = 100_000
_NO_SUBSCRIBER: Final = 0x10
_DENIED: Final = 0x87
_TOO_LARGE: Final = 0x95


class Parts:
    """All parts of one box. ``allowed`` is set from outside: whether parts may be sent now."""

    def __init__(self, outbox: Outbox, draw: Draw, most: int = MOST_FLIGHTS) -> None:
        self._queue = Queue(outbox)
        self._most = most
        self._draw = draw
        self._flights: dict[str, Flight] = {}
        self._actions: list[Action] = []
        self._receipts = Receipts()
        self._tries = Tries()
        self._absent = Backoff(5, 600, draw)
        self._hold_ns = 0
        self._online = False
        self._serial = 0
        self.allowed = True
        self.reached: float = math.inf
        """Entries of the log that head office has: of later ones no part is offered."""
        self.ahead: float = math.inf
        """Octets of parts that may be on their way together; set from outside."""
        self.troubles: set[str] = set()
        self.counts = Counts(outbox.fact("received"), outbox.fact("last_receipt_ns"))

    # --- the connection ---

    def connected(self) -> None:
        """The control connection stands: everything begins at *sealed*."""
        self._online = True
        self._hold_ns = 0
        self._absent.reset()
        self._all_back()
        self._forget_waits(refused=False)

    def disconnected(self) -> None:
        """It does not any more."""
        self._online = False
        self._all_back()

    def collector_there(self) -> None:
        """A collector says that it is there: no need to wait for one."""
        if self._hold_ns:
            self._hold_ns = 0
            self._forget_waits(refused=False)

    def acknowledged(self, token: int, code: int, now_ns: int) -> None:
        """The broker answered the offer *token* by the reason *code* of MQTT 5."""
        if code == 0:
            self.troubles -= {"sync.denied", "sync.broker", "sync.no_collector"}
            return
        mine = [one for one in self._flights.values() if one.token == token]
        for flight in mine:
            if flight.state == "offered":
                if code == _TOO_LARGE:
                    self._back(flight, now_ns + ALTERED_NS)
                else:
                    self._back(flight)
        if code == _TOO_LARGE:
            self.troubles.add("sync.too_large")
            return
        if code >= 0x80:
            self.troubles.add("sync.denied" if code == _DENIED else "sync.broker")
        else:
            self.troubles.add("sync.no_collector")
        self._hold_ns = now_ns + self._absent.next_ns()

    # --- what head office says ---

    def need(self, need: Need, now_ns: int) -> None:
        """It wants octets of a part."""
        flight = self._flights.get(need.part)
        if (
            flight is None
            or flight.state not in ("offered", "sending", "waiting")
            or need.ranges[-1].end > flight.sealed.size
            or not self.allowed
        ):
            self.counts.void += 1
            return
        self._answered(flight)
        self._serial += 1
        flight.serial = self._serial
        flight.state = "sending"
        flight.until_ns = now_ns + need.ttl_s * SECOND
        ranges = tuple((one.start, one.end) for one in need.ranges)
        self._actions.append(
            Send(
                Grant(
                    need.part,
                    flight.share,
                    need.lane,
                    ranges,
                    need.credit,
                    flight.until_ns,
                    flight.serial,
                )
            )
        )

    def later(self, later: Later, now_ns: int) -> None:
        """Not now."""
        flight = self._flights.get(later.part)
        if flight is None or flight.state in ("preparing", "prepared", "receipt"):
            self.counts.void += 1
            return
        self._answered(flight)
        self._back(flight, now_ns + later.after_s * SECOND)

    def refused(self, refused: Refused, now_ns: int, wall_ns: int) -> None:
        """It contradicts the log, it says, or was deleted there: that is told, and no alarm."""
        flight = self._flights.get(refused.part)
        if flight is None or flight.state in ("preparing", "prepared", "receipt"):
            self.counts.void += 1
            return
        self._answered(flight)
        if refused.reason == _DELETED:
            self._back(flight, now_ns + REFUSED_NS)
            return
        self._back(flight)
        self._queue.refuse(refused.part, now_ns, wall_ns)

    def receipt(self, text: str) -> None:
        """It has a part, it says; the recorder decides whether that is so."""
        part = part_of(text)
        if part is None:
            self.counts.dropped += 1
            return
        flight = self._flights.get(part)
        if flight is None:
            self.counts.dropped += not self._receipts.hold(part, text, stray=True)
        elif flight.state != "receipt":
            self._answered(flight)
            self._receipts.hold(part, text, stray=False)
            flight.state = "receipt"
            self._actions.append(Release(part))

    # --- what our own process says ---

    def prepared(self, offered: Offered, now_ns: int) -> None:
        """The part's file and envelope are there, and are what the recorder said."""
        flight = self._flights.get(offered.part)
        if flight is not None and flight.state == "preparing":
            flight.state, flight.offered = "prepared", offered
            flight.until_ns = now_ns + PREPARE_NS

    def unprepared(self, part: str, why: Unprepared, now_ns: int) -> None:
        """It cannot be offered now."""
        flight = self._flights.get(part)
        if flight is None or flight.state != "preparing":
            return
        if why == "gone":
            self._back(flight)
            self._queue.done(part, flight.sealed.size, {})
        elif why == "away":
            self._back(flight)
            self._hold_ns = now_ns + SECOND
        else:
            self.troubles.add("sync.altered" if why == "altered" else "sync.too_large")
            self._back(flight, now_ns + ALTERED_NS)

    def sent(self, part: str, serial: int, chunk_ns: int, now_ns: int) -> None:
        """All that was granted has gone, or its time has; a chunk takes *chunk_ns*."""
        flight = self._flights.get(part)
        if flight is not None and flight.state == "sending" and flight.serial == serial:
            flight.state = "waiting"
            flight.until_ns = now_ns + min(LONGEST_WAITING_NS, max(WAITING_NS, 4 * chunk_ns))

    def unsendable(self, part: str, serial: int, code: int, now_ns: int) -> None:
        """The broker refused a chunk of it by *code*."""
        flight = self._flights.get(part)
        if flight is None or flight.state != "sending" or flight.serial != serial:
            return
        if code >= 0x80:
            self.troubles.add("sync.denied" if code == _DENIED else "sync.too_large")
        self._back(flight)
        if code != _NO_SUBSCRIBER or not self._hold_ns:
            self._hold_ns = now_ns + self._absent.next_ns()

    def taken(self, results: tuple[tuple[str, str], ...], now_ns: int, wall_ns: int) -> None:
        """What the recorder made of receipts: (part, result)."""
        self._receipts.answered()
        for part, result in results:
            flight = self._flights.get(part)
            self._receipts.forget(part)
            if result in ("received", "known"):
                self._received(part, result == "received", wall_ns)
                continue
            self.counts.rejected += 1
            self.troubles.add("sync.receipt")
            if flight is not None:
                self._back(flight, now_ns + REJECTED_NS)

    def not_taken(self, parts: tuple[str, ...], now_ns: int) -> None:
        """The recorder does not answer: the receipts of these wait."""
        self._receipts.not_taken(parts, now_ns)

    def seen(self) -> None:
        """The recorder named parts that were not known."""
        self._queue.changed()

    def urge(self, part: str) -> bool:
        """``sync now``: forget all waits, and *part* (if one is named) goes first."""
        self._hold_ns = 0
        self._absent.reset()
        self._forget_waits(refused=True)
        self.troubles -= {"sync.altered", "sync.too_large", "sync.denied", "sync.broker"}
        return self._queue.put_first(part) if part else True

    # --- time ---

    def step(self, now_ns: int, wall_ns: int) -> list[Action]:
        """Everything that is to be done now."""
        for flight in list(self._flights.values()):
            if now_ns >= flight.until_ns and flight.state != "receipt":
                self._late(flight, now_ns)
        if not self.allowed:
            self._all_back()
        self._actions += self._receipts.due(now_ns)
        self._queue.flush(now_ns, at_once=not self._flights)
        if self._online and self.allowed and now_ns >= self._hold_ns:
            self._hold_ns = 0
            self._begin(now_ns, wall_ns)
        self._offer(now_ns)
        actions, self._actions = self._actions, []
        return actions

    def count(self, *states: State) -> int:
        """How many parts are in one of these *states*."""
        return sum(one.state in states for one in self._flights.values())

    @property
    def finished(self) -> tuple[int, int]:
        """Parts, and their octets, that are done while the outbox does not say so yet."""
        return self._queue.finished

    @property
    def written(self) -> int:
        """How often the outbox was written."""
        return self._queue.written

    def is_preparing(self, part: str) -> bool:
        """Whether *part* is to be made ready."""
        flight = self._flights.get(part)
        return flight is not None and flight.state == "preparing"

    def flush(self) -> None:
        """Write what is known into the outbox now."""
        self._queue.flush(0, at_once=True)

    # --- inside ---

    def _late(self, flight: Flight, now_ns: int) -> None:
        if flight.state == "sending":  # its need is void; head office may still say something
            flight.state, flight.until_ns = "waiting", now_ns + WAITING_NS
        elif flight.state in ("offered", "waiting"):
            tries = self._tries.count(flight.sealed.part)
            most = min(_MOST_TRIES_NS, ANSWER_NS << min(tries, 10))
            self._back(flight, now_ns + int(self._draw() * most) if tries else 0)
        else:
            self._back(flight)

    def _received(self, part: str, fresh: bool, wall_ns: int) -> None:
        if fresh:  # one that was known may be anybody's repetition
            self.counts.received += 1
            self.counts.last_receipt_ns = wall_ns
            self.troubles.discard("sync.receipt")
        self._tries.forget(part)
        flight = self._flights.get(part)
        if flight is not None:
            self._back(flight)
        counts = self.counts
        facts = {"received": counts.received, "last_receipt_ns": counts.last_receipt_ns}
        self._queue.done(part, flight.sealed.size if flight else 0, facts)

    def _answered(self, flight: Flight) -> None:
        self._absent.reset()
        self._tries.forget(flight.sealed.part)

    def _back(self, flight: Flight, wait_ns: int = 0) -> None:
        """It is no longer on its way; where it is not done, it is sealed again."""
        part = flight.sealed.part
        if self._flights.pop(part, None) is not None:
            self._actions.append(Release(part))
        if wait_ns:
            self._queue.wait(part, wait_ns)
        self._queue.changed()

    def _all_back(self) -> None:
        for flight in list(self._flights.values()):
            if flight.state != "receipt":
                self._back(flight)

    def _forget_waits(self, refused: bool) -> None:
        self._tries.clear()
        self._queue.forget_waits(refused)

    def _begin(self, now_ns: int, wall_ns: int) -> None:
        """Set parts on their way, by shares, while there is room."""
        while len(self._flights) < self._most and self._has_room:
            found = self._queue.take(self._flights, now_ns, wall_ns)
            if found is None:
                return
            sealed, share = found
            self._flights[sealed.part] = Flight(sealed, share, "preparing", now_ns + PREPARE_NS)
            self._actions.append(Prepare(sealed))

    @property
    def _has_room(self) -> bool:
        """Whether another part is soon to go: an offer that waits long is made again, and costs."""
        if len(self._flights) < FEW_FLIGHTS:
            return True
        on_its_way = (one for one in self._flights.values() if one.state != "receipt")
        return sum(one.sealed.size for one in on_its_way) < self.ahead

    def _offer(self, now_ns: int) -> None:
        """Offer what is prepared, together, once nothing more is being prepared."""
        ready = [
            one
            for one in self._flights.values()
            if one.state == "prepared" and one.sealed.seq < self.reached
        ]
        if not ready or (self.count("preparing") and len(ready) < MOST_PARTS):
            return
        batch: list[Flight] = []
        octets = 0
        for flight in ready:
            octets += flight.offer_octets
            if batch and (octets > _OFFER_OCTETS or len(batch) == MOST_PARTS):
                self._publish(batch, now_ns)
                batch, octets = [], 0
            batch.append(flight)
        self._publish(batch, now_ns)

    def _publish(self, batch: list[Flight], now_ns: int) -> None:
        self._serial += 1
        for flight in batch:
            flight.state, flight.token = "offered", self._serial
            flight.until_ns = now_ns + ANSWER_NS
        offers = tuple(one.offered for one in batch if one.offered is not None)
        self._actions.append(PublishOffer(self._serial, offers))
