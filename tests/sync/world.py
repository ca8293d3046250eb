"""A box's engine, a recorder, a head office and a channel that does what it likes: no threads.

Time is a number that the test moves. Everything that is said travels by ``up`` or ``down``, where
it may be lost, doubled, delayed or overtaken.
"""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from greffier.clock import SECOND
from greffier.control.transfer import Sealed
from greffier.durable import Disk
from greffier.sync.actions import Action, HandOver, Prepare, PublishOffer, Release, Send
from greffier.sync.messages import Later, Need, Offered, Range, Refused
from greffier.sync.outbox import Outbox
from greffier.sync.parts import MOST_FLIGHTS, Parts
from greffier.sync.sending import Grant, Piece, Sender

WALL = 1_795_400_000 * SECOND
PIECE = 1000
LANE = "a1"


def part_id(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:32]


def receipt_of(part: str, good: bool = True) -> str:
    return f"greffier/receipt@v1\npart {part}\n{'good' if good else 'bad'}\n"


@dataclass
class Sent:
    """What left the box, and what it was allowed to send of that grant before."""

    piece: Piece
    now_ns: int
    grant: Grant


@dataclass
class World:
    """All of it. ``lost`` decides of each message whether it is lost."""

    seed: int = 0
    most: int = MOST_FLIGHTS
    now_ns: int = 1
    parts: dict[str, Sealed] = field(default_factory=dict)
    received: set[str] = field(default_factory=set)
    destroyed: set[str] = field(default_factory=set)
    up: list[object] = field(default_factory=list)
    down: list[object] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    have: dict[str, int] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    prepared: list[str] = field(default_factory=list)
    away: bool = False
    online: bool = False
    collector: bool = True
    credit: int = 2500
    ttl_s: int = 30
    refusing: set[str] = field(default_factory=set)
    later_s: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.outbox = Outbox.open(None, Disk(), self.now_ns, WALL)
        self.engine = Parts(self.outbox, self.random.random, self.most)
        self.sender = Sender()
        self.grants: dict[int, Grant] = {}
        self.used: dict[int, int] = {}
        self.files: set[str] = set()

    @property
    def wall_ns(self) -> int:
        return WALL + self.now_ns

    # --- what happens outside ---

    def seal(self, size: int, *, urgent: bool = False, age_s: int = 0, until_s: int = 0) -> str:
        number = len(self.parts) + 1
        part = part_id(number)
        created = self.wall_ns - age_s * SECOND
        until = self.wall_ns + until_s * SECOND if until_s else 0
        sealed = Sealed(part, part, number, size, "0" * 64, created, until, urgent)
        self.parts[part] = sealed
        self.outbox.sight([sealed], 1)
        self.engine.seen()
        return part

    def connect(self) -> None:
        self.online = True
        self.engine.connected()

    def disconnect(self) -> None:
        self.online = False
        self.engine.disconnected()
        for grant in self.sender.ended(1 << 62):
            self.engine.sent(grant.part, grant.serial, 0, self.now_ns)

    def restart(self) -> None:
        """The process is killed; the outbox stays as it was written, the rest is gone."""
        self.engine = Parts(self.outbox, self.random.random, self.most)
        self.sender = Sender()
        self.files.clear()
        self.outbox.forget_waits()
        left = [one for key, one in self.parts.items() if self.waits(key)]
        self.outbox.sight(left, 2)
        if self.online:
            self.engine.connected()

    def waits(self, part: str) -> bool:
        return part not in self.received and part not in self.destroyed

    # --- the box goes round ---

    def turn(self) -> None:
        self._step()
        self._step()

    def _step(self) -> None:
        for action in self.engine.step(self.now_ns, self.wall_ns):
            self._do(action)
        for grant in self.sender.ended(self.now_ns):
            self.engine.sent(grant.part, grant.serial, 0, self.now_ns)

    def pump(self, most: int = 4) -> None:
        for _ in range(most):
            piece = self.sender.next(PIECE, self.now_ns)
            if piece is None:
                return
            self.sent.append(Sent(piece, self.now_ns, self.grants[piece.serial]))
            self.used[piece.serial] = self.used.get(piece.serial, 0) + piece.size
            self.sender.acknowledged(piece)
            if self.online:
                self.up.append(piece)

    def _do(self, action: Action) -> None:
        if isinstance(action, Prepare):
            self._prepare(action.sealed)
        elif isinstance(action, PublishOffer):
            if not self.online:
                return
            code = 0 if self.collector else 0x10
            self.engine.acknowledged(action.token, code, self.now_ns)
            if self.collector:
                self.up.extend(action.parts)
        elif isinstance(action, Send):
            assert action.grant.part in self.files
            self.grants[action.grant.serial] = action.grant
            self.sender.grant(action.grant)
        elif isinstance(action, Release):
            self.files.discard(action.part)
            self.sender.revoke(action.part)
        else:
            self._hand_over(action)

    def _prepare(self, sealed: Sealed) -> None:
        if self.away:
            self.engine.unprepared(sealed.part, "away", self.now_ns)
        elif not self.waits(sealed.part) and sealed.part in self.destroyed:
            self.engine.unprepared(sealed.part, "gone", self.now_ns)
        else:
            self.prepared.append(sealed.part)
            self.files.add(sealed.part)
            blocks = tuple("0" * 64 for _ in range(-(-sealed.size // 4_194_304)))
            offered = Offered(sealed.part, sealed.size, sealed.sha256, blocks, "AAAA")
            self.engine.prepared(offered, self.now_ns)

    def _hand_over(self, action: HandOver) -> None:
        if self.away:
            self.engine.not_taken(tuple(part for part, _ in action.receipts), self.now_ns)
            return
        results = []
        for part, text in action.receipts:
            if text != receipt_of(part):
                results.append((part, "forged"))
            elif part not in self.parts:
                results.append((part, "unknown"))
            elif part in self.received:
                results.append((part, "known"))
            else:
                self.received.add(part)
                results.append((part, "received"))
        self.engine.taken(tuple(results), self.now_ns, self.wall_ns)

    # --- head office ---

    def hear(self, message: object) -> None:
        """Head office takes one message of the box."""
        if isinstance(message, Offered):
            self._offered(message)
        elif isinstance(message, Piece):
            self._piece(message)

    def _offered(self, one: Offered) -> None:
        if one.part in self.held:
            self.down.append(receipt_of(one.part))
        elif one.part in self.refusing:
            self.down.append(Refused(one.part, "hash"))
        elif self.later_s:
            self.down.append(Later(one.part, "busy", self.later_s))
        else:
            self._need(one.part)

    def _need(self, part: str) -> None:
        start = self.have.get(part, 0)
        size = self.parts[part].size
        end = min(size, start + 2 * self.credit)
        self.down.append(Need(part, LANE, (Range(start, end),), self.credit, self.ttl_s))

    def _piece(self, piece: Piece) -> None:
        have = self.have.get(piece.part, 0)
        if piece.offset <= have < piece.offset + piece.size:
            self.have[piece.part] = piece.offset + piece.size
        have = self.have.get(piece.part, 0)
        if have == self.parts[piece.part].size:
            self.held.add(piece.part)
            self.down.append(receipt_of(piece.part))
        elif have % self.credit == 0 or piece.offset != have:
            self._need(piece.part)

    def answer(self, message: object) -> None:
        """The box takes one message of head office's."""
        if not self.online:
            return
        if isinstance(message, Need):
            self.engine.need(message, self.now_ns)
        elif isinstance(message, Later):
            self.engine.later(message, self.now_ns)
        elif isinstance(message, Refused):
            self.engine.refused(message, self.now_ns, self.wall_ns)
        elif isinstance(message, str):
            self.engine.receipt(message)

    # --- all of it ---

    def deliver_all(self) -> None:
        while self.up or self.down:
            up, self.up = self.up, []
            for message in up:
                self.hear(message)
            down, self.down = self.down, []
            for message in down:
                self.answer(message)

    def go(self, seconds: float, step_s: float = 0.5) -> None:
        """Everything works for so long."""
        end = self.now_ns + int(seconds * SECOND)
        while self.now_ns < end:
            self.turn()
            self.pump(64)
            self.deliver_all()
            self.now_ns += int(step_s * SECOND)

    def until(self, wanted: Callable[[], bool], seconds: float = 4 * 3600) -> None:
        end = self.now_ns + int(seconds * SECOND)
        while not wanted():
            assert self.now_ns < end, "it did not come about"
            self.go(0.5)

    def check(self) -> None:
        """What must hold at every instant."""
        for one in self.sent:
            start, end = one.piece.offset, one.piece.offset + one.piece.size
            assert any(low <= start < end <= high for low, high in one.grant.ranges)
            assert one.now_ns < one.grant.until_ns
            assert one.piece.serial == one.grant.serial
        for serial, octets in self.used.items():
            assert octets <= self.grants[serial].credit
        for part in self.parts:
            if self.waits(part):
                assert self.outbox.known(part) is not None, "it was forgotten without a receipt"
        assert len(self.files) <= self.most
        self.sent.clear()
