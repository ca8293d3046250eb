"""Calls that a site may record but need not: sampled quality and training, evidence, incidents.

Later facts only lower what the draw at the call's number allowed; a proof or a threat starts a part
of its own from that instant. Sources: GDPR art. 5, 6, 21; CNIL on listening to and recording calls
at work and on recordings as proof of a contract (25 April 2022); CNIL SAN-2024-014.
"""

from dataclasses import dataclass, field, replace
from types import MappingProxyType

from greffier.policy.call import Call
from greffier.policy.combination import (
    consent_needed,
    needs_acceptance,
    rate_cap,
    voluntary_days,
)
from greffier.policy.facts import PENDING
from greffier.policy.mandatory import overrun
from greffier.policy.purposes import SAMPLED, STAFF_SECTORS
from greffier.policy.references import missing
from greffier.policy.verdict import Verdict


@dataclass(slots=True)
class _Findings:
    """What one evaluation has found so far: the purposes still wanted, and the codes."""

    wanted: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    sampled_in: bool = False
    evidence_kept: bool = False
    waiting: str | None = None


def judge(call: Call) -> Verdict:
    """The verdict of the line's voluntary purposes."""
    purposes = [name for name in call.line.voluntary if name in call.law.max_days]
    excluded = _exclusion(call, purposes)
    if excluded:
        return Verdict(codes=excluded)
    found = _Findings()
    _draw(call, purposes, found)
    _ask_evidence(call, purposes, found)
    if call.facts.threat and "incident" in purposes:
        found.codes.append("INCIDENT_MANUAL")
        found.wanted.append("incident")
    alternative = _ask_consent(call, found)
    _wait(call, found)
    if not found.codes:
        found.codes.append("NO_PURPOSE")
    return _verdict(call, found, alternative=alternative)


def _exclusion(call: Call, purposes: list[str]) -> tuple[str, ...]:
    """The codes of the first rule that excludes every voluntary purpose, or none."""
    facts = call.facts
    if not purposes:
        return ("NO_PURPOSE",)
    if facts.agent in call.policy.agents.never:
        return ("NEVER_RECORD",)
    if missing(call.policy, call.packs, facts.missing):
        return ("POLICY_INACTIVE",)
    if facts.is_private:
        return ("PRIVATE_MODE", "DISCARD_NOW") if facts.after_start else ("PRIVATE_MODE",)
    allowed = call.line.internal and call.line.sector not in STAFF_SECTORS
    if facts.dir == "int" and not allowed:
        return ("INTERNAL_OFF",)
    return ("ANNOUNCE_FAILED",) if call.notice_missing else ()


def effective_rate(call: Call) -> tuple[float, bool]:
    """The rate of this call's draw, and whether the law lowered the site's."""
    sampling = call.policy.sampling
    started = call.facts.t_start
    day = call.policy.local_day(started) if started is not None else None
    justified = sampling.justification is not None and sampling.justification.holds_on(day)
    cap = rate_cap(call.law, justified=justified)
    rate = min(sampling.rate, cap)
    return min(rate, call.policy.agents.rates.get(call.facts.agent, 1.0)), sampling.rate > cap


def _draw(call: Call, purposes: list[str], found: _Findings) -> None:
    """Whether draw, the agent's quota and window take this call for quality and training."""
    sampled = [name for name in purposes if name in SAMPLED]
    if not sampled:
        return
    facts, sampling = call.facts, call.policy.sampling
    rate, clamped = effective_rate(call)
    quota = sampling.agent_quota_month
    drawn = facts.slot if sampling.method == "slots" else facts.u < rate
    if not drawn:
        found.codes.append("SAMPLED_OUT")
    elif quota is not None and facts.quota_used >= quota:
        found.codes.append("QUOTA_REACHED")
    elif not facts.window:
        found.codes.append("OUTSIDE_WINDOW")
    else:
        found.codes.append("SAMPLED_IN")
        found.sampled_in = True
        found.wanted += sampled
    if clamped and sampling.method == "bernoulli":
        found.codes.append("RATE_CLAMPED")


def _ask_evidence(call: Call, purposes: list[str], found: _Findings) -> None:
    """Evidence only where the talk reached a contract that nothing else will prove."""
    facts = call.facts
    if not facts.proof or "evidence" not in purposes:
        return
    written = facts.contract in ("written", "signed")
    if written or (facts.cold and facts.dir == "out"):
        found.codes.append("EVIDENCE_NOT_NECESSARY")
    else:
        found.codes.append("EVIDENCE_SEGMENT")
        found.wanted.append("evidence")


