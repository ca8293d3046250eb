"""What a sound card's thread hands to the recorder: events, in order, through one ring.

One record of native/record.h is one event, its time monotonic; a period is one record with all its
channels. The card's thread is the producer, the recorder's tick the consumer. The ring has a fixed
size and is erased as it is read. When it is full the newest is dropped, and as soon as there is
room again an :class:`Overrun` of cause "ring" says which frames are missing; no other event is
ever dropped.
"""

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greffier._native import ffi, lib

UNIT = 16
HELD = 64
"""How many events wait for room before they are told as one gap."""
LEAST = 16384
"""Octets of the smallest ring: every event that can wait fits beside a few periods."""
_PERIOD, _OVERRUN, _LOST, _RETURNED = range(1, 5)
_POSITION = struct.Struct("=Q")
_GAP = struct.Struct("=QQ")


@dataclass(frozen=True, slots=True)
class Period:
    """*frames* frames of every channel from *position* on, captured from *t_ns* on.

    *t_ns* is monotonic, by the line fitted through many looks at the card, so it has no jitter of
    the scheduler; it may step by what the fit is uncertain of. *data* is S16_LE, interleaved, and
    its receiver's alone, who may zero it.
    """

    position: int
    frames: int
    t_ns: int
    data: bytearray


@dataclass(frozen=True, slots=True)
class Overrun:
    """[position, position + frames), from *t_ns* on, was not captured.

    *cause*: "card" (its buffer ran over), "slip" (it lost frames without saying so), "ring" (the
    consumer was too slow). *frames* may be 0: an overrun that the clock cannot tell from none.
    """

    position: int
    frames: int
    cause: str
    t_ns: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The card is gone (found out at *t_ns*), or was absent from the start.

    Nothing is captured from *position* on. It is back with :class:`Returned`, or with the next
    period: where the consumer was too slow to be told, one gap of cause "ring" stands for all that
    happened meanwhile.
    """

    position: int
    t_ns: int


@dataclass(frozen=True, slots=True)
class Returned:
    """The card delivers again, from *t_ns* on; [position, position + frames) was not captured."""

    position: int
    frames: int
    t_ns: int


Event = Period | Overrun | Lost | Returned


def channels_of(data: bytes | bytearray, count: int) -> NDArray[np.int16]:
    """The channels of interleaved S16_LE *data*, shape (count, frames): a view, nothing is copied.

    Raises ValueError if *data* is not whole frames.
    """
    return np.frombuffer(data, "<i2").reshape(-1, count).T


def _encode(event: Overrun | Lost | Returned) -> tuple[int, bytes]:
    if isinstance(event, Overrun):
        return _OVERRUN, _GAP.pack(event.position, event.frames) + event.cause.encode("ascii")
    if isinstance(event, Lost):
        return _LOST, _POSITION.pack(event.position)
    return _RETURNED, _GAP.pack(event.position, event.frames)


def _decode(kind: int, t_ns: int, octets: bytearray, frame_octets: int) -> Event:
    (position,) = _POSITION.unpack_from(octets)
    if kind == _PERIOD:
        data = octets[_POSITION.size :]
        octets[:] = bytes(len(octets))
        return Period(position, len(data) // frame_octets, t_ns, data)
    if kind == _LOST:
        return Lost(position, t_ns)
    frames = _GAP.unpack_from(octets)[1]
    if kind == _RETURNED:
        return Returned(position, frames, t_ns)
    return Overrun(position, frames, octets[_GAP.size :].decode("ascii"), t_ns)


def _joined(first: bytearray, second: bytes) -> bytearray:
    """Both in one, and *first* zeroed: a bytearray that grows may leave its sound behind."""
    whole = bytearray(len(first) + len(second))
    whole[: len(first)] = first
    whole[len(first) :] = second
    first[:] = bytes(len(first))
    return whole


def _units(octets: int) -> int:
    """Units of a record with a body of *octets*."""
    return 1 + -(-octets // UNIT)


class CardRing:
    """The ring of one card whose frames have *frame_octets* octets (2 x channels).

    It holds at least *octets* octets: audio, and 24 or more a period for its head; a few seconds
    more than the longest pause between two ticks. Raises MemoryError.
    """

    def __init__(self, frame_octets: int, octets: int) -> None:
        units = 1 << (max(octets, LEAST) // UNIT - 1).bit_length()
        ring = lib.greffier_ring_new(UNIT, units, True)
        if ring == ffi.NULL:
            raise MemoryError(f"no memory for a ring of {units * UNIT} octets")
        self._ring = ffi.gc(ring, lib.greffier_ring_free)
        self.frame_octets = frame_octets
        self.capacity = units * UNIT
        """Octets; it never changes."""
        self.locked = bool(lib.greffier_ring_locked(ring))
        """Whether the memory can never be swapped out."""
        # Producer's only:
        self._writer = ffi.new("greffier_record_writer *")
        self._held: deque[Overrun | Lost | Returned] = deque()
        # Consumer's only:
        self._record = ffi.new("greffier_record *")

    # --- the producer: the card's thread ---

    def put_period(self, position: int, t_ns: int, data: bytes) -> bool:
        """Store a period, or drop it and remember the gap; whether it was stored."""
        octets = _POSITION.pack(position) + data
        if self._flush(len(octets)):
            self._store(_PERIOD, t_ns, octets)
            return True
        lib.greffier_ring_refuse(self._ring, 1)
        self._hold(Overrun(position, len(data) // self.frame_octets, "ring", t_ns))
        return False

    def put(self, event: Overrun | Lost | Returned) -> None:
        """Store an event, or hold it until there is room: it is never dropped."""
        kind, octets = _encode(event)
        if self._flush(len(octets)):
            self._store(kind, event.t_ns, octets)
        else:
            self._hold(event)

    def _hold(self, event: Overrun | Lost | Returned) -> None:
        last = self._held[-1] if self._held else None
        if isinstance(event, Overrun) and event.cause == "ring" and isinstance(last, Overrun):
            follows = last.position + last.frames == event.position
            if last.cause == "ring" and follows:
                whole = Overrun(last.position, last.frames + event.frames, "ring", last.t_ns)
                self._held[-1] = whole
                return
        if len(self._held) >= HELD:
            event = self._join(event)
        self._held.append(event)

    def _join(self, event: Overrun | Lost | Returned) -> Overrun | Lost | Returned:
        """The consumer is away while the card comes and goes: all is one gap, then the last event.

        While events are held every period is dropped, so nothing lies between them.
        """
        first = self._held[0]
        self._held.clear()
        if isinstance(event, Overrun):
            whole = event.position + event.frames - first.position
            return Overrun(first.position, whole, "ring", first.t_ns)
        gap = event.position - first.position
        self._held.append(Overrun(first.position, gap, "ring", first.t_ns))
        return event

    def _flush(self, octets: int) -> bool:
        """Store all that is held if a record of *octets* fits behind it, or nothing; whether so.

        Not one by one, or a consumer that is just too slow would be told of a thousand small gaps.
        """
        held = [(event.t_ns, *_encode(event)) for event in self._held]
        wanted = _units(octets) + sum(_units(len(body)) for _, _, body in held)
        # Asked first, so that what is only held is not counted as dropped. The consumer can but
        # make more room.
        if self.capacity // UNIT - lib.greffier_ring_stored(self._ring) < wanted:
            return False
        for t_ns, kind, body in held:
            self._store(kind, t_ns, body)
        self._held.clear()
        return True

    def _store(self, kind: int, t_ns: int, octets: bytes) -> None:
        lib.greffier_record_put(self._ring, self._writer, t_ns, kind, octets, len(octets))

    # --- the consumer: the recorder's tick ---

    def events(self) -> Iterator[Event]:
        """Take out what is stored now, oldest first; each is gone from the ring once it is given.

        What comes meanwhile waits for the next call: a card that is faster than its consumer does
        not keep it here.
        """
        record = self._record
        units = lib.greffier_ring_stored(self._ring)
        while units > 0 and lib.greffier_record_peek(self._ring, record):
            units -= _units(record.head.length)
            octets = bytearray(ffi.buffer(record.first, record.first_length))
            if record.second_length:
                octets = _joined(octets, ffi.buffer(record.second, record.second_length)[:])
            kind, t_ns = record.head.kind, record.head.time_ns
            lib.greffier_record_skip(self._ring, record)
            yield _decode(kind, t_ns, octets, self.frame_octets)

    # --- anyone ---

    @property
    def stored(self) -> int:
        """Octets in use at this moment, heads and filling included."""
        return lib.greffier_ring_stored(self._ring) * UNIT

    @property
    def dropped(self) -> int:
        """Periods that did not fit since the ring was made."""
        return lib.greffier_ring_dropped(self._ring)
