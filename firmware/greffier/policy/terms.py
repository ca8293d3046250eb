"""How long and on which ground each purpose of a policy's lines is recorded. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from greffier.policy import combination
from greffier.policy.packs import Packs
from greffier.policy.purposes import EMERGENCY, PURPOSES, VOLUNTARY
from greffier.policy.site import Line, Policy

CONSENT, INTEREST, DUTY, PUBLIC = "consent", "interest", "duty", "public"


@dataclass(frozen=True, slots=True)
class Term:
    """A purpose: from *least* to *most* days, on the *basis* ``consent``, ``interest``, ``duty`` or
    ``public``.
    """

    purpose: str
    least: int
    most: int
    basis: str


def terms(policy: Policy, packs: Packs, lines: Iterable[Line]) -> list[Term]:
    """The terms of all purposes of *lines*, in the order of the purposes; none that is 0 days."""
    named = {name for line in lines for name in line.purposes}
    law = combination.law_for(policy, packs)
    interest = policy.governance.has("lia_ref")
    level = combination.consent_needed(policy, law, legitimate_interest=interest)
    ground = CONSENT if combination.needs_acceptance(level) else INTEREST
    found = []
    for name in (one for one in PURPOSES if one in named):
        if name in VOLUNTARY:
            basis, pair = ground, (0, combination.voluntary_days(policy, law, name))
        elif name in EMERGENCY:
            basis, pair = PUBLIC, combination.emergency_days(policy, packs, law, name)
        elif name == "insurance":
            basis, pair = DUTY, combination.insurance_days(policy)
        else:
            ordered = policy.authority_order.active
            basis, pair = DUTY, combination.mifid_days(policy, ordered=ordered)
        if pair[1]:
            found.append(Term(name, *pair, basis))
    return found


def sampled_rate(policy: Policy, packs: Packs, day: date | None = None) -> float:
    """The share of calls that may be drawn at most: the site's, or what the law allows."""
    proof = policy.sampling.justification
    justified = proof is not None and proof.holds_on(day)
    cap = combination.rate_cap(combination.law_for(policy, packs), justified=justified)
    return min(policy.sampling.rate, cap)
