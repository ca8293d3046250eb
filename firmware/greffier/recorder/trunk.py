"""A mirrored port of the live recorder: its tap, and everything that follows its frames."""

from collections.abc import Collection
from dataclasses import replace
from typing import Final, Protocol

from greffier.audit.coverage import Account
from greffier.audit.intervals import Interval
from greffier.calls.limits import SECOND, Limits
from greffier.calls.tracker import Tracker
from greffier.capture.dissector import Dissector
from greffier.config.records import Config
from greffier.recorder.call import Call
from greffier.recorder.intake import Intake
from greffier.recorder.taps import Port
from greffier.recorder.troubles import Troubles

HELD_PACKETS_S: Final = 100  # of 10 ms, a second
BATCH_NS: Final = 200_000_000  # with a tick it must stay below the second that a power cut may take


class Source(Protocol):
    """What the recorder's loop works: a mirrored port, or a sound card. Its thread owns it."""

    @property
    def name(self) -> str:
        """As the configuration calls it."""

    @property
    def blind(self) -> bool:
        """Whether it sees nothing at all, so that nothing can be said of its lines."""

    @property
    def running(self) -> Collection[Call]:
        """The calls that are not over."""

    def start(self) -> None:
        """Begin to listen."""

    def work(self, now_ns: int) -> None:
        """Follow what has come until *now_ns*, wall clock. Raises StorageFailed."""

    def watch(self) -> None:
        """Raise and clear the alarms of the source."""

    def settle(self, now_ns: int) -> list[Interval]:
        """The intervals of its own channels that end at *now_ns*, which were not told yet."""

    def stop(self, now_ns: int) -> None:
        """Listen no more; what came is followed, calls are suspended. Raises StorageFailed."""


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

    def __init__(
        self,
        config: Config,
        port: Port,
        intake: Intake,
        account: Account,
        troubles: Troubles,
    ) -> None:
        (tap,) = (one for one in config.taps if one.name == port.name)
        self._port = port
        self._dissector = Dissector(tap.sip_ports)
        self._tracker = Tracker(limits_of(config), lambda pair: intake.expects(*pair))
        self._intake = intake
        self._account = account
        self._troubles = troubles
        self._dropped = 0
        self._blind = False

    @property
    def name(self) -> str:
        return self._port.name

    @property
    def blind(self) -> bool:
        return self._blind

    @property
    def running(self) -> Collection[Call]:
        return self._intake.running

    def start(self) -> None:
        self._port.start()

    def work(self, now_ns: int) -> None:
        for record in self._port.flows.take().records:
            for datagram in self._dissector.feed(record):
                events = self._tracker.feed(datagram)
                if events:
                    self._intake.take(events)
        for farewell in self._tracker.farewells():
            call = self._intake.resumed_as(farewell.call_id)
            if call is not None:
                self._intake.take(self._tracker.end(call, farewell.time_ns))
        self._intake.take(self._tracker.advance(now_ns))

    def watch(self) -> None:
        """Frames lost, nothing seen, no interface."""
        self._port.check()
        self._troubles.set(self._port.gone, "tap.gone", self.name)
        dropped = self._port.dropped
        if dropped > self._dropped:
            self._troubles.happened("tap.lost", self.name)
        self._dropped = dropped
        blind = self._port.blind
        if blind != self._blind:
            self._blind = blind
            self._troubles.set(self._blind, "tap.blind", self.name)

    def settle(self, now_ns: int) -> list[Interval]:
        state = "blind" if self._blind else "idle"
        account = self._account
        if now_ns <= account.settled_ns:
            return []
        account.mark(state, account.settled_ns, now_ns)
        return list(account.settle(now_ns))

    def stop(self, now_ns: int) -> None:
        self._port.stop()
        self.work(now_ns)
        self._intake.suspend(now_ns)
        self._port.close()