def _ask_consent(call: Call, found: _Findings) -> bool:
    """Apply an objection or a missing acceptance (an incident stands); True: offer another way."""
    asking = [name for name in found.wanted if name != "incident"]
    if call.objected:
        _object(call, asking, found)
        return call.law.offer_alternative
    if asking and _acceptance_needed(call) and call.facts.consent != "in":
        if call.facts.consent == PENDING:
            found.waiting = "CONSENT_PENDING"
        else:
            found.codes.append("CONSENT_MISSING")
        found.wanted = [name for name in found.wanted if name == "incident"]
    return False


def _object(call: Call, asking: list[str], found: _Findings) -> None:
    facts = call.facts
    found.codes.append("OBJECTED")
    found.evidence_kept = "evidence" in asking and _refused_after_proof(call, found)
    captured = found.sampled_in and (facts.after_start or found.evidence_kept)
    if captured or (facts.after_start and "evidence" in asking and not found.evidence_kept):
        found.codes.append("DISCARD_NOW")
    if found.evidence_kept:
        found.codes.append("EVIDENCE_KEPT_CLAIM")
    elif "evidence" in asking:
        found.codes.append("ALT_CHANNEL_WRITTEN")
    kept = ("incident", "evidence") if found.evidence_kept else ("incident",)
    found.wanted = [name for name in found.wanted if name in kept]


def _refused_after_proof(call: Call, found: _Findings) -> bool:
    """Whether the proof was on record when the refusal came.

    Times decide. Without them, a refusal after capture began came after the proof only where the
    proof is what began the capture.
    """
    facts = call.facts
    if facts.t_refusal is not None and facts.t_proof is not None:
        return facts.t_refusal > facts.t_proof
    return facts.after_start and not found.sampled_in


def _acceptance_needed(call: Call) -> bool:
    basis = "lia_ref" not in call.facts.missing and call.policy.governance.has("lia_ref")
    return needs_acceptance(consent_needed(call.policy, call.law, legitimate_interest=basis))


def _wait(call: Call, found: _Findings) -> None:
    """Hold back what a fact that is not known yet could still forbid."""
    if call.notice_pending and (found.wanted or found.waiting):
        found.waiting = "NOTICE_PENDING"
        found.wanted = []
    elif found.waiting is None and _agent_matters(call) and call.facts.agent == PENDING:
        held = [name for name in found.wanted if name in SAMPLED]
        if held:
            found.waiting = "AGENT_PENDING"
            found.wanted = [name for name in found.wanted if name not in held]
    if found.waiting:
        found.codes.append(found.waiting)


def _agent_matters(call: Call) -> bool:
    sampling, agents = call.policy.sampling, call.policy.agents
    counted = sampling.method == "slots" or sampling.agent_quota_month is not None
    return counted or bool(agents.never) or bool(agents.rates)


def _verdict(call: Call, found: _Findings, *, alternative: bool) -> Verdict:
    wanted = [name for name in call.line.voluntary if name in found.wanted]
    verdict = Verdict(
        record=_extent(wanted),
        purposes=MappingProxyType(
            {name: (0, voluntary_days(call.policy, call.law, name)) for name in wanted}
        ),
        codes=tuple(found.codes),
        announce="pre",
        action="offer_alternative" if alternative else "continue",
        begins=MappingProxyType({name: _begins(call, name) for name in wanted}),
        waiting=found.waiting,
        sampled_in=found.sampled_in,
    )
    if wanted and call.facts.card:
        verdict = replace(verdict.with_codes("PAUSE_SAD", *overrun(call)), pause="sad_mute")
    return verdict


def _extent(wanted: list[str]) -> str:
    if not wanted:
        return "none"
    return "full" if any(name in SAMPLED for name in wanted) else "seg"


def _begins(call: Call, purpose: str) -> tuple[str, ...]:
    """The instants of which the latest is the first persisted sample of *purpose*."""
    if purpose == "incident":
        return ("notice_end", "threat")
    allowed = "consent" if _acceptance_needed(call) else "notice_end"
    if purpose == "evidence":
        return (allowed, "proof")
    return (allowed, "agent") if _agent_matters(call) else (allowed,)
