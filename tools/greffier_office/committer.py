"""The thread that writes what was stored: envelopes, then rows, then the receipts go out.

What comes within a few milliseconds is one transaction, for a commit costs a sync whatever is in
it. A receipt leaves after the row in which it stands is durable, never before.
"""

import hashlib
import queue
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from greffier.audit.note import Signer
from greffier.audit.receipt import Receipt
from greffier.sync.chunk import BLOCK
from greffier.sync.messages import Fork, Have, Later, Need, Offered, Presence, Refused
from greffier_office import catalogue, disposal
from greffier_office.catalogue import Catalogue, Part
from greffier_office.envelopes import Envelopes, Sealing
from greffier_office.objects import block_name
from greffier_office.steps import Finish
from greffier_office.storing import is_full

GATHER_S: Final = 0.003
MOST: Final = 64
CHECKPOINT_S: Final = 10.0
"""Between two of the catalogue; every thread's commits are moved by this one, for nobody waits
for it."""


@dataclass(frozen=True, slots=True)
class BlockStored:
    """A block is a durable object of *size* octets."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class PartStored:
    """All blocks of a part are durable objects, and it is the one of the log's *row*."""

    finish: Finish
    row: Part
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Heard:
    """A box said that it is there, or its Will did."""

    device: str
    said: Presence


@dataclass(frozen=True, slots=True)
class OfferRefused:
    """A part was refused, the last of *times* for this reason."""

    device: str
    part: str
    reason: str
    times: int = 1


Item = BlockStored | PartStored | Heard | OfferRefused
_Noted = tuple[str, str]
"""(device, reason), or (device, "") for its presence."""


class Voice(Protocol):
    """How boxes are told something. Any thread; never waits, and may lose what it is given."""

    def audit(self, device: str, message: Have | Fork) -> None:
        """On ``down/audit``."""

    def need(self, device: str, message: Need | Later | Refused) -> None:
        """On ``down/need``."""

    def receipt(self, device: str, receipt: bytes) -> None:
        """On ``down/receipt``."""


class Committer(threading.Thread):
    """Owns its two connections, opened by *opened* in its own thread.

    *finished* takes (finish, outcome) and is called from this thread.
    """

    def __init__(
        self,
        opened: Callable[[], tuple[Catalogue, Envelopes]],
        signer: Signer,
        voice: Voice,
        finished: Callable[[Finish, str], None],
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        super().__init__(name="committer", daemon=True)
        self._opened = opened
        self._signer = signer
        self._voice = voice
        self._finished = finished
        self._now_ns = now_ns
        # What uploads can have under way bounds it. What boxes can say as often as they like is one
        # item a box and reason: here, under the lock, and once in the queue.
        self._queue: queue.SimpleQueue[Item | _Noted | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._notes: dict[_Noted, Heard | OfferRefused] = {}
        self.beat = time.monotonic()
        self.counts: Counter[str] = Counter()
        """Commits that failed, by the error."""

    def put(self, item: Item) -> None:
        """Have *item* written soon. Any thread."""
        if isinstance(item, Heard | OfferRefused):
            self._note(item)
        else:
            self._queue.put(item)

    def _note(self, item: Heard | OfferRefused) -> None:
        key = (item.device, item.reason if isinstance(item, OfferRefused) else "")
        with self._lock:
            known = self._notes.get(key)
            if isinstance(item, OfferRefused) and isinstance(known, OfferRefused):
                item = replace(item, times=known.times + item.times)
            self._notes[key] = item
        if known is None:
            self._queue.put(key)

    def _noted(self, key: _Noted) -> Heard | OfferRefused:
        with self._lock:
            return self._notes.pop(key)

    def stop(self) -> None:
        """Write what came until now, then end."""
        self._queue.put(None)

    def run(self) -> None:
        """The thread."""
        rows, envelopes = self._opened()
        due = 0.0
        try:
            while True:
                items, going = self._gathered()
                if items:
                    self.commit(items, rows, envelopes)
                self.beat = time.monotonic()
                if self.beat >= due:
                    rows.checkpoint()
                    due = time.monotonic() + CHECKPOINT_S
                if not going:
                    return
        finally:
            rows.close()
            envelopes.close()

    def commit(self, items: Sequence[Item], rows: Catalogue, envelopes: Envelopes) -> None:
        """Write *items*, tell who waits for them. A failure is told, not raised."""
        parts = [item for item in items if isinstance(item, PartStored)]
        try:
            if parts:
                envelopes.put(list(map(_sealing, parts)), self._now_ns())
            with rows.transaction() as db:
                receipts = self._write_rows(db, items)
        except Exception as error:  # noqa: BLE001 - whatever it is, these boxes offer again
            self.counts[type(error).__name__] += 1
            outcome = "space" if is_full(error) else "failed"
            for part in parts:
                self._finished(part.finish, outcome)
            return
        for part in parts:
            receipt = receipts.get(part.finish.key)
            if receipt is not None:
                self._voice.receipt(part.finish.key[0], receipt.encode())
            # Without one the log's row is another than when the offer was taken: offer again.
            self._finished(part.finish, "kept" if receipt is not None else "failed")

    def _gathered(self) -> tuple[list[Item], bool]:
        items: list[Item] = []
        try:
            first = self._queue.get(timeout=1.0)
        except queue.Empty:
            return items, True
        end = time.monotonic() + GATHER_S
        while first is not None:
            items.append(self._noted(first) if isinstance(first, tuple) else first)
            left = end - time.monotonic()
            if left <= 0 or len(items) >= MOST:
                return items, True
            try:
                first = self._queue.get(timeout=left)
            except queue.Empty:
                return items, True
        return items, False

    def _write_rows(
        self, db: sqlite3.Connection, items: Sequence[Item]
    ) -> dict[tuple[str, str], str]:
        now_ns = self._now_ns()
        receipts: dict[tuple[str, str], str] = {}
        for item in items:
            match item:
                case BlockStored(sha256, size):
                    catalogue.write_block(db, sha256, size, block_name(sha256), now_ns)
                case Heard(device, said):
                    catalogue.write_presence(db, device, said, now_ns)
                case OfferRefused():
                    catalogue.write_refusal(
                        db, item.device, item.part, item.reason, item.times, now_ns
                    )
                case PartStored():
                    receipt = self._write_part(db, item, now_ns)
                    if receipt is not None:
                        receipts[item.finish.key] = receipt
        return receipts

    def _write_part(self, db: sqlite3.Connection, part: PartStored, now_ns: int) -> str | None:
        offered = part.finish.offered
        for number, sha256 in enumerate(offered.blocks):
            size = min(BLOCK, offered.size - number * BLOCK)
            catalogue.write_block(db, sha256, size, block_name(sha256), now_ns)
        device = part.finish.key[0]
        receipt = receipt_of(device, offered, now_ns).signed(self._signer).decode()
        return catalogue.write_stored(
            db, device, part.row, part.about, offered.blocks, receipt, now_ns
        )


def _sealing(part: PartStored) -> Sealing:
    until_ns = disposal.until_of(part.about, part.row.until_ns)
    return Sealing(*part.finish.key, part.finish.offered.envelope_block, until_ns)


def receipt_of(device: str, offered: Offered, now_ns: int) -> Receipt:
    """Head office's word for *offered*, not yet signed."""
    return Receipt(
        device,
        offered.part,
        offered.size,
        offered.sha256,
        hashlib.sha256(offered.envelope_block).hexdigest(),
        now_ns // 1_000_000_000,
    )
