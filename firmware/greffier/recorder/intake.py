"""Events of calls in, effects out: numbers, decision records, parts, ends, coverage.

The order of effects is the archive's; what is decided here is who may be recorded, and what is said
about every call. One thread owns an Intake.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from greffier import trust
from greffier.audit.coverage import Account
from greffier.calls.events import (
    CallAnswered,
    CallEnded,
    CallIdentified,
    CallStarted,
    Event,
    KeyTold,
    LegAdded,
    LegChanged,
    LegMedia,
    LineEvent,
)
from greffier.calls.sampled import LineJoined, NotCaptured, Sampled
from greffier.capture.datagram import Address
from greffier.clock import format_time
from greffier.policy import sampling
from greffier.policy.verdict import Verdict
from greffier.recorder.about import clear_call_id, clear_leg, hidden_leg
from greffier.recorder.accounting import accounted
from greffier.recorder.agent_draws import AgentDraws
from greffier.recorder.archive import Archive
from greffier.recorder.call import Call
from greffier.recorder.line_call import LineCall
from greffier.recorder.numbers import (
    Numbers,
    dialog_pseudonym,
    flow_names,
    flow_pseudonym,
    offer_pseudonym,
    pseudonym,
)
from greffier.recorder.offered import offered
from greffier.recorder.outcome import Heard, coverage, result_of
from greffier.recorder.recall import Recall
from greffier.recorder.recovery import RUNNING, CutCall
from greffier.recorder.report import Report, leg_json, line_json, unkept, warnings_of
from greffier.recorder.resume import Resumable
from greffier.recorder.rules import Rules


class Intake:
    """What an import (and the live recorder) does with calls.

    *rules_of* says under which rules a call stands, *numbers* is one for all that write into
    *archive*. *report* is told of each call that ended. *resumable* are calls that a restart cut;
    with it the intake is live: legs are logged so that they can be known again. A call for which
    *has_room* says no is counted and reported, not recorded; while *refuses* says so only duties
    are. *recall* keeps the last seconds of lines that may be replayed.
    """

    def __init__(
        self,
        archive: Archive,
        rules_of: Callable[[CallStarted], Rules],
        numbers: Numbers,
        report: Callable[[Report], None],
        resumable: Resumable | None = None,
        has_room: Callable[[], bool] = lambda: True,
        recall: Recall | None = None,
        refuses: Callable[[], bool] = lambda: False,
    ) -> None:
        self._archive = archive
        self._rules_of = rules_of
        self._resumable = resumable
        self._has_room = has_room
        self._recall = recall
        self._refuses = refuses
        self._resumed: dict[str, int] = {}  # pseudonyms of resumed calls -> the tracker's number
        self._log_key = trust.load_log_key(archive.data.log_key)
        self._agents = AgentDraws(archive, self._log_key)
        self._numbers = numbers
        self._calls: dict[int, Call] = {}
        self._unkept: dict[int, CallStarted | CallIdentified] = {}
        self._said_never: set[str] = set()
        # Bare RTP that may be a call which a restart cut: its first leg tells.
        self._nameless: dict[int, CallStarted] = {}
        self._say = report

    @property
    def writable(self) -> bool:
        """Whether more sealed audio may wait for the disk."""
        return self._archive.valve.open

    @property
    def duties_only(self) -> bool:
        """Whether parts without a duty take no more sound."""
        return self._archive.duties_only

    @property
    def running(self) -> Collection[Call]:
        """The calls that are not over."""
        return self._calls.values()

    def find(self, number: int) -> Call | None:
        """The running call that its events call *number*; None where nothing of it is kept."""
        return self._calls.get(number)

    def take(self, events: Iterable[Event | LineEvent]) -> None:
        """Carry out what *events* mean, in order. Raises StorageFailed."""
        for event in events:
            if event.call in self._unkept:
                if isinstance(event, CallIdentified):
                    self._unkept[event.call] = event
                elif isinstance(event, CallEnded):
                    self._say(unkept(self._unkept.pop(event.call)))
                continue
            if isinstance(event, CallStarted):
                if event.call_id is None and not event.channel and self._resumable:
                    self._nameless[event.call] = event
                else:
                    self._start(event)
                continue
            if event.call in self._nameless:
                leg = event if isinstance(event, LegAdded) else None
                self._start(self._nameless.pop(event.call), leg)
            self._carry_out(self._calls[event.call], event)

    def _carry_out(self, call: Call, event: Event | LineEvent) -> None:
        if isinstance(call, LineCall):
            match event:
                case Sampled():
                    call.sampled(event)
                case NotCaptured():
                    call.not_captured(event)
                case LineJoined():
                    call.join(event)
        match event:  # hold changes no verdict; silence is in the audio
            case LegMedia():
                call.media(event)
            case LegAdded() | LegChanged():
                self._leg(call, event)
            case CallAnswered():
                call.decide_at_answer(event.time_ns)
            case KeyTold():
                call.told(event)
            case CallIdentified():
                call.identify(event)
            case CallEnded():
                self._end(self._calls.pop(event.call), event)

    def _leg(self, call: Call, event: LegAdded | LegChanged) -> None:
        if self._resumable is not None and isinstance(event, LegAdded):
            flow = flow_pseudonym(self._log_key, event.source, event.destination)
            self._archive.log.append("call.linked", None, {"uid": call.uid, "flow": flow})
        call.leg(event)

    def _start(self, event: CallStarted, leg: LegAdded | None = None) -> None:
        rules = self._rules_of(event)
        cut = self._claimed(event, leg)
        if cut is not None:
            # Its RTP alone does not tell the line any more, the log does.
            self._resume(event, replace(rules, line=cut.line), cut)
            return
        if rules.never:
            self._unkept[event.call] = event
            if rules.line not in self._said_never:
                self._said_never.add(rules.line)
                data = {"line": rules.line, "reason": "NEVER_RECORD"}
                self._archive.log.append("line.not_recorded", None, data)
            return
        uid = self._numbers.next(rules.line)
        stratum = rules.stratum()
        epoch = self._archive.epoch
        assert epoch is not None  # noqa: S101 - an epoch is open while calls run
        draw = sampling.draw(epoch.sampling, stratum, uid)
        call = self._made(rules, event, uid)
        facts = rules.facts_of(event, event.time_ns, draw.u)
        facts, counted = self._agents.known(uid, rules, facts)
        verdict = call.decide_at_start(facts)
        nameless = event.call_id is None and not event.channel
        if self._resumable is not None and (event.joined_late or nameless):
            verdict = call.join_late()
        elif nameless:  # bare RTP: nobody rings, people talk already
            verdict = call.decide_at_answer(event.time_ns)
        if not self._has_room():
            verdict = call.leave_out()
        elif self._refuses():
            verdict = call.keep_duties()
        self._calls[event.call] = call
        policy = rules.policy
        numerator = min(int(facts.u * (1 << sampling.DRAW_BITS)), (1 << sampling.DRAW_BITS) - 1)
        decided = {
            **_verdict_data(rules, verdict),
            "uid": uid,
            "at_ns": event.time_ns,
            "call": pseudonym(self._log_key, event),
            "u": numerator,
            "stratum": stratum or None,
            "epoch": epoch.name,
            "policy": rules.policy_name,
            "policy_version": policy.version,
            "policy_sha256": policy.sha256,
            "trigger": event.trigger or None,
            "waits_ns": call.waits_ns or None,
            "dir": facts.dir,
            "consumer": facts.consumer,
            "given": rules.untold or None,
            "notice": rules.notice,
            **counted,
        }
        self._archive.learn(self._archive.log.append("call.decided", None, decided))
        if self._resumable is not None:
            self._announce(call)
            self._link_offer(call, event)

    def _link_offer(self, call: Call, event: CallStarted) -> None:
        address = offered(event)
        if address is not None:
            flow = offer_pseudonym(self._log_key, address)
            data = {"uid": call.uid, "flow": flow, "offer": True}
            self._archive.log.append("call.linked", None, data)

    def _made(self, rules: Rules, event: CallStarted, uid: str) -> Call:
        recall = self._recall.of(rules.line, uid) if self._recall is not None else None
        rules = replace(rules, of_agent=partial(self._agents.facts, uid, rules.policy))
        # Nobody can pause an import but the card data in it.
        waits_ns = rules.waits_ns if self._resumable is not None or rules.hides_cards else 0
        if event.channel:
            return LineCall(self._archive, rules, event, uid, waits_ns, recall)
        return Call(self._archive, rules, event, uid, waits_ns, recall)

    def _announce(self, call: Call) -> None:
        """Say in the journal that the call runs, and who calls whom, should the process end."""
        about = call.about()
        clear: dict[str, Any] = {
            "uid": call.journal_id,
            "number": call.uid,
            "line": call.rules.line,
            "direction": call.rules.direction(),
            "start_ns": str(call.start_ns),
            "end_ns": None,
            "recording": call.recording.hex() if call.recording else None,
            "call_id": clear_call_id(about),
            "start": format_time(call.start_ns, call.rules.policy.timezone),
            "duration_ms": None,
            "result": "ok",
            "record": call.verdict.record,
            "codes": list(call.verdict.codes),
            "end": RUNNING,
            "warnings": [],
            "legs": [],
        }
        if call.told_before is not None:
            clear["about"] = list(call.told_before)
        self._archive.write_call(clear, about)

    def _claimed(self, event: CallStarted, leg: LegAdded | None) -> CutCall | None:
        """The call of before the restart that this one is, if it is one."""
        if not self._resumable or event.channel:
            return None
        names = [pseudonym(self._log_key, event)]
        if leg is not None:
            names += flow_names(self._log_key, leg.source, leg.destination)
        return self._resumable.claim(*names)

    def expects(self, source: Address, destination: Address) -> bool:
        """Whether RTP between these addresses is of a call that a restart cut."""
        if not self._resumable:
            return False
        return self._resumable.knows(*flow_names(self._log_key, source, destination))

    def resumed_as(self, call_id: str) -> int | None:
        """The tracker's number of the call that was resumed and had this Call-ID before."""
        return (
            self._resumed.get(dialog_pseudonym(self._log_key, call_id)) if self._resumed else None
        )

    def resume(self, event: CallStarted, cut: CutCall) -> bool:
        """Go on with *cut*, which was running on the same analogue line; False where it may not."""
        rules = self._rules_of(event)
        if not rules.never:
            self._resume(event, rules, cut)
        return not rules.never

    def _resume(self, event: CallStarted, rules: Rules, cut: CutCall) -> None:
        """Go on with a call under its old number, verdict and recording."""
        call = self._made(rules, event, cut.uid)
        u = (cut.draw or 0) / (1 << sampling.DRAW_BITS)
        since_ns = event.time_ns
        if self._resumable is not None and not event.channel:
            since_ns = self._resumable.since_ns
        call.resume(rules.facts_of(event, cut.start_ns, u), cut, since_ns)
        self._calls[event.call] = call
        self._resumed |= dict.fromkeys(cut.names, event.call)
        data = {
            "uid": cut.uid,
            "at_ns": event.time_ns,
            "recording": cut.recording,
            "parts": cut.parts,
        }
        self._archive.log.append("call.resumed", cut.recording, data)
        if cut.settled_ns < since_ns and not event.channel:
            account = Account(cut.line, cut.uid, cut.settled_ns)
            state, reason = self._resumable.gap if self._resumable is not None else ("off", None)
            account.mark(state, cut.settled_ns, since_ns, reason)
            for interval in account.close(since_ns):
                self._archive.log.append("coverage", cut.recording, interval.data)

    def suspend(self, now_ns: int) -> None:
        """The process ends in good order: parts end, calls stay open to be resumed.

        What happened to their time so far is logged.
        """
        for call in self._calls.values():
            call.finish("stopped")
            self._cover(call, call.heard(now_ns), 0)
            self._announce(call)
        self._calls.clear()

    def _end(self, call: Call, event: CallEnded) -> None:
        self._resumed = {name: at for name, at in self._resumed.items() if at != event.call}
        verdict = call.decide_at_end()
        call.finish(event.reason.replace("_", "-"))
        heard = call.heard(event.ended_ns)
        if event.encrypted or any(leg.dropped for leg in event.legs):
            heard = replace(heard, unusable=heard.unusable or event.encrypted)
        result = result_of(verdict, heard)
        received = sum(leg.counters.packets for leg in event.legs)
        recording = call.recording.hex() if call.recording else None
        self._cover(call, heard, received)
        line = call.summary() if isinstance(call, LineCall) else None
        ended = {
            **_verdict_data(call.rules, verdict),
            "uid": call.uid,
            "result": result,
            "recording": recording,
            "reason": event.reason,
            "legs": len(event.legs) if line is None else 1,
            "packets": received if line is None else None,
            "samples": None if line is None else line.samples,
            "lost": line.missing if line else sum(leg.counters.lost for leg in event.legs),
        }
        self._archive.learn(self._archive.log.append("call.ended", recording, ended))
        self._report(call, replace(event, sampled=line), heard, result, recording)

    def _cover(self, call: Call, heard: Heard, packets: int) -> None:
        """Account for the time of a call of a trunk; that of an analogue line is its source's."""
        if isinstance(call, LineCall):
            return
        recording = call.recording.hex() if call.recording else None
        for interval in coverage(call.rules.line, call.uid, call.verdict, heard, packets):
            self._archive.log.append("coverage", recording, interval.data)

    def _report(
        self, call: Call, event: CallEnded, heard: Heard, result: str, recording: str | None
    ) -> None:
        legs = [leg_json(leg) for leg in event.legs]
        legs += [line_json(event.sampled)] if event.sampled else []
        about = {**call.about(), "legs": [hidden_leg(leg) for leg in legs]}
        zone = call.rules.policy.timezone
        clear: dict[str, Any] = {
            "uid": call.journal_id,
            "number": call.uid,
            "line": call.rules.line,
            "direction": call.rules.direction(),
            "start_ns": str(call.start_ns),
            "end_ns": str(event.ended_ns),
            "recording": recording,
            "call_id": clear_call_id(about),
            "start": format_time(call.start_ns, zone),
            "answered": format_time(call.answer_ns, zone) if call.answer_ns else None,
            "duration_ms": max(heard.end_ns - call.start_ns, 0) // 1_000_000,
            "result": result,
            "record": call.verdict.record,
            "codes": list(call.verdict.codes),
            "end": event.reason,
            "warnings": warnings_of(event, heard),
            "accounted": accounted(call, event, heard),
            "legs": [clear_leg(leg) for leg in legs],
        }
        if call.told_before is not None:
            clear["about"] = list(call.told_before)
        self._archive.write_call(clear, about)
        self._say(Report(clear, about))


def _verdict_data(rules: Rules, verdict: Verdict) -> dict[str, Any]:
    return {
        "line": rules.line,
        "record": verdict.record,
        "codes": list(verdict.codes),
    }
