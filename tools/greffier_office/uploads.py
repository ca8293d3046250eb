"""The uploads that are under way: which part is asked for which octets, and what became of them.

Pure: events and the time (seconds, monotonic) in, frozen actions out; docs/sync-protocol.md
sections 5 and 6. Nothing here is durable and all of it may be lost at any instant: the next offer
begins again with what is stored.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from greffier.sync.chunk import BLOCK, Chunk
from greffier.sync.messages import MOST_RANGES, Later, Need, Offered, Range, Refused
from greffier_office.spans import Spans
from greffier_office.steps import Action, Finish, Keep, Key, Say

TTL_S: Final = 120
OPEN: Final = 2
"""Parts of one box that are asked for octets at the same time: one arrives while the next need of
the other is on its way, so the line never waits."""
WAITING: Final = 32
"""Offers of one box that wait for one of those places."""
WAIT_S: Final = 8.0
"""How long an offer waits for its place: the box believes it lost after 10 s."""
LONGEST_LATER_S: Final = 60
QUIET_S: Final = 90.0
"""An upload of which nothing was heard for so long is forgotten."""
FIRST_WINDOW: Final = 1 << 20
SMALLEST_WINDOW: Final = 1 << 18
LARGEST_WINDOW: Final = 1 << 24
WINDOW_S: Final = 15.0
"""What is asked for at once should take so long: long against a round trip, short against TTL_S."""
MOST_WRONG: Final = 3
BUDGET: Final = 256 << 20
MOST_SPEEDS: Final = 4096
AGAIN_S: Final = 1.0
AGAIN_BUSY_S: Final = 2


@dataclass(slots=True)
class _Block:
    data: bytearray
    left: int


@dataclass(slots=True)
class _Upload:
    ticket: int
    """Tells results that are still on their way to an upload of the same part before this one."""
    offered: Offered
    rest: Spans
    """Octets that are neither here nor asked for."""
    asked: Spans = field(default_factory=Spans)
    blocks: dict[int, _Block] = field(default_factory=dict)
    """Those of which octets are asked for or here; their memory counts."""
    storing: set[int] = field(default_factory=set)
    wrong: dict[int, int] = field(default_factory=dict)
    granted: int = 0
    granted_s: float = 0.0
    heard_s: float = 0.0
    finishing: bool = False
    lost: bool = False
    """The last octet that was asked for came, something before it did not."""

    @property
    def wants(self) -> bool:
        return bool(self.rest or self.asked)


@dataclass(slots=True)
class _Box:
    open: set[str] = field(default_factory=set)
    waiting: deque[tuple[float, Offered, frozenset[int]]] = field(default_factory=deque)


class Uploads:
    """One thread owns it. *lane* is where chunks are to go, *budget* the octets held at once."""

    def __init__(self, lane: str, budget: int = BUDGET) -> None:
        self._lane = lane
        self._budget = max(budget, BLOCK)
        self._held = 0
        self._uploads: dict[Key, _Upload] = {}
        self._boxes: dict[str, _Box] = {}
        # Who waits for memory, in turn: a part for its next block, or (with no part) a box for the
        # first one of what it offered.
        self._claims: OrderedDict[Key, None] = OrderedDict()
        self._windows: OrderedDict[str, int] = OrderedDict()
        self._tickets = 0
        self.dropped = 0
        """Chunks that nobody asked for, or that were here already."""

    @property
    def held(self) -> int:
        """Octets of memory that are in use."""
        return self._held

    @property
    def count(self) -> int:
        """How many uploads there are."""
        return len(self._uploads)

    def has(self, key: Key) -> bool:
        """Whether the part is on its way."""
        return key in self._uploads

    def offer(
        self, device: str, offered: Offered, held: Iterable[int], now_s: float
    ) -> list[Action]:
        """A part that head office wants: the numbers of blocks in *held* are objects already."""
        key = (device, offered.part)
        known = self._uploads.get(key)
        if known is not None and known.offered == offered:
            return self._again(key, known, now_s)
        if known is not None:
            self._forget(key)
        box = self._boxes.setdefault(device, _Box())
        if any(one.part == offered.part for _, one, _ in box.waiting):
            return []
        if len(box.waiting) >= WAITING:
            return [self._busy(device, offered)]
        put = box.waiting.appendleft if offered.urgent else box.waiting.append
        put((now_s, offered, frozenset(held)))
        return self._serve(device, now_s)

    def chunk(self, device: str, chunk: Chunk, now_s: float) -> list[Action]:
        """Octets came. What was not asked for is dropped."""
        key = (device, chunk.part.hex())
        upload = self._uploads.get(key)
        if upload is None:
            self.dropped += 1
            return []
        end = chunk.offset + len(chunk.data)
        number = chunk.block
        block = upload.blocks.get(number)
        taken = upload.asked.remove(chunk.offset, end) if block else []
        if block is None or not taken:
            self.dropped += 1
            return []
        base = number * BLOCK
        for first, last in taken:
            block.data[first - base : last - base] = chunk.data[
                first - chunk.offset : last - chunk.offset
            ]
            block.left -= last - first
        upload.heard_s = now_s
        actions: list[Action] = []
        if block.left == 0:
            upload.storing.add(number)
            sha256 = upload.offered.blocks[number]
            actions.append(Keep(key, upload.ticket, number, sha256, block.data))
        if not upload.asked:
            actions += self._next(key, upload, now_s)
        elif upload.asked.last <= end:
            upload.lost = True
        return actions

    def kept(self, keep: Keep, outcome: str, now_s: float) -> list[Action]:
        """What became of a block: *outcome* is ``kept``, ``altered``, ``space`` or ``failed``."""
        key, number = keep.key, keep.number
        upload = self._uploads.get(key)
        if upload is None or upload.ticket != keep.ticket:
            return []  # forgotten meanwhile; its memory was given back then
        upload.storing.remove(number)
        self._free(upload, number)
        if outcome == "altered":
            return self._altered(key, upload, number, now_s)
        if outcome != "kept":
            return self._give_up(key, outcome, now_s)
        if upload.wants or upload.storing:
            actions = self._next(key, upload, now_s) if not upload.asked else []
            return actions + self._serve_claims(now_s)
        upload.finishing = True
        finish = Finish(key, upload.ticket, upload.offered)
        return [finish, *self._serve_claims(now_s)]

    def finished(self, finish: Finish, outcome: str, now_s: float) -> list[Action]:
        """The part is recorded and its receipt sent (``kept``), or it is refused or later.

        *outcome* may also be ``hash``, ``format``, ``space``, ``failed``.
        """
        key = finish.key
        upload = self._uploads.get(key)
        if upload is None or upload.ticket != finish.ticket:
            return []
        if outcome in ("space", "failed"):
            return self._give_up(key, outcome, now_s)
        actions: list[Action] = []
        if outcome != "kept":
            actions.append(Say(key[0], Refused(key[1], outcome)))
        return actions + self._drop(key, now_s)

    def tick(self, now_s: float) -> list[Action]:
        """Time has passed; to be called about twice a second."""
        actions: list[Action] = []
        for key, upload in list(self._uploads.items()):
            busy = upload.storing or upload.finishing
            if not busy and now_s - upload.heard_s > QUIET_S:
                actions += self._drop(key, now_s)
            elif upload.lost and now_s - upload.granted_s >= AGAIN_S:
                actions += self._again(key, upload, now_s)
        for device, box in list(self._boxes.items()):
            late = [one for one in box.waiting if now_s - one[0] > WAIT_S]
            actions += [self._busy(device, offered) for _, offered, _ in late]
            for one in late:
                box.waiting.remove(one)
            if not box.waiting and not box.open:
                del self._boxes[device]
                self._claims.pop((device, ""), None)
        return actions + self._serve_claims(now_s)

    def forget(self, now_s: float, reason: str) -> list[Action]:
        """Nothing can be stored: every box is told to come back (*reason*: ``busy``, ``space``)."""
        actions: list[Action] = []
        for key, upload in list(self._uploads.items()):
            if not upload.storing and not upload.finishing:
                actions += self._give_up(key, reason, now_s, serve=False)
        for device, box in self._boxes.items():
            while box.waiting:
                part = box.waiting.popleft()[1].part
                actions.append(Say(device, _later(part, reason)))
        self._claims.clear()
        return actions

    def _serve(self, device: str, now_s: float, *, turn: bool = False) -> list[Action]:
        """Open what waits of *device* while it has places and there is memory.

        *turn*: nobody waits for memory longer.
        """
        actions: list[Action] = []
        box = self._boxes.get(device)
        places = OPEN if 2 * self._held < self._budget else 1
        while box and box.waiting and len(box.open) < places + box.waiting[0][1].urgent:
            _since, offered, held = box.waiting[0]
            rest = Spans((0, offered.size))
            for number in held:
                rest.remove(number * BLOCK, (number + 1) * BLOCK)
            key = (device, offered.part)
            first = _size_of(offered, rest.first // BLOCK) if rest else 0
            if rest and not self._affords(first, turn):
                self._claims[device, ""] = None
                break
            box.waiting.popleft()
            self._tickets += 1
            upload = _Upload(self._tickets, offered, rest, heard_s=now_s)
            self._uploads[key] = upload
            if not rest:
                upload.finishing = True
                actions.append(Finish(key, upload.ticket, offered))
                continue
            box.open.add(offered.part)
            actions += self._ask(key, upload, now_s, turn=turn)
        return actions

    def _serve_claims(self, now_s: float) -> list[Action]:
        """Give the memory that is free to those who wait for it."""
        actions: list[Action] = []
        while self._claims:
            key, _ = self._claims.popitem(last=False)
            upload = self._uploads.get(key)
            if not key[1]:
                actions += self._serve(key[0], now_s, turn=True)
            elif upload is not None and upload.rest and not upload.asked:
                actions += self._ask(key, upload, now_s, turn=True)
            if key in self._claims:  # still too little: it stays the first
                self._claims.move_to_end(key, last=False)
                break
        return actions

    def _next(self, key: Key, upload: _Upload, now_s: float) -> list[Action]:
        """All that was asked for is here: ask for more, or give the place to another part."""
        self._measure(key[0], upload, now_s)
        actions = self._ask(key, upload, now_s) if upload.rest else []
        if not upload.rest and not upload.asked:
            self._close(key)
            actions += self._serve(key[0], now_s)
        return actions

    def _again(self, key: Key, upload: _Upload, now_s: float) -> list[Action]:
        """The box asks again, or something was lost: what is missing is asked for anew."""
        if upload.asked:
            self._measure(key[0], upload, now_s)
        for first, last in list(upload.asked):
            upload.rest.add(first, last)
        upload.asked = Spans()
        if not upload.rest:
            return [self._busy(key[0], upload.offered)]  # it is here, on its way to the disk
        box = self._boxes.setdefault(key[0], _Box())
        if len(box.open - {key[1]}) >= OPEN:
            return [self._busy(key[0], upload.offered)]
        box.open.add(key[1])
        return self._ask(key, upload, now_s) or [self._busy(key[0], upload.offered)]

    def _ask(self, key: Key, upload: _Upload, now_s: float, *, turn: bool = False) -> list[Action]:
        """A need of the next octets, as many as memory and the speed of the line allow."""
        wanted = self._windows.get(key[0], FIRST_WINDOW)
        asked = Spans()
        while upload.rest and wanted > 0 and len(asked) < MOST_RANGES:
            first, last = next(iter(upload.rest))
            number = first // BLOCK
            last = min(last, (number + 1) * BLOCK, first + wanted)
            if not self._opened(upload, number, turn):
                if not asked:
                    self._claims[key] = None
                break
            upload.rest.remove(first, last)
            asked.add(first, last)
            wanted -= last - first
        if not asked:
            return []
        for first, last in asked:
            upload.asked.add(first, last)
        upload.granted, upload.granted_s = asked.size, now_s
        upload.heard_s, upload.lost = now_s, False
        ranges = tuple(Range(first, last) for first, last in asked)
        return [Say(key[0], Need(key[1], self._lane, ranges, asked.size, TTL_S))]

    def _opened(self, upload: _Upload, number: int, turn: bool) -> bool:
        if number in upload.blocks:
            return True
        size = _size_of(upload.offered, number)
        if not self._affords(size, turn):
            return False
        self._held += size
        upload.blocks[number] = _Block(bytearray(size), size)
        return True

    def _affords(self, size: int, turn: bool) -> bool:
        return self._held + size <= self._budget and (turn or not self._claims)

    def _free(self, upload: _Upload, number: int) -> None:
        self._held -= len(upload.blocks.pop(number).data)

    def _measure(self, device: str, upload: _Upload, now_s: float) -> None:
        """How much this box sends in WINDOW_S, from what came of the last need until now."""
        if not upload.granted:
            return
        speed = (upload.granted - upload.asked.size) / max(now_s - upload.granted_s, 0.001)
        window = int(min(max(speed * WINDOW_S, SMALLEST_WINDOW), LARGEST_WINDOW))
        upload.granted = 0
        self._windows[device] = window
        self._windows.move_to_end(device)
        while len(self._windows) > MOST_SPEEDS:
            self._windows.popitem(last=False)

    def _busy(self, device: str, offered: Offered) -> Say:
        """Later: when about half of what this box has to send before will be here."""
        box = self._boxes.get(device)
        before = sum(one.size for _, one, _ in box.waiting) if box else 0
        for part in box.open if box else ():
            upload = self._uploads.get((device, part))
            before += upload.asked.size + upload.rest.size if upload else 0
        seconds = int(before * WINDOW_S / self._windows.get(device, FIRST_WINDOW) / 2)
        after_s = AGAIN_BUSY_S if offered.urgent else min(seconds, LONGEST_LATER_S)
        return Say(device, _later(offered.part, "busy", max(after_s, AGAIN_BUSY_S)))

    def _altered(self, key: Key, upload: _Upload, number: int, now_s: float) -> list[Action]:
        times = upload.wrong[number] = upload.wrong.get(number, 0) + 1
        if times >= MOST_WRONG:
            return [Say(key[0], Refused(key[1], "hash")), *self._drop(key, now_s)]
        start = number * BLOCK
        upload.rest.add(start, start + _size_of(upload.offered, number))
        if upload.asked:
            return []  # it is asked for with the next need
        box = self._boxes.setdefault(key[0], _Box())
        box.open.add(key[1])
        return self._ask(key, upload, now_s)

    def _give_up(self, key: Key, reason: str, now_s: float, *, serve: bool = True) -> list[Action]:
        later = Say(key[0], _later(key[1], "space" if reason == "space" else "busy"))
        self._forget(key)
        return [later, *(self._serve_after(key, now_s) if serve else ())]

    def _drop(self, key: Key, now_s: float) -> list[Action]:
        self._forget(key)
        return self._serve_after(key, now_s)

    def _serve_after(self, key: Key, now_s: float) -> list[Action]:
        return self._serve(key[0], now_s) + self._serve_claims(now_s)

    def _forget(self, key: Key) -> None:
        upload = self._uploads.pop(key)
        self._claims.pop(key, None)
        for number in list(upload.blocks):
            self._free(upload, number)
        self._close(key)

    def _close(self, key: Key) -> None:
        box = self._boxes.get(key[0])
        if box is not None:
            box.open.discard(key[1])


def _size_of(offered: Offered, number: int) -> int:
    return min(BLOCK, offered.size - number * BLOCK)


def _later(part: str, reason: str, after_s: int = AGAIN_BUSY_S) -> Later:
    return Later(part, reason, LONGEST_LATER_S if reason == "space" else after_s)
