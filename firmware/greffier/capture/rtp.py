"""RTP packets and streams: RFC 3550 and telephone events of RFC 4733, over the C core.

native/rtp.h, native/stream.h and native/sequence.h say exactly what is refused, counted and held.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from greffier._native import ffi, lib

if TYPE_CHECKING:
    from greffier._native import CData

Octets = bytes | bytearray | memoryview
KEYS = "0123456789*#ABCD"
PAYLOAD_OCTETS = 4096
"""The largest payload that a stream holds unless told otherwise: 20 ms of 48 kHz stereo L16."""
PATIENCE_NS = lib.GREFFIER_STREAM_PATIENCE_MS * 1_000_000
"""How long a packet is held for lower numbers, by the times of arrival (native/stream.h)."""

REASONS = {
    lib.GREFFIER_RTP_SHORT: "shorter than the fixed header",
    lib.GREFFIER_RTP_VERSION: "the version is not 2",
    lib.GREFFIER_RTP_RTCP: "an RTCP packet",
    lib.GREFFIER_RTP_CSRC: "the list of contributing sources is cut off",
    lib.GREFFIER_RTP_EXTENSION_HEAD: "the head of the extension is cut off",
    lib.GREFFIER_RTP_EXTENSION_BODY: "the extension is cut off",
    lib.GREFFIER_RTP_PADDING_ABSENT: "padding is announced and absent",
    lib.GREFFIER_RTP_PADDING_ZERO: "the padding counts zero octets",
    lib.GREFFIER_RTP_PADDING_LONG: "the padding is longer than the payload",
}


class BadRtp(ValueError):
    """Octets that are not an RTP packet: *reason*, one of :data:`REASONS`, and where."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(f"{reason} (octet {offset})")
        self.reason = reason
        self.offset = offset
        """Octets from the start of the packet."""


class Rtcp(BadRtp):
    """RTCP that shares the port with RTP (RFC 5761): no fault of the sender's."""


class BadEvent(ValueError):
    """A payload that is no telephone event: fewer than four octets. *offset* is where it ends."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"a telephone event cut off (octet {offset})")
        self.reason = "a telephone event cut off"
        self.offset = offset


class Header(NamedTuple):
    """The header of a packet, RFC 3550 section 5.1; offsets and lengths in octets."""

    timestamp: int
    ssrc: int
    payload_offset: int
    payload_length: int
    extension_offset: int
    """Of the extension's body, section 5.3.1; 0 without an extension."""
    extension_length: int
    sequence: int
    extension_profile: int
    payload_type: int
    marker: bool
    csrc_count: int
    padding: int


class Status(IntEnum):
    """What became of a packet: native/stream.h, enum greffier_stream_status."""

    NEWEST = lib.GREFFIER_STREAM_NEWEST
    REORDERED = lib.GREFFIER_STREAM_REORDERED
    LATE = lib.GREFFIER_STREAM_LATE
    DUPLICATE = lib.GREFFIER_STREAM_DUPLICATE
    PROBATION = lib.GREFFIER_STREAM_PROBATION
    RESTARTED = lib.GREFFIER_STREAM_RESTARTED
    OVERSIZE = lib.GREFFIER_STREAM_OVERSIZE
    FOREIGN = lib.GREFFIER_STREAM_FOREIGN


class Packet(NamedTuple):
    """A packet in its place in the stream."""

    sequence: int
    """Extended: never wraps, and goes on without a gap where the source restarted."""
    timestamp: int
    """Extended to 64 bits; modulo 2^32 the packet's own. Comparable within one segment only."""
    payload_type: int
    marker: bool
    arrival_ns: int
    payload: bytes
    segment: int
    """How often the source had restarted before this packet."""


@dataclass(frozen=True, slots=True)
class Counters:
    """highest - first + 1 == packets - duplicates + lost, once there is a packet."""

    packets: int
    """RTP packets of this source, duplicates included, strays not."""
    lost: int
    """Sequence numbers from the first to the highest that never came."""
    duplicates: int
    """Packets whose sequence number came before."""
    reordered: int
    """Packets below the highest number of their time, duplicates not among them."""
    late: int
    """Those of them that came when their place was already handed out or passed."""
    oversize: int
    """Packets not handed out because their payload is too large."""
    strays: int
    """Packets far from all others, or still waiting for a proof of a restart; never handed out."""
    restarts: int
    """Times the source began anew (RFC 3550 A.1: two consecutive numbers far from all others)."""
    payload_changes: int
    keys: int
    """Keys pressed, as telephone events (RFC 4733): how many, never which."""
    malformed_events: int
    first: int
    highest: int
    first_arrival_ns: int
    last_arrival_ns: int
    ssrc: int


class Event(NamedTuple):
    """A telephone event, RFC 4733 section 2.3."""

    code: int
    end: bool
    volume: int
    """dBm0, the sign dropped."""
    duration: int
    """Timestamp units since the event began."""

    @property
    def key(self) -> str | None:
        """The key pressed, or None if the event is none. Never to be logged or stored."""
        return KEYS[self.code] if self.code < len(KEYS) else None


_HEADER = struct.Struct("=6I4x2HB?2B")  # greffier_rtp_header without its fault
_FAULT_OFFSET = struct.Struct("=24xI8x")
_PACKET = struct.Struct("=QQq3IB?xx")
_COUNTERS = struct.Struct("=13Q2qI4x")
_STATUS = {int(status): status for status in Status}
_FULL = lib.GREFFIER_STREAM_FULL
_HELD = lib.GREFFIER_STREAM_HELD
_SMALL = lib.GREFFIER_STREAM_SMALL


