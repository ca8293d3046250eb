"""The capture thread of the C core: armed flows go to their legs, everything else comes here.

native/flow.h says what is whose, and why arming loses nothing: a flow is armed only while no
record waits. So the recorder's loop is: :meth:`Flows.take`, handle the records, then arm. A record
of an armed flow, or anything else that makes a flow doubtful, disarms it at the time of that
record: what came later is given back.
"""

import os
import socket
from contextlib import suppress
from functools import lru_cache
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

from greffier._native import ffi, lib
from greffier.capture.datagram import Address
from greffier.capture.record import Record
from greffier.capture.tap import ETHERNET, Tap, reason_of
from greffier.errors import DeviceNotFound

if TYPE_CHECKING:
    from greffier._native import CData

_UNIT = lib.GREFFIER_RECORD_UNIT
_ALWAYS = (1 << 63) - 1
_UNBOUNDED = 1 << 62
_MAPPED = bytes(10) + b"\xff\xff"


class TooManyFlows(Exception):
    """As many flows are armed as there may be."""


class Taken(NamedTuple):
    """What the capture thread left for Python."""

    records: tuple[Record, ...]
    """Oldest first."""
    until_ns: int
    """Whatever came until then is among them, or was logged for a leg."""


class Late(NamedTuple):
    """An RTP packet that came too late for the leg of a flow that was disarmed."""

    time_ns: int
    payload: bytes


class FlowCounters(NamedTuple):
    """native/flow.h, greffier_flow_counters."""

    frames: int
    legs: int
    records: int
    dropped: int
    overrun: int
    broken: int
    armed: int


