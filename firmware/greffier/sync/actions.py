"""What the engine of the parts wants done. Frozen; whoever carries them out may be killed."""

from dataclasses import dataclass
from typing import Literal

from greffier.control.transfer import Sealed
from greffier.sync.messages import Offered
from greffier.sync.sending import Grant


@dataclass(frozen=True, slots=True)
class Prepare:
    """Get the part's file and envelope of the recorder, and compare it with what it said."""

    sealed: Sealed


@dataclass(frozen=True, slots=True)
class PublishOffer:
    """Offer these; *token* comes back with the broker's acknowledgement."""

    token: int
    parts: tuple[Offered, ...]


@dataclass(frozen=True, slots=True)
class Send:
    """Head office asked for octets of a part."""

    grant: Grant


@dataclass(frozen=True, slots=True)
class Release:
    """Nothing of this part is to be sent any more; its file is not needed."""

    part: str


@dataclass(frozen=True, slots=True)
class HandOver:
    """Give these receipts to the recorder, as they came: (part, receipt)."""

    receipts: tuple[tuple[str, str], ...]


Action = Prepare | PublishOffer | Send | Release | HandOver
Unprepared = Literal["gone", "altered", "away", "large"]
"""Why a part cannot be offered: it waits no more, its file is not what the recorder said, the
recorder does not answer, or it has more blocks than an offer can name."""
