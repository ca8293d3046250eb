"""The thread that carries the log: it waits for nothing that parts need.

An entry is on the wire some hundredths of a second after the recorder published it: the file of
leaf hashes tells by its length, for one system call, that something new is there.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from greffier.audit.note import BadNote, parse
from greffier.clock import SECOND, Clock
from greffier.control.forms import BadMessage
from greffier.control.transfer import Work
from greffier.sync import messages, topics
from greffier.sync.connection import Acked, Connection, Down, Event, Heard, Publication, Up
from greffier.sync.errands import Errands
from greffier.sync.inbox import Inbox
from greffier.sync.log_reader import LogReader
from greffier.sync.logkeeper import Entries, Keep, LogAction, LogKeeper, Question
from greffier.sync.messages import Collector, Fork, Have
from greffier.sync.recorder_link import Away, NotBelieved, RecorderLink
from greffier.sync.waits import Draw

_LOOK_S: Final = 0.008
_LOOK_OFFLINE_S: Final = 0.1
_TURN_NS: Final = SECOND // 10
_ASK_NS: Final = SECOND
_ASK_AWAY_NS: Final = 2 * SECOND
_ASK_GROWN_NS: Final = SECOND // 100
_GROWN_FOR_NS: Final = 2 * SECOND
_NO_PARTS: Final = 2**53 - 1
_MS: Final = SECOND // 1000


class Urge:
    """Ask head office at once."""


@dataclass(frozen=True, slots=True)
class Handed:
    """What the recorder made of a cosigned checkpoint of *size* entries."""

    outcome: Literal["kept", "away", "not believed"]
    size: int = 0


class LogCarrier:
    """Everything here is its thread's, but ``inbox`` and what is read of it as a whole."""

    def __init__(
        self,
        device: str,
        socket: Path,
        clock: Clock,
        draw: Draw,
        connection: Callable[[], Connection],
        grown: Callable[[], None],
        reached: Callable[[int], None],
    ) -> None:
        """*grown* is called when the recorder published something new, *reached* with the size of
        head office's copy.
        """
        self._device = device
        self._clock = clock
        self._connection = connection
        self._grown = grown
        self._reached = reached
        self._link = RecorderLink(socket)
        self._reader = LogReader(socket)
        self._work: Work | None = None
        self._ask_ns = 0
        self._leaves = 0
        self._grown_until_ns = 0
        self.keeper = LogKeeper(draw)
        self.inbox: Inbox[Event | Urge | Handed] = Inbox()
        porter = RecorderLink(socket)
        # It answers when the checkpoint is durable; meanwhile the next entries go.
        self._keeping: Errands[Keep, Handed] = Errands(
            lambda one: _hand(porter, one), self.inbox.put
        )
        self.away = False
        self.foreign = ""
        """The recorder's device, where it is not the one that was enrolled."""
        self.last_cosigned_ns = 0
        self.cosign_ms = 0
        """How long the last cosignature took, from its batch to its coming back."""
        self._published = (0, 0)  # when the last entries went, and the size they were to reach
        self.beat_ns = clock.monotonic_ns()
        self.malformed = 0

    @property
    def errands(self) -> "tuple[tuple[str, Errands[Any, Any]], ...]":
        """What else has to run, each in a thread of this name."""
        return (("keeping", self._keeping),)

    @property
    def log_size(self) -> int:
        """How many entries the recorder's log holds durably."""
        return self.keeper.size

    def run(self, stop: threading.Event) -> None:
        """Carry until *stop*."""
        while not stop.is_set():
            events = self.inbox.take(_LOOK_S if self.keeper.online else _LOOK_OFFLINE_S)
            now = self._clock.monotonic_ns()
            if not events and now - self.beat_ns < _TURN_NS and not self._has_grown(now):
                continue  # what costs nearly nothing is done a hundred times a second, no more
            self.beat_ns = now
            for event in events:
                self._hear(event)
            self._look()
            if self._work is not None and not self.foreign:
                for action in self.keeper.step(self._clock.monotonic_ns()):
                    self._do(action, self._work)
        self._reader.forget()

    def _hear(self, event: Event | Urge | Handed) -> None:
        now = self._clock.monotonic_ns()
        if isinstance(event, Up):
            self.keeper.connected()
        elif isinstance(event, Down):
            self.keeper.disconnected()
        elif isinstance(event, Urge):
            self.keeper.urge()
        elif isinstance(event, Handed):
            self._handed(event, now)
        elif isinstance(event, Acked):
            if isinstance(event.token, int):
                self.keeper.acknowledged(event.token, event.code, now)
        else:
            self._read(event, now)

    def _read(self, event: Heard, now: int) -> None:
        try:
            message = messages.read(event.payload)
        except BadMessage:
            self.malformed += 1
            return
        if isinstance(message, Collector):
            if message.online:
                self.keeper.collector_there()
        elif isinstance(message, Have):
            self._time(message, now)
            self.keeper.have(message, now)
            self._reached(message.size)
        elif isinstance(message, Fork):
            self.keeper.fork(message, now)
        else:
            self.malformed += 1

    def _time(self, have: Have, now: int) -> None:
        at_ns, size = self._published
        if have.cosigned and at_ns and have.size == size:
            self.cosign_ms = (now - at_ns) // _MS
            self._published = (0, 0)

    def _has_grown(self, now: int) -> bool:
        """Whether the recorder may have something new: its leaves have grown."""
        leaves = self._reader.grown()
        if leaves is None:
            return False
        if leaves != self._leaves:
            self._leaves = leaves
            self._ask_ns = min(self._ask_ns, now)
            self._grown_until_ns = now + _GROWN_FOR_NS
        if self._work is not None and leaves <= self._work.log_size:
            self._grown_until_ns = 0
        return now < self._grown_until_ns

    def _look(self) -> None:
        """Ask the recorder what is durable: when its leaves grew, and now and then."""
        now = self._clock.monotonic_ns()
        hurry = self._has_grown(now)
        if now < self._ask_ns:
            return
        try:
            work = self._link.work(_NO_PARTS, 1)
            self._reader.open_leaves()
        except Away:
            self.away = True
            self._reader.forget()
            self._ask_ns = self._clock.monotonic_ns() + _ASK_AWAY_NS
            return
        self._seen(work)
        self._ask_ns = now + (_ASK_GROWN_NS if hurry else _ASK_NS)

    def _seen(self, work: Work) -> None:
        self.away = False
        self.foreign = "" if work.device == self._device else work.device
        before = self._work
        self._work = work
        self.keeper.grown(work.log_size)
        if before is None or before.log_size != work.log_size:
            self._grown()

    def _do(self, action: LogAction, work: Work) -> None:
        if isinstance(action, Keep):
            self._keeping.put(action)
            return
        try:
            if isinstance(action, Entries):
                payload = self._reader.batch(work, action.first)
                self._published = (self._clock.monotonic_ns(), work.log_size)
            else:
                payload = self._reader.question(work)
        except Away:
            self.keeper.not_made(self._clock.monotonic_ns())
            return
        self._publish(action, payload)

    def _publish(self, action: Entries | Question, payload: bytes) -> None:
        topic = topics.up(self._device, "audit")
        self._connection().publish(Publication(topic, payload, ("log", action.token)))

    def _handed(self, event: Handed, now: int) -> None:
        if event.outcome == "kept":
            self.last_cosigned_ns = self._clock.wall_ns()
            self.keeper.kept(event.size)
        else:
            self.keeper.not_kept(believed=event.outcome == "away", now_ns=now)


def _hand(link: RecorderLink, action: Keep) -> Handed:
    try:
        size = int(parse(action.checkpoint.encode()).text.split("\n")[1])
        link.cosigned(action.checkpoint)
    except Away:
        return Handed("away")
    except (NotBelieved, BadNote, ValueError, IndexError):
        return Handed("not believed")
    return Handed("kept", size)
