"""What a call says of people: kept under a key, and what of it may be said without one."""

from collections.abc import Mapping
from typing import Any

from greffier.calls.events import CallIdentified, CallStarted
from greffier.recorder.rules import number_of


def about(started: CallStarted | CallIdentified, start_ns: int) -> dict[str, Any]:
    """What may only be said under a key: numbers, names, Call-ID."""
    return {
        "call_id": started.call_id,
        "origin_us": start_ns // 1000,
        "from": number_of(started.from_),
        "to": number_of(started.to),
        "from_uri": started.from_.uri.text if started.from_ and started.from_.uri else None,
        "to_uri": started.to.uri.text if started.to and started.to.uri else None,
        "names": {
            "from": started.from_.display if started.from_ else "",
            "to": started.to.display if started.to else "",
        },
    }


def clear_call_id(about: Mapping[str, Any]) -> str | None:
    """The Call-ID for the clear part of a record: None where it repeats a number of the parties."""
    call_id: str | None = about.get("call_id")
    if call_id is None:
        return None
    told = [about.get("from"), about.get("to")]
    for number in told:
        digits = "".join(one for one in number or "" if one.isdigit())
        if (number and number in call_id) or (len(digits) >= 5 and digits[-6:] in call_id):
            return None
    return call_id
