"""Which actions the rules of a line may order, found by asking the rules themselves. Pure.

Every combination of the facts that an action hangs on is decided; so a rule that is added, or a law
pack that changes, is in the answer without anybody keeping a list.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product
from typing import Final

from greffier.policy.decision import decide
from greffier.policy.facts import Facts
from greffier.policy.packs import Packs
from greffier.policy.site import Policy

CONTINUE: Final = "continue"
_EVERY: Final = {
    "dir": ("in", "out", "int"),
    "consent": ("none", "in", "out"),
    "announce": ("ok", "fail"),
    "healthy": (True, False),
    "contract_notice": (False, True),
    "prospect": ("", "refused"),
    "mifid": ("", "yes", "no"),
    "call_kind": ("business", "private"),
    "private": (False, True),
}


def at_home(policy: Policy, packs: Packs, line: str) -> frozenset[str]:
    """The actions of calls of *line* with consumers of the policy's own market."""
    return _ordered(policy, packs, line, (None,))


def anywhere(policy: Policy, packs: Packs, line: str) -> frozenset[str]:
    """The same, wherever the consumer is: every country that the packs know (XX is any other)."""
    return _ordered(policy, packs, line, (None, *packs.by_country))


def _ordered(
    policy: Policy, packs: Packs, line: str, consumers: Iterable[str | None]
) -> frozenset[str]:
    found: set[str] = set()
    for consumer in consumers:
        for facts in _every():
            found.add(decide(policy, packs, line, replace(facts, consumer=consumer)).action)
    return frozenset(found - {CONTINUE})


def _every() -> Iterator[Facts]:
    for values in product(*_EVERY.values()):
        yield Facts(**dict(zip(_EVERY, values, strict=True)))  # type: ignore[arg-type]
