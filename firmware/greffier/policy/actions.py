"""Which actions the rules of a line may order, found by asking the rules themselves. Pure.

Every combination of the facts that an action hangs on is decided; so a rule that is added, or a law
pack that changes, is in the answer without anybody keeping a list.
"""

from collections.abc import Iterator
from itertools import product
from typing import Final

from greffier.policy.decision import decide
from greffier.policy.facts import Facts
from greffier.policy.packs import Packs
from greffier.policy.site import Policy

CONTINUE: Final = "continue"
_EVERY: Final = {
    "dir": ("in", "out", "int"),
    "consent": ("none", "out"),
    "announce": ("ok", "fail"),
    "healthy": (True, False),
    "contract_notice": (False, True),
    "prospect": ("", "refused"),
    "mifid": ("", "yes", "no"),
    "call_kind": ("business", "private"),
    "private": (False, True),
}


def possible(
    policy: Policy, packs: Packs, line: str, consumer: str | None = None
) -> frozenset[str]:
    """The actions that calls of *line* may bring about, with consumers of the country *consumer*.

    None stands for the policy's own market.
    """
    found = {decide(policy, packs, line, facts).action for facts in _every(consumer)}
    return frozenset(found - {CONTINUE})


def _every(consumer: str | None) -> Iterator[Facts]:
    for values in product(*_EVERY.values()):
        yield Facts(**dict(zip(_EVERY, values, strict=True)), consumer=consumer)  # type: ignore[arg-type]
