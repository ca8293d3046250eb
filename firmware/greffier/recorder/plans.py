"""Which parts a verdict wants of a call, and from which instant on.

Purposes that begin alike share a part. A duty that begins with the call is planned at once; all
else is planned at the answer, so nothing voluntary can begin before it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from greffier.policy.purposes import MANDATORY
from greffier.policy.verdict import Verdict

_ONSET = ("onset",)
NOTHING = ("none", "provisional_deleted")
"""Verdicts under which nothing is kept."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One part to be: nothing that arrived before ``start_ns`` belongs into it.

    ``purposes``: name -> (min, max) days. ``duty``: the law demands at least one of them.
    """

    start_ns: int
    purposes: Mapping[str, tuple[int, int]]
    duty: bool


def at_onset(verdict: Verdict, when: Mapping[str, int]) -> list[Plan]:
    """The parts that begin with the call. *when*: each instant, ns since the epoch."""
    return _plans(verdict, when, lambda begins: begins == _ONSET)


def at_answer(verdict: Verdict, when: Mapping[str, int]) -> list[Plan]:
    """The parts that begin later, in order of time."""
    return _plans(verdict, when, lambda begins: begins != _ONSET)


def _plans(
    verdict: Verdict, when: Mapping[str, int], belongs: Callable[[tuple[str, ...]], bool]
) -> list[Plan]:
    if verdict.record in NOTHING:
        return []
    groups: dict[tuple[str, ...], dict[str, tuple[int, int]]] = {}
    for purpose, days in verdict.purposes.items():
        begins = tuple(verdict.begins.get(purpose, _ONSET))
        if belongs(begins):
            groups.setdefault(begins, {})[purpose] = days
    found = [
        Plan(
            max(when[name] for name in begins),
            purposes,
            any(name in MANDATORY for name in purposes),
        )
        for begins, purposes in groups.items()
    ]
    return sorted(found, key=lambda plan: plan.start_ns)
