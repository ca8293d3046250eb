"""Legs that the C core records by itself, and the parts that it seals for them, a tick at a time.

native/leg.h says which legs it can take (G.711; kind "original", or "opus" by a voice) and
native/spool.h who may call what. Python hands a leg over with its stream and the state of its
timeline, gets sealed frames and noted gaps back, and takes the leg back the same way.
"""

import struct
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from greffier._native import ffi, lib
from greffier.capture.flows import Flows
from greffier.capture.rtp import Octets, Stream
from greffier.encode import Gap
from greffier.encode.core import OpusCoder
from greffier.encode.ear import LAWS as EAR_LAWS
from greffier.encode.ear import Ear
from greffier.encode.timeline import State
from greffier.seal.core import CoreWriter, refusal
from greffier.seal.frames import NO_LEG

if TYPE_CHECKING:
    from greffier._native import CData

_PLACE = struct.Struct("=qqqQQqIIBBBBI")
_SEALED = struct.Struct("=IIQQqiI")
_NOTED = struct.Struct("=qqIIII")
_COUNTED = struct.Struct("=4Q6q")
_HELD = struct.Struct("=4Q")
_BATCH = 256  # parts, or gaps, a call
_ROOM = 2 << 20  # octets a call: more than the largest frame, and not more than a cache holds
MOST_PARTS = lib.GREFFIER_LEG_PARTS
"""That one leg may go to."""
_LEGS = 32  # whose packets of a tick stay in a cache of 1 MiB until they are sealed
CAUSES = tuple(
    ffi.string(lib.greffier_place_word(cause)).decode()
    for cause in range(lib.GREFFIER_PLACE_CAUSES)
)
_REASONS = CAUSES[:8]  # those that a timeline may have pending


LAWS = {"PCMA": lib.GREFFIER_CODER_ALAW, "PCMU": lib.GREFFIER_CODER_ULAW}
"""The codecs (RFC 3551 names) of legs that can be encoded."""


class Kind(IntEnum):
    """What a payload type is to a leg of the core; one that has no kind makes the leg leave it."""

    SOUND = lib.GREFFIER_PLACE_SOUND
    """One octet a sample, at the rate of the line."""
    NOISE = lib.GREFFIER_PLACE_NOISE
    EVENT = lib.GREFFIER_PLACE_EVENT


class Noted(NamedTuple):
    """A gap on the line of leg number *leg*."""

    leg: int
    gap: Gap


class LegCounters(NamedTuple):
    """native/leg.h, greffier_leg_counters. Positions are -1, times 0, while there is none."""

    recorded: int
    not_recorded: int
    silent: int
    overrun: int
    kept_from: int
    kept_to: int
    first_ns: int
    last_ns: int
    latest_ns: int
    left: int


class SpoolCounters(NamedTuple):
    """native/spool.h, greffier_spool_counters."""

    held: int
    most: int
    overrun: int
    unnoted: int


class Batch(NamedTuple):
    """Sealed frames of one part: *data* is a view that the next batch overwrites."""

    part: int
    frames: int
    data: memoryview
    end: int
    """Behind their last sample, 0 if there is none."""


def packed(state: State) -> bytes:
    """A timeline's state as greffier_place."""
    *numbers, begun, anchored, heard, reasons = state
    bits = sum(1 << _REASONS.index(reason) for reason in reasons)
    return _PLACE.pack(*numbers, begun, anchored, heard, bits, 0)


def unpacked(octets: bytes) -> State:
    """The inverse of :func:`packed`."""
    fields = _PLACE.unpack(octets)
    begun, anchored, heard, bits = fields[8:12]
    reasons = frozenset(word for i, word in enumerate(_REASONS) if bits >> i & 1)
    return State._make((*fields[:8], bool(begun), bool(anchored), bool(heard), reasons))


