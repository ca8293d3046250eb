"""What head office has not confirmed: sealed parts of which the log has no receipt.

A picture of the log in memory, made at a start from the entries that recovery reads anyway, and
kept by giving it each entry that is appended later: both ways are the same method, so they cannot
differ. A part that waits takes some 300 bytes here, one that is received or destroyed some 110;
nothing of a part is ever read.

Any thread may call anything here; a lock is held for moments.
"""

import hashlib
import struct
import threading
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Literal, Self

from greffier.audit.entry import Entry
from greffier.audit.receipt import Receipt
from greffier.policy.purposes import EMERGENCY
from greffier.recorder.settled import DESTROYED, Settled

_ID = 16
# recording, SHA-256 of the part, of its envelope; seq, size, created, until; urgent
_PACKED = struct.Struct(">16s32s32sQQQQ?")
_FACTS = struct.Struct(">Q32s32s")
# part, recording, whether it has an envelope, its SHA-256, created, until, urgent
_BEGUN = struct.Struct(">16s16s?32sQQ?")
_COUNTS = struct.Struct(">IIQQ")  # begun, waiting, received, unnamed
_WAITS = _ID + _PACKED.size
_SLACK: Final = 1024  # places of parts that wait no more, before the list is made anew

Word = Literal["new", "known", "unknown", "other"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A part that ended with the entry *seq*. *part* and *recording* are ids, hashes are hex.

    *until_ns*: its key is destroyed then, received or not (0: it waits for a receipt). *urgent*: an
    emergency.
    """

    part: str
    recording: str
    seq: int
    size: int
    sha256: str
    envelope: str
    created_ns: int
    until_ns: int
    urgent: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """How many parts wait, of how many bytes; the oldest of them was created at *oldest_ns* (0:
    none waits). *unnamed* parts ended without an envelope in the log, so nobody can offer them.
    """

    parts: int
    size: int
    oldest_ns: int
    received: int
    unnamed: int


@dataclass(frozen=True, slots=True)
class _Begun:
    """What the log said when a part began."""

    recording: bytes
    envelope: bytes
    created_ns: int
    until_ns: int
    urgent: bool


class Unconfirmed:
    """Give it every entry, in order, with :meth:`read`."""

    def __init__(self) -> None:
        # Guards all below.
        self._door = threading.Lock()
        self._begun: dict[bytes, _Begun] = {}
        self._waiting: dict[bytes, bytes] = {}  # part -> packed
        # The parts in the order of the entries that ended them; some may wait no more.
        self._seqs = array("Q")
        self._parts: list[bytes] = []
        self._first = 0  # before it, nobody waits any more
        # Of parts that do not wait: the first 8 bytes of the id -> a fingerprint of what was
        # received, or DESTROYED. The device drew the ids, so nobody makes two alike.
        self._settled = Settled()
        self._size = 0
        self._received = 0
        self._unnamed = 0

    # --- what the log says ---

    def read(self, entry: Entry) -> None:
        """Take in the next entry of the log."""
        data = entry.data
        if entry.ev == "part.opened":
            self._begin(entry, data)
        elif entry.ev in ("part.sealed", "part.recovered"):
            self._end(entry.seq, data)
        elif entry.ev == "part.received":
            self._settle(bytes.fromhex(data["part"]), _print(data))
        elif entry.ev == "key.shredded":
            for part in data.get("parts", ()):
                self._settle(bytes.fromhex(part), DESTROYED)

    def _begin(self, entry: Entry, data: Mapping[str, Any]) -> None:
        begun = _Begun(
            bytes.fromhex(data["recording"]),
            bytes.fromhex(data.get("envelope", "")),
            data.get("created_ns", entry.t_ns),
            data.get("until_ns", 0),
            any(purpose in EMERGENCY for purpose in data.get("purposes", ())),
        )
        with self._door:
            self._begun[bytes.fromhex(data["part"])] = begun

    def _end(self, seq: int, data: Mapping[str, Any]) -> None:
        part, size = bytes.fromhex(data["part"]), data["bytes"]
        with self._door:
            begun = self._begun.pop(part, None)
            if begun is None or not size:
                return
            if not begun.envelope:
                self._unnamed += 1
                return
            self._waiting[part] = _PACKED.pack(
                begun.recording,
                bytes.fromhex(data["sha256"]),
                begun.envelope,
                seq,
                size,
                begun.created_ns,
                begun.until_ns,
                begun.urgent,
            )
            self._size += size
            self._seqs.append(seq)
            self._parts.append(part)

    def _settle(self, part: bytes, fingerprint: int) -> None:
        with self._door:
            key = _key(part)
            self._received += bool(fingerprint) and not self._settled.get(key)
            self._received -= not fingerprint and bool(self._settled.get(key))
            self._settled.set(key, fingerprint)
            if not fingerprint:
                self._begun.pop(part, None)
            packed = self._waiting.pop(part, None)
            if packed is not None:
                self._size -= _PACKED.unpack(packed)[4]
            while self._first < len(self._parts) and self._parts[self._first] not in self._waiting:
                self._first += 1
            if len(self._parts) > 2 * len(self._waiting) + _SLACK:
                self._compact()

    def _compact(self) -> None:
        kept = [at for at, part in enumerate(self._parts) if part in self._waiting]
        self._seqs = array("Q", [self._seqs[at] for at in kept])
        self._parts = [self._parts[at] for at in kept]
        self._first = 0

    # --- from a summary of the log, and for one ---

    def dump(self) -> bytes:
        """All of it, for :meth:`load`. Of parts that do not wait the memory is put in order."""
        with self._door:
            self._compact()
            begun = [
                _BEGUN.pack(
                    part,
                    one.recording,
                    bool(one.envelope),
                    one.envelope or bytes(32),
                    one.created_ns,
                    one.until_ns,
                    one.urgent,
                )
                for part, one in self._begun.items()
            ]
            waiting = [part + self._waiting[part] for part in self._parts]
            counts = _COUNTS.pack(len(begun), len(waiting), self._received, self._unnamed)
            return b"".join([counts, *begun, *waiting, self._settled.dump()])

    @classmethod
    def load(cls, data: bytes) -> Self:
        """What :meth:`dump` gave. Raises ValueError for anything else."""
        made = cls()
        try:
            begun, waiting, made._received, made._unnamed = _COUNTS.unpack_from(data)
            at = _COUNTS.size
            for part, recording, named, envelope, *rest in _BEGUN.iter_unpack(
                data[at : at + begun * _BEGUN.size]
            ):
                made._begun[part] = _Begun(recording, envelope if named else b"", *rest)
            at += begun * _BEGUN.size
            end = at + waiting * _WAITS
            for place in range(at, end, _WAITS):
                part, packed = data[place : place + _ID], data[place + _ID : place + _WAITS]
                facts = _PACKED.unpack(packed)
                made._waiting[part] = packed
                made._parts.append(part)
                made._seqs.append(facts[3])
                made._size += facts[4]
        except struct.error:
            raise ValueError("no picture of what waits") from None
        made._settled = Settled.load(data[end:])
        return made

    def become(self, other: "Unconfirmed") -> None:
        """Hold what *other* holds, and share what is big of it. Nobody changes either meanwhile."""
        with self._door:
            self._begun = dict(other._begun)
            self._waiting = dict(other._waiting)
            self._seqs, self._parts = other._seqs[:], list(other._parts)
            self._first = other._first
            self._settled = other._settled.copy()
            self._size, self._received = other._size, other._received
            self._unnamed = other._unnamed

    def share(self, other: "Unconfirmed") -> None:
        """Use the memory of *other* for parts that do not wait, after it was put in order."""
        with self._door:
            self._settled.share(other._settled)

    # --- questions ---

    def listed(self, after: int, most: int, size: int) -> tuple[tuple[Waiting, ...], bool]:
        """Parts that wait and whose end is an entry numbered above *after* and below *size*.

        In that order, at most *most*, and whether there are others behind them.
        """
        with self._door:
            end = bisect_left(self._seqs, size)
            packed = list(islice(self._from(after + 1, end), most + 1))
        return tuple(_unpacked(*one) for one in packed[:most]), len(packed) > most

    def _from(self, seq: int, end: int) -> Iterator[tuple[bytes, bytes]]:
        for at in range(max(self._first, bisect_left(self._seqs, seq)), end):
            packed = self._waiting.get(self._parts[at])
            if packed is not None:
                yield self._parts[at], packed

    def find(self, part: str) -> Waiting | None:
        """The part with this id, if it waits."""
        name = bytes.fromhex(part)
        with self._door:
            packed = self._waiting.get(name)
        return None if packed is None else _unpacked(name, packed)

    def is_begun(self, part: str) -> bool:
        """Whether the log knows its beginning and not its end."""
        with self._door:
            return bytes.fromhex(part) in self._begun

    def is_destroyed(self, part: str) -> bool:
        """Whether the log says that its key was destroyed."""
        with self._door:
            return self._settled.get(_key(bytes.fromhex(part))) == DESTROYED

    def is_received(self, part: str) -> bool:
        """Whether the log has its receipt, and its key was not destroyed since."""
        with self._door:
            return bool(self._settled.get(_key(bytes.fromhex(part))))

    def compare(self, receipt: Receipt) -> Word:
        """What *receipt* would change: a part that waits (new), nothing (known, unknown), or it
        speaks of another part than the log does (other).
        """
        part = bytes.fromhex(receipt.part)
        told = receipt.size, bytes.fromhex(receipt.sha256), bytes.fromhex(receipt.envelope)
        with self._door:
            packed = self._waiting.get(part)
            settled = self._settled.get(_key(part))
        if packed is not None:
            _, sha256, envelope, _, size, *_ = _PACKED.unpack(packed)
            return "new" if told == (size, sha256, envelope) else "other"
        if not settled:
            return "unknown"
        return "known" if settled == _fingerprint(*told) else "other"

    def first_due_ns(self) -> int:
        """When the first part that waits is destroyed, received or not; 0 where none will be."""
        with self._door:
            every = list(self._waiting.values())
        ends = (_PACKED.unpack(packed)[6] for packed in every)
        return min((until for until in ends if until), default=0)

    @property
    def totals(self) -> Totals:
        """How much waits."""
        with self._door:
            oldest = next(self._from(0, len(self._parts)), None)
            return Totals(
                len(self._waiting),
                self._size,
                _unpacked(*oldest).created_ns if oldest else 0,
                self._received,
                self._unnamed,
            )


def _key(part: bytes) -> int:
    return int.from_bytes(part[:8], "big")


def _print(data: Mapping[str, Any]) -> int:
    sha256, envelope = bytes.fromhex(data["sha256"]), bytes.fromhex(data["envelope"])
    return _fingerprint(data["bytes"], sha256, envelope)


def _fingerprint(size: int, sha256: bytes, envelope: bytes) -> int:
    """Of what a receipt says of a part; never 0."""
    digest = hashlib.sha256(_FACTS.pack(size, sha256, envelope)).digest()
    return int.from_bytes(digest[:7], "big") | 1


def _unpacked(part: bytes, packed: bytes) -> Waiting:
    recording, sha256, envelope, seq, size, created, until, urgent = _PACKED.unpack(packed)
    return Waiting(
        part.hex(),
        recording.hex(),
        seq,
        size,
        sha256.hex(),
        envelope.hex(),
        created,
        until,
        urgent,
    )
