"""A part on its way, and what is counted of all of them."""

from dataclasses import dataclass
from typing import Literal

from greffier.control.transfer import Sealed
from greffier.sync.messages import Offered
from greffier.sync.shares import Share

State = Literal["preparing", "prepared", "offered", "sending", "waiting", "receipt"]


@dataclass(slots=True)
class Flight:
    """A part on its way. *until_ns* ends the state it is in."""

    sealed: Sealed
    share: Share
    state: State
    until_ns: int
    offered: Offered | None = None
    token: int = 0
    serial: int = 0

    @property
    def offer_octets(self) -> int:
        """About how much of an offer's payload it takes."""
        one = self.offered
        return 400 + len(one.envelope) + 67 * len(one.blocks) if one else 0


@dataclass(slots=True)
class Counts:
    """What happened since the start; *received* and *last_receipt_ns* (wall) over all starts."""

    received: int = 0
    last_receipt_ns: int = 0
    rejected: int = 0
    void: int = 0
    dropped: int = 0
