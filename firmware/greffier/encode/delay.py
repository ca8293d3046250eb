"""Sound of one leg that waits before the encoder, in memory that can be wiped (native/delay.h).

A pause that reaches back wipes what still waits; instant replay copies what is kept. The octets are
in the C core's memory: locked if the system allows, never in a core dump or a forked child. What
is taken out is handed to the encoder at once; Python frees such octets, it cannot zero them.
"""

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from greffier._native import ffi, lib
from greffier.encode import Gap
from greffier.encode.codecs import Codec
from greffier.encode.timeline import Placed

if TYPE_CHECKING:
    from greffier._native import CData, Waiting

Item = Placed | Gap
Dated = tuple[int, Item]
"""What a packet added to the sample line, and when the packet arrived, ns since the epoch."""

SOUND = 0
GAP = 1
FAR_AHEAD_NS = 1_000_000_000
"""What arrived this long after now arrived before the clock was set back."""
_ITEMS = 512
_ROOM = lib.GREFFIER_DELAY_LARGEST
_NEVER = 2**63 - 1
_HEAD: Final = np.dtype(
    [
        *((name, np.int64) for name in ("arrival_ns", "start", "end", "number")),
        *((name, np.uint32) for name in ("skip", "note", "type", "length")),
    ]
)
"""greffier_waiting; its unsigned positions are far below 2**63."""


class Scrubbed(NamedTuple):
    """What was wiped: *packets* of *samples* in all, between the samples *start* and *end*."""

    start: int
    end: int
    packets: int
    samples: int


class Counts(NamedTuple):
    """Items and octets that wait; octets of memory held, locked, allowed; items refused."""

    items: int
    octets: int
    held: int
    locked: int
    most: int
    refused: int


class Copied(NamedTuple):
    """A copy of items, apart from the delay line: a row of *heads* for each, and all *octets*.

    ``arrival_ns``, ``start``, ``end``, ``skip`` and ``length`` of a head are as in
    native/delay.h; ``note`` is the place of its codec in *codecs*, and ``type`` twice its payload
    type, or :data:`GAP`.
    """

    heads: NDArray[Any]
    octets: NDArray[np.uint8]
    codecs: tuple[Codec, ...]

    def wipe(self) -> None:
        """Zero the sound."""
        self.octets.fill(0)


class DelayLine:
    """Items of one leg in their order, of at most *most* octets. One thread at a time."""

    def __init__(self, most: int) -> None:
        """Raises MemoryError."""
        delay = lib.greffier_delay_new(most)
        if delay == ffi.NULL:
            raise MemoryError("no memory for a delay line")
        self._delay = ffi.gc(delay, lib.greffier_delay_free)
        self._codecs: list[Codec] = []
        self._causes: list[str] = []

    def append(self, arrival_ns: int, item: Item) -> bool:
        """Put *item* behind the others; False where there is no room, and nothing is kept."""
        if isinstance(item, Gap):
            note = _number(self._causes, item.cause)
            head = (arrival_ns, item.start, item.end, item.packets, 0, note, GAP, 0)
            octets = b""
        else:
            note = _number(self._codecs, item.codec)
            kind, octets = item.payload_type, item.payload
            end, sequence = item.position + item.samples, item.sequence
            head = (arrival_ns, item.position, end, sequence, item.skip, note, kind << 1, 0)
        if len(octets) > lib.GREFFIER_DELAY_LARGEST:
            return False
        record = ffi.new("greffier_waiting *", (*head[:-1], len(octets)))
        return bool(lib.greffier_delay_append(self._delay, record, octets) == 0)

    def take(self, until_ns: int, now_ns: int | None = None) -> list[Dated]:
        """What waits at the front and arrived before *until_ns*; it waits no longer.

        Gaps hold no sound and never wait at the front. *now_ns* is the clock, so that nothing is
        stuck where it was set back.
        """
        ahead = _NEVER if now_ns is None else now_ns + FAR_AHEAD_NS
        found: list[Dated] = []
        items, wanted, out, room = self._buffers()
        while count := lib.greffier_delay_take(
            self._delay, until_ns, ahead, items, wanted, out, room
        ):
            found += self._read(items, count, out)
        return found

    def scrub(self, from_ns: int) -> Scrubbed | None:
        """Zero the first item that arrived at *from_ns* or later, and all behind it."""
        span = ffi.new("greffier_scrubbed *")
        if not lib.greffier_delay_scrub(self._delay, from_ns, span):
            return None
        return Scrubbed(span.start, span.end, span.sounds, span.samples)

    def drop(self, until_ns: int) -> int:
        """Zero what waits at the front and arrived before *until_ns*; how many items."""
        return lib.greffier_delay_drop(self._delay, until_ns)

    def copy(self, from_ns: int) -> list[Dated]:
        """What arrived at *from_ns* or later; it stays where it is."""
        found: list[Dated] = []
        items, wanted, out, room = self._buffers()
        while count := lib.greffier_delay_copy(
            self._delay, from_ns, len(found), items, wanted, out, room
        ):
            found += self._read(items, count, out)
        return found

    def copied(self, from_ns: int) -> Copied:
        """The same, at once and for other threads to read; the caller wipes it.

        Raises MemoryError.
        """
        counts = self.counts()
        heads = np.empty(counts.items, _HEAD)
        octets = np.empty(counts.octets, np.uint8)
        found = lib.greffier_delay_copy(
            self._delay,
            from_ns,
            0,
            cast("Waiting", ffi.from_buffer("greffier_waiting[]", heads, True)),
            counts.items,
            ffi.from_buffer("uint8_t[]", octets, True),
            counts.octets,
        )
        heads = heads[:found]
        return Copied(heads, octets[: int(heads["length"].sum())], tuple(self._codecs))

    def counts(self) -> Counts:
        """How much waits, and in how much memory."""
        found = ffi.new("greffier_delay_counters *")
        lib.greffier_delay_count(self._delay, found)
        return Counts(
            found.items, found.octets, found.held, found.locked, found.most, found.refused
        )

    def _buffers(self) -> tuple["Waiting", int, "CData", int]:
        """Where the core puts what it hands out: items, how many, octets, how many."""
        counts = self.counts()
        wanted, room = min(counts.items, _ITEMS), min(counts.octets, _ROOM)
        return ffi.new("greffier_waiting[]", wanted), wanted, ffi.new("uint8_t[]", room), room

    def _read(self, items: "Waiting", count: int, out: "CData") -> list[Dated]:
        """The first *count* of *items*; their octets are zeroed in the buffer."""
        found: list[Dated] = []
        used = 0
        for index in range(count):
            one = items[index]
            if one.type == GAP:
                gap = Gap(one.start, one.end, one.number, self._causes[one.note])
                found.append((one.arrival_ns, gap))
                continue
            octets = ffi.buffer(out + used, one.length)[:] if one.length else b""
            used += one.length
            placed = Placed(
                one.start,
                one.end - one.start,
                one.skip,
                self._codecs[one.note],
                one.type >> 1,
                one.number,
                octets,
            )
            found.append((one.arrival_ns, placed))
        ffi.buffer(out, used)[:] = bytes(used)
        return found


def _number(table: list[Codec] | list[str], one: Codec | str) -> int:
    """The place of *one* in *table*, which it is put into where it is new."""
    try:
        return table.index(one)  # type: ignore[arg-type]
    except ValueError:
        table.append(one)  # type: ignore[arg-type]
        return len(table) - 1
