"""What is entered into the log for somebody: requests, restrictions, roles, agreements, accesses.

The order is that of the purger's thread, so a request is never answered between a decision and its
deed. Rules: docs/requests.md, docs/access.md.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from greffier.audit.kinds import KINDS
from greffier.audit.requests import NOT_PROVED
from greffier.policy.access import ROLES
from greffier.recorder.archive import Archive
from greffier.recorder.persons import Persons, pseudonym, vouched

GRANT: Final = "role.grant"
REVOKE: Final = "role.revoke"
"""For what two operators sign."""
ENTERED: Final = "ENTERED"
KNOWN: Final = "REQUEST_KNOWN"
NO_SUCH: Final = "NO_SUCH_REQUEST"
ANSWERED: Final = "REQUEST_ANSWERED"
UNPROVED: Final = "IDENTITY_NOT_PROVED"
EXTENDED: Final = "REQUEST_EXTENDED_BEFORE"
LATE: Final = "DEADLINE_PASSED"
NO_ROLE: Final = "NO_SUCH_ROLE"
NOT_GRANTED: Final = "ROLE_NOT_GRANTED"
NOT_FREE: Final = "NOT_RESTRICTED"
MALFORMED: Final = "ENTRY_MALFORMED"
_ROLES: Final = {"role.granted": GRANT, "role.revoked": REVOKE}
_ALONE: Final = frozenset(
    {
        "request.opened",
        "request.identified",
        "request.extended",
        "request.answered",
        "use.restricted",
        "use.freed",
        "access.agreed",
        "access.broken_glass",
        "access",
        "export",
    }
)
_BY_ONE: Final = frozenset({"request.identified", "access.agreed", "access.broken_glass"})
Hands = Callable[[Callable[[], None]], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """An entry that somebody wants: *data* without its persons. *person*: whom a role or an
    agreement is for.
    """

    kind: str
    recording: str
    data: Mapping[str, Any]
    by: Sequence[str] = ()
    person: str = ""
    signatures: Sequence[str] = ()


def order_of(wish: Wish) -> dict[str, str]:
    """What two operators sign of a role: all of it, and for whom."""
    return {**{key: str(value) for key, value in wish.data.items()}, "person": wish.person}


def read(kind: str, recording: str, text: str) -> Mapping[str, Any] | None:
    """The data of an entry as a message brings it (JSON); None where it cannot be one."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    known = KINDS.get(kind) if kind in _ALONE or kind in _ROLES else None
    if known is None or not isinstance(data, dict):
        return None
    forms = {**known.required, **known.optional}
    told = {"by", "person", "signatures", "proof"} if kind in _ROLES else {"by", "person"}
    if not all(key in forms and key not in told for key in data):
        return None
    for key in known.times & data.keys():
        text_ns = data[key]
        if not isinstance(text_ns, str) or not text_ns.isascii() or not text_ns.isdecimal():
            return None
        data[key] = int(text_ns)
    whole = all(forms[key].holds(value) for key, value in data.items())
    lacks = known.required.keys() - data.keys() - {"by", "person", "signatures", "proof"}
    right = data.get("recording", recording) == recording
    return data if whole and not lacks and right else None


def write(kind: str, data: Mapping[str, Any]) -> str:
    """The text that :func:`read` reads; what is None is left out."""
    times = KINDS[kind].times
    told = {key: str(value) if key in times else value for key, value in data.items()}
    return json.dumps({key: value for key, value in told.items() if value is not None})


def enter(archive: Archive, wish: Wish, hands: Hands | None = None) -> str:
    """Enter *wish*; it is durable at return. :data:`ENTERED`, or why it is refused.

    Raises NotVouched (a role, and not two persons), StorageFailed.
    """
    refused = _refusal(archive, wish)
    if refused:
        return refused
    data = dict(wish.data)
    if wish.kind in _ROLES:
        data |= vouched(
            archive, Persons(wish.by, wish.signatures), _ROLES[wish.kind], order_of(wish)
        )
    elif wish.by:
        data["by"] = pseudonym(archive.data, wish.by[0])
    if wish.person:
        data["person"] = pseudonym(archive.data, wish.person)
    archive.learn(archive.log.append(wish.kind, wish.recording or None, data))
    (hands or archive.perform)(lambda: None)
    return ENTERED


def _refusal(archive: Archive, wish: Wish) -> str:
    if wish.kind in _ROLES:
        return _role_refused(archive, wish)
    if wish.kind in _BY_ONE and not wish.by:
        return MALFORMED
    if bool(wish.person) != (wish.kind == "access.agreed"):
        return MALFORMED
    if wish.kind.startswith("request."):
        return _request_refused(archive, wish)
    if wish.kind.startswith("use."):
        return _use_refused(archive, wish)
    return ""


def _role_refused(archive: Archive, wish: Wish) -> str:
    role = str(wish.data.get("role"))
    if not wish.person:
        return MALFORMED
    if role not in ROLES:
        return NO_ROLE
    if wish.kind == "role.granted":
        return ""
    granted = archive.register.grants.find(pseudonym(archive.data, wish.person), role)
    return "" if granted else NOT_GRANTED


def _request_refused(archive: Archive, wish: Wish) -> str:
    data = wish.data
    known = archive.register.find(str(data["request"]))
    if wish.kind == "request.opened":
        proved = data["identity"] != NOT_PROVED
        return KNOWN if known else MALFORMED if proved and not wish.by else ""
    if known is None:
        return NO_SUCH
    if not known.is_open:
        return ANSWERED
    if wish.kind == "request.extended":
        if known.extended:
            return EXTENDED
        # Art. 12(3): the person hears of it within the first month.
        return LATE if archive.clock.wall_ns() > known.due_ns else ""
    unproved = known.identity == NOT_PROVED and data.get("outcome") != "refused"
    return UNPROVED if wish.kind == "request.answered" and unproved else ""


def _use_refused(archive: Archive, wish: Wish) -> str:
    request = str(wish.data["request"])
    known = archive.register.find(request)
    if known is None:
        return NO_SUCH
    if wish.kind == "use.freed":
        there = archive.register.restricted_by(wish.recording, request)
        return "" if there else NOT_FREE
    return UNPROVED if known.identity == NOT_PROVED else ""
