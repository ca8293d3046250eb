"""How one more fact changes what is known of a call. Pure.

Facts come one by one, early, late, twice, out of order. The first of its kind counts; a later one
never allows again what an earlier one took away, but for an acceptance that follows a refusal. The
law: docs/facts.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from greffier.errors import UsageError
from greffier.policy.facts import PENDING, Facts
from greffier.policy.purposes import SAMPLED
from greffier.policy.verdict import Verdict

ONLY_LOWERS: Final = "only_lowers"
UNKNOWN: Final = "unknown_fact"
BAD_VALUE: Final = "bad_value"
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "announce": ("ok", "fail"),
    "consent": ("in", "out"),
    "proof": ("true",),
    "contract": ("oral", "written", "signed"),
    "threat": ("true",),
    "private": ("true",),
    "call_kind": ("business", "private"),
    "card": ("true", "false"),
    "mifid": ("yes", "no", "unknown"),
    "transfer": ("15", "17", "18", "112"),
    "prospect": ("interested", "refused"),
    "authority_order": ("true",),
    "cold": ("true", "false"),
    "contract_notice": ("true",),
    "action_confirmed": ("true", "false"),
}
_TEXTS: Final = ("agent", "consumer", "consent_ref")
TELLABLE: Final = (*_WORDS, *_TEXTS)
"""The facts that may be told of a call. Draws, quotas, windows and health are the recorder's."""
GIVEN: Final = "given"
"""What is kept of a reference: that there is one."""


class NotTaken(ValueError):
    """The fact counts for nothing; ``code`` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Said:
    """A fact that was told: *at_ns* is when it happened, *captured* whether the call then had
    anything that was captured.
    """

    fact: str
    value: str = field(repr=False)
    at_ns: int
    captured: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a call: its facts, and when those came that have no time of their own."""

    facts: Facts
    times: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def timed(self, name: str, at_ns: int) -> "Known":
        """The same, *name* having come at *at_ns*; the first time stands."""
        return replace(self, times={name: at_ns, **self.times})


def checked(fact: str, value: str) -> str:
    """The *value* of *fact* as it is kept. Raises NotTaken."""
    text = value.strip()
    if fact in _WORDS:
        text = {"yes": "true", "no": "false"}.get(text, text) if fact != "mifid" else text
        if text not in _WORDS[fact]:
            raise NotTaken(BAD_VALUE)
        return text
    if fact not in _TEXTS:
        raise NotTaken(UNKNOWN)
    if fact == "consent_ref":
        text = GIVEN if text else ""
    try:
        facts = Facts.parse({fact: text})
    except UsageError:
        raise NotTaken(BAD_VALUE) from None
    if not text or text == PENDING:
        raise NotTaken(BAD_VALUE)
    return facts.consumer or text


def told(known: Known, said: Said) -> Known:
    """*known* with what was *said*. Raises NotTaken(``only_lowers``)."""
    change = _CHANGES.get(said.fact)
    if change is not None:
        return change(known, said)
    found = Facts.parse({said.fact: said.value})
    value = getattr(found, said.fact)
    lifts = said.fact in ("cold", "call_kind") and value in (False, "business")
    if lifts and getattr(known.facts, said.fact) != value:
        raise NotTaken(ONLY_LOWERS)
    return replace(known, facts=replace(known.facts, **{said.fact: value}))


def allows_sampled(verdict: Verdict) -> bool:
    """Whether it lets the draw's recording be kept, or may still."""
    kept = any(name in verdict.purposes for name in SAMPLED)
    return kept or (verdict.waiting is not None and verdict.sampled_in)


def raises(before: Verdict, after: Verdict, fact: str) -> bool:
    """Whether a *fact* that is no acceptance would allow again what was forbidden."""
    return fact != "consent" and allows_sampled(after) and not allows_sampled(before)


def _announce(known: Known, said: Said) -> Known:
    facts = known.facts
    if said.value == "fail":
        return replace(known, facts=replace(facts, announce="fail"))
    if facts.announce == "fail":
        raise NotTaken(ONLY_LOWERS)
    if facts.announce == PENDING or not said.captured:
        end_ns = facts.t_notice_end if facts.announce == "ok" else None
        facts = replace(facts, t_notice_end=said.at_ns if end_ns is None else end_ns)
    return replace(known, facts=replace(facts, announce="ok"))


def _consent(known: Known, said: Said) -> Known:
    facts = known.facts
    if facts.consent == said.value:
        return known
    if said.value == "out":
        if facts.t_consent is not None and said.at_ns < facts.t_consent:
            return known  # it was withdrawn before the acceptance that stands
        facts = replace(facts, consent="out", t_refusal=said.at_ns)
        return replace(known, facts=replace(facts, after_start=facts.after_start or said.captured))
    if facts.consent == "out" and facts.t_refusal is not None and said.at_ns <= facts.t_refusal:
        return known  # the refusal came after it
    facts = replace(facts, consent="in", t_consent=said.at_ns, after_start=facts.private)
    return replace(known, facts=facts)


def _agent(known: Known, said: Said) -> Known:
    facts = known.facts
    first = facts.agent in ("", PENDING)
    at_ns = said.at_ns if first else facts.t_agent
    return replace(known, facts=replace(facts, agent=said.value, t_agent=at_ns))


def _private(known: Known, said: Said) -> Known:
    facts = known.facts
    if facts.private:
        return known
    captured = facts.after_start or said.captured
    return replace(known, facts=replace(facts, private=True, after_start=captured))


def _proof(known: Known, said: Said) -> Known:
    facts = known.facts
    at_ns = said.at_ns if facts.t_proof is None else facts.t_proof
    if facts.consent == "out" and facts.t_proof is None and facts.t_refusal is not None:
        at_ns = max(at_ns, facts.t_refusal)  # the objection came while nothing of it was on record
    return replace(known, facts=replace(facts, proof=True, t_proof=at_ns))


def _contract(known: Known, said: Said) -> Known:
    facts = known.facts
    if facts.contract in ("written", "signed") and said.value == "oral":
        raise NotTaken(ONLY_LOWERS)
    if facts.contract == "signed":
        return known
    known = replace(known, facts=replace(facts, contract=said.value))
    return known.timed("signed", said.at_ns) if said.value == "signed" else known


def _prospect(known: Known, said: Said) -> Known:
    if known.facts.prospect == "refused" and said.value != "refused":
        raise NotTaken(ONLY_LOWERS)
    return replace(known, facts=replace(known.facts, prospect=said.value))


def _card(known: Known, said: Said) -> Known:
    card = known.facts.card or said.value == "true"
    return replace(known, facts=replace(known.facts, card=card))


def _once(known: Known, said: Said) -> Known:
    value = True if said.fact == "threat" else said.value
    if getattr(known.facts, said.fact) == value:
        return known
    change: dict[str, Any] = {said.fact: value}
    return replace(known, facts=replace(known.facts, **change)).timed(said.fact, said.at_ns)


def _confirmed(known: Known, said: Said) -> Known:
    confirmed = said.value == "true"
    known = replace(known, facts=replace(known.facts, action_confirmed=confirmed))
    return known.timed(said.fact, said.at_ns)


_CHANGES: Final[Mapping[str, Callable[[Known, Said], Known]]] = {
    "announce": _announce,
    "consent": _consent,
    "agent": _agent,
    "private": _private,
    "proof": _proof,
    "contract": _contract,
    "prospect": _prospect,
    "card": _card,
    "threat": _once,
    "transfer": _once,
    "action_confirmed": _confirmed,
}
