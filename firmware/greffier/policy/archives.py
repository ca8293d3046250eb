"""Whose recordings go only with the archives administration's agreement. Pure.

Code du patrimoine L.212-2: what a French public body made is destroyed under a visa.
"""

from collections.abc import Callable, Iterable

from greffier.policy.packs import Packs
from greffier.policy.purposes import EMERGENCY
from greffier.policy.site import Policy

_PUBLIC = (*EMERGENCY, "public_admin")

Lacking = Callable[[str, Iterable[str]], bool]
"""Whether the visa is missing for a part of a line, kept for some purposes."""


def lacking(policy: Policy | None, packs: Packs) -> Lacking:
    """By *policy*; without one only emergencies are known to be a public body's."""
    if policy is None:
        return lambda line, purposes: _emergency(purposes)
    needed = packs.of(policy.device).archives_visa
    if not needed or policy.governance.has("archives_visa_ref"):
        return lambda line, purposes: False
    lines = {name for name, line in policy.lines.items() if line.sector in _PUBLIC}
    return lambda line, purposes: line in lines or _emergency(purposes)


def _emergency(purposes: Iterable[str]) -> bool:
    return any(name in EMERGENCY for name in purposes)
