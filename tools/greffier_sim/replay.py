"""Sends the frames of a capture onto an interface, at the pace in which they were captured.

`python -m greffier_sim.replay FILE INTERFACE [SPEED]`: the other end of a veth pair then sees what
a mirrored port would show. Prints how many frames were sent.
"""

import socket
import sys
import time
from pathlib import Path

from greffier.capture import pcap


def send(path: Path, interface: str, speed: float = 1.0) -> int:
    """Send every frame of *path*; return how many. Raises BadCapture, OSError."""
    sent = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((interface, 0))
        started, first = time.monotonic(), None
        for record in pcap.read(path):
            first = record.time_ns if first is None else first
            due = started + (record.time_ns - first) / 1e9 / speed
            wait = due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            wire.send(record.data)
            sent += 1
    return sent


def main() -> None:
    """Entry point."""
    speed = float(sys.argv[3]) if len(sys.argv) > 3 else 1.0
    print(send(Path(sys.argv[1]), sys.argv[2], speed))


if __name__ == "__main__":
    main()