class Leg:
    """One leg in the core. Made by :meth:`Spool.leg`; :meth:`close` gives it back."""

    def __init__(self, spool: "Spool", stream: Stream, leg: "CData") -> None:
        self._spool = spool
        self._stream = stream  # the core goes on using it
        self._leg = leg
        self._ear: Ear | None = None

    @property
    def handle(self) -> "CData":
        """The greffier_leg, for other rooms of the core; valid until :meth:`close`."""
        return self._leg

    def attach(
        self,
        part: int,
        number: int,
        start_at: int,
        begin_ns: int,
        *,
        coder: OpusCoder | None = None,
        law: str = "PCMA",
    ) -> None:
        """Record into *part*, as its leg *number*, what lies from sample *start_at* on and arrived
        at *begin_ns* or later.

        With a *coder* it is stored as *coder* encodes it, going on where it was; *law*, "PCMA" or
        "PCMU", is then the leg's sound. From :meth:`detach` or :meth:`close` and the spool's next
        :meth:`Spool.seal` on others may go on with *coder*, until a leg is attached with it again.
        Raises ValueError: attached already, to too many, or a coder of another rate; KeyError for
        another law.
        """
        if not 0 <= number < NO_LEG:
            raise ValueError("a leg is 0 to 254")
        if coder is None:
            handle = self._spool.handle_of(part)
            done = lib.greffier_leg_attach(self._leg, handle, number, start_at, begin_ns)
        else:
            voice = self._spool.voice_of(part, number, coder)
            done = lib.greffier_leg_attach_voice(self._leg, voice, LAWS[law], start_at, begin_ns)
        if done != 0:
            raise ValueError("the leg has this part, as many as it may have, or another rate")

    def detach(self, part: int) -> None:
        """The part gets no more of this leg; nothing happens if it got nothing."""
        lib.greffier_leg_detach(self._leg, self._spool.handle_of(part))

    def listen(self, ear: Ear, law: str) -> None:
        """Let *ear* hear every packet from now on, until :meth:`close`; *law* as in attach."""
        self._ear = ear  # the core goes on using it
        lib.greffier_leg_listen(self._leg, ear.handle, EAR_LAWS[law])

    def receive(self, packet: Octets, arrival_ns: int) -> int:
        """Take one packet, where no capture thread does. native/leg.h, greffier_leg_receive."""
        given = packet if isinstance(packet, bytes) else ffi.from_buffer("uint8_t[]", packet)
        return lib.greffier_leg_receive(self._leg, given, len(packet), arrival_ns)

    def finish(self) -> None:
        """The line ends: what waited is placed, what is unaccounted for becomes a gap."""
        lib.greffier_leg_finish(self._leg)

    @property
    def state(self) -> State:
        """Where its line is now."""
        place = ffi.new("greffier_place *")
        lib.greffier_leg_state(self._leg, place)
        return unpacked(ffi.buffer(place)[:])

    @property
    def counters(self) -> LegCounters:
        """What became of its packets so far."""
        counters = ffi.new("greffier_leg_counters *")
        lib.greffier_leg_count(self._leg, counters)
        found = _COUNTED.unpack(ffi.buffer(counters)[:])
        return LegCounters(*found)

    def close(self) -> None:
        """Give it back: what is open is filed. It must not be armed. Safe to repeat."""
        if self._leg:
            lib.greffier_leg_free(self._leg)
            self._leg = ffi.NULL
            self._spool.forget(self)


