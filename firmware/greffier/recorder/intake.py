"""Events of calls in, effects out: numbers, decision records, parts, ends, coverage.

The order of effects is the archive's; what is decided here is who may be recorded, and what is said
about every call. One thread owns an Intake.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from greffier import trust
from greffier.audit import verify
from greffier.calls.events import (
    CallAnswered,
    CallEnded,
    CallIdentified,
    CallStarted,
    Event,
    LegAdded,
    LegChanged,
    LegMedia,
    LegSummary,
)
from greffier.clock import format_time
from greffier.policy import sampling
from greffier.policy.verdict import Verdict
from greffier.recorder.archive import Archive
from greffier.recorder.call import Call, clear_call_id
from greffier.recorder.numbers import Numbers, pseudonym
from greffier.recorder.outcome import Heard, coverage, result_of
from greffier.recorder.rules import Rules


@dataclass(frozen=True, slots=True)
class Report:
    """One call as a command prints it; *about* is what may only be shown to who may see it."""

    clear: Mapping[str, Any]
    about: Mapping[str, Any]


class Intake:
    """What an import (and the live recorder) does with the calls of one line."""

    def __init__(self, archive: Archive, rules: Rules) -> None:
        assert archive.epoch is not None  # noqa: S101 - an epoch is open while calls run
        self._archive = archive
        self._rules = rules
        self._sampling_key = archive.epoch.sampling
        self._log_key = trust.load_log_key(archive.data.log_key)
        self._numbers = Numbers(archive.data.identity.device, verify.entries(archive.data.path))
        self._calls: dict[int, Call] = {}
        self._unkept: dict[int, CallStarted | CallIdentified] = {}
        self._said_never = False
        self.reports: list[Report] = []

    def take(self, events: Iterable[Event]) -> None:
        """Carry out what *events* mean, in order. Raises StorageFailed."""
        for event in events:
            if event.call in self._unkept:
                if isinstance(event, CallIdentified):
                    self._unkept[event.call] = event
                elif isinstance(event, CallEnded):
                    self.reports.append(_unkept(self._unkept.pop(event.call)))
                continue
            if isinstance(event, CallStarted):
                self._start(event)
                continue
            call = self._calls[event.call]
            match event:
                case LegMedia():
                    call.media(event)
                case LegAdded() | LegChanged():
                    call.leg(event)
                case CallAnswered():
                    call.decide_at_answer(event.time_ns)
                case CallIdentified():
                    call.identify(event)
                case CallEnded():
                    self._end(self._calls.pop(event.call), event)
                case _:
                    pass  # hold changes no verdict; silence is in the audio

    def _start(self, event: CallStarted) -> None:
        if self._rules.never:
            self._unkept[event.call] = event
            if not self._said_never:
                self._said_never = True
                self._archive.log.append(
                    "line.not_recorded",
                    None,
                    {"line": self._rules.line, "reason": "NEVER_RECORD"},
                )
            return
        uid = self._numbers.next(self._rules.line)
        stratum = self._rules.stratum()
        draw = sampling.draw(self._sampling_key, stratum, uid)
        call = Call(self._archive, self._rules, event, uid)
        facts = self._rules.facts_of(event, event.time_ns, draw.u)
        verdict = call.decide_at_start(facts)
        if event.call_id is None:  # bare RTP: nobody rings, people talk already
            verdict = call.decide_at_answer(event.time_ns)
        self._calls[event.call] = call
        policy = self._rules.policy
        numerator = min(int(facts.u * (1 << sampling.DRAW_BITS)), (1 << sampling.DRAW_BITS) - 1)
        self._archive.log.append(
            "call.decided",
            None,
            {
                **self._verdict_data(verdict),
                "uid": uid,
                "at_ns": event.time_ns,
                "call": pseudonym(self._log_key, event),
                "u": numerator,
                "stratum": stratum or None,
                "epoch": self._archive.epoch.name if self._archive.epoch else None,
                "policy": self._rules.policy_name,
                "policy_version": policy.version,
                "policy_sha256": policy.sha256,
            },
        )

    def _verdict_data(self, verdict: Verdict) -> dict[str, Any]:
        return {
            "line": self._rules.line,
            "record": verdict.record,
            "codes": list(verdict.codes),
        }

    def _end(self, call: Call, event: CallEnded) -> None:
        verdict = call.decide_at_end()
        call.finish(event.reason.replace("_", "-"))
        heard = call.heard(event.ended_ns)
        if event.encrypted or any(leg.dropped for leg in event.legs):
            heard = replace(heard, unusable=heard.unusable or event.encrypted)
        result = result_of(verdict, heard)
        received = sum(leg.counters.packets for leg in event.legs)
        recording = call.recording.hex() if call.recording else None
        for interval in coverage(self._rules.line, call.uid, verdict, heard, received):
            self._archive.log.append("coverage", recording, interval.data)
        self._archive.log.append(
            "call.ended",
            recording,
            {
                **self._verdict_data(verdict),
                "uid": call.uid,
                "result": result,
                "recording": recording,
                "reason": event.reason,
                "legs": len(event.legs),
                "packets": received,
                "lost": sum(leg.counters.lost for leg in event.legs),
            },
        )
        self._report(call, event, heard, result, recording)

    def _report(
        self, call: Call, event: CallEnded, heard: Heard, result: str, recording: str | None
    ) -> None:
        about = call.about()
        frames = call.frames
        received = sum(leg.counters.packets for leg in event.legs)
        accounted = {
            "received": received,
            "recorded": frames.recorded,
            "not_recorded": frames.not_recorded,
            "masked": frames.masked,
            "silent": frames.silent,
            "duplicates": sum(leg.counters.duplicates for leg in event.legs),
        }
        others = sum(count for name, count in accounted.items() if name != "received")
        accounted["lost"] = received - others
        zone = self._rules.policy.timezone
        clear: dict[str, Any] = {
            "uid": call.journal_id,
            "number": call.uid,
            "line": self._rules.line,
            "start_ns": str(call.start_ns),
            "end_ns": str(event.ended_ns),
            "recording": recording,
            "call_id": clear_call_id(about),
            "start": format_time(call.start_ns, zone),
            "answered": format_time(call.answer_ns, zone) if call.answer_ns else None,
            "duration_ms": max(heard.end_ns - heard.start_ns, 0) // 1_000_000,
            "result": result,
            "record": call.verdict.record,
            "codes": list(call.verdict.codes),
            "end": event.reason,
            "warnings": warnings_of(event, heard),
            "accounted": accounted,
            "legs": [leg_json(leg) for leg in event.legs],
        }
        self._archive.write_call(clear, about)
        self.reports.append(Report(clear, about))


def leg_json(leg: LegSummary) -> dict[str, Any]:
    """One leg in clear; milliseconds instead of seconds, because formats hold no fractions."""
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


def warnings_of(event: CallEnded, heard: Heard) -> list[str]:
    """What a manager should look at, though nothing that reached the tap was lost."""
    found = []
    sides = {leg.side for leg in event.legs if leg.counters.packets}
    if heard.answered and len(event.legs) > 0 and len(sides) == 1 and sides != {"unknown"}:
        found.append("ONE_WAY_AUDIO")
    if heard.answered and not event.legs:
        found.append("NO_MEDIA")
    if event.encrypted:
        found.append("ENCRYPTED")
    if any(leg.dropped for leg in event.legs):
        found.append("HELD_TOO_LONG")
    return found


def _unkept(started: CallStarted | CallIdentified) -> Report:
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
    legs: Sequence[Mapping[str, Any]] = clear["legs"]
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
