"""The thread at which offers and chunks arrive: it owns the uploads and answers the boxes.

Storing threads do what takes long; their results come back through the same queue. Whatever comes
from outside is bounded before it enters it.
"""

import queue
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from greffier.control.forms import BadMessage
from greffier.errors import GreffierError
from greffier.sync import chunk as chunks
from greffier.sync import messages
from greffier.sync.chunk import BadChunk
from greffier.sync.messages import Later, Offer, Offered, Refused
from greffier_office import offers, storing
from greffier_office.catalogue import Catalogue, Part
from greffier_office.committer import BlockStored, Item, OfferRefused, PartStored, Voice
from greffier_office.objects import Objects, block_name
from greffier_office.offers import Unknowns
from greffier_office.steps import Action, Finish, Keep, Say
from greffier_office.uploads import Uploads

MOST_OFFERS: Final = 256
MOST_CHUNKS: Final = 64
CHUNK_WAIT_S: Final = 20.0
TICK_S: Final = 0.5
STORING_THREADS: Final = 3
DELETED: Final = "deleted"
"""The one reason of a refusal that says nothing against the box."""


@dataclass(frozen=True, slots=True)
class _Offers:
    device: str
    offer: Offer


@dataclass(frozen=True, slots=True)
class _Chunk:
    device: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class _Kept:
    block: Keep
    outcome: str


@dataclass(frozen=True, slots=True)
class _Finished:
    part: Finish
    outcome: str


