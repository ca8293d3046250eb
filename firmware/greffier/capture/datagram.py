"""What the network layers hand on: one payload between two addresses."""

from typing import Literal, NamedTuple


class Address(NamedTuple):
    """A host and a port."""

    host: str
    """IPv4 in dotted form, or IPv6 in the canonical form of RFC 5952."""
    port: int

    def __str__(self) -> str:
        """``10.0.0.1:4000`` or ``[::1]:4000``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Datagram(NamedTuple):
    """One UDP payload, or one SIP message of a TCP stream.

    A tuple, not a dataclass: one is made for every packet of a trunk.
    """

    time_ns: int
    """Capture time of the frame that completed it, nanoseconds since the Unix epoch."""
    source: Address
    destination: Address
    payload: bytes
    """Shorter than what was sent where the capture's snap length cut it."""
    transport: Literal["udp", "tcp"] = "udp"
    vlans: tuple[int, ...] = ()
    """The VLAN tags of that frame, 0 to 4095, the outer one first."""
