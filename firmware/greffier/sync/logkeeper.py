"""The log's way to head office: ask, send from there, hand over what it cosigned. Pure.

docs/sync-protocol.md section 4. One batch is on its way; entries that come meanwhile share the
next. Every wait ends in a question. One thread owns an instance; times are monotonic ns.
"""

from dataclasses import dataclass
from typing import Final

from greffier.clock import SECOND
from greffier.sync.messages import Fork, Have
from greffier.sync.waits import Backoff, Draw

ANSWER_NS: Final = 10 * SECOND
MOST_UNANSWERED: Final = 3
FORK_NS: Final = 3600 * SECOND
IDLE_NS: Final = 300 * SECOND
"""So often at least head office is asked: its cosignature also says what time it is."""
UNSIGNED_NS: Final = 60 * SECOND
_NO_SUBSCRIBER: Final = 0x10
_DENIED: Final = 0x87
_TOO_LARGE: Final = 0x95


@dataclass(frozen=True, slots=True)
class Question:
    """Publish a batch without entries; *token* comes back with the acknowledgement."""

    token: int


@dataclass(frozen=True, slots=True)
class Entries:
    """Publish a batch of the entries from *first* on, under the latest checkpoint."""

    token: int
    first: int


@dataclass(frozen=True, slots=True)
class Keep:
    """Hand this cosigned checkpoint to the recorder."""

    checkpoint: str


LogAction = Question | Entries | Keep


class LogKeeper:
    """``head`` is what head office said it has (None: not asked yet), ``size`` what we have."""

    def __init__(self, draw: Draw) -> None:
        self.size = 0
        self.head: int | None = None
        self.cosigned = 0
        self.troubles: set[str] = set()
        self._kept = ""
        self._keep = ""
        self._keep_ns = 0
        self._handed = ""
        """What the recorder has not answered for; a newer one waits until it has."""
        self.online = False
        """Whether head office may be heard."""
        self._answered = False
        self._unanswered = 0
        self._from: int | None = None
        """Where the entries begin that were sent last and that head office has not said it has."""
        self._untaken = 0
        self._token = 0
        self._until_ns = 0
        self._hold_ns = 0
        self._absent = Backoff(5, 600, draw)

    def connected(self) -> None:
        """Head office may be heard: ask first."""
        self.online = True
        self._absent.reset()
        self._hold_ns = 0
        self._ask_again()

    def disconnected(self) -> None:
        """It may not."""
        self.online = False
        self._until_ns = 0
        self.head = None

    def collector_there(self) -> None:
        """A collector says that it is there."""
        if self._hold_ns:
            self.urge()

    def urge(self) -> None:
        """Ask at once."""
        self._hold_ns = 0
        self._absent.reset()
        self._ask_again()

    def grown(self, size: int) -> None:
        """So many entries are durable in our log."""
        self.size = max(size, self.size)

    def acknowledged(self, token: int, code: int, now_ns: int) -> None:
        """The broker answered the batch *token* by the reason *code*."""
        if code == 0:
            self.troubles -= {"sync.denied", "sync.too_large", "sync.broker"}
            return
        if token != self._token:
            return
        if code >= 0x80:
            named = {_DENIED: "sync.denied", _TOO_LARGE: "sync.too_large"}
            self.troubles.add(named.get(code, "sync.broker"))
        elif code == _NO_SUBSCRIBER:
            self.troubles.add("sync.no_collector")
        self._hold_ns = now_ns + self._absent.next_ns()
        self._ask_again()

    def not_made(self, now_ns: int) -> None:
        """The batch could not be made: the recorder does not answer, or its files do not fit."""
        self._hold_ns = now_ns + SECOND
        self._ask_again()

    def have(self, have: Have, now_ns: int) -> None:
        """Head office has so many entries."""
        self._absent.reset()
        self._hold_ns = 0
        self._answered = True
        self._until_ns = 0
        self._unanswered = 0
        self.troubles -= {"sync.fork", "sync.no_collector"}
        if have.size > self.size:  # of a log that we have not: ask again, when ours is known
            # Anybody may say so; a checkpoint that we signed and do not reach proves that this disk
            # was put back, which the recorder finds when it is handed over.
            if have.cosigned and have.cosigned != self._kept:
                self._keep = have.cosigned
            self._hold_ns = now_ns + ANSWER_NS
            self._ask_again()
            return
        self.head = have.size
        self._note_whether_taken(have.size)
        if have.cosigned and have.cosigned != self._kept:
            self._keep = have.cosigned
            if not self._handed:
                self._keep_ns = 0
        self._until_ns = now_ns + (IDLE_NS if self._settled else UNSIGNED_NS)

    def fork(self, _fork: Fork, now_ns: int) -> None:
        """Our log is not the one that it has a part of."""
        self.troubles.add("sync.fork")
        self._hold_ns = now_ns + FORK_NS
        self._ask_again()

    def kept(self, size: int) -> None:
        """The recorder took the checkpoint; it is of *size* entries."""
        self._answered_for()
        self.cosigned = max(self.cosigned, size)
        self.troubles.discard("sync.cosignature")

    def not_kept(self, believed: bool, now_ns: int) -> None:
        """It did not: it is away, or does not believe it (then it is not offered again)."""
        if believed:
            self._handed = ""
            self._keep_ns = now_ns + SECOND
            return
        self._answered_for()
        self.troubles.add("sync.cosignature")

    def step(self, now_ns: int) -> list[LogAction]:
        """What is to be done now."""
        actions: list[LogAction] = []
        if self._keep and now_ns >= self._keep_ns:
            self._keep_ns = now_ns + ANSWER_NS
            self._handed = self._keep
            actions.append(Keep(self._keep))
        if not self.online or now_ns < self._hold_ns:
            return actions
        if self._hold_ns:
            self._hold_ns = 0
            self._ask_again()
        behind = self._answered and self.head is not None and self.head < self.size
        if behind:
            self._send(actions, now_ns, question=False)
        elif now_ns >= self._until_ns:
            self._complain()
            self._send(actions, now_ns, question=True)
        return actions

    def _complain(self) -> None:
        """Questions that the broker took and nobody answers: as good as nobody there."""
        if not self._until_ns or self._answered:
            return
        self._unanswered += 1
        if self._unanswered >= MOST_UNANSWERED:
            self.troubles.add("sync.no_collector")

    def _note_whether_taken(self, size: int) -> None:
        """Where questions are answered and entries are not, somebody is there and keeps none."""
        if self._from is None:
            return
        taken = size > self._from
        self._from = None
        self._untaken = 0 if taken else self._untaken + 1
        if taken:
            self.troubles.discard("sync.untaken")
        elif self._untaken >= MOST_UNANSWERED:
            self.troubles.add("sync.untaken")

    def _answered_for(self) -> None:
        self._kept = self._handed or self._keep
        if self._keep == self._kept:
            self._keep = ""
        else:
            self._keep_ns = 0
        self._handed = ""

    @property
    def _settled(self) -> bool:
        return self.head == self.size and bool(self._kept or self._keep)

    def _send(self, actions: list[LogAction], now_ns: int, question: bool) -> None:
        self._token += 1
        self._answered = False
        self._until_ns = now_ns + ANSWER_NS
        if question or self.head is None:
            actions.append(Question(self._token))
        else:
            self._from = self.head
            actions.append(Entries(self._token, self.head))

    def _ask_again(self) -> None:
        self._answered = False
        self._until_ns = 0
