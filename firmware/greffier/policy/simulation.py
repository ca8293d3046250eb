"""What another policy would have made of calls that took place: by code, and in storage. Pure.

The calls are those of ``greffier calls --json``. What a call's codes tell of it (an objection, a
proof, a private key …) is a fact again; the draw is made anew with a key that everybody knows, so
that the same calls give the same answer, and nobody learns or repeats a true one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from greffier.clock import parse_time
from greffier.policy import numbering, sampling
from greffier.policy.decision import decide
from greffier.policy.facts import Facts
from greffier.policy.packs import Packs
from greffier.policy.site import Policy

KEY: Final = bytes(32)
OCTETS_A_SECOND: Final[Mapping[str, int]] = {"opus": 3_000, "original": 8_000, "flac": 8_000}
"""Of one channel: Opus at 24 kb/s; G.711 as it came, and FLAC of it reckoned as much."""
CHANNELS: Final = 2
_TOLD: Final[Mapping[str, Mapping[str, object]]] = {
    "OBJECTED": {"consent": "out"},
    "OBJECTION_VS_DUTY": {"consent": "out"},
    "REFUSED_END_CALL": {"consent": "out"},
    "ANNOUNCE_FAILED": {"announce": "fail"},
    "NOTICE_IMPOSSIBLE": {"announce": "fail"},
    "INTERNAL_OFF": {"dir": "int"},
    "PRIVATE_MODE": {"private": True},
    "PRIVATE_EXCLUDED": {"call_kind": "private"},
    "EVIDENCE_SEGMENT": {"proof": True},
    "EVIDENCE_NOT_NECESSARY": {"proof": True, "contract": "written"},
    "INCIDENT_MANUAL": {"threat": True},
    "KEEP_2Y_FROM_SIGNATURE": {"contract": "signed"},
    "PENDING_CONTRACT_1M": {"dir": "out"},
    "PROSPECT_NOT_INTERESTED": {"prospect": "refused", "dir": "out"},
    "MIXED_RECLASSIFIED_DELETE": {"mifid": "no"},
    "QUOTA_REACHED": {"quota_used": 10**9},
    "RECORDER_DOWN": {"healthy": False},
}
_KEPT: Final = ("seg", "full", "cont")


@dataclass(slots=True)
class Tally:
    """So many calls, how many of them recorded, and how often each code."""

    calls: int = 0
    recorded: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    octets: int = 0

    def as_json(self) -> dict[str, Any]:
        """As the command prints it."""
        codes = dict(sorted(self.codes.items()))
        return {
            "calls": self.calls,
            "recorded": self.recorded,
            "share": round(self.recorded / self.calls, 4) if self.calls else None,
            "codes": codes,
            "octets": self.octets,
        }


@dataclass(frozen=True, slots=True)
class Simulated:
    """What was, and what would have been."""

    before: Tally
    after: Tally


def simulate(policy: Policy, packs: Packs, calls: Iterable[Mapping[str, Any]]) -> Simulated:
    """What *policy* would have made of *calls*. Raises ValueError, KeyError, TypeError for a call
    that is none.
    """
    found = Simulated(Tally(), Tally())
    for index, call in enumerate(calls):
        seconds = float(call["duration_s"] or 0.0)
        line = str(call.get("line") or "")
        verdict = decide(policy, packs, line, facts_of(policy, line, call, index))
        size = int(seconds * CHANNELS * OCTETS_A_SECOND[policy.codec(line)])
        _count(found.before, str(call["record"]), [str(code) for code in call["codes"]], size)
        _count(found.after, verdict.record, verdict.codes, size)
    return found


def facts_of(policy: Policy, line: str, call: Mapping[str, Any], index: int) -> Facts:
    """What is known of *call*, number *index* of the list."""
    told: dict[str, object] = {}
    for code in call["codes"]:
        told |= _TOLD.get(str(code), {})
    started = parse_time(str(call["start"]))
    direction = str(told.get("dir") or call.get("dir") or "in")
    outside = call.get("from") if direction == "in" else call.get("to")
    consumer = numbering.pack_of(str(outside)) if outside and direction != "int" else None
    stratum = sampling.stratum(policy, line, direction)
    uid = str(call.get("number") or sampling.call_uid("simulated", line, index))
    return Facts.parse(
        {
            "u": sampling.draw(KEY, stratum, uid).u,
            "window": policy.in_window(started),
            "t_start": started,
            "consumer": consumer,
            **told,
        },
        policy.timezone,
    )


def _count(tally: Tally, record: str, codes: Iterable[str], size: int) -> None:
    tally.calls += 1
    tally.codes.update(codes)
    if record in _KEPT:
        tally.recorded += 1
        tally.octets += size
