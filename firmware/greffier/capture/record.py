"""What a capture file holds: one record a frame, and where a file stops making sense."""

from dataclasses import dataclass
from typing import NamedTuple


class Record(NamedTuple):
    """One captured frame. A tuple, not a dataclass: one is made for every packet of a trunk."""

    time_ns: int
    """Capture time, nanoseconds since the Unix epoch."""
    link_type: int
    """Number of the link layer (the registry at tcpdump.org/linktypes.html)."""
    data: bytes
    """The frame as far as it was kept (the capture's snap length may have cut it)."""
    length: int
    """Bytes the frame had on the wire, at least ``len(data)`` unless the file says otherwise."""


@dataclass(frozen=True, slots=True)
class Damage:
    """The first place from which a capture file can no longer be followed."""

    offset: int
    """Byte offset in the file of the record or block that is cut or nonsense."""
    reason: str
    """Why, in a few words; holds no captured data."""


class Damaged(ValueError):
    """A record or block makes no sense. Raised inside a reader only, which turns it into Damage."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"{reason} at byte {offset}")
        self.offset = offset
        self.reason = reason


MAX_RECORD = 262_144
"""Largest frame accepted, bytes: the largest snap length that libpcap writes by default."""
