"""One call before its verdict: the policy, the line, the law and the facts together."""

from dataclasses import dataclass

from greffier.policy.combination import Law
from greffier.policy.facts import PENDING, Facts
from greffier.policy.packs import Packs
from greffier.policy.site import Line, Policy


@dataclass(frozen=True, slots=True)
class Call:
    """What a rule may look at. ``law``: that of this call's consumer, controller, device, staff."""

    policy: Policy
    packs: Packs
    line: Line
    law: Law
    facts: Facts

    @property
    def notice_missing(self) -> bool:
        """Whether the notice was not heard."""
        return self.facts.announce == "fail"

    @property
    def notice_pending(self) -> bool:
        """Whether it is not known yet if the notice was heard."""
        return self.facts.announce == PENDING

    @property
    def objected(self) -> bool:
        """Whether the outside party refused or withdrew."""
        return self.facts.consent == "out"
