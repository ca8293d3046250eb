"""The sound of one leg of a call, and how many of the call's packets went where."""

from dataclasses import dataclass, field
from typing import Any

from greffier.encode.codecs import Codec, by_name, by_payload_type
from greffier.encode.timeline import Timeline
from greffier.sip.sdp import Codec as Described


@dataclass(slots=True)
class Frames:
    """How many RTP packets of the call went where; what is in none of them is lost."""

    recorded: int = 0
    not_recorded: int = 0
    masked: int = 0
    silent: int = 0  # comfort noise and telephone events: they hold no sound


@dataclass(slots=True)
class Track:
    """The sound of one leg at one rate, on the recording's sample line."""

    number: int
    timeline: Timeline
    table: dict[str, Any]
    codec: Codec
    payload_type: int
    kept: list[int] = field(default_factory=list)  # first and last kept position
    masked: list[int] = field(default_factory=list)


def codec_of(described: Described | None, payload_type: int) -> Codec | None:
    """The codec of a payload type: as the SDP says, else of RFC 3551, else None."""
    if described is not None:
        return by_name(described.name, described.clock, described.channels)
    return by_payload_type(payload_type)
