"""The notice that is printed, with its twelve items, and the record of processing. Pure.

GDPR art. 13, 14 and 30. Both are made of the policy alone; what it does not say stays to be filled
in, and is told.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass

from greffier.policy import letters
from greffier.policy.access import NEVER_LISTEN, ROLES
from greffier.policy.combination import consent_needed, law_for, needs_acceptance
from greffier.policy.packs import Packs
from greffier.policy.phrases import Phrases, page, table
from greffier.policy.purposes import EMERGENCY, SAMPLED, VOLUNTARY
from greffier.policy.references import transfers
from greffier.policy.rights import authority
from greffier.policy.site import Line, Policy
from greffier.policy.terms import Term, sampled_rate, terms
from greffier.policy.windows import Window

FILE = "notices"
ITEMS = (
    "existence",
    "controller",
    "purposes",
    "access",
    "basis",
    "retention",
    "objection",
    "rights",
    "complaint",
    "dpo",
    "transfer",
    "refusal",
)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class Printed:
    """A page, and the names of the items that the policy does not fill in."""

    html: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Subject:
    policy: Policy
    packs: Packs
    lines: Sequence[Line]
    terms: Sequence[Term]
    say: Phrases

    @property
    def purposes(self) -> tuple[str, ...]:
        return tuple(one.purpose for one in self.terms)

    def name(self, purpose: str) -> str:
        return Phrases(letters.FILE, self.say.language)(f"purposes.{purpose}")


def notice(
    policy: Policy, packs: Packs, language: str, line: str | None = None, code: str = ""
) -> Printed:
    """The notice of *line* (None: of all that are recorded); *code* is the SVG of a QR code.

    Raises KeyError where the policy has no such line, ValueError for a language there is none of.
    """
    lines = (
        [policy.lines[line]] if line else [one for one in policy.lines.values() if not one.never]
    )
    say = Phrases(FILE, language)
    about = _Subject(policy, packs, lines, terms(policy, packs, lines), say)
    items = {name: _item(name, about) for name in ITEMS}
    blank = say("blank")
    missing = tuple(name for name, text in items.items() if blank in text)
    body = [f"<h1>{html.escape(say('title'))}</h1>", f"<p>{html.escape(_intro(about))}</p>"]
    for number, (name, text) in enumerate(items.items(), 1):
        body.append(f"<h2>{number}. {html.escape(say(f'items.{name}'))}</h2>")
        body.append(f"<p>{html.escape(text)}</p>")
    if policy.notice.url and code:
        caption = html.escape(say("qr", url=policy.notice.url))
        body.append(f"<figure>{code}<figcaption>{caption}</figcaption></figure>")
    return Printed(page(say("title"), language, body), missing)


def record(policy: Policy, packs: Packs, language: str) -> Printed:
    """The record of processing (art. 30(1)) that the policy amounts to."""
    say = Phrases(FILE, language)
    lines = [one for one in policy.lines.values() if not one.never]
    about = _Subject(policy, packs, lines, terms(policy, packs, lines), say)
    site = policy.governance
    blank = say("blank")
    day = letters.shown(site.employee_notice_on, language) if site.employee_notice_on else blank
    windows = ", ".join(map(_window, policy.windows)) or "-"
    council = site.references.get("works_council_ref") or blank
    derived = policy.retention.days.get("derived", 365)
    rows = [
        ("record.reference", site.references.get("register_ref") or blank),
        ("items.controller", _item("controller", about)),
        ("items.dpo", _item("dpo", about)),
        ("items.purposes", _item("purposes", about)),
        ("items.basis", _item("basis", about)),
        ("record.subjects", say("record.subjects_text")),
        ("record.data", say("record.data_text")),
        ("record.recipients", policy.notice.recipients or blank),
        ("items.transfer", _item("transfer", about)),
        ("items.retention", _item("retention", about)),
        ("record.analysis", say("record.analysis_text", most=derived)),
        ("record.security", say("record.security_text")),
        ("record.staff", say("record.staff_text", day=day, council=council, windows=windows)),
    ]
    missing = tuple(name.partition(".")[2] for name, text in rows if blank in text)
    subtitle = say(
        "record.subtitle", policy=policy.id, version=policy.version, sha256=policy.sha256
    )
    body = [
        f"<h1>{html.escape(say('record.title'))}</h1>",
        f"<p>{html.escape(subtitle)}</p>",
        table(("", ""), [(say(name), text) for name, text in rows]),
    ]
    return Printed(page(say("record.title"), language, body), missing)


def _window(one: Window) -> str:
    days = ",".join(_DAYS[day] for day in sorted(one.days))
    low, high = (f"{at // 60:02d}:{at % 60:02d}" for at in (one.start, one.end))
    return f"{days} {low}-{high}"


def _intro(about: _Subject) -> str:
    lines = ", ".join(one.name for one in about.lines) or "-"
    return about.say("intro", lines=lines, policy=about.policy.id, version=about.policy.version)


def _item(name: str, about: _Subject) -> str:
    policy, say = about.policy, about.say
    blank = say("blank")
    if name == "controller":
        return policy.notice.controller or blank
    if name == "dpo":
        return policy.notice.dpo or blank
    if name == "purposes":
        return ", ".join(map(about.name, about.purposes)) or "-"
    if name == "rights":
        return say("rights.text", contact=policy.notice.contact or policy.notice.dpo or blank)
    if name == "complaint":
        whom = authority(policy.controller)
        told = f"{whom.name}, {whom.address}, {whom.url}" if whom else blank
        return say("complaint.text", authority=told)
    return _DETAILS[name](about)


def _existence(about: _Subject) -> str:
    say, named = about.say, set(about.purposes)
    found = []
    if named & set(SAMPLED):
        percent = f"{100 * sampled_rate(about.policy, about.packs):g}"
        found.append(say("existence.sampled", percent=percent))
    if named & {"evidence", "incident"}:
        found.append(say("existence.event"))
    if named - set(VOLUNTARY):
        found.append(say("existence.duty"))
    return " ".join(found) or say("existence.none")


def _access(about: _Subject) -> str:
    named = set(about.purposes)
    roles = [
        role
        for role, purposes in ROLES.items()
        if role not in (*NEVER_LISTEN, "authority_export", "dpo") and purposes & named
    ]
    return about.say("access.text", roles=", ".join(roles) or "-")


def _basis(about: _Subject) -> str:
    references = about.policy.governance.references
    blank = about.say("blank")
    refs = {"interest": references.get("lia_ref"), "public": references.get("legal_basis_ref")}
    return (
        "; ".join(
            f"{about.name(one.purpose)}: "
            + about.say(f"basis.{one.basis}", ref=refs.get(one.basis) or blank)
            for one in about.terms
        )
        or "-"
    )


def _retention(about: _Subject) -> str:
    found = [
        about.say(
            "retention.between" if one.least else "retention.at_most",
            purpose=about.name(one.purpose), least=one.least, most=one.most,
        )
        for one in about.terms
    ]  # fmt: skip
    most = about.policy.retention.metadata
    return "; ".join([*found, about.say("retention.metadata", most=most)])


def _objection(about: _Subject) -> str:
    named = set(about.purposes)
    found = ["objection.yes"] if named & set(VOLUNTARY) else []
    found += ["objection.no"] if named - set(VOLUNTARY) else []
    return " ".join(map(about.say, found)) or "-"


def _transfer(about: _Subject) -> str:
    policy = about.policy
    places = ", ".join(dict.fromkeys((policy.device, policy.employee, policy.sync.destination)))
    if not transfers(policy):
        return about.say("transfer.no", places=places)
    ref = policy.governance.references.get("scc_ref") or about.say("blank")
    return about.say("transfer.yes", places=places, ref=ref)


def _refusal(about: _Subject) -> str:
    policy, named, say = about.policy, set(about.purposes), about.say
    law = law_for(policy, about.packs)
    interest = policy.governance.has("lia_ref")
    keys = {"accept": policy.consent.accept_key, "refuse": policy.consent.refuse_key}
    found = []
    if named & set(VOLUNTARY):
        asks = needs_acceptance(consent_needed(policy, law, legitimate_interest=interest))
        found.append(say("refusal.accept" if asks else "refusal.key", **keys))
    if named & {"regulatory", "insurance"}:
        found.append(say("refusal.duty"))
    if named & set(EMERGENCY):
        found.append(say("refusal.emergency"))
    return " ".join(found) or "-"


_DETAILS = {
    "existence": _existence,
    "access": _access,
    "basis": _basis,
    "retention": _retention,
    "objection": _objection,
    "transfer": _transfer,
    "refusal": _refusal,
}
