"""What is said of a call that ended: in clear, under a key, and as the commands print it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from greffier.calls.events import CallEnded, CallIdentified, CallStarted, LegSummary
from greffier.calls.sampled import LineSummary
from greffier.recorder.outcome import Heard


@dataclass(frozen=True, slots=True)
class Report:
    """One call as a command prints it; *about* is what may only be shown to who may see it."""

    clear: Mapping[str, Any]
    about: Mapping[str, Any]


def leg_json(leg: LegSummary) -> dict[str, Any]:
    """One leg; milliseconds instead of seconds, because formats hold no fractions."""
    counters = leg.counters
    return {
        "source": str(leg.source),
        "destination": str(leg.destination),
        "codec": leg.codec.name if leg.codec else None,
        "ssrc": f"0x{leg.ssrc:08x}",
        "packets": counters.packets,
        "lost": counters.lost,
        "duplicates": counters.duplicates,
        "reordered": counters.reordered,
        "milliseconds": round(leg.seconds * 1000),
        "dtmf_events": leg.dtmf_events,
        "side": leg.side,
    }


def line_json(line: LineSummary) -> dict[str, Any]:
    """The leg of a call on an analogue line: no packets, no addresses; samples instead."""
    return {
        "source": line.channel,
        "destination": None,
        "codec": "L16",
        "ssrc": None,
        "packets": 0,
        "lost": 0,
        "duplicates": 0,
        "reordered": 0,
        "milliseconds": line.samples * 1000 // line.rate,
        "dtmf_events": 0,
        "side": "unknown",
        "samples": line.samples,
        "lost_samples": line.missing,
    }


def warnings_of(event: CallEnded, heard: Heard) -> list[str]:
    """What a manager should look at, though nothing that reached the tap was lost."""
    found = []
    sides = {leg.side for leg in event.legs if leg.counters.packets}
    if heard.answered and len(event.legs) > 0 and len(sides) == 1 and sides != {"unknown"}:
        found.append("ONE_WAY_AUDIO")
    if heard.answered and not event.legs and event.sampled is None:
        found.append("NO_MEDIA")
    if event.encrypted:
        found.append("ENCRYPTED")
    if any(leg.dropped for leg in event.legs):
        found.append("HELD_TOO_LONG")
    return found


def unkept(started: CallStarted | CallIdentified) -> Report:
    """A call of a line that is never recorded: who called whom, and when, is not even shown."""
    clear: dict[str, Any] = {
        "call_id": started.call_id,
        "start": None,
        "duration_ms": None,
        "result": "ok",
        "record": "none",
        "codes": ["NEVER_RECORD"],
        "recording": None,
        "legs": [],
        "warnings": [],
    }
    return Report(clear, {"from": None, "to": None})


def as_json(clear: Mapping[str, Any], about: Mapping[str, Any] | None) -> dict[str, Any]:
    """One call as the commands print it; *about* None hides who called whom."""
    duration = clear["duration_ms"]
    told = about or {}
    legs = [dict(leg) for leg in clear["legs"]]
    for leg, hidden in zip(legs, told.get("legs", ()), strict=False):
        leg.update(hidden)
    shown = {
        "call_id": told.get("call_id", clear["call_id"]),
        "from": told.get("from"),
        "to": told.get("to"),
        "start": clear["start"],
        "duration_s": None if duration is None else duration / 1000,
        "result": clear["result"],
        "record": clear["record"],
        "codes": list(clear["codes"]),
        "recording": clear["recording"],
        "legs": [
            {
                **{key: value for key, value in leg.items() if key != "milliseconds"},
                "seconds": leg["milliseconds"] / 1000,
            }
            for leg in legs
        ],
    }
    extra = ("number", "line", "answered", "end", "warnings", "accounted")
    return shown | {key: clear[key] for key in extra if key in clear}
