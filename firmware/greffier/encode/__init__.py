"""From placed packets of one leg to what a part stores of it, and back to sound.

``timeline`` puts RTP packets on the recording's sample line, ``leg`` turns them into
:class:`Coded` and :class:`Gap`, ``audio`` decodes those, ``export`` and ``ogg`` make files of it.
Positions are absolute: samples of one leg, at its own rate, since the recording's sample 0.
"""

from dataclasses import dataclass
from typing import NamedTuple

CUT_FRONT = 1
"""Flag: the packet's first samples are not in the data (they lie before the part, or are kept)."""
CUT_END = 2
"""Flag: samples at the packet's end are not in the data, or only pad an encoder's last block."""


class Coded(NamedTuple):
    """One stored packet: *data* gives *samples* samples from *position* on.

    A tuple, because a hundred of them a second and call are made.

    *sequence* is the extended RTP sequence number mod 2^32 (kind original) or a running number
    (kinds opus and flac), *payload_type* the RTP payload type or 0xFF.
    """

    position: int
    samples: int
    sequence: int
    payload_type: int
    flags: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Gap:
    """No sound was received in [start, end); *packets* that should have filled it are missing.

    ``start == end`` says that *packets* came and could not be used, though no sample is missing.
    Causes: lost, late, dtx (sender was silent), event (telephone events), overlap (samples that
    were there already), early (before sample 0), late_start, jump (the sender's timestamps jumped),
    restart (another SSRC), damaged, undecodable, unknown_codec, cut (a packet over a part's edge).
    """

    start: int
    end: int
    packets: int
    cause: str


class BadPayload(ValueError):
    """Octets that are no payload of their codec. *offset* is where, *reason* why."""

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(f"{reason} (octet {offset})")
        self.reason = reason
        self.offset = offset
