"""The one door to what is recorded: who may open what, decided by the rules and logged before.

The rules are the pure ones of :mod:`greffier.policy.access`; here are the facts that they ask for,
all of them from the log and the index. docs/access.md.
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from greffier.audit import verify
from greffier.audit.entry import Entry
from greffier.audit.grants import Grant
from greffier.audit.holds import Holds
from greffier.audit.requests import Register
from greffier.clock import SECOND, Clock, local
from greffier.errors import AccessDenied, UsageError
from greffier.language import translate as _
from greffier.policy import access, words
from greffier.policy.lifecycle import DAY_NS
from greffier.policy.packs import LONGEST_DAYS
from greffier.policy.purposes import PURPOSES
from greffier.policy.site import Policy
from greffier.recorder.persons import pseudonym
from greffier.recorder.shelf import Shelf
from greffier.store.ageing import Ageing
from greffier.store.index import PartRow
from greffier.store.layout import DataDirectory
from greffier.trust import load_log_key

OPERATOR: Final = "operator"
DECLARED: Final = "declared"
_MONTH_NS: Final = 14 * 3600 * SECOND  # no time zone is further from UTC


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who wants to open something, and what they state. *proved*: it is an operator who unlocked
    their keys; else a name that somebody typed.
    """

    by: str = ""
    purpose: str = ""
    role: str = ""
    country: str = ""
    reference: str = ""
    break_glass: str = ""
    proved: bool = False


@dataclass(frozen=True, slots=True)
class Admission:
    """What may be opened: of the recording only *parts* (None: all), kept for *kept_for*.

    *entry* is what the log says of the visitor, beside the pseudonym of *by*.
    """

    by: str | None = None
    kept_for: str | None = None
    parts: frozenset[str] | None = None
    entry: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Story:
    """What the log tells that the door has to know of one recording."""

    recording: str
    register: Register = field(default_factory=Register)
    holds: Holds = field(default_factory=Holds)
    uid: str = ""
    agents: set[str] = field(default_factory=set)
    begun_ns: int = 0
    ended_ns: int = 0
    _running: dict[str, tuple[int, set[str]]] = field(default_factory=dict)

    def read(self, entries: Iterable[Entry]) -> "_Story":
        for entry in entries:
            self.register.read(entry)
            self.holds.read(entry)
            if entry.ev.startswith(("call.", "part.")):
                self._read_call(entry)
        return self

    def _read_call(self, entry: Entry) -> None:
        data = entry.data
        uid = data.get("uid", "")
        if entry.ev == "call.decided":
            self._running.setdefault(uid, (data.get("at_ns", entry.t_ns), set()))
        if "agent" in data and uid in self._running:
            self._running[uid][1].add(data["agent"])
        if uid and data.get("recording") == self.recording:
            self.uid = uid
            self.begun_ns, self.agents = self._running.get(uid, (entry.t_ns, set()))
        if entry.ev == "call.ended":
            if uid == self.uid:
                self.ended_ns = entry.t_ns
            else:
                self._running.pop(uid, None)


def admit(
    shelf: Shelf, clock: Clock, recording: str, visitor: Visitor, policy: Policy | None = None
) -> Admission:
    """Let *visitor* in, or not; a refusal is durable in the log at return.

    Raises AccessDenied, UsageError (the box has roles, and none was stated), IntegrityError,
    StorageFailed.
    """
    story = _Story(recording).read(verify.entries(shelf.data.path))
    with Ageing.open(shelf.data.index) as ageing:
        rows = [row for row in ageing.of(recording) if row.recording == recording]
    stated = _stated(visitor)
    if visitor.role:
        codes = _by_role(shelf.data, clock, story, visitor, rows, policy)
    elif story.register.grants.ever:
        raise UsageError(reason=_("this box has roles: give --role, --purpose and --by"))
    else:
        codes = _without_role(story, visitor, rows)
    allowed = {part for part, code in codes.items() if code.startswith("ALLOW")}
    denied = [code for code in codes.values() if not code.startswith("ALLOW")]
    if denied and not allowed:
        code = denied[0]
        entry = {"what": "export", "recording": recording, "code": code, "outcome": "denied"}
        shelf.note("access", recording, entry | stated, visitor.by or None)
        (why,) = words.explain([code])
        raise AccessDenied(code=code, reason=why.text)
    if visitor.break_glass and visitor.role == OPERATOR and _beyond(story, rows, clock):
        glass = {"recording": recording, "reason": visitor.break_glass, "role": OPERATOR}
        shelf.note("access.broken_glass", recording, glass, visitor.by)
    kept_for = visitor.purpose if visitor.purpose in PURPOSES or not visitor.role else ""
    parts = frozenset(allowed) if visitor.role else None
    return Admission(visitor.by or None, kept_for or None, parts, stated)