class Spool:
    """What legs file and parts seal; at most *most* octets of plaintext are held at once.

    *threads* of its own encode what coders are to encode; without any, :meth:`seal` and
    :meth:`tick` do. One thread owns it, with its parts and legs. Raises MemoryError, also where
    there cannot be as many threads.
    """

    def __init__(self, most: int = 64 << 20, *, threads: int = 0) -> None:
        spool = lib.greffier_spool_new(most)
        if spool == ffi.NULL:
            raise MemoryError("no memory for a spool")
        self._spool = spool
        if lib.greffier_voice_employ(spool, threads) != 0:
            lib.greffier_spool_free(spool)
            raise MemoryError("no memory for the threads that encode")
        # of each part, of each leg: its voice and the coder that the core goes on using
        self._voices: dict[int, dict[int, tuple[CData, OpusCoder]]] = {}
        self._parts: dict[int, tuple[CData, CoreWriter]] = {}
        self._legs: set[Leg] = set()
        self._out = bytearray(_ROOM)
        self._room = ffi.from_buffer("uint8_t[]", self._out, require_writable=True)
        self._results = ffi.new("greffier_sealed[]", _BATCH)
        self._noted = ffi.new("greffier_noted[]", _BATCH)

    @property
    def handle(self) -> "CData":
        """The greffier_spool, for other rooms of the core; valid until :meth:`close`."""
        return self._spool

    def add(self, writer: CoreWriter, number: int) -> None:
        """Seal for the part of *writer*; *number* is a free number of the caller's choice."""
        if number in self._parts:
            raise ValueError("two parts of one number")
        part = lib.greffier_spool_add(self._spool, writer.handle, number)
        if part == ffi.NULL:
            raise MemoryError("no memory for a part")
        self._parts[number] = (part, writer)

    def remove(self, number: int) -> None:
        """Forget a part; what it had not sealed is given up. No leg may be attached to it."""
        part, _ = self._parts.pop(number)
        lib.greffier_spool_remove(self._spool, part)
        self._voices.pop(number, None)  # their coders are the callers' again

    def leg(self, stream: Stream, state: State, kinds: Mapping[int, Kind], number: int) -> Leg:
        """A leg that goes on from *state* with *stream*, whose ready packets were taken out.

        *kinds* says what each payload type is, *number* is what :class:`Noted` calls it.
        """
        table = bytearray(128)
        for payload_type, kind in kinds.items():
            table[payload_type] = kind
        place = ffi.from_buffer("greffier_place[]", packed(state))
        given = ffi.from_buffer("uint8_t[]", table)
        made = lib.greffier_leg_new(self._spool, stream.handle, place, given, number)
        if made == ffi.NULL:
            raise MemoryError("no memory for a leg")
        leg = Leg(self, stream, made)
        self._legs.add(leg)
        return leg

    def expire(self, time_ns: int) -> None:
        """Time has passed until *time_ns*, of which every leg has everything: what waited too long
        for missing packets waits no more (``greffier.capture.rtp.Stream.expire``).
        """
        lib.greffier_leg_expire(self._spool, time_ns)

    def tick(self, flows: Flows) -> Iterator[Batch]:
        """Begin a tick of *flows*, and :meth:`settle` it."""
        flows.begin()
        yield from self.settle(flows)

    def settle(self, flows: Flows) -> Iterator[Batch]:
        """Give legs what a tick of *flows* has for them, a few at a time; seal as :meth:`seal`.

        What is to be encoded is handed out on the way and waited for at the end.
        """
        while flows.settle(_LEGS):
            yield from self._seal_filed()
        yield from self.seal()

    def seal(self) -> Iterator[Batch]:
        """Seal everything that was filed, part by part, having waited for what is being encoded.

        A part may come more than once. Each batch must be written before the next is asked for.
        Raises as ``PartWriter.seal_frame`` if a part took no more frames.
        """
        lib.greffier_voice_join(self._spool)
        yield from self._seal_filed()

    def _seal_filed(self) -> Iterator[Batch]:
        """Seal what is filed already; voices are handed what their legs heard."""
        lib.greffier_spool_collect(self._spool)
        view = memoryview(self._out)
        while count := lib.greffier_spool_seal(
            self._spool, self._room, _ROOM, self._results, _BATCH
        ):
            octets = ffi.buffer(self._results)[: count * _SEALED.size]
            for part, frames, offset, length, end, fault, _ in _SEALED.iter_unpack(octets):
                if fault:
                    raise refusal(fault)
                yield Batch(part, frames, view[offset : offset + length], end)

    def gaps(self) -> list[Noted]:
        """The gaps noted since the last call, in order."""
        found = []
        while count := lib.greffier_spool_note(self._spool, self._noted, _BATCH):
            octets = ffi.buffer(self._noted)[: count * _NOTED.size]
            found += [
                Noted(leg, Gap(start, end, packets, CAUSES[cause]))
                for start, end, packets, cause, leg, _ in _NOTED.iter_unpack(octets)
            ]
        return found

    @property
    def counters(self) -> SpoolCounters:
        """Memory, and what there was no room for."""
        counters = ffi.new("greffier_spool_counters *")
        lib.greffier_spool_count(self._spool, counters)
        return SpoolCounters(*_HELD.unpack(ffi.buffer(counters)[:]))

    def close(self) -> None:
        """Close every leg and give everything back; what was not sealed is given up."""
        for leg in tuple(self._legs):
            leg.close()
        if self._spool:
            lib.greffier_spool_free(self._spool)
            self._spool = ffi.NULL
            self._parts.clear()
            self._voices.clear()

    # --- for its legs ---

    def handle_of(self, part: int) -> "CData":
        """The greffier_part of a number. Raises KeyError."""
        return self._parts[part][0]

    def voice_of(self, part: int, leg: int, coder: OpusCoder) -> "CData":
        """The greffier_voice of leg *leg* of a part. Raises KeyError, ValueError: not its coder."""
        voices = self._voices.setdefault(part, {})
        if leg not in voices:
            handle = self.handle_of(part)
            made = lib.greffier_voice_new(self._spool, handle, leg, coder.rate, coder.handle)
            if made == ffi.NULL:
                raise MemoryError("no memory for a voice")
            voices[leg] = (made, coder)
        voice, known = voices[leg]
        if known is not coder:
            raise ValueError("the leg of the part has another coder")
        return voice

    def forget(self, leg: Leg) -> None:
        """The leg was closed."""
        self._legs.discard(leg)
