"""Another pair of eyes on the mirrored port: tcpdump's file, counted without the product's code."""

import signal
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_FILE = struct.Struct("<IHHiIII")
_HEAD = struct.Struct("<IIII")
_UDP = 17
BUFFER_KIB = "32768"


@dataclass(frozen=True, slots=True)
class Seen:
    """One RTP packet: ports, sequence number and payload."""

    source: int
    destination: int
    sequence: int
    payload: bytes


class Witness:
    """tcpdump on an interface, started before the first call and stopped after the last."""

    def __init__(self, path: Path, interface: str, network: str, enter: Sequence[str]) -> None:
        """Begin; returns when frames are seen. Raises OSError where capturing is not allowed."""
        self.path = path
        # Immediate mode: a block that waits for its time-out would be lost when tcpdump ends.
        options = [
            "-i",
            interface,
            "--immediate-mode",
            "-U",
            "-s",
            "0",
            "-B",
            BUFFER_KIB,
            "-w",
            str(path),
        ]
        self._process = subprocess.Popen(
            [*enter, "tcpdump", *options, f"udp and net {network}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None  # noqa: S101 - asked for above
        said = self._process.stderr.readline()
        while "listening" not in said:
            if not said:
                self._process.wait()
                raise OSError("tcpdump may not capture here: run as root")
            said = self._process.stderr.readline()

    def stop(self) -> int:
        """End; how many packets the kernel dropped before tcpdump saw them."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        assert self._process.stderr is not None  # noqa: S101 - asked for at the start
        said = self._process.stderr.read()
        self._process.wait(timeout=120)
        dropped = [line.split()[0] for line in said.splitlines() if "dropped by kernel" in line]
        return int(dropped[0]) if dropped else 0


def rtp_packets(path: Path) -> list[Seen]:
    """Every RTP packet over IPv4 and UDP of an Ethernet capture, in order. Raises ValueError."""
    data = path.read_bytes()
    magic, *_rest, link = _FILE.unpack_from(data)
    if magic != 0xA1B2C3D4 or link != 1:
        raise ValueError("tcpdump wrote another kind of file")
    found = []
    at = _FILE.size
    while at + _HEAD.size <= len(data):
        length = _HEAD.unpack_from(data, at)[2]
        at += _HEAD.size
        frame = data[at : at + length]
        at += length
        if len(frame) < 54 or frame[12:14] != b"\x08\x00" or frame[23] != _UDP:
            continue
        head = 14 + (frame[14] & 15) * 4
        source, destination, size = struct.unpack_from(">HHH", frame, head)
        sound = frame[head + 8 : head + size]
        if len(sound) > 12 and sound[0] == 0x80 and sound[1] & 0x7F == 8:
            sequence = int.from_bytes(sound[2:4], "big")
            found.append(Seen(source, destination, sequence, sound[12:]))
    return found
