"""Frames of a network interface, one system call each: the plain way to listen to a mirrored port.

Needs CAP_NET_RAW. The kernel stamps each frame; a VLAN tag that the card took off is put back.
"""

import socket
import struct
from typing import Final

from greffier.capture.record import Record
from greffier.clock import Clock
from greffier.errors import DeviceNotFound, GreffierError

# linux/if_ether.h, linux/if_packet.h, linux/socket.h
_ALL: Final = 0x0003
_SOL_PACKET: Final = 263
_AUXDATA: Final = 8
_STATISTICS: Final = 6
_MEMBERSHIP: Final = 1
_PROMISCUOUS: Final = 1
_TIMESTAMPNS: Final = 35
_RCVBUFFORCE: Final = 33
_VLAN_VALID: Final = 0x10
_OUTGOING: Final = 4
_ETHERNET: Final = 1
_LARGEST: Final = 65_536
_AUX: Final = struct.Struct("=IIIHHHH")
_STAMP: Final = struct.Struct("=qq")
BUFFER: Final = 64 * 1024 * 1024


class PacketSocket:
    """One interface. Used by one thread; ``stop`` may be called by another."""

    def __init__(self, interface: str, clock: Clock, promiscuous: bool = True) -> None:
        """Raises DeviceNotFound, GreffierError (not allowed)."""
        self.interface = interface
        self._clock = clock
        self.dropped = 0
        """Frames that the kernel could not keep for us."""
        self._loopback = interface == "lo"
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
        except PermissionError as error:
            raise GreffierError(reason="listening needs CAP_NET_RAW") from error
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)
            self._socket.setsockopt(_SOL_PACKET, _AUXDATA, 1)
            self._enlarge()
            self._socket.bind((interface, _ALL))
            if promiscuous:
                index = socket.if_nametoindex(interface)
                request = struct.pack("=iHH8s", index, _PROMISCUOUS, 0, bytes(8))
                self._socket.setsockopt(_SOL_PACKET, _MEMBERSHIP, request)
        except OSError as error:
            self._socket.close()
            raise DeviceNotFound(device=interface, reason=error.strerror) from error

    def _enlarge(self) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, BUFFER)
        except PermissionError:  # without CAP_NET_ADMIN the system's own limit holds
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)

    def read(self, seconds: float) -> Record | None:
        """The next frame, or None after *seconds* without one, or at the end."""
        self._socket.settimeout(seconds)
        try:
            data, extras, _flags, sender = self._socket.recvmsg(_LARGEST, 256)
        except TimeoutError:
            return None
        except OSError:
            return None  # closed by stop, or the interface is down: whoever asks sees silence
        if self._loopback and sender[2] == _OUTGOING:
            return None  # the loopback shows every frame twice
        stamp = 0
        for level, kind, content in extras:
            if level == socket.SOL_SOCKET and kind == _TIMESTAMPNS and len(content) >= 16:
                seconds_, rest = _STAMP.unpack_from(content)
                stamp = seconds_ * 1_000_000_000 + rest
            elif level == _SOL_PACKET and kind == _AUXDATA and len(content) >= _AUX.size:
                data = _tagged(data, content)
        return Record(stamp or self._clock.wall_ns(), _ETHERNET, data, len(data))

    def count_dropped(self) -> int:
        """Ask the kernel how many frames it has dropped in all."""
        counters = self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 8)
        self.dropped += struct.unpack("=II", counters)[1]
        return self.dropped

    def close(self) -> None:
        """Let the interface go."""
        self._socket.close()


def _tagged(data: bytes, auxiliary: bytes) -> bytes:
    """*data* with the 802.1Q tag that the card took off."""
    status, _length, _snap, _mac, _net, tag, protocol = _AUX.unpack_from(auxiliary)
    if not status & _VLAN_VALID:
        return data
    return data[:12] + struct.pack(">HH", protocol or 0x8100, tag) + data[12:]
