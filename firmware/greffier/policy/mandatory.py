"""Calls that the law obliges to record: investment services, insurance solicitation, emergencies.

MiFID II art. 16(7) and Delegated Regulation 2017/565 art. 76; Code des assurances L.112-2-2 and
R.112-7; for emergencies the operator's public task. A duty is never lowered by a draw, a private
key or an objection: where it cannot be met, the *service on this channel* stops.
"""

from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType

from greffier.policy.call import Call
from greffier.policy.combination import emergency_days, insurance_days, mifid_days
from greffier.policy.purposes import INSURANCE_PENDING, SERVICE_OF_NUMBER
from greffier.policy.verdict import Verdict


def judge(call: Call) -> Verdict | None:
    """The verdict of the line's duty, or None where no duty binds this call."""
    if call.line.emergency:
        return emergency(call, call.line.sector, "EMERGENCY_CONTINUOUS")
    if call.line.duty == "regulatory":
        return _mifid(call)
    if call.line.duty == "insurance" and call.facts.dir == "out":
        return _insurance(call)
    return None


def unhealthy(call: Call) -> Verdict:
    """The verdict while the recorder itself cannot record."""
    if call.line.emergency:
        verdict = emergency(call, call.line.sector, "EMERGENCY_CONTINUOUS")
        return verdict.with_codes("RECORDER_DOWN")
    duty = call.line.duty == "insurance" and call.facts.dir == "out"
    blocked = call.line.duty == "regulatory" or (duty and call.policy.fail_mode == "block_call")
    return Verdict(
        codes=("RECORDER_DOWN",),
        action="block_call" if blocked else "continue",
        mandatory=blocked or duty,
        counted=not call.line.never,
    )


def emergency(call: Call, purpose: str, first: str) -> Verdict:
    """Continuous recording of an emergency line; *first* is its first code."""
    facts = call.facts
    names, codes = [purpose], [first]
    begins = {purpose: ("onset",)}
    service = SERVICE_OF_NUMBER.get(facts.transfer, purpose)
    if service != purpose:
        names.append(service)
        begins[service] = ("transfer",)
        codes.append("SHARED_PLATFORM_LONGEST")
    if call.notice_missing:
        codes.append("NOTICE_NOT_REQUIRED")
    if facts.is_private:
        codes.append("PRIVATE_REFUSED_MANDATORY")
    if call.objected:
        codes.append("OBJECTION_NOT_APPLICABLE")
    if facts.card:
        codes.append("PAUSE_DISABLED_EMERGENCY")
    days = {name: emergency_days(call.policy, call.packs, call.law, name) for name in names}
    return Verdict(
        record="cont" if call.policy.capture.continuous else "full",
        purposes=MappingProxyType(days),
        codes=tuple(codes),
        announce="web",
        begins=MappingProxyType(begins),
        mandatory=True,
    )


def _mifid(call: Call) -> Verdict:
    facts = call.facts
    announce = "contract" if facts.contract_notice else "pre"
    if call.notice_missing and not facts.contract_notice:
        verdict = Verdict(codes=("NOTICE_IMPOSSIBLE",), action="end_call", mandatory=True)
        return verdict if facts.action_confirmed else _recorded_on(call, verdict, "none")
    if call.line.mixed and facts.mifid == "no":
        return Verdict(
            record="provisional_deleted",
            codes=("MIXED_RECLASSIFIED_DELETE",),
            announce=announce,
        )
    verdict = Verdict(codes=("MANDATORY_MIFID",), mandatory=True)
    if call.line.mixed and facts.mifid != "yes":
        verdict = verdict.with_codes("MIXED_PROVISIONAL")
    elif facts.mifid == "no":
        verdict = verdict.with_codes("MIFID_LINE_FORCED")
    if facts.is_private:
        verdict = verdict.with_codes("PRIVATE_REFUSED_MANDATORY")
    if call.objected:
        verdict = verdict.with_codes("OBJECTION_VS_DUTY", "CHANNEL_DURABLE_MEDIUM")
        verdict = replace(verdict, action="end_call")
    return _recorded_on(call, verdict, announce)


def _recorded_on(call: Call, verdict: Verdict, announce: str) -> Verdict:
    """*verdict* as a full regulatory recording.

    Also where the call should have ended and the output did not confirm it: then it goes on, and so
    does the duty.
    """
    ordered = call.facts.authority_order or call.policy.authority_order.active
    days = {"regulatory": mifid_days(call.policy, ordered=ordered)}
    return _muted(call, _full(verdict, days, announce))


def _insurance(call: Call) -> Verdict:
    facts = call.facts
    if facts.call_kind == "private":
        return Verdict(codes=("PRIVATE_EXCLUDED",))
    if call.notice_missing:
        return Verdict(codes=("NOTICE_IMPOSSIBLE",), action="end_call", mandatory=True)
    verdict = Verdict(codes=("MANDATORY_INSURANCE",), announce="pre", mandatory=True)
    refusal = None
    if call.objected:
        refusal = "REFUSED_END_CALL"
    elif facts.prospect == "refused":
        refusal = "PROSPECT_NOT_INTERESTED"
    if refusal:
        return replace(verdict.with_codes(refusal, "DISCARD_NOW"), action="end_call")
    signed = facts.contract == "signed"
    verdict = verdict.with_codes("KEEP_2Y_FROM_SIGNATURE" if signed else "PENDING_CONTRACT_1M")
    if facts.private:
        verdict = verdict.with_codes("PRIVATE_REFUSED_MANDATORY")
    days = {"insurance": insurance_days(call.policy) if signed else INSURANCE_PENDING}
    return _muted(call, _full(verdict, days, "pre"))


def _full(verdict: Verdict, days: dict[str, tuple[int, int]], announce: str) -> Verdict:
    return replace(
        verdict,
        record="full",
        purposes=MappingProxyType(days),
        announce=announce,
        begins=MappingProxyType(dict.fromkeys(days, ("onset",))),
    )


def _muted(call: Call, verdict: Verdict) -> Verdict:
    """*verdict* with the card's leg muted where card data is being said, and the gap logged."""
    if not call.facts.card:
        return verdict
    muted = replace(verdict.with_codes("PAUSE_SAD", "GAP_LOGGED"), pause="sad_mute")
    return muted.with_codes(*overrun(call))


def overrun(call: Call) -> Iterable[str]:
    """The alarm code of a card pause that lasts too long."""
    return ("PAUSE_OVERRUN",) if call.facts.pause_s > call.policy.pause.alarm_after_s else ()
