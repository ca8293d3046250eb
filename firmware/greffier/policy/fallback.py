"""The policy of a recorder that cannot read its policy: every line is unknown to it.

``fail_mode`` decides then, as it does for a line that a policy does not know; lines that were
never-record lines before stay that. docs/policy-signing.md section 4.
"""

import hashlib
from collections.abc import Collection
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from greffier.policy import rules
from greffier.policy.site import Line, Policy

ID: Final = "unreadable"
_NO_FILE: Final = hashlib.sha256(b"").hexdigest()
_NO_LINE: Final = ""  # a name that no configuration can give a line
_TABLES: Final = {
    "schema": rules.SCHEMA,
    "id": ID,
    "version": 0,
    "consent": {"mode": "opt_in"},
    "announce": {"text_id": "-", "on_failure": "no_record"},
    "retention": {},
    "lines": {"fallback": {"sector": "private", "purposes": []}},
}


def unreadable(
    fail_mode: str, country: str = "FR", never: Collection[str] = (), timezone: str = "Europe/Paris"
) -> Policy:
    """The policy that holds while none can be read: *fail_mode* closed, open or block_call.

    *country* is the controller's, whose pack says how long an emergency call is kept; *never* are
    lines of which nothing may be kept. Raises BadPolicy for words that no policy may have.
    """
    places = dict.fromkeys(("controller", "employee", "device", "market"), country)
    tables = {
        **_TABLES,
        **places,
        "fail_mode": fail_mode,
        "timezone": timezone,
        "sync": {"destination": country},
    }
    made = rules.parse(tables, _NO_FILE)
    (private,) = made.lines.values()
    lines = {name: replace(private, name=name) for name in never}
    if fail_mode == "open":
        lines[_NO_LINE] = _emergency(private)
    continuous = replace(made.capture, continuous=fail_mode == "open")
    return replace(made, lines=MappingProxyType(lines), capture=continuous)


def _emergency(line: Line) -> Line:
    name = "emergency_fire"
    return replace(line, name=_NO_LINE, sector=name, purposes=(name,), internal=True)
