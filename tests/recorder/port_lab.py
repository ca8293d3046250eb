"""Runs inside a network namespace of its own: an interface that goes down, goes away, and is back.

Started by test_recorder_ports.py as ``unshare --net python port_lab.py``; prints one JSON object.
"""

import functools
import json
import sys
import time
from typing import Any

from tap_lab import IN, OUT, A, B, Wire, ip_tool

from greffier.capture.tap import Tap
from greffier.clock import SystemClock
from greffier.recorder.taps import Port
from greffier_sim import captures
from greffier_sim.packets import frame, udp

PATIENCE_S = 120


def until(port: Port, *, gone: bool) -> bool:
    """Look at *port* as the recorder's tick does, until it is as wished, or too long."""
    end = time.monotonic() + PATIENCE_S
    while port.gone != gone and time.monotonic() < end:
        port.check()
        time.sleep(0.05)
    return port.gone == gone


def heard(port: Port, wire: Wire) -> bool:
    """Whether a frame that is sent now arrives."""
    octets = frame(udp(A, B, captures.rtp(1, 160, 7, bytes(160))))
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        wire.send(octets)
        if any(record.data == octets for record in port.flows.take().records):
            return True
        time.sleep(0.05)
    return False


def main() -> dict[str, Any]:
    port = Port("trunk", functools.partial(Tap, IN, retire_ms=5), SystemClock(), 300)
    port.start()
    told: dict[str, Any] = {"absent": port.gone and port.missing is not None}
    wire = Wire()
    told["plugged"] = until(port, gone=False)
    told |= {"heard": [heard(port, wire)], "blind": [port.blind]}
    ip_tool("link", "set", IN, "down")
    told["down"] = until(port, gone=True)
    told["blind"].append(port.blind)
    ip_tool("link", "set", IN, "up")
    told["up"] = until(port, gone=False)
    told["heard"].append(heard(port, wire))
    ip_tool("link", "del", OUT)
    told["gone"] = until(port, gone=True)
    wire = Wire()
    told["back"] = until(port, gone=False)
    told["heard"].append(heard(port, wire))
    told["blind"].append(port.blind)
    told["dropped"] = port.dropped
    port.stop()
    port.close()
    return told


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main()))
