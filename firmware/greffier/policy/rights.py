"""What a data subject may ask, by when the answer is due, and what a restriction blocks. Pure.

GDPR art. 12 and 15 to 18. What may be erased is said by :func:`greffier.policy.lifecycle.erase`.
"""

from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from greffier.policy.purposes import EMERGENCY, MANDATORY

KINDS = ("erasure", "access", "rectification", "restriction")
PARTIES = ("outside", "agent")
IDENTITIES = ("document", "known_customer", "call_back", "agent_badge", "mandate", "court")
"""How an identity was proved."""
REASONS = ("complex", "numerous")
"""Why an answer takes two months more (art. 12(3))."""
REFUSALS = ("IDENTITY_NOT_PROVED", "MANIFESTLY_UNFOUNDED", "EXCESSIVE")
"""Why nothing is done at all (art. 12(5) and (6))."""
MONTHS, MORE_MONTHS = 1, 2
RESTRICTED = "RESTRICTED"
"""Erased for a purpose, while the recording stays for another."""
USE_RESTRICTED = "USE_RESTRICTED"
NOTHING_HELD = "NOTHING_HELD"
DELETED_AT_TERM, ERASED_BEFORE = "DELETED_AT_TERM", "ERASED_BEFORE"
HELD_AT_HEAD_OFFICE, STILL_RUNNING = "HELD_AT_HEAD_OFFICE", "STILL_RUNNING"
COPY_GIVEN, MASK_IMPOSSIBLE = "COPY_GIVEN", "MASK_IMPOSSIBLE"
STATEMENT_ATTACHED = "STATEMENT_ATTACHED"
PURPOSE_UNKNOWN = "REFUSED_PURPOSE_UNKNOWN"
WAITING = frozenset({HELD_AT_HEAD_OFFICE, STILL_RUNNING})
"""Codes that make an answer a pending one."""
GONE = frozenset({NOTHING_HELD, DELETED_AT_TERM, ERASED_BEFORE})
DONE = frozenset({"ERASED", RESTRICTED, USE_RESTRICTED, COPY_GIVEN, STATEMENT_ATTACHED})
# Why a call was not recorded, as far as its parties may be told. Of a never-record line nothing is
# told, not even that there was a call: whoever called it must not be found by asking us.
TELLABLE = frozenset(
    {
        "SAMPLED_OUT",
        "QUOTA_REACHED",
        "OUTSIDE_WINDOW",
        "OBJECTED",
        "CONSENT_MISSING",
        "DISCARD_NOW",
        "ANNOUNCE_FAILED",
        "AGENT_PENDING",
        "INTERNAL_OFF",
        "PRIVATE_MODE",
        "NO_PURPOSE",
        "POLICY_INACTIVE",
        "EVIDENCE_NOT_NECESSARY",
        "REFUSED_END_CALL",
        "PROSPECT_NOT_INTERESTED",
        "NOTICE_IMPOSSIBLE",
        "PRIVATE_EXCLUDED",
        "MIXED_RECLASSIFIED_DELETE",
        "RECORDER_DOWN",
        "JOINED_LATE",
        "STORAGE_LOW",
        "OVER_CAPACITY",
    }
)


@dataclass(frozen=True, slots=True)
class Authority:
    """Whom a person may complain to (art. 77)."""

    name: str
    address: str
    url: str


_AUTHORITIES = {
    "FR": Authority("CNIL", "3 place de Fontenoy, TSA 80715, 75334 Paris Cedex 07", "cnil.fr"),
    "BE": Authority(
        "Autorité de protection des données",
        "Rue de la Presse 35, 1000 Bruxelles",
        "autoriteprotectiondonnees.be",
    ),
    "DE": Authority("BfDI", "Graurheindorfer Straße 153, 53117 Bonn", "bfdi.bund.de"),
    "ES": Authority("AEPD", "C/ Jorge Juan 6, 28001 Madrid", "aepd.es"),
    "IT": Authority(
        "Garante per la protezione dei dati personali",
        "Piazza Venezia 11, 00187 Roma",
        "garanteprivacy.it",
    ),
    "CH": Authority("PFPDT", "Feldeggweg 1, 3003 Berne", "edoeb.admin.ch"),
    "UK": Authority("ICO", "Wycliffe House, Water Lane, Wilmslow SK9 5AF", "ico.org.uk"),
    "MA": Authority("CNDP", "Angle bd Annakhil et av. Mehdi Ben Barka, Rabat", "cndp.ma"),
    "TN": Authority("INPDP", "1 rue Mohamed Moalla, Mutuelleville, 1002 Tunis", "inpdp.tn"),
    "CA-QC": Authority(
        "Commission d'accès à l'information",
        "525 boul. René-Lévesque Est, Québec G1R 5S9",
        "cai.gouv.qc.ca",
    ),
}


def authority(country: str) -> Authority | None:
    """Whom a person complains to about a controller in *country*; None where we know none."""
    return _AUTHORITIES.get("UK" if country == "GB" else country)


def deadline(received: date, months: int = MONTHS) -> date:
    """The last day for an answer, *months* after it was *received*.

    The day of the same number; where the month has none, its last (Regulation 1182/71 art. 3).
    """
    month = received.month - 1 + months
    year, number = received.year + month // 12, month % 12 + 1
    return date(year, number, min(received.day, monthrange(year, number)[1]))


def restrict(purposes: Iterable[str]) -> dict[str, str]:
    """The answer to a request for restriction (art. 18), for each purpose.

    What a law orders goes on (art. 18(2): an important public interest, or a duty); everything
    else is stored and not used.
    """
    return {name: _restricted(name) for name in purposes}


def _restricted(purpose: str) -> str:
    if purpose in EMERGENCY:
        return "REFUSED_PUBLIC_TASK"
    return "REFUSED_LEGAL_OBLIGATION" if purpose in MANDATORY else USE_RESTRICTED


def outcome(codes: Iterable[str]) -> str:
    """What the answer as a whole is, by the *codes* of all that was looked at."""
    found = set(codes)
    done, waiting = bool(found & DONE), bool(found & WAITING)
    refused = bool(found - DONE - WAITING - GONE)
    if waiting:
        return "pending"
    if done:
        return "partial" if refused else "carried_out"
    return "refused" if refused else "nothing_held"
