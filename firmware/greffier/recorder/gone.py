"""Why a recording is no longer here, as the log tells it."""

from collections.abc import Collection, Iterable

from greffier.audit.entry import Entry
from greffier.policy.rights import DELETED_AT_TERM, ERASED_BEFORE, HELD_AT_HEAD_OFFICE

_ASKED = ("erased",)
_ROOM = ("space",)


def why_gone(entries: Iterable[Entry], recordings: Collection[str]) -> dict[str, str]:
    """Of those *recordings* of which no part can be opened here any more: why.

    Where head office has a part that only want of room took from here, somebody still holds it.
    """
    parts: dict[str, str] = {}
    received: set[str] = set()
    reasons: dict[str, str] = {}
    for entry in entries:
        data = entry.data
        if entry.ev == "part.opened" and data["recording"] in recordings:
            parts[data["part"]] = data["recording"]
        elif entry.ev == "part.received" and data["part"] in parts:
            received.add(data["part"])
        elif entry.ev == "key.shredded" and data["reason"] != "resumed":
            reasons |= {part: data["reason"] for part in data.get("parts", ()) if part in parts}
    found = {}
    for recording in set(parts.values()):
        own = [part for part, name in parts.items() if name == recording]
        if not all(part in reasons for part in own):
            continue
        if any(reasons[part] in _ROOM and part in received for part in own):
            found[recording] = HELD_AT_HEAD_OFFICE
        elif any(reasons[part] in _ASKED for part in own):
            found[recording] = ERASED_BEFORE
        else:
            found[recording] = DELETED_AT_TERM
    return found
