"""What a call says of people: kept under a key, and what of it may be said without one."""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote

from greffier.calls.events import CallIdentified, CallStarted
from greffier.encode.codecs import is_known
from greffier.recorder.rules import number_of

_TELLING = 6
"""So many digits in a row of a number say whose it is."""
_WORD = re.compile(r"[^\W\d_]{3,}")
_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-f]{0,4}(?::[0-9a-f.]{0,15}){2,8}")


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
    """The Call-ID for the clear part of a record: None where it may tell who called whom.

    That is where it repeats, however it is written, six digits in a row of a party's number, a
    short number, or a word of a party's name, or where it names a public address.
    """
    call_id: str | None = about.get("call_id")
    if call_id is None:
        return None
    text = unquote(call_id).casefold()
    digits = _digits(text)
    names = about.get("names") or {}
    for party in (about.get("from"), about.get("to"), names.get("from"), names.get("to")):
        party = (party or "").casefold()
        number = _digits(party)
        runs = (number[at : at + _TELLING] for at in range(len(number) - _TELLING + 1))
        words = _WORD.findall(party)
        if (party and party in text) or any(run in digits for run in runs):
            return None
        if any(word in text for word in words):
            return None
    if any(is_public(found) for found in _ADDRESS.findall(text)):
        return None
    return call_id


def _digits(text: str) -> str:
    return "".join(one for one in text if one.isdigit())


def is_public(host: str) -> bool:
    """Whether *host* is an address that is known outside the site: perhaps of a household."""
    try:
        return ip_address(host.strip("[]")).is_global
    except ValueError:
        return False


def clear_leg(leg: Mapping[str, Any]) -> dict[str, Any]:
    """A leg for the clear part of a record: without public addresses, and without a codec's name
    that is not a codec's but whatever a stranger wrote.
    """
    return {**leg, **dict.fromkeys(hidden_leg(leg))}


def hidden_leg(leg: Mapping[str, Any]) -> dict[str, Any]:
    """What :func:`clear_leg` leaves out, for the sealed part."""
    hidden = {
        key: leg[key]
        for key in ("source", "destination")
        if leg[key] is not None and is_public(leg[key].rpartition(":")[0])
    }
    if leg["codec"] is not None and not is_known(leg["codec"]):
        hidden["codec"] = leg["codec"]
    return hidden