class Flows:
    """The table of armed flows, and the ring of everything else.

    *held* is how many octets of packets may come for legs between two ticks, *waiting* the
    octets of the ring (a power of two, at least 1 MiB). One thread owns it, with the legs.
    """

    def __init__(
        self, *, flows: int = 8192, held: int = 256 << 20, waiting: int = 16 << 20
    ) -> None:
        if waiting < 1 << 20 or waiting & (waiting - 1):
            raise ValueError("the ring is a power of two of at least 1 MiB")
        ring = lib.greffier_ring_new(_UNIT, waiting // _UNIT, 1)
        if ring == ffi.NULL:
            raise MemoryError("no memory for the ring of records")
        self._ring = ffi.gc(ring, lib.greffier_ring_free)
        flow = lib.greffier_flow_new(ring, flows, held)
        if flow == ffi.NULL:
            raise MemoryError("no memory for a table of flows")
        self._flow = flow
        self._record = ffi.new("greffier_record *")
        self._latest = ffi.new("int64_t *")
        self._later = ffi.new("greffier_frame *")
        self._thread: Thread | None = None
        self._tap: Tap | None = None
        self._status = 0
        self._consumed = 0  # units of the ring that were read
        self.missed = 0
        """Records that found no room in the ring, as told by those that came after them."""

    @property
    def handle(self) -> "CData":
        """The greffier_flow, for other rooms of the core; valid until :meth:`close`."""
        return self._flow

    def start(self, tap: Tap, *, priority: int | None = None) -> None:
        """Read *tap* in a thread of its own, with a SCHED_FIFO *priority* if the system allows."""
        self._tap = tap
        self._thread = Thread(target=self._run, args=(tap, priority), name="capture", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread. Raises DeviceNotFound if the interface had gone away."""
        if self._thread is None or self._tap is None:
            return
        self._tap.stop()
        self._thread.join()
        self._thread = None
        if self._status < 0:
            raise DeviceNotFound(device=self._tap.interface, reason=reason_of(-self._status))

    @property
    def waiting(self) -> bool:
        """Whether records wait to be taken."""
        return lib.greffier_ring_stored(self._ring) > 0

    @property
    def running(self) -> bool:
        """Whether the thread reads: false after a stop, and when the interface went away."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self) -> int:
        """A tick begins: what came until now is to be given to legs; how many have something."""
        return lib.greffier_flow_begin(self._flow)

    def settle(self, most: int) -> int:
        """Give at most *most* legs what came for them until :meth:`begin`; 0: that is all."""
        return lib.greffier_flow_settle(self._flow, most)

    def take(self, *, begin: bool = False, most: int = _UNBOUNDED) -> Taken:
        """The records that wait, at most *most* of them.

        *begin*: as :meth:`begin`, at the same instant. Then nothing that is given to legs is later
        than a record that was not taken yet.
        """
        stored = lib.greffier_flow_cut(self._flow, begin, self._latest)
        until_ns = self._latest[0]
        records = tuple(self._read(stored, most))
        # What is left came after the last one that was taken.
        return Taken(records, records[-1].time_ns if len(records) == most else until_ns)

    def arm(self, source: Address, destination: Address, ssrc: int, leg: "CData") -> bool:
        """Give this flow to *leg* (a greffier_leg). False: records wait, take them first.

        Raises ValueError if it is armed already, TooManyFlows.
        """
        pair = ffi.from_buffer("greffier_udp_pair[]", pair_of(source, destination))
        answer = lib.greffier_flow_arm(self._flow, pair, ssrc, leg)
        if answer == lib.GREFFIER_FLOW_KNOWN:
            raise ValueError("the flow is armed already")
        if answer == lib.GREFFIER_FLOW_FULL:
            raise TooManyFlows
        return answer == lib.GREFFIER_FLOW_DONE

    def hold(self, source: Address, destination: Address, ssrc: int) -> int:
        """Keep what comes from now on of a flow that may be armed soon.

        Returns a mark: when :meth:`passed` says so of it, every packet before was taken, and
        :meth:`bind` may follow. Raises ValueError if it is armed or held, TooManyFlows.
        """
        pair = ffi.from_buffer("greffier_udp_pair[]", pair_of(source, destination))
        answer = lib.greffier_flow_hold(self._flow, pair, ssrc)
        if answer == lib.GREFFIER_FLOW_KNOWN:
            raise ValueError("the flow is armed already")
        if answer == lib.GREFFIER_FLOW_FULL:
            raise TooManyFlows
        return self._consumed + lib.greffier_ring_stored(self._ring)

    def passed(self, mark: int) -> bool:
        """Whether the records that waited at a :meth:`hold` were taken."""
        return self._consumed >= mark

    def bind(self, source: Address, destination: Address, ssrc: int, leg: "CData") -> bool:
        """Give a held flow to *leg*, with what was kept; False: the leg does not take all of it."""
        pair = ffi.from_buffer("greffier_udp_pair[]", pair_of(source, destination))
        answer = lib.greffier_flow_bind(self._flow, pair, ssrc, leg)
        if answer == lib.GREFFIER_FLOW_KNOWN:
            raise ValueError("the flow is not held")
        return bool(answer == lib.GREFFIER_FLOW_DONE)

    def release(self, source: Address, destination: Address, ssrc: int) -> list[Late]:
        """Hold the flow no more; returns what was kept, oldest first."""
        pair = ffi.from_buffer("greffier_udp_pair[]", pair_of(source, destination))
        if not lib.greffier_flow_release(self._flow, pair, ssrc):
            raise ValueError("the flow is not held")
        return self._rest()

    def disarm(
        self, source: Address, destination: Address, ssrc: int, until_ns: int = _ALWAYS
    ) -> list[Late] | None:
        """Take the flow from its leg, which has got what came until *until_ns*.

        Returns what came later, oldest first (but for what a ``settle`` has given to the leg
        already), or None: it was not armed.
        """
        pair = ffi.from_buffer("greffier_udp_pair[]", pair_of(source, destination))
        if lib.greffier_flow_disarm(self._flow, pair, ssrc, until_ns) == ffi.NULL:
            return None
        return self._rest()

    def _rest(self) -> list[Late]:
        late, found = self._later, []
        while lib.greffier_flow_later(self._flow, late):
            found.append(Late(late.time_ns, ffi.buffer(late.octets, late.length)[:]))
        return found

    def latest_ns(self, source: Address, destination: Address, ssrc: int, until_ns: int) -> int:
        """When the latest packet of an armed flow came that is not younger than *until_ns*."""
        pair = ffi.from_buffer("greffier_udp_pair[]", pair_of(source, destination))
        return lib.greffier_flow_latest(self._flow, pair, ssrc, until_ns)

    def feed(self, record: Record) -> None:
        """Take a frame as the capture thread would; for tests and replays, without a thread."""
        held = ffi.from_buffer("uint8_t[]", record.data)
        frame = ffi.new("greffier_frame *")
        frame.time_ns, frame.octets = record.time_ns, held
        frame.length = frame.whole = len(record.data)
        lib.greffier_flow_take(self._flow, frame, 1)

    @property
    def counters(self) -> FlowCounters:
        """What became of the frames so far."""
        counters = ffi.new("greffier_flow_counters *")
        lib.greffier_flow_count(self._flow, counters)
        return FlowCounters(
            counters.frames,
            counters.legs,
            counters.records,
            counters.dropped,
            counters.overrun,
            counters.broken,
            counters.armed,
        )

    def close(self) -> None:
        """Give everything back, the thread ended and every leg disarmed. Safe to repeat."""
        if self._flow:
            lib.greffier_flow_free(self._flow)
            self._flow = ffi.NULL

    def _run(self, tap: Tap, priority: int | None) -> None:
        if priority is not None:
            # Without the right to it packets are lost sooner, and counted all the same.
            with suppress(PermissionError):
                os.sched_setscheduler(
                    0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority)
                )
        self._status = lib.greffier_flow_run(self._flow, tap.handle)

    def _read(self, stored: int, most: int) -> list[Record]:
        found: list[Record] = []
        record, ring = self._record, self._ring
        while stored > 0 and len(found) < most and lib.greffier_record_peek(ring, record):
            head = record.head
            octets = ffi.buffer(record.first, record.first_length)[:]
            if record.second_length:
                octets += ffi.buffer(record.second, record.second_length)[:]
            self.missed += head.dropped
            found.append(Record(head.time_ns, ETHERNET, octets, len(octets)))
            units = 1 + -(-head.length // _UNIT)
            stored -= units
            self._consumed += units
            lib.greffier_record_skip(ring, record)
        return found


@lru_cache(maxsize=8192)
def pair_of(source: Address, destination: Address) -> bytes:
    """The greffier_udp_pair of two addresses (native/udp.h)."""
    hosts = b"".join(_octets(one.host) for one in (source, destination))
    ports = b"".join(one.port.to_bytes(2, "big") for one in (source, destination))
    return hosts + ports


def _octets(host: str) -> bytes:
    if ":" in host:
        return socket.inet_pton(socket.AF_INET6, host)
    return _MAPPED + socket.inet_pton(socket.AF_INET, host)
