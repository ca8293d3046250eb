"""What becomes of a part at head office, by its own clock and what the box's log says. Pure.

The rule is the box's own (:mod:`greffier.policy.lifecycle`), but head office asks nobody: a box
that is off, or stolen, neither keeps a part beyond its maximum nor has one destroyed that is held,
or that a duty keeps. Table: docs/retention.md, "At head office".
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from greffier.policy import lifecycle
from greffier.policy.lifecycle import (
    DAY_NS,
    DELETE_DUE,
    KEEP,
    KEEP_HOLD,
    KEEP_MANDATORY,
    suspended,
)
from greffier.policy.purposes import EMERGENCY, MANDATORY

DELETE_ASKED: Final = "DELETE_ASKED"
DELETING: Final = frozenset({DELETE_DUE, DELETE_ASKED})
NEVER: Final = -1
FOR_ROOM: Final = frozenset({"space", "resumed", "decommission", "metadata"})
"""Reasons of a ``key.shredded`` that ask head office for nothing: the box alone lets go."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A hold on the part, since and until when (ns since 1970; None: it stands)."""

    mode: str
    since_ns: int
    until_ns: int | None


@dataclass(frozen=True, slots=True)
class Subject:
    """A part that is here. ``purposes``: name -> (minimum, maximum) days, of its clear header.

    ``until_ns`` is the end that the log gave a part of voluntary purposes alone, None where it gave
    none; ``asked`` the reason by which its box destroyed the key, "" if it did not.
    """

    created_ns: int | None
    purposes: Mapping[str, tuple[int, int | None]]
    until_ns: int | None
    asked: str
    claims: tuple[Claim, ...] = ()


def judge(subject: Subject, now_ns: int, visa: bool) -> str:
    """What is to become of it: a code, of which those in ``DELETING`` mean its destruction.

    *visa*: the archives administration agreed to the destruction of public archives (Code du
    patrimoine L.212-2); without it emergencies stay.
    """
    # A fact that was told (a signature, an authority's order) holds a duty's part until its day.
    duty = any(name in MANDATORY for name in subject.purposes)
    held = any(one.until_ns is None or (duty and one.until_ns > now_ns) for one in subject.claims)
    if not subject.purposes or subject.created_ns is None:  # its header is damaged
        until_ns, claims = subject.until_ns, _since(0, subject.claims)
        due = until_ns is not None and now_ns >= until_ns + suspended(claims, until_ns)
        asked = bool(subject.asked) and subject.until_ns is not None
        if not due and not asked:
            return KEEP
        return KEEP_HOLD if held else DELETE_DUE if due else DELETE_ASKED
    elapsed_ns = now_ns - subject.created_ns
    claims = _since(subject.created_ns, subject.claims)
    emergency = any(name in EMERGENCY for name in subject.purposes)
    blocked = emergency and not visa
    code = lifecycle.disposal(
        elapsed_ns, subject.purposes, received=True, claims=claims, held=held, blocked=blocked
    )
    if code != KEEP or not subject.asked:
        return code
    if emergency:  # nobody can record it again: only its maximum ends it
        return KEEP_MANDATORY
    if held:
        return KEEP_HOLD
    return DELETE_ASKED


def due_ns(subject: Subject) -> int:
    """When time alone makes it go, were it not held; ``NEVER`` where nothing does."""
    highs = [high for _, high in subject.purposes.values()]
    if subject.purposes and subject.created_ns is not None:
        if any(high is None for high in highs):
            return NEVER
        return subject.created_ns + max(high for high in highs if high is not None) * DAY_NS
    return NEVER if subject.until_ns is None else subject.until_ns


def until_of(about: Mapping[str, Any], said_ns: int | None) -> int | None:
    """When the part of the clear meta *about* must go: by its header, else as the log *said_ns*."""
    created, purposes = str(about.get("created_ns", "")), about.get("purposes")
    known = created.isascii() and created.isdigit() and len(created) <= 19
    if not known or not isinstance(purposes, dict):
        return said_ns
    due = due_ns(Subject(int(created), terms_of(purposes), said_ns, ""))
    return None if due == NEVER else due


def terms_of(purposes: Mapping[str, Any]) -> dict[str, tuple[int, int | None]]:
    """Purpose to (minimum, maximum) days; nothing where one of them is not as it must be."""
    found: dict[str, tuple[int, int | None]] = {}
    for name, one in purposes.items():
        if not isinstance(one, list) or len(one) != 2:
            return {}
        low, high = one
        if type(low) is not int or not (high is None or type(high) is int):
            return {}
        found[name] = (low, high)
    return found


def purposes_of(text: str | None) -> Mapping[str, Any]:
    """The purposes as the catalogue keeps them; none where that is no JSON object."""
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _since(created_ns: int, claims: Iterable[Claim]) -> tuple[lifecycle.Claim, ...]:
    """The *claims* as the rule counts them: since *created_ns*."""
    return tuple(
        lifecycle.Claim(
            one.since_ns - created_ns,
            None if one.until_ns is None else one.until_ns - created_ns,
            one.mode,
        )
        for one in claims
    )
