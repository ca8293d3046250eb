"""How the laws of several countries combine: the strictest wins, whatever the order.

``join`` is commutative, associative and idempotent, and adding a law never loosens anything:
consent and minimum days only rise; rates, ceilings and the set of voluntary purposes only shrink.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from types import MappingProxyType

from greffier.policy import purposes
from greffier.policy.packs import NONE, OPT_IN, Pack, Packs
from greffier.policy.site import Policy


@dataclass(frozen=True, slots=True)
class Law:
    """What holds where several packs apply together.

    ``floor`` and ``default``: levels of the consent lattice. ``max_days``: ceilings of the
    voluntary purposes that every pack allows. ``min_days``: minima of the kinds of emergency
    service. ``staff_duties``: what staff must have been given.
    """

    floor: int
    default: int
    rate_soft: float
    rate_hard: float
    max_days: Mapping[str, int]
    min_days: Mapping[str, int]
    staff_duties: frozenset[str]
    offer_alternative: bool


def law_of(pack: Pack) -> Law:
    """All that *pack* says, as a law of its own."""
    return Law(
        floor=pack.floor,
        default=pack.default,
        rate_soft=pack.rate_soft,
        rate_hard=pack.rate_hard,
        max_days=pack.max_days,
        min_days=MappingProxyType({kind: low for kind, (low, _) in pack.emergency.items()}),
        staff_duties=frozenset(pack.staff_duties),
        offer_alternative=pack.offer_alternative,
    )


def for_staff(law: Law) -> Law:
    """*law* without what only protects the outside party: the law of the employee's country."""
    return replace(
        law, floor=NONE, default=NONE, min_days=MappingProxyType({}), offer_alternative=False
    )


def without_consent(law: Law) -> Law:
    """*law* without its consent rules (a legal memo says that the device's place adds none)."""
    return replace(law, floor=NONE, default=NONE)


def join(one: Law, other: Law) -> Law:
    """Both laws at once."""
    kinds = one.min_days.keys() | other.min_days.keys()
    return Law(
        floor=max(one.floor, other.floor),
        default=max(one.default, other.default),
        rate_soft=min(one.rate_soft, other.rate_soft),
        rate_hard=min(one.rate_hard, other.rate_hard),
        max_days=MappingProxyType(
            {
                name: min(one.max_days[name], other.max_days[name])
                for name in sorted(one.max_days.keys() & other.max_days.keys())
            }
        ),
        min_days=MappingProxyType(
            {
                kind: max(one.min_days.get(kind, 0), other.min_days.get(kind, 0))
                for kind in sorted(kinds)
            }
        ),
        staff_duties=one.staff_duties | other.staff_duties,
        offer_alternative=one.offer_alternative or other.offer_alternative,
    )


def join_all(laws: Iterable[Law]) -> Law:
    """All *laws* (at least one) at once."""
    return reduce(join, laws)


def law_for(policy: Policy, packs: Packs, consumer: str | None = None) -> Law:
    """The law of a call of *policy* with a *consumer* of that country (the market's if None).

    Consumer and controller bring everything, the device's place too unless a legal memo lifts its
    consent rule; the employee's country rules the staff's side only.
    """
    names = (consumer or policy.market, policy.controller, policy.device, policy.employee)
    called, keeper, place, staff = map(packs.of, names)
    lifted = bool(policy.device_law_memo.strip())
    key = called.name, keeper.name, place.name, staff.name, lifted
    known = packs.joined.get(key)
    if isinstance(known, Law):
        return known
    device = law_of(place)
    found = join_all(
        (
            replace(law_of(called), staff_duties=frozenset()),
            law_of(keeper),
            without_consent(device) if lifted else device,
            for_staff(law_of(staff)),
        )
    )
    packs.joined[key] = found
    return found


def consent_needed(policy: Policy, law: Law, *, legitimate_interest: bool) -> int:
    """The consent level that a voluntary recording needs under *law*.

    The site's own mode counts as a legal basis only with its test of *legitimate_interest*; without
    one the law's default holds.
    """
    site = policy.consent.mode
    return max(law.floor, site if legitimate_interest else max(site, law.default))


def needs_acceptance(level: int) -> bool:
    """Whether *level* asks for an explicit acceptance."""
    return level >= OPT_IN


def voluntary_days(policy: Policy, law: Law, purpose: str) -> int:
    """The largest age in days of *purpose* (a voluntary one, or ``derived``)."""
    site = policy.retention.days.get(purpose, purposes.SITE_DAYS[purpose])
    return min(site, law.max_days.get(purpose, 0))


def rate_cap(law: Law, *, justified: bool) -> float:
    """The largest sampling rate under *law*."""
    return law.rate_hard if justified else law.rate_soft


def mifid_days(policy: Policy, *, ordered: bool) -> tuple[int, int]:
    """[min, max] of the regulatory purpose; *ordered*: an authority asked for longer."""
    low = max(purposes.MIFID_DAYS, policy.retention.days.get("regulatory", 0))
    if ordered:
        low = max(low, policy.authority_order.days)
    return low, low + policy.retention.purge_grace


def insurance_days(policy: Policy) -> tuple[int, int]:
    """[min, max] after signature of the insurance purpose."""
    low = max(purposes.INSURANCE_DAYS, policy.retention.days.get("insurance", 0))
    return low, low + policy.retention.purge_grace


def emergency_days(policy: Policy, packs: Packs, law: Law, purpose: str) -> tuple[int, int]:
    """[min, max] of an emergency *purpose*.

    The controller's pack (else the device's) says; the operator's own text (``retention_ref``) may
    move a maximum that is only a default; no minimum is ever lowered.
    """
    kind = purpose.removeprefix("emergency_")
    table = pack_listing(policy, packs, kind)
    low, high = table.emergency[kind] if table else purposes.EMERGENCY_DEFAULT
    site = policy.retention.days.get(purpose)
    if site is not None and policy.retention.retention_ref.strip():
        grace = policy.retention.purge_grace if low else 0
        high = max(low, site) + grace
        low = max(low, site) if low else 0
    low = max(low, law.min_days.get(kind, 0))
    return low, max(low, high)


def pack_listing(policy: Policy, packs: Packs, kind: str) -> Pack | None:
    """The pack, controller's first, that lists the emergency service *kind*."""
    for country in (policy.controller, policy.device):
        if kind in packs.of(country).emergency:
            return packs.of(country)
    return None
