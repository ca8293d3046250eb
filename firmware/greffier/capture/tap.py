"""A mirrored port: the frames that arrive at a network interface (native/tap.h).

:class:`Tap` is the interface. What reads it is either Python, record by record (:meth:`Tap.read`),
or a thread of the C core that keeps the packets of armed flows to itself
(:class:`greffier.capture.flows.Flows`). :class:`Watch` tells a line on which nobody speaks from a
tap that sees nothing.
"""

import errno
import os
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from greffier._native import ffi, lib
from greffier.capture.record import Record
from greffier.errors import DeviceNotFound

if TYPE_CHECKING:
    from greffier._native import CData, Frame

ETHERNET = 1
"""Link type of every record of a tap."""
BLOCKS = 256
BLOCK_OCTETS = 128 << 10
RETIRE_MS = 60
"""256 x 60 ms: a reader may stall 15 s on a quiet line; 32 MiB is a second of 1,000 calls."""
SIP_PORTS = (5060,)
_MOST_FRAMES = 4096  # a read hands out, so that it ends
_REASONS = {
    errno.EPERM: "reading a network interface needs CAP_NET_RAW",
    errno.ENODEV: "there is no such network interface",
}


class TapCounters(NamedTuple):
    """native/tap.h, greffier_tap_counters."""

    frames: int
    """Read."""
    dropped: int
    """By the kernel, because there was no room."""
    freezes: int
    """Times there was no room."""
    blocks: int


class Tap:
    """An open interface. One thread reads; :meth:`stop` and :attr:`counters` are for any other.

    *block_octets* is a power of two of at least a page; *promiscuous*: also frames addressed to
    others; *sip_ports* are the TCP ports (1 to 16) that may hold SIP, UDP passes whole. Raises
    DeviceNotFound: no such interface, or no right to read it.
    """

    def __init__(
        self,
        interface: str,
        *,
        blocks: int = BLOCKS,
        block_octets: int = BLOCK_OCTETS,
        retire_ms: int = RETIRE_MS,
        promiscuous: bool = True,
        sip_ports: Sequence[int] = SIP_PORTS,
    ) -> None:
        error = ffi.new("int *")
        options = ffi.new(
            "greffier_tap_options *",
            {
                "blocks": blocks,
                "block_octets": block_octets,
                "retire_ms": retire_ms,
                "promiscuous": promiscuous,
                "sip_port_count": len(sip_ports),
                "sip_ports": list(sip_ports),
            },
        )
        tap = lib.greffier_tap_open(interface.encode(), options, error)
        if tap == ffi.NULL:
            raise DeviceNotFound(device=interface, reason=reason_of(error[0]))
        self.interface = interface
        self._tap = tap
        self._frame = ffi.new("greffier_frame *")

    @property
    def handle(self) -> "CData":
        """The greffier_tap, for other rooms of the core; valid until :meth:`close`."""
        return self._tap

    def read(self, timeout_s: float) -> list[Record]:
        """What arrived; waits at most *timeout_s* for something. Empty then, or after a stop.

        Raises DeviceNotFound when the interface went away.
        """
        status = lib.greffier_tap_wait(self._tap, int(timeout_s * 1000))
        if status < 0 and status != -errno.ECANCELED:
            raise DeviceNotFound(device=self.interface, reason=reason_of(-status))
        found: list[Record] = []
        frame = self._frame
        while status > 0 and len(found) < _MOST_FRAMES:
            if not lib.greffier_tap_next(self._tap, frame):
                break
            found.append(record_of(frame))
        return found

    def stop(self) -> None:
        """End every wait, from now on."""
        lib.greffier_tap_stop(self._tap)

    @property
    def counters(self) -> TapCounters:
        """What was read and lost so far. One thread at a time."""
        counters = ffi.new("greffier_tap_counters *")
        lib.greffier_tap_count(self._tap, counters)
        return TapCounters(counters.frames, counters.dropped, counters.freezes, counters.blocks)

    def close(self) -> None:
        """Let the interface go; nobody may read any more. Safe to repeat."""
        if self._tap:
            lib.greffier_tap_close(self._tap)
            self._tap = ffi.NULL

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


def reason_of(error: int) -> str:
    """An errno in words."""
    return _REASONS.get(error, os.strerror(error))


def record_of(frame: "Frame") -> Record:
    """A frame copied out of the ring, with the tag that the card took off."""
    octets = ffi.buffer(frame.octets, frame.length)[:]
    tag = b""
    if frame.tag_kind and len(octets) >= 12:
        tag = frame.tag_kind.to_bytes(2, "big") + frame.tag.to_bytes(2, "big")
        octets = octets[:12] + tag + octets[12:]
    return Record(frame.time_ns, ETHERNET, octets, frame.whole + len(tag))


class Watch:
    """Whether a tap sees anything at all. Times in ns of one monotonic clock.

    A mirror that was unplugged looks like a quiet night; after *after_ns* without one frame the
    line is *blind*, never idle.
    """

    def __init__(self, after_ns: int, now_ns: int) -> None:
        self._after_ns = after_ns
        self._frames = 0
        self._last_ns = now_ns

    def look(self, frames: int, now_ns: int) -> bool:
        """*frames* is how many the tap has seen since it was opened; whether it is blind."""
        if frames != self._frames:
            self._frames, self._last_ns = frames, now_ns
        return now_ns - self._last_ns >= self._after_ns

    @property
    def since_ns(self) -> int:
        """When something was seen last: a blind time begins there."""
        return self._last_ns