class Desk(threading.Thread):
    """*opened* makes its connection in its own thread; *put* is the committer's.

    While nobody *hears* chunks, or less than *reserve* octets of the disk are free, every part is
    told ``later``.
    """

    def __init__(
        self,
        opened: Callable[[], Catalogue],
        objects: Objects,
        uploads: Uploads,
        put: Callable[[Item], None],
        voice: Voice,
        hears: Callable[[], bool] = lambda: True,
        reserve: int = 0,
    ) -> None:
        super().__init__(name="desk", daemon=True)
        self._opened = opened
        self._objects = objects
        self._uploads = uploads
        self._put = put
        self._voice = voice
        self._hears = hears
        self._reserve = reserve
        self._queue: queue.SimpleQueue[_Offers | _Chunk | _Kept | _Finished | None] = (
            queue.SimpleQueue()
        )
        self._offers = threading.BoundedSemaphore(MOST_OFFERS)
        self._chunks = threading.BoundedSemaphore(MOST_CHUNKS)
        self._pool = ThreadPoolExecutor(STORING_THREADS, "storing")
        self._unknowns = Unknowns()
        self._full = False  # this thread's, as is the catalogue
        self._rows: Catalogue
        self.beat = time.monotonic()
        self.counts: Counter[str] = Counter()
        """What was dropped and why, and errors of the store; read by anybody, never exact."""

    def offer(self, device: str, payload: bytes) -> None:
        """An offer came. Any thread; never waits. More than can wait are dropped."""
        try:
            offer = messages.read(payload)
        except BadMessage:
            self.counts["malformed"] += 1
            return
        if not isinstance(offer, Offer):
            self.counts["malformed"] += 1
        elif self._offers.acquire(blocking=False):
            self._queue.put(_Offers(device, offer))
        else:
            self.counts["offers dropped"] += 1

    def chunk(self, device: str, payload: bytes) -> None:
        """A chunk came. Any thread; waits while too many wait, so that TCP does."""
        if self._chunks.acquire(timeout=CHUNK_WAIT_S):
            self._queue.put(_Chunk(device, payload))
        else:
            self.counts["chunks dropped"] += 1

    def finished(self, part: Finish, outcome: str) -> None:
        """The committer's answer. Any thread."""
        self._queue.put(_Finished(part, outcome))

    def stop(self) -> None:
        """End after what came until now."""
        self._queue.put(None)

    def run(self) -> None:
        """The thread."""
        self._rows = self._opened()
        due = time.monotonic()
        try:
            while True:
                try:
                    item = self._queue.get(timeout=max(due - time.monotonic(), 0.001))
                except queue.Empty:
                    item = None
                else:
                    if item is None:
                        return
                now_s = time.monotonic()
                if item is not None:
                    self._take(item, now_s)
                if now_s >= due:
                    due = now_s + TICK_S
                    self.beat = now_s
                    self.counts["chunks not wanted"] = self._uploads.dropped
                    self._look_at_disk(now_s)
                    self._do(self._uploads.tick(now_s))
        finally:
            self._pool.shutdown()
            self._rows.close()

    def _take(self, item: _Offers | _Chunk | _Kept | _Finished, now_s: float) -> None:
        try:
            self._do(self._taken(item, now_s))
        except Exception:  # noqa: BLE001 - what one box says must not end the others' uploads
            self.counts["faults"] += 1

    def _taken(self, item: _Offers | _Chunk | _Kept | _Finished, now_s: float) -> Sequence[Action]:
        match item:
            case _Offers(device, offer):
                self._offers.release()
                return self._offered(device, offer, now_s)
            case _Chunk(device, payload):
                self._chunks.release()
                try:
                    return self._uploads.chunk(device, chunks.decode(payload), now_s)
                except BadChunk:
                    self.counts["malformed"] += 1
                    return ()
            case _Kept(block, outcome):
                return self._uploads.kept(block, outcome, now_s)
            case _Finished(part, outcome):
                return self._uploads.finished(part, outcome, now_s)

    def _offered(self, device: str, offer: Offer, now_s: float) -> list[Action]:
        actions: list[Action] = []
        try:
            if self._rows.log_key(device) is None:
                self.counts["strangers"] += 1
                return []
            log = self._rows.log(device)
            for one in offer.parts:
                row = self._rows.part(device, one.part)
                key = (device, one.part)
                wall_ns = time.time_ns()
                no = offers.judge(row, log, one, key, self._unknowns, now_s, wall_ns)
                if no is not None:
                    self._refused(device, no)
                elif row is not None and row.receipt is not None:
                    self._voice.receipt(device, row.receipt.encode())
                elif self._full:
                    self._voice.need(device, Later(one.part, "space", 60))
                elif not self._hears():
                    self._voice.need(device, Later(one.part, "busy", 1))
                else:
                    held = self._held(one) if not self._uploads.has(key) else ()
                    actions += self._uploads.offer(device, one, held, now_s)
        except (GreffierError, sqlite3.Error):
            self.counts["catalogue errors"] += 1
        return actions

    def _refused(self, device: str, no: Later | Refused) -> None:
        self._voice.need(device, no)
        if isinstance(no, Refused) and no.reason != DELETED:
            self._put(OfferRefused(device, no.part, no.reason))

    def _held(self, offered: Offered) -> list[int]:
        """The blocks that are objects: a row says so, and so does the store."""
        held = []
        for number in sorted(self._rows.held(offered.blocks)):
            size = min(chunks.BLOCK, offered.size - number * chunks.BLOCK)
            if self._objects.size(block_name(offered.blocks[number])) == size:
                held.append(number)
        return held

    def _do(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Say(device, message):
                    if isinstance(message, Refused):
                        self._put(OfferRefused(device, message.part, message.reason))
                    self._voice.need(device, message)
                case Keep():
                    self._pool.submit(self._keep, action)
                case Finish():
                    self._pool.submit(self._finish, action, self._row(action))

    def _row(self, part: Finish) -> Part | None:
        try:
            return self._rows.part(*part.key)
        except (GreffierError, sqlite3.Error):
            self.counts["catalogue errors"] += 1
            return None

    def _keep(self, block: Keep) -> None:
        """A storing thread's: make *block* durable."""
        try:
            outcome = storing.keep(self._objects, block)
            if outcome == "kept":
                self._put(BlockStored(block.sha256, len(block.data)))
        except Exception as error:  # noqa: BLE001 - whatever it is, the box is told to come again
            outcome = self._failed(error)
        self._queue.put(_Kept(block, outcome))

    def _finish(self, part: Finish, row: Part | None) -> None:
        """A storing thread's: look at the whole part, and have it recorded."""
        try:
            looked = storing.look(self._objects, part)
        except Exception as error:  # noqa: BLE001 - as above
            self._queue.put(_Finished(part, self._failed(error)))
            return
        if row is None or looked.outcome != "kept":
            self._queue.put(_Finished(part, looked.outcome if row else "failed"))
        else:
            self._put(PartStored(part, row, looked.about))

    def _failed(self, error: Exception) -> str:
        self.counts[f"store: {type(error).__name__}"] += 1
        return "space" if storing.is_full(error) else "failed"

    def _look_at_disk(self, now_s: float) -> None:
        try:
            free = self._objects.free()
        except OSError:
            self.counts["disk errors"] += 1
            return
        full = free is not None and free < self._reserve
        if full and not self._full:
            self._do(self._uploads.forget(now_s, "space"))
        self._full = full
