"""How much a policy will store: bytes a day, and how many stay once the oldest begin to go. Pure.

Opus at 24 kb/s is 10.8 MB an hour and channel, G.711 28.8 MB; FLAC of speech about 60 % of the
16-bit samples (8 kHz), so as much as 34.6 MB.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from greffier.policy.packs import Packs
from greffier.policy.purposes import SAMPLED
from greffier.policy.site import Line, Policy
from greffier.policy.terms import sampled_rate, terms

BYTES_PER_HOUR: Mapping[str, int] = MappingProxyType(
    {"opus": 10_800_000, "original": 28_800_000, "flac": 34_560_000}
)
LEGS = 2
CONTINUOUS_HOURS = 24.0


@dataclass(frozen=True, slots=True)
class Projection:
    """What a line is expected to store: *share* of its hours is recorded, on *channels*."""

    line: str
    codec: str
    channels: int
    hours: float
    share: float
    bytes_per_day: int
    days: int

    @property
    def bytes_kept(self) -> int:
        """Once a day's recordings go as another's come."""
        return self.bytes_per_day * self.days


def project(
    policy: Policy, packs: Packs, hours: Mapping[str, float], channels: int = LEGS
) -> list[Projection]:
    """The projection of each recording line; *hours* of talk a day by line.

    A line of a continuous policy is on all day. Raises KeyError for a line without hours.
    """
    found = []
    for line in policy.lines.values():
        if line.never:
            continue
        talk = CONTINUOUS_HOURS if policy.capture.continuous else hours[line.name]
        share, codec = _share(policy, packs, line), policy.codec(line.name)
        daily = round(talk * share * channels * BYTES_PER_HOUR[codec])
        days = max((one.most for one in terms(policy, packs, [line])), default=0)
        found.append(Projection(line.name, codec, channels, talk, share, daily, days))
    return found


def _share(policy: Policy, packs: Packs, line: Line) -> float:
    if line.duty:
        return 1.0
    drawn = bool(set(line.purposes) & set(SAMPLED))
    return sampled_rate(policy, packs) if drawn else 0.0
