"""Fuzz targets of capture and calls: nothing in a file or on a wire may raise anything of Python's.

A file that is no capture is refused with BadCapture, octets that are no RTP with BadRtp; all else
is counted.
"""

import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from greffier.calls.tracker import Tracker
from greffier.capture import rtp
from greffier.capture.datagram import Address, Datagram
from greffier.capture.dissector import Dissector
from greffier.capture.pcap import Reader
from greffier.capture.record import Record
from greffier.errors import BadCapture
from greffier_sim import captures, packets

_PLAN = captures.Plan(talk_ms=100)
_CALL = captures.call(_PLAN)
_OVER_TCP = captures.call(replace(_PLAN, transport="tcp"))
_IN_IPV6 = captures.call(
    replace(
        _PLAN,
        caller=Address("2001:db8::1", 5060),
        callee=Address("2001:db8::2", 5060),
        caller_media=Address("2001:db8::1", 4000),
        callee_media=Address("2001:db8::2", 5000),
    )
)
_LINKS = (0, 1, 9, 12, 101, 108, 113, 228, 229, 276)


def _read(data: bytes) -> None:
    """A capture file, records only."""
    with suppress(BadCapture):
        for _ in Reader(io.BytesIO(data), "fuzz"):
            pass


def _dissect(data: bytes) -> None:
    """One frame on a link of every type."""
    for link_type in _LINKS:
        dissector = Dissector()
        dissector.feed(Record(0, link_type, data, len(data)))
        dissector.feed(Record(1, link_type, data[:-1], len(data)))
        dissector.finish()


def _rtp(data: bytes) -> None:
    """Octets as one packet, and as the packets of a stream."""
    with suppress(rtp.BadRtp):
        rtp.parse(data)
    with suppress(rtp.BadEvent):
        rtp.parse_event(data)
    stream = rtp.Stream(event_types=[101])
    for number in range(0, len(data), 40):
        with suppress(rtp.BadRtp):
            stream.receive(data[number : number + 172], number)
    stream.flush()


def _track(data: bytes) -> None:
    """A whole capture file through all layers into calls."""
    dissector, tracker = Dissector(), Tracker()
    with suppress(BadCapture):
        for record in Reader(io.BytesIO(data), "fuzz"):
            for datagram in dissector.feed(record):
                tracker.feed(datagram)
    for datagram in dissector.finish():
        tracker.feed(datagram)
    tracker.finish()


def _signal(data: bytes) -> None:
    """One SIP message in the middle of a call."""
    tracker = Tracker()
    middle = len(_CALL) // 2
    for datagram in _CALL[:middle]:
        tracker.feed(datagram)
    tracker.feed(Datagram(_CALL[middle].time_ns, _PLAN.caller, _PLAN.callee, data))
    for datagram in _CALL[middle:]:
        tracker.feed(datagram)
    tracker.finish()


def _frames() -> list[bytes]:
    """One frame of each kind of wrapping."""
    invite, speech, tcp = _CALL[:1], _CALL[5:6], _OVER_TCP[:1]
    made = [
        packets.frames_of(invite, 1, vlans=(1, 2)),
        packets.frames_of(speech, 1),
        packets.frames_of(speech, 113),
        packets.frames_of(speech, 276),
        packets.frames_of(speech, 101, outer=("1.1.1.1", "2.2.2.2")),
        packets.frames_of(_IN_IPV6[:1], 101, fragment=64),
        packets.frames_of(tcp, 1),
    ]
    return [data for frames in made for _, data in frames[:3]]


SEEDS: dict[str, list[bytes]] = {
    "pcap": [packets.pcap(packets.frames_of(_CALL))],
    "pcapng": [
        packets.pcapng(packets.frames_of(_CALL)),
        packets.pcapng(packets.frames_of(_CALL, 276), 276, order=">"),
    ],
    "frame": _frames(),
    "rtp": [
        *[datagram.payload for datagram in _CALL if datagram.payload[0] >= 0x80][:4],
        captures.event(1, end=True, duration=800),
    ],
    "capture": [
        packets.pcap(packets.frames_of(_CALL)),
        packets.pcapng(packets.frames_of(_IN_IPV6, 113, fragment=128), 113),
        packets.pcap(packets.frames_of(_OVER_TCP, vlans=(7,))),
    ],
    "signalling": [d.payload for d in _CALL if d.payload[0] < 0x80],
}
TARGETS: dict[str, Callable[[bytes], None]] = {
    "pcap": _read,
    "pcapng": _read,
    "frame": _dissect,
    "rtp": _rtp,
    "capture": _track,
    "signalling": _signal,
}
