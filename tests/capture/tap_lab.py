"""Runs inside a network namespace of its own: sends frames over a veth pair, reads them at the tap.

Started by test_capture_tap.py as ``unshare --net python tap_lab.py NAME``; prints one JSON object.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from greffier.calls.tracker import Tracker
from greffier.capture.datagram import Address
from greffier.capture.dissector import Dissector
from greffier.capture.flows import Flows
from greffier.capture.record import Record
from greffier.capture.tap import Tap
from greffier.errors import DeviceNotFound
from greffier_sim import captures
from greffier_sim.packets import fragments, frame, frames_of, tcp, udp

OUT, IN = "out0", "tap0"
A, B = Address("10.0.0.1", 4000), Address("10.0.0.2", 5000)


def ip_tool(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Wire:
    """The end of the pair that sends."""

    def __init__(self) -> None:
        ip_tool("link", "add", OUT, "type", "veth", "peer", "name", IN)
        for name in (OUT, IN):
            ip_tool("link", "set", name, "up")
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self._socket.bind((OUT, 0))

    def send(self, octets: bytes) -> None:
        self._socket.send(octets)


def read(tap: Tap, count: int) -> list[Record]:
    """The next *count* frames that are not the kernel's own (IPv6 neighbours)."""
    found: list[Record] = []
    for _ in range(200):
        records = tap.read(0.1)
        found += [one for one in records if one.data[:6] != b"\x33\x33\0\0\0\x16"]
        if len(found) >= count:
            break
    return found


def kinds() -> dict[str, Any]:
    """What passes the filter, as it was sent."""
    wire = Wire()
    packet = udp(A, B, b"x" * 100)
    wanted = [
        frame(packet),
        frame(packet, vlans=[5]),
        frame(packet, vlans=[5, 6]),
        frame(udp(Address("fd00::1", 1), Address("fd00::2", 2), b"y" * 50)),
        *(frame(piece) for piece in fragments(packet, 48)),
        frame(tcp(A, Address("10.0.0.2", 5060), 1, b"INVITE")),
    ]
    others = [
        frame(tcp(A, Address("10.0.0.2", 80), 1, b"GET /")),
        b"\xff" * 12 + b"\x08\x06" + bytes(46),
    ]
    with Tap(IN, retire_ms=5) as tap:
        for octets in others + wanted:
            wire.send(octets)
        records = read(tap, len(wanted))
        counters = tap.counters
    return {
        "wanted": [one.hex() for one in wanted],
        "seen": [one.data.hex() for one in records],
        "lengths": [one.length - len(one.data) for one in records],
        "dropped": counters.dropped,
    }


def call() -> dict[str, Any]:
    """A whole call, live: the tracker says of it what it says of the same frames in a file."""
    wire = Wire()
    plan = captures.Plan(call_id="live@sim", talk_ms=2000)
    frames = frames_of(captures.in_order(captures.call(plan)))
    told: list[list[str]] = []
    with Tap(IN, retire_ms=5) as tap:
        for _, octets in frames:
            wire.send(octets)
        live = read(tap, len(frames))
    for records in (live, [Record(at, 1, octets, len(octets)) for at, octets in frames]):
        dissector, tracker = Dissector(), Tracker()
        events = [
            event
            for number, record in enumerate(records)
            for datagram in dissector.feed(record._replace(time_ns=frames[number][0]))
            for event in tracker.feed(datagram)
        ]
        told.append([repr(event) for event in events + tracker.finish()])
    return {"frames": len(frames), "live": told[0], "file": told[1]}


def thread() -> dict[str, Any]:
    """The capture thread of the core; it ends when it is told to, and when the wire goes away."""
    wire = Wire()
    flows = Flows()
    octets = frame(udp(A, B, captures.rtp(1, 160, 7, bytes(160))))
    with Tap(IN, retire_ms=5) as tap:
        flows.start(tap, priority=10)
        for _ in range(50):
            wire.send(octets)
        seen = 0
        while seen < 50:
            seen += sum(record.data == octets for record in flows.take().records)
        running = flows.running
        flows.stop()
        stopped = not flows.running
    gone = ""
    with Tap(IN, retire_ms=5) as tap:
        flows.start(tap)
        ip_tool("link", "del", OUT)
        while flows.running:
            pass
        try:
            flows.stop()
        except DeviceNotFound as error:
            gone = str(error.exit_code)
    flows.close()
    return {"seen": seen, "running": running, "stopped": stopped, "gone": gone}


LABS: dict[str, Callable[[], dict[str, Any]]] = {"kinds": kinds, "call": call, "thread": thread}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(LABS[sys.argv[1]]()))
