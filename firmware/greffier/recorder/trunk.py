"""A mirrored port of the live recorder: its tap, and everything that follows its frames."""

import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final, Protocol

from greffier.audit.coverage import Account
from greffier.audit.intervals import Interval
from greffier.calls.events import Event, LegMedia
from greffier.calls.limits import SECOND, Limits
from greffier.calls.tracker import Tracker
from greffier.capture.datagram import Datagram
from greffier.capture.dissector import Dissector
from greffier.capture.flows import Taken
from greffier.config.records import Config
from greffier.control.messages import Level
from greffier.recorder.armed import Armory
from greffier.recorder.call import Call
from greffier.recorder.intake import Intake
from greffier.recorder.pausable import release_all
from greffier.recorder.taps import Port
from greffier.recorder.times import LONGEST_SILENCE_NS
from greffier.recorder.troubles import Troubles

HELD_PACKETS_S: Final = 100  # of 10 ms, a second
_ROUNDS: Final = 4  # of taking what came meanwhile, so that legs can be lent
AT_ONCE: Final = 2048
"""Records that are followed before the loop looks whether its tick is due."""
_PASSED_OVER: Final = 8  # ticks, at most, in which lent legs wait because records are behind
LOST: Final = "TAP_OVERRUN"
"""Why sound is lost that a tap showed: there was no room for its frames."""
_TOLD_NS: Final = 5 * SECOND  # a loss is told of at most this often, and that much later
SETTLED_NS: Final = 200_000_000
"""What was captured so long ago has come, though nothing newer did: the kernel keeps a block for
60 ms at most."""
BATCH_NS: Final = 200_000_000  # a tick takes what has come since, so no more than it is lost


class Source(Protocol):
    """What the recorder's loop works: a mirrored port, or a sound card. Its thread owns it."""

    @property
    def name(self) -> str:
        """As the configuration calls it."""

    unseen: str
    """The state of its lines while it is blind."""

    @property
    def lines(self) -> Collection[str]:
        """The policy's lines that it may carry."""

    @property
    def blind(self) -> bool:
        """Whether it sees nothing at all, so that nothing can be said of its lines."""

    @property
    def running(self) -> Collection[Call]:
        """The calls that are not over."""

    behind: bool
    """Whether more has come than it followed: it is to be worked again at once."""

    @property
    def owes(self) -> bool:
        """Whether the log must hear of its time now, and not with the next heartbeat."""

    def start(self) -> None:
        """Begin to listen."""

    def work(self, now_ns: int) -> None:
        """Follow what has come until *now_ns*, wall clock. Raises StorageFailed."""

    def fetch(self, call: Call) -> None:
        """All that comes of *call* from now on comes to it, packet by packet."""

    def release(self, now_ns: int) -> None:
        """Let its calls store what has waited long enough. Raises StorageFailed."""

    def collect(self, now_ns: int) -> None:
        """A tick is due: make everything that came until *now_ns* ready to be committed."""

    def watch(self) -> None:
        """Raise and clear the alarms of the source."""

    def levels(self) -> Sequence[Level]:
        """How loud its channels were since this was asked last."""

    def settle(self, now_ns: int) -> list[Interval]:
        """The intervals of its own channels that end at *now_ns*, which were not told yet."""

    def stop(self, now_ns: int) -> None:
        """Listen no more; what came is followed, calls are suspended. Raises StorageFailed."""

    def drop(self) -> None:
        """Listen no more and let go what is held; nothing is followed. Safe to repeat."""


def limits_of(config: Config) -> Limits:
    """The bounds of the tracker of one tap."""
    usual, wait = Limits(), config.limits.undecided_s
    return replace(
        usual,
        batch_ns=BATCH_NS,
        held_ns=wait * SECOND,
        held_packets=wait * HELD_PACKETS_S,
        bare_ns=min(usual.bare_ns, wait * SECOND),
        # Those that are not recorded are followed too, as many again.
        calls=max(usual.calls, 2 * config.limits.calls),
    )


