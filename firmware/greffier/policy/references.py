"""Which references a policy must name, and which of them it lacks.

A new policy that lacks one is not adopted; an adopted policy that loses one runs with its voluntary
purposes inactive.
"""

from collections.abc import Collection
from dataclasses import dataclass

from greffier.policy.combination import law_for
from greffier.policy.packs import Packs
from greffier.policy.site import Policy

_EEA = """
AT BE BG HR CY CZ DK EE FI FR DE GR EL HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE IS LI NO
"""
# GDPR chapter V, and its like in the United Kingdom and Switzerland: these controllers may not send
# (or let be heard) personal data outside the adequate countries without contractual clauses.
GDPR_CONTROLLERS = frozenset(_EEA.split()) | {"UK", "GB", "CH"}
_ADEQUATE = "AD AR CA CA-QC CH FO GB GG IL IM JE JP KR NZ UK UY"
ADEQUATE = frozenset(_EEA.split()) | frozenset(_ADEQUATE.split())


@dataclass(frozen=True, slots=True)
class Reference:
    """One duty: any of ``names`` fulfils it; ``code`` is the finding where none is given."""

    code: str
    names: tuple[str, ...]


BASE = (
    Reference("C_NO_REGISTER", ("register_ref",)),
    Reference("C_NO_DPO", ("dpo_ref",)),
    Reference("C_NO_STAFF_NOTICE", ("employee_notice_on",)),
)
STAFF = {
    "works_council": Reference("C_NO_WORKS_COUNCIL", ("works_council_ref",)),
    "works_council_or_consent": Reference(
        "C_NO_WORKS_COUNCIL", ("works_council_ref", "individual_consent_ref")
    ),
    "union_or_inspectorate": Reference(
        "C_NO_WORKS_COUNCIL",
        ("works_council_ref", "union_agreement_ref", "labour_inspectorate_ref"),
    ),
    "cndp": Reference("C_NO_CNDP", ("cndp_ref",)),
    "inpdp": Reference("C_NO_INPDP", ("inpdp_ref",)),
}
CNDP_TRANSFER = Reference("C_NO_CNDP", ("cndp_transfer_ref",))
CLAUSES = Reference("C_TRANSFER_NO_SCC", ("scc_ref",))


def required(policy: Policy, packs: Packs) -> list[Reference]:
    """The references that *policy* needs for its voluntary purposes."""
    duties = law_for(policy, packs).staff_duties
    found = [*BASE, *(STAFF[name] for name in sorted(duties) if name in STAFF)]
    if "cndp" in duties and policy.sync.destination != "MA":
        found.append(CNDP_TRANSFER)
    if transfers(policy):
        found.append(CLAUSES)
    return found


def missing(policy: Policy, packs: Packs, lost: Collection[str] = ()) -> list[Reference]:
    """Those of :func:`required` that *policy* does not name, or that are among the *lost* ones."""
    return [
        reference
        for reference in required(policy, packs)
        if not any(policy.governance.has(name) and name not in lost for name in reference.names)
    ]


def transfers(policy: Policy) -> bool:
    """Whether sound leaves the adequate countries: storage, device, or staff who listen there."""
    places = {policy.sync.destination, policy.device, policy.employee}
    return policy.controller in GDPR_CONTROLLERS and not places <= ADEQUATE
