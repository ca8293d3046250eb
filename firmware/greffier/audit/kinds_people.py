"""Kinds of entries about people's rights and about who may hear: keys, and forms by their names.

Data alone; :mod:`greffier.audit.kinds` makes of it what checks an entry.
"""

from collections.abc import Mapping
from typing import Final

Keys = Mapping[str, str]

VISIT: Final[Keys] = {
    "role": "name",
    "proof": "word",
    "country": "country",
    "reference": "reference",
    "code": "code",
    "seconds": "count",
}
"""What may be said of who opens something, beside their pseudonym."""
_REQUEST: Final[Keys] = {"request": "reference"}
_BY: Final[Keys] = {"by": "pseudonym"}
_ROLE: Final[Keys] = {
    "person": "pseudonym",
    "role": "name",
    "by": "list of pseudonym",
    "proof": "word",
}
_SIGNED: Final[Keys] = {"signatures": "list of signature"}

PEOPLE: Final[Mapping[str, tuple[Keys, Keys]]] = {
    "request.opened": (
        {
            **_REQUEST,
            "kind": "word",
            "party": "word",
            "identity": "word",
            "received_ns": "ns",
            "due_ns": "ns",
        },
        {"recordings": "list of id", "found": "count", "codes": "list of code", **_BY},
    ),
    "request.identified": ({**_REQUEST, "identity": "word", **_BY}, {}),
    "request.extended": ({**_REQUEST, "due_ns": "ns", "reason": "word"}, _BY),
    "request.answered": (
        {**_REQUEST, "outcome": "word"},
        {
            "codes": "list of code",
            "recordings": "list of id",
            "sha256": "hash",
            "language": "word",
            **_BY,
        },
    ),
    "use.restricted": ({**_REQUEST, "recording": "id", "purposes": "list of name"}, _BY),
    "use.freed": ({**_REQUEST, "recording": "id"}, _BY),
    "role.granted": (_ROLE, {"team": "name", "agent": "name", "country": "country", **_SIGNED}),
    "role.revoked": (_ROLE, _SIGNED),
    "access.broken_glass": (
        {"recording": "id", "reason": "reference", **_BY},
        {"role": "name", "proof": "word"},
    ),
    "access.agreed": (
        {"recording": "id", "person": "pseudonym", "until_ns": "ns", **_BY},
        {"reference": "reference", "proof": "word"},
    ),
}
"""Each kind: the keys that must be in its data, and those that may be."""
REQUEST_KINDS: Final = frozenset(name for name in PEOPLE if name.startswith(("request.", "use.")))
GRANT_KINDS: Final = frozenset(PEOPLE) - REQUEST_KINDS