def _stated(visitor: Visitor) -> dict[str, Any]:
    """What the log says of the visitor."""
    stated = {
        "purpose": visitor.purpose,
        "role": visitor.role,
        "country": visitor.country,
        "reference": visitor.reference,
        "proof": (OPERATOR if visitor.proved else DECLARED) if visitor.role else "",
    }
    return {key: value for key, value in stated.items() if value}


def _without_role(story: _Story, visitor: Visitor, rows: Sequence[PartRow]) -> dict[str, str]:
    """A box on which nobody has a role: only what a data subject had blocked stays shut."""
    blocked = story.register.blocked(story.recording)
    found = {}
    for row in rows:
        wanted = {visitor.purpose} if visitor.purpose else set(row.purposes)
        shut = bool(wanted) and wanted <= blocked
        found[row.part_id] = access.RESTRICTED if shut else "ALLOW"
    return found


def _by_role(
    data: DataDirectory,
    clock: Clock,
    story: _Story,
    visitor: Visitor,
    rows: Sequence[PartRow],
    policy: Policy | None,
) -> dict[str, str]:
    """The answer of the rules for each part. Raises UsageError."""
    if not visitor.by or not visitor.purpose:
        raise UsageError(reason=_("--role needs --purpose and --by (or --operator)"))
    grants, person = story.register.grants, pseudonym(data, visitor.by)
    grant = grants.find(person, visitor.role)
    refused = ""
    if grants.ever and grant is None:
        refused = access.NOT_GRANTED
    elif access.needs_reference(visitor.purpose, visitor.reference):
        refused = access.NO_REFERENCE
    elif visitor.purpose in story.register.blocked(story.recording):
        refused = access.RESTRICTED
    now_ns = max(clock.wall_ns(), clock.lower_bound().t_ns)
    ours = _Ours(data, story, visitor.role, grant, policy)
    found = {}
    for row in rows:
        request = access.Request(
            role=visitor.role,
            purpose=visitor.purpose,
            purposes={
                name: (least, LONGEST_DAYS if most is None else most)
                for name, (least, most) in row.purposes.items()
            },
            age_days=max(0, now_ns - row.created_ns) // DAY_NS,
            own=ours.own,
            own_team=ours.own_team,
            co_agreed=grants.agreed(story.recording, person, now_ns),
            hold=bool(story.holds.standing(row.part_id, row.recording)),
            replay_s=max(0, now_ns - _end_of(story, rows)) / SECOND,
            break_glass=visitor.break_glass,
            country=_country(visitor, grant),
            scc_ref=policy.governance.references.get("scc_ref", "") if policy else "",
        )
        found[row.part_id] = refused or access.access(request)
    return found or {"": refused or "DENY_PURPOSE_MISMATCH"}


def _country(visitor: Visitor, grant: Grant | None) -> str:
    """Where the visitor sits; of two places that were stated, the one that asks for clauses."""
    places = [one for one in (visitor.country, grant.country if grant else "") if one]
    strict = [one for one in places if one in access.CLAUSES_NEEDED]
    return (strict or places or [""])[0]


def _end_of(story: _Story, rows: Sequence[PartRow]) -> int:
    return story.ended_ns or max((row.created_ns for row in rows), default=0)


def _beyond(story: _Story, rows: Sequence[PartRow], clock: Clock) -> bool:
    return clock.wall_ns() - _end_of(story, rows) > access.REPLAY_S * SECOND


class _Ours:
    """Whether a call is the visitor's own, or their team's: by the agent that the log knows."""

    def __init__(
        self,
        data: DataDirectory,
        story: _Story,
        role: str,
        grant: Grant | None,
        policy: Policy | None,
    ) -> None:
        self.own = self.own_team = False
        if grant is None:
            self.own = role == OPERATOR and not story.agents
            return
        secret = load_log_key(data.log_key).private.private_bytes_raw()
        if grant.agent:
            self.own = bool(_names(secret, story.begun_ns, (grant.agent,)) & story.agents)
        elif grant.role == OPERATOR:
            # His position is this box, where no agent is known for the call.
            self.own = not story.agents
        if grant.team and policy is not None:
            members = policy.agents.teams.get(grant.team, ())
            self.own_team = bool(_names(secret, story.begun_ns, members) & story.agents)


def _names(secret: bytes, at_ns: int, agents: Iterable[str]) -> set[str]:
    """What *agents* are called in the log around *at_ns* (docs/sampling.md): names of a month."""
    months = {f"{local(max(at_ns + off, 0)):%Y-%m}" for off in (-_MONTH_NS, 0, _MONTH_NS)}
    root = hmac.digest(secret, b"greffier/agents@v1", "sha256")
    keys = [hmac.digest(root, month.encode(), "sha256") for month in months]
    return {
        hmac.digest(key, f"callpolicy/1|agent|{agent}".encode(), "sha256").hex()[:32]
        for key in keys
        for agent in agents
    }