class Trunk:
    """A :class:`Source` over one tap."""

    unseen = "blind"

    def __init__(
        self,
        config: Config,
        port: Port,
        intake: Intake,
        account: Account,
        troubles: Troubles,
    ) -> None:
        (tap,) = (one for one in config.taps if one.name == port.name)
        self._lines = {rule.line for rule in config.matches if tap.name in (rule.tap or {tap.name})}
        self._port = port
        self._dissector = Dissector(tap.sip_ports)
        limits = limits_of(config)
        self._tracker = Tracker(limits, lambda pair: intake.expects(*pair))
        self._intake = intake
        encoders = config.limits.encoder_threads or len(os.sched_getaffinity(0)) - 1
        self.armory = Armory(port.flows, self._tracker, intake, encoders)
        # Legs with new packets, which the core may not have had yet.
        self._heard: dict[tuple[int, int], None] = {}
        self._account = account
        self._troubles = troubles
        self._until_ns = 0  # what was captured until then was taken
        self.at_once = AT_ONCE
        self.behind = False
        self._passed_over = 0
        self._dropped = 0
        self._duties_only = False  # whether that was so when legs were collected last
        self._lost = False  # frames, since the last interval
        self._now_ns = account.settled_ns  # of the last tick
        self._watched_ns = account.settled_ns  # of the one before
        self._blind = False

    @property
    def name(self) -> str:
        return self._port.name

    @property
    def lines(self) -> Collection[str]:
        return self._lines

    @property
    def blind(self) -> bool:
        return self._blind

    @property
    def running(self) -> Collection[Call]:
        return self._intake.running

    def start(self) -> None:
        self._port.start()

    def work(self, now_ns: int) -> None:
        self._take()
        # While records wait, the time is that of the last one that was followed.
        self._let_pass(min(now_ns, self._until_ns) if self.behind else now_ns)
        for _ in range(_ROUNDS):
            if self._lend() or self.behind:
                break
            self._take()

    def fetch(self, call: Call) -> None:
        self.armory.fetch(call)

    @property
    def owes(self) -> bool:
        return self._lost and self._now_ns - self._account.settled_ns >= _TOLD_NS

    def release(self, now_ns: int) -> None:
        heard_ns = min(now_ns, self._until_ns) if self.behind else None
        release_all(self.running, now_ns, heard_ns)

    def collect(self, now_ns: int) -> None:
        self._now_ns = now_ns
        if self.behind and self._passed_over < _PASSED_OVER:
            # What was lent comes later than what waits; holding flows makes that less.
            self._passed_over += 1
        else:
            self._passed_over = 0
            self._follow(self._port.flows.take(begin=True))
            self._let_pass(now_ns)
            settled_ns = self._settled(now_ns)
            self._heed(self._tracker.hand_on_all(settled_ns))
            self.armory.collect(settled_ns)
        if not self._intake.writable:
            self.armory.recall()  # what was sealed cannot be dropped any more
        elif self._intake.duties_only != self._duties_only:
            self.armory.recall()  # the same; legs of duties are lent again at once
        self._duties_only = self._intake.duties_only

    def _settled(self, now_ns: int) -> int:
        """Until when everything that was captured has come: what came last says it, if recent.

        So which packet is late for its leg is decided by times of capture.
        """
        return min(now_ns, max(self._until_ns, now_ns - SETTLED_NS))

    def _take(self) -> None:
        taken = self._port.flows.take(most=self.at_once)
        self.behind = len(taken.records) == self.at_once
        self._follow(taken)

    def _let_pass(self, now_ns: int) -> None:
        """Bring about what time does, and what was heard of dialogs of before a restart."""
        self.armory.fed_ns = now_ns
        for farewell in self._tracker.farewells():
            call = self._intake.resumed_as(farewell.call_id)
            if call is not None:
                self._heed(self._tracker.end(call, farewell.time_ns))
        self._heed(self._tracker.advance(now_ns))

    def _follow(self, taken: Taken) -> None:
        """Feed what was taken, and what legs brought back with them, in the order of time."""
        if 0 < self._until_ns < taken.until_ns - LONGEST_SILENCE_NS:
            self.armory.fed_ns = self._until_ns  # a clock that was set: Python knows what to think
            self.armory.recall()
        self._until_ns = taken.until_ns
        for record in taken.records:
            for datagram in self.armory.late(record.time_ns):
                self._feed(datagram)
            for datagram in self._dissector.feed(record):
                self._feed(datagram)
        for datagram in self.armory.late(taken.until_ns):
            self._feed(datagram)

    def _feed(self, datagram: Datagram) -> None:
        self.armory.fed_ns = datagram.time_ns
        events = self._tracker.feed(datagram)
        if events:
            self._heed(events)

    def _heed(self, events: Sequence[Event]) -> None:
        self._intake.take(events)
        for event in events:
            if isinstance(event, LegMedia):
                self._heard[event.call, event.leg] = None

    def _lend(self) -> bool:
        """Give the core the legs of which something was heard; False: frames wait, take them."""
        for name in tuple(self._heard):
            if self.armory.lend(*name):
                del self._heard[name]
        return not self._heard

    def watch(self) -> None:
        """Frames lost, nothing seen, no interface."""
        self._port.check()
        self._troubles.set(self._port.gone, "tap.gone", self.name)
        dropped = self._port.dropped + self.armory.overrun
        if dropped > self._dropped:
            self._troubles.happened("tap.lost", self.name)
            self._lose(dropped - self._dropped)
        self._dropped, self._watched_ns = dropped, self._now_ns
        self._blind = self._port.blind
        self._troubles.set(self._blind and not self._port.gone, "tap.blind", self.name)

    def _lose(self, frames: int) -> None:
        """Account for frames for which there was no room, some time since the last look."""
        start = max(self._watched_ns, self._account.settled_ns)
        if start < self._now_ns:
            self._account.mark("lost", start, self._now_ns, LOST, packets=frames)
            self._lost = True

    def levels(self) -> Sequence[Level]:
        return ()

    def settle(self, now_ns: int) -> list[Interval]:
        state = "blind" if self._blind else "idle"
        account = self._account
        if now_ns <= account.settled_ns:
            return []
        account.mark(state, account.settled_ns, now_ns)
        self._lost = False
        return list(account.settle(now_ns))

    def stop(self, now_ns: int) -> None:
        self._port.stop()
        self._follow(self._port.flows.take())
        self.armory.take_all_back()
        for datagram in self.armory.late():
            self._feed(datagram)
        self._let_pass(now_ns)
        self._intake.suspend(now_ns)
        self.armory.close()
        self._port.close()

    def drop(self) -> None:
        self._port.stop()
        self._port.close()
        self.armory.close()
