"""When an octet that enters a slow line leaves it: rate, delay and a bounded queue; no sockets.

A line is one direction of a DSL access: what enters waits in one queue, first in, first out, is
sent at so many bits a second, and arrives a delay later. The rate is that of IP packets, as a
provider sells it: every piece costs its headers too.
"""

from dataclasses import dataclass

SECOND = 1_000_000_000
PIECE = 1448  # octets of TCP payload in a packet of 1,500: RFC 9293, with timestamps (RFC 7323)
HEADERS = 52  # octets of IPv4, TCP and its timestamps


@dataclass(slots=True)
class Line:
    """One direction. Times are integer nanoseconds of any clock; whoever calls owns it."""

    bits_per_second: int
    delay_ns: int
    queue: int
    """Octets that wait to be sent at most, headers included; no less than one packet."""
    free_ns: int = 0
    """When everything that entered has been sent."""
    sent: int = 0
    """Octets of payload that entered."""
    busy_ns: int = 0
    """How long it has been sending, waiting excluded."""

    def __post_init__(self) -> None:
        if self.bits_per_second <= 0 or self.delay_ns < 0 or self.queue < PIECE + HEADERS:
            raise ValueError("a line needs a rate, no negative delay, and room for one packet")

    def takes_ns(self, octets: int) -> int:
        """How long *octets* on the wire take to be sent."""
        return octets * 8 * SECOND // self.bits_per_second

    def room_ns(self, payload: int) -> int:
        """From when on the queue has room for a piece of *payload* octets."""
        return self.free_ns - self.takes_ns(self.queue - payload - HEADERS)

    def enter(self, payload: int, at_ns: int) -> int:
        """A piece enters at *at_ns*, when there is room; returns when it has arrived."""
        took = self.takes_ns(payload + HEADERS)
        self.free_ns = max(self.free_ns, at_ns) + took
        self.sent += payload
        self.busy_ns += took
        return self.free_ns + self.delay_ns
