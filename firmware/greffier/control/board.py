"""Where the recorder and the control server meet. The recorder's thread never waits here.

It publishes a frozen snapshot (one reference, replaced whole) and takes the orders that have come
since, once a tick. The server's thread reads the snapshot and offers orders; what does not fit is
refused at once.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from greffier.control.messages import (
    Acknowledge,
    Alarms,
    Answer,
    AskAlarms,
    AskLevels,
    AskStatus,
    Committed,
    Failure,
    Levels,
    Pause,
    Replay,
    Resume,
    Status,
    Stop,
)

MOST_ORDERS = 32
_NO_REPLAY = Failure("refused", "replay_not_available")

OrderKind = Acknowledge | Pause | Resume | Stop


@dataclass(frozen=True, slots=True)
class Handed:
    """An answer, and the descriptor that goes with it; whoever gets it closes it."""

    answer: Answer
    fd: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the recorder shows. ``alarms`` holds every notice that is kept; time is monotonic.

    ``durable``, where it is given, is what ``status.committed`` becomes when somebody asks: of each
    part (by its id) the bytes and the last sample that survive a power cut. Nobody changes it.
    """

    status: Status
    levels: Levels
    alarms: Alarms
    published_ns: int
    durable: Mapping[bytes, tuple[int, int]] | None = None

    def answer(self, request: AskStatus | AskLevels | AskAlarms, now_ns: int) -> Answer:
        """The answer to a question."""
        if isinstance(request, AskStatus):
            age_ms = max(0, now_ns - self.published_ns) // 1_000_000
            return replace(self.status, age_ms=age_ms, committed=self._committed())
        if isinstance(request, AskLevels):
            return self.levels
        kept = self.alarms
        later = tuple(one for one in kept.notices if one.serial > request.after)
        first = kept.serial - len(kept.notices) + 1
        missed = max(0, min(first, kept.serial + 1) - request.after - 1)
        return replace(kept, notices=later, missed=missed)

    def _committed(self) -> tuple[Committed, ...]:
        if self.durable is None:
            return self.status.committed
        return tuple(Committed(part.hex(), *one) for part, one in self.durable.items())


@dataclass(frozen=True, slots=True)
class Order:
    """Something to be done. ``done`` must be called once, from any thread; it never blocks.

    ``uid`` is the user who asks, as the kernel says.
    """

    request: OrderKind
    uid: int
    done: Callable[[Answer], None] = field(repr=False)


class Board:
    """The meeting place. ``publish`` and ``take`` are the recorder's, the rest the server's."""

    def __init__(self) -> None:
        # Replaced as a whole; reading and writing a reference is atomic in CPython.
        self._snapshot: Snapshot | None = None
        # Appended by the server's thread, popped by the recorder's: both ends of a deque are safe.
        self._orders: deque[Order] = deque()
        self.player: Callable[[Replay, int], Handed] | None = None
        """Who plays what was said last for a user, in the server's thread: a replay waits neither
        for the recorder's loop nor for its disk. Set by the recorder, as a whole."""

    def publish(self, snapshot: Snapshot) -> None:
        """Show *snapshot* from now on."""
        self._snapshot = snapshot

    def take(self) -> list[Order]:
        """The orders that have come, oldest first."""
        found: list[Order] = []
        while len(found) < MOST_ORDERS:
            try:
                found.append(self._orders.popleft())
            except IndexError:
                break
        return found

    def ask(self, request: AskStatus | AskLevels | AskAlarms, now_ns: int) -> Answer:
        """The answer to a question, from the latest snapshot."""
        snapshot = self._snapshot
        return snapshot.answer(request, now_ns) if snapshot else Failure("busy", "starting")

    def play(self, request: Replay, user: int) -> Handed:
        """What was said last, for the user *user*."""
        player = self.player
        return player(request, user) if player else Handed(_NO_REPLAY)

    def offer(self, order: Order) -> bool:
        """Put *order* where the recorder takes it; False where too many wait already."""
        if len(self._orders) >= MOST_ORDERS:
            return False
        self._orders.append(order)
        return True
