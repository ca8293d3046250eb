"""Where a process and its control server meet. The owner's threads never wait here.

A :class:`Desk` knows who answers which kind of request: a function, at once and in the server's
thread, or a bounded queue of orders, whose owner answers when it can. The recorder's desk is a
:class:`Board`: it publishes a frozen snapshot (one reference, replaced whole), from which questions
are answered, and takes the orders that have come since, once a tick.
"""

import os
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from greffier.control.desks import Acted, AskCalls, AskInstructions
from greffier.control.facts import Tell
from greffier.control.governance import AdoptPolicy
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
    Request,
    Resume,
    Status,
    Stop,
)
from greffier.control.retention import (
    AskHolds,
    AskTold,
    Enter,
    Erase,
    PlaceHold,
    Purge,
    ReleaseHold,
)
from greffier.control.transfer import (
    AskEntries,
    AskLeaves,
    AskPart,
    AskWork,
    Cosigned,
    Receipts,
    SyncReport,
)

MOST_ORDERS = 32
_NO_REPLAY = Failure("refused", "replay_not_available")
_NOT_SUPPORTED = Failure("refused", "not_supported")
_FULL = Failure("busy", "too_many_orders")

_OF_THE_LOOP = (
    Acknowledge,
    Pause,
    Resume,
    Stop,
    SyncReport,
    Tell,
    AskCalls,
    AskInstructions,
    Acted,
)
_OF_AN_ARCHIVE = (
    AskWork,
    AskPart,
    AskEntries,
    AskLeaves,
    Receipts,
    Cosigned,
    Purge,
    PlaceHold,
    ReleaseHold,
    AskHolds,
    Erase,
    Enter,
    AskTold,
    AdoptPolicy,
)

Question = AskStatus | AskLevels | AskAlarms


@dataclass(frozen=True, slots=True)
class Handed:
    """An answer, and the descriptor that goes with it; whoever gets it closes it."""

    answer: Answer
    fd: int | None = None

    def drop(self) -> None:
        """Nobody is there to take it: close the descriptor."""
        if self.fd is not None:
            os.close(self.fd)


Reply = Answer | Handed
"""What a request gets: an answer, with a descriptor or without."""


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

    def answer(self, request: Question, now_ns: int) -> Answer:
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

    ``uid`` is the user who asks, as the kernel says. A descriptor in what ``done`` is given is
    closed when it was sent, or when nobody waits for it any more.
    """

    request: Request
    uid: int
    done: Callable[[Reply], None] = field(repr=False)


class Orders:
    """Orders that wait for one owner: ``offer`` is the server's, ``take`` the owner's thread's."""

    def __init__(self, most: int = MOST_ORDERS, wake: Callable[[], None] | None = None) -> None:
        """At most *most* wait. *wake* is called after each that came; it must not block."""
        self._most = most
        self._wake = wake
        # Appended by the server's thread, popped by the owner's: both ends of a deque are safe.
        self._waiting: deque[Order] = deque()

    def offer(self, order: Order) -> bool:
        """Put *order* where its owner takes it; False where too many wait already."""
        if len(self._waiting) >= self._most:
            return False
        self._waiting.append(order)
        if self._wake is not None:
            self._wake()
        return True

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self) -> list[Order]:
        """The orders that have come, oldest first."""
        found: list[Order] = []
        while len(found) < self._most:
            try:
                found.append(self._waiting.popleft())
            except IndexError:
                break
        return found


AtOnce = Callable[[Any, int], Reply]
"""Answers a request of a user in the server's thread: it must not wait for anything."""
Route = AtOnce | Orders
"""Who answers a kind of request."""


class Desk:
    """Who answers what; to everything else the answer is that it is not supported."""

    def __init__(self, routes: Mapping[type[Any], Route] | None = None) -> None:
        # Replaced as a whole; reading and writing a reference is atomic in CPython.
        self._routes: dict[type[Any], Route] = dict(routes or {})

    def route(self, routes: Mapping[type[Any], Route]) -> None:
        """From now on requests of these kinds go there. One thread may call this."""
        self._routes = {**self._routes, **routes}

    def serve(
        self, request: Request, uid: int, now_ns: int, done: Callable[[Reply], None]
    ) -> Reply | None:
        """The answer to *request* of the user *uid*; None: it comes through *done*, once.

        Called by the server's thread alone; *now_ns* is monotonic.
        """
        route = self._routes.get(type(request))
        if route is None:
            return _NOT_SUPPORTED
        if isinstance(route, Orders):
            return None if route.offer(Order(request, uid, done)) else _FULL
        return route(request, uid)


def _is_starting(request: object, uid: int) -> Answer:
    return Failure("busy", "starting")


class Board(Desk):
    """The recorder's. ``publish``, ``take`` and ``route`` are the recorder's own."""

    def __init__(self) -> None:
        self.orders = Orders()
        """What waits for the recorder's loop."""
        routes: dict[type[Any], Route] = dict.fromkeys(_OF_THE_LOOP, self.orders)
        super().__init__(routes | dict.fromkeys(_OF_AN_ARCHIVE, _is_starting))
        self.route({Replay: lambda request, uid: _NO_REPLAY})
        # Replaced as a whole.
        self._snapshot: Snapshot | None = None

    def close_archive(self) -> None:
        """What an open archive answers waits from now on for the next one."""
        self.route(dict.fromkeys(_OF_AN_ARCHIVE, _is_starting))

    def publish(self, snapshot: Snapshot) -> None:
        """Show *snapshot* from now on."""
        self._snapshot = snapshot

    def take(self) -> list[Order]:
        """The orders that have come, oldest first."""
        return self.orders.take()

    def serve(
        self, request: Request, uid: int, now_ns: int, done: Callable[[Reply], None]
    ) -> Reply | None:
        if isinstance(request, Question):
            return self.ask(request, now_ns)
        return super().serve(request, uid, now_ns, done)

    def ask(self, request: Question, now_ns: int) -> Answer:
        """The answer to a question, from the latest snapshot."""
        snapshot = self._snapshot
        return snapshot.answer(request, now_ns) if snapshot else Failure("busy", "starting")