def _given(octets: Octets) -> "bytes | CData":
    return octets if isinstance(octets, bytes) else ffi.from_buffer("uint8_t[]", octets)


def _refusal(fault: int, octets: Octets) -> BadRtp:
    header = ffi.new("greffier_rtp_header *")
    lib.greffier_rtp_parse(_given(octets), len(octets), header)
    (offset,) = _FAULT_OFFSET.unpack(ffi.buffer(header)[:])
    kind = Rtcp if fault == lib.GREFFIER_RTP_RTCP else BadRtp
    return kind(REASONS[fault], offset)


def parse(octets: Octets) -> Header:
    """Read the header of a packet. Raises BadRtp, or Rtcp."""
    header = ffi.new("greffier_rtp_header *")
    fault = lib.greffier_rtp_parse(_given(octets), len(octets), header)
    if fault != 0:
        raise _refusal(fault, octets)
    return Header._make(_HEADER.unpack(ffi.buffer(header)[:]))


def parse_event(payload: Octets) -> Event:
    """Read the payload of a telephone event. Raises BadEvent."""
    event = ffi.new("greffier_event *")
    if lib.greffier_event_parse(_given(payload), len(payload), event) != 0:
        raise BadEvent(len(payload))
    return Event(event.code, bool(event.end), event.volume, event.duration)


class Stream:
    """One RTP source between two addresses: what came of it, in order, and what did not come.

    *event_types* are the payload types that carry telephone events. *payload_octets* is the
    largest payload that can be held (1 to 65535, else ValueError). Memory is fixed, 64 of these and
    42 KiB, and only touched as needed. Not for two threads at once.
    """

    def __init__(
        self, event_types: Iterable[int] = (), *, payload_octets: int = PAYLOAD_OCTETS
    ) -> None:
        if not 1 <= payload_octets <= 65535:
            raise ValueError("a payload has 1 to 65535 octets")
        stream = lib.greffier_stream_new(payload_octets)
        if stream == ffi.NULL:
            raise MemoryError("no memory for a stream")
        self._stream = ffi.gc(stream, lib.greffier_stream_free)
        self._payloads = ffi.buffer(
            lib.greffier_stream_payloads(stream), _HELD * (_SMALL + payload_octets)
        )
        packets = ffi.new("greffier_stream_packet[]", _HELD)
        self._packets = packets
        self._records = ffi.buffer(packets)
        self._taken: list[Packet] = []
        for payload_type in event_types:
            self.expect_events(payload_type)

    @property
    def handle(self) -> "CData":
        """The greffier_stream, for other rooms of the core; valid as long as this object.

        While one of them uses it, no method of this object but ``counters`` may be called.
        """
        return self._stream

    def expect_events(self, payload_type: int) -> None:
        """Count telephone events of one more payload type (0 to 127, else ValueError), from now."""
        if not 0 <= payload_type <= 127:
            raise ValueError("a payload type is 0 to 127")
        lib.greffier_stream_expect_events(self._stream, payload_type)

    def receive(self, octets: Octets, arrival_ns: int) -> Status:
        """Take one packet as it came, at a time in ns since the Unix epoch.

        The first packet decides which source (SSRC) the stream is. Raises BadRtp, or Rtcp; then
        nothing was counted, as with Status.FOREIGN.
        """
        given = octets if type(octets) is bytes else _given(octets)
        status = lib.greffier_stream_receive(self._stream, given, len(octets), arrival_ns)
        if status == _FULL:
            self._taken += self._take()
            status = lib.greffier_stream_receive(self._stream, given, len(octets), arrival_ns)
        if status < 0:
            raise _refusal(status, octets)
        return _STATUS[status]

    def _take(self) -> list[Packet]:
        count = lib.greffier_stream_take(self._stream, self._packets, _HELD)
        if count == 0:
            return []
        payloads = self._payloads
        return [
            Packet(number, timestamp, kind, marker, arrival, payloads[at : at + length], segment)
            for number, timestamp, arrival, at, length, segment, kind, marker in (
                _PACKET.iter_unpack(self._records[: count * _PACKET.size])
            )
        ]

    def ready(self) -> list[Packet]:
        """The packets whose turn has come, by ascending number, each once."""
        if not self._taken:
            return self._take()
        packets = self._taken + self._take()
        self._taken = []
        return packets

    def expire(self, time_ns: int) -> None:
        """Time has passed until *time_ns*, ns since the Unix epoch, of which everything was given.

        What was held for :data:`PATIENCE_NS` is ready, with all below it. A packet that arrives
        does the same at its own time: this only makes it sooner.
        """
        lib.greffier_stream_expire(self._stream, time_ns)

    def flush(self) -> list[Packet]:
        """Every packet held, by ascending number; what is missing before them is late from now on.

        For a stream that ended or fell silent; it may go on.
        """
        lib.greffier_stream_flush(self._stream)
        return self.ready()

    @property
    def held_types(self) -> frozenset[int]:
        """The payload types of the packets that are held: still waiting, or not handed out."""
        types = ffi.new("uint64_t[2]")
        lib.greffier_stream_types(self._stream, types)
        bits = types[0] | types[1] << 64
        return frozenset(number for number in range(128) if bits >> number & 1)

    @property
    def counters(self) -> Counters:
        """What was counted so far; all zero before the first packet."""
        counters = ffi.new("greffier_stream_counters *")
        lib.greffier_stream_count(self._stream, counters)
        return Counters(*_COUNTERS.unpack(ffi.buffer(counters)[:]))
