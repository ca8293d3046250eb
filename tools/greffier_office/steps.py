"""What the uploads ask their owner to do: frozen, and done in the order in which they are given."""

from dataclasses import dataclass

from greffier.sync.messages import Later, Need, Offered, Refused

Key = tuple[str, str]
"""(device, part)."""


@dataclass(frozen=True, slots=True)
class Say:
    """Tell *device*."""

    device: str
    message: Need | Later | Refused


@dataclass(frozen=True, slots=True)
class Keep:
    """Compare *data* with *sha256* and make it an object; then ``Uploads.kept``."""

    key: Key
    ticket: int
    number: int
    sha256: str
    data: bytearray


@dataclass(frozen=True, slots=True)
class Finish:
    """All blocks are objects: look at the whole, record it; then ``Uploads.finished``."""

    key: Key
    ticket: int
    offered: Offered


Action = Say | Keep | Finish
