"""The recorded share of each stratum, with its 95 % interval, as the log tells it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from typing import Final

from greffier.audit.entry import Entry

Z95: Final = 1.959963984540054
_DRAWN: Final = "SAMPLED_IN"
_NOT: Final = "SAMPLED_OUT"


@dataclass(frozen=True, slots=True)
class Share:
    """Of *calls* with a draw on *line* (in *stratum*) *drawn* were taken and *recorded* kept."""

    line: str
    stratum: str
    calls: int
    drawn: int
    recorded: int

    @property
    def share(self) -> float:
        """The share that was drawn."""
        return self.drawn / self.calls if self.calls else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the rate behind it (Wilson's score, so never outside 0 and 1)."""
        return wilson(self.drawn, self.calls)


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % score interval (Wilson 1927) of *hits* among *of*; (0, 1) of none."""
    if not of:
        return 0.0, 1.0
    share, square = hits / of, Z95 * Z95
    middle = (share + square / (2 * of)) / (1 + square / of)
    reach = Z95 * sqrt(share * (1 - share) / of + square / (4 * of * of)) / (1 + square / of)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def shares(entries: Iterable[Entry], from_ns: int = 0, to_ns: int = 2**63 - 1) -> list[Share]:
    """Those of the calls that were decided between two times, by line and stratum."""
    running: dict[str, tuple[str, str, bool]] = {}
    counts: dict[tuple[str, str], list[int]] = {}
    for entry in entries:
        data = entry.data
        if entry.ev == "call.decided":
            codes = set(data["codes"])
            at_ns = data.get("at_ns", entry.t_ns)
            if not from_ns <= at_ns < to_ns or not codes & {_DRAWN, _NOT}:
                continue
            key = data["line"], data.get("stratum", data["line"])
            if data["uid"] not in running:
                found = counts.setdefault(key, [0, 0, 0])
                found[0] += 1
                found[1] += _DRAWN in codes
                running[data["uid"]] = (*key, _DRAWN in codes)
        elif entry.ev == "call.ended" and data["uid"] in running:
            line, stratum, drawn = running.pop(data["uid"])
            counts[line, stratum][2] += drawn and data.get("record", "none") != "none"
    return [Share(*key, *found) for key, found in sorted(counts.items())]
