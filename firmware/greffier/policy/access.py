"""Who may hear a recording, for which purpose.

Every access states a purpose. The order of the checks is fixed, so that the same request always
gets the same answer; the answer is logged by whoever plays the recording.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from greffier.policy.lifecycle import Days
from greffier.policy.purposes import EMERGENCY, PURPOSES

DISPUTE = "dispute"  # not a purpose of capture: the purpose of a hold
REQUEST = "dsar"  # a person's own request (GDPR art. 15)
REPLAY_S = 600
BREAK_GLASS_S = 12 * 3600
# Countries without adequacy where listeners of the sources' call centres sit.
CLAUSES_NEEDED = ("MA", "TN")
NEVER_LISTEN = ("admin", "auditor")

ROLES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "evaluator": frozenset({"quality"}),
        "team_lead": frozenset({"quality", "training", "regulatory"}),
        "agent_self": frozenset({"quality", "training", "regulatory"}),
        "trainer": frozenset({"training"}),
        "claims": frozenset({"evidence", "incident", DISPUTE}),
        "legal": frozenset({"evidence", "incident", "regulatory", DISPUTE, *EMERGENCY}),
        "security": frozenset({"incident"}),
        "compliance_officer": frozenset({"evidence", "regulatory", DISPUTE}),
        "authority_export": frozenset({*PURPOSES, DISPUTE}),
        "operator": frozenset(EMERGENCY),
        "duty_officer": frozenset({"incident", *EMERGENCY}),
        "medical_regulator": frozenset({"emergency_medical"}),
        "dpo": frozenset({*PURPOSES, DISPUTE, REQUEST}),
        "admin": frozenset(),
        "auditor": frozenset(),
    }
)


@dataclass(frozen=True, slots=True)
class Request:
    """One wish to listen.

    ``own``: the listener is the call's agent (operator: it is his own position's call).
    ``own_team``: the call's agent is in the listener's team. ``co_agreed``: the compliance
    officer's agreement is logged. ``replay_s``: seconds since the call, for instant replay.
    ``break_glass``: the reason of a replay beyond its window. ``country``: where the listener sits;
    ``scc_ref``: the contractual clauses that allow listening from there.
    """

    role: str
    purpose: str
    purposes: Days
    age_days: int
    own: bool = True
    own_team: bool = True
    co_agreed: bool = False
    hold: bool = False
    replay_s: float | None = None
    break_glass: str = ""
    country: str = ""
    scc_ref: str = ""


def access(request: Request) -> str:
    """ALLOW, ALLOW_DSAR, or the first reason to deny."""
    if request.role in NEVER_LISTEN or request.role not in ROLES:
        return "DENY_ROLE"
    return _denied_by_recording(request) or _denied_by_place(request) or _by_role(request)


def _denied_by_recording(request: Request) -> str:
    own_purpose = request.purpose in request.purposes
    asked = own_purpose or (request.purpose == DISPUTE and request.hold)
    if not asked and not (request.role == "dpo" and request.purpose == REQUEST):
        return "DENY_PURPOSE_MISMATCH"
    if request.hold and request.role not in ("legal", "compliance_officer"):
        return "DENY_HOLD"
    if own_purpose and request.age_days > request.purposes[request.purpose][1]:
        return "DENY_PURPOSE_EXPIRED"
    return ""


def _denied_by_place(request: Request) -> str:
    clauses = request.country not in CLAUSES_NEEDED or request.scc_ref.strip()
    return "" if clauses else "DENY_TRANSFER"


def _by_role(request: Request) -> str:
    role, purpose = request.role, request.purpose
    if role == "dpo":
        return "ALLOW_DSAR"
    if purpose == "insurance" and role != "authority_export":
        return "DENY_AUTHORITY_ONLY"
    if purpose == "regulatory" and role != "compliance_officer" and not request.co_agreed:
        return "DENY_CO_AGREEMENT"
    if purpose not in ROLES[role]:
        return "DENY_ROLE"
    if role in ("agent_self", "operator") and not request.own:
        return "DENY_NOT_OWN"
    if role == "team_lead" and not request.own_team:
        return "DENY_NOT_TEAM"
    if role == "operator" and not _in_replay_window(request):
        return "DENY_REPLAY_WINDOW"
    return "ALLOW"


def _in_replay_window(request: Request) -> bool:
    if request.replay_s is None:
        return False
    limit = BREAK_GLASS_S if request.break_glass.strip() else REPLAY_S
    return 0 <= request.replay_s <= limit


REFERENCE_NEEDED = ("evidence", DISPUTE)
NOT_GRANTED, NO_REFERENCE = "DENY_NOT_GRANTED", "DENY_NO_REFERENCE"
RESTRICTED = "DENY_RESTRICTED"


def needs_reference(purpose: str, reference: str) -> bool:
    """Whether who opens for *purpose* still has to name the dispute or the contract."""
    return purpose in REFERENCE_NEEDED and not reference.strip()


def may_reclassify(role: str, second_person: str = "") -> bool:
    """Whether *role* may declare a mixed call "not MiFID": compliance, or with a second person."""
    return role == "compliance_officer" or bool(second_person.strip())
