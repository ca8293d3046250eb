"""Facts in, verdict and reason codes out: the precedence of the rules.

First match wins: 1 absolute bans (the compiler's, in ``check``), 2 recorder unhealthy, 3 duty to
record, 4 never-record lines, private and internal calls, 5 notice, 6 objection and consent,
7 sampling, window and quota, 8 what the site prefers.
"""

from dataclasses import replace
from datetime import date
from types import MappingProxyType
from zoneinfo import ZoneInfo

from greffier.policy import mandatory, voluntary
from greffier.policy.call import Call
from greffier.policy.combination import law_for
from greffier.policy.facts import PENDING, Facts, midnight_ns
from greffier.policy.packs import Packs
from greffier.policy.site import Line, Policy
from greffier.policy.verdict import Verdict

__all__ = ["Facts", "Verdict", "decide", "metadata_days", "settle_ended"]

# Loi 2025-594: telemarketing in France needs prior consent from this day on.
COLD_CALL_LAW = midnight_ns(date(2026, 8, 11), ZoneInfo("Europe/Paris"))


def decide(policy: Policy, packs: Packs, line: str, facts: Facts | None = None) -> Verdict:
    """The verdict on a call on *line* under *policy* with *facts* (the defaults where None)."""
    facts = facts or Facts()
    law = law_for(policy, packs, facts.consumer)
    rules = policy.lines.get(line)
    if rules is None:
        verdict = _unknown_line(Call(policy, packs, _any_emergency_line(policy, line), law, facts))
    else:
        verdict = _known_line(Call(policy, packs, rules, law, facts))
    if verdict.counted and _cold_without_consent(policy, facts):
        verdict = verdict.with_codes("COLD_CALL_NO_CONSENT")
    if verdict.action != "continue" and not facts.action_confirmed:
        verdict = verdict.with_codes("ACTION_UNCONFIRMED")
    return verdict


def settle_ended(policy: Policy, packs: Packs, line: str, facts: Facts) -> Verdict:
    """The verdict of a call that has ended: what it still waited for never came.

    A notice not heard is ANNOUNCE_FAILED, an acceptance not given CONSENT_MISSING; a call whose
    agent stayed unknown keeps AGENT_PENDING as its code. What a duty recorded stays.
    """
    verdict = decide(policy, packs, line, facts)
    if verdict.waiting is None:
        return verdict
    if not verdict.mandatory:
        announce = "fail" if facts.announce == PENDING else facts.announce
        facts = replace(facts, announce=announce)
    consent = "none" if facts.consent == PENDING else facts.consent
    return replace(decide(policy, packs, line, replace(facts, consent=consent)), waiting=None)


def metadata_days(policy: Policy, verdict: Verdict) -> int:
    """For how many days the names and numbers of a call with *verdict* are kept."""
    longest = [high for _, high in verdict.purposes.values()]
    return min(policy.retention.metadata, max(longest, default=policy.retention.metadata))


def _known_line(call: Call) -> Verdict:
    if not call.facts.healthy:
        return mandatory.unhealthy(call)
    if call.line.never:
        return Verdict(codes=("NEVER_RECORD",), counted=False)
    duty = mandatory.judge(call)
    if duty is None:
        return voluntary.judge(call)
    if duty.record == "none" or not call.line.voluntary:
        return duty
    return _both(duty, voluntary.judge(call))


def _both(duty: Verdict, choice: Verdict) -> Verdict:
    """A duty's recording that also serves voluntary purposes, each by its own rules."""
    kept = duty.record != "provisional_deleted" or choice.record == "none"
    return replace(
        duty.with_codes(*choice.codes),
        record=duty.record if kept else choice.record,
        purposes=MappingProxyType({**choice.purposes, **duty.purposes}),
        action=choice.action if duty.action == "continue" else duty.action,
        pause=choice.pause if duty.pause == "-" else duty.pause,
        begins=MappingProxyType({**choice.begins, **duty.begins}),
        waiting=choice.waiting,
        sampled_in=choice.sampled_in,
    )


def _any_emergency_line(policy: Policy, name: str) -> Line:
    """An unknown line, taken for the policy's first emergency line where it has one."""
    first = next((line for line in policy.lines.values() if line.emergency), None)
    if first is not None:
        return replace(first, name=name)
    return Line(name, "retail", (), internal=False, mixed=False, codec="", prompt="", backdate_s=5)


def _unknown_line(call: Call) -> Verdict:
    if call.policy.fail_mode == "open" and call.line.emergency:
        verdict = mandatory.emergency(call, call.line.sector, "FAIL_OPEN_EMERGENCY")
        if not call.facts.healthy:
            verdict = verdict.with_codes("RECORDER_DOWN")
        return replace(verdict, quarantined=True)
    blocked = call.policy.fail_mode == "block_call"
    return Verdict(codes=("LINE_UNCONFIGURED",), action="block_call" if blocked else "continue")


def _cold_without_consent(policy: Policy, facts: Facts) -> bool:
    consumer = facts.consumer or policy.market
    started = facts.t_start is not None and facts.t_start >= COLD_CALL_LAW
    cold = facts.cold and facts.dir == "out" and consumer == "FR"
    return started and cold and not facts.consent_ref.strip()
