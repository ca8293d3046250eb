"""How far trusted time can have come by what this box itself lived through.

The lower bound of trusted time jumps where somebody vouches for a later time: rightly after the box
was off, wrongly where a witness's key and the box's clock are in wrong hands. The monotonic clock
of a boot cannot be set, so it says how much of a jump the box can explain. What is deleted in great
number asks for that (docs/retention.md section 6); nothing else does.

One thread owns a Pace.
"""

from collections.abc import Mapping
from typing import Any, Final

from greffier.audit.entry import Entry
from greffier.clock import SECOND, Clock

DAY_NS: Final = 86_400 * SECOND
OFF_NS: Final = 45 * DAY_NS
"""So long a box may have been off between two boots without anybody being asked."""
SLACK_NS: Final = 3600 * SECOND
MOST_SLACK_NS: Final = DAY_NS
_VOUCHING: Final = frozenset({"cosignature", "statement"})
_TOLD: Final = ("boot", "mono_ns", "vouched", "ceiling_ns", "slack_ns", "off_ns")
_SLACK_OF_RUN: Final = 100  # a hundredth of the time it ran, for quartz and delays


class Pace:
    """Give it every entry in order with :meth:`read`, and the clock with :meth:`look`."""

    def __init__(self) -> None:
        self._boot = ""
        self._mono_ns = 0
        self._vouched = False  # whether anybody ever vouched for the bound
        self._ceiling_ns = 0
        self._slack_ns = SLACK_NS
        self._off_ns = OFF_NS  # what of a jump the time may explain that it was off

    def read(self, entry: Entry) -> None:
        """Take in the next entry of the log."""
        self.look(entry.boot, entry.mono_ns, entry.t_lb_ns, entry.t_src)
        if entry.ev == "deletion.confirmed":
            self._ceiling_ns = max(self._ceiling_ns, entry.t_lb_ns)

    def dump(self) -> dict[str, Any]:
        """All of it as JSON values, for :meth:`take`."""
        return {name: getattr(self, f"_{name}") for name in _TOLD}

    def take(self, told: Mapping[str, Any]) -> None:
        """Hold what :meth:`dump` gave. Raises KeyError, TypeError, ValueError for anything else."""
        values = {name: type(getattr(self, f"_{name}"))(told[name]) for name in _TOLD}
        for name, value in values.items():
            setattr(self, f"_{name}", value)

    def now(self, clock: Clock) -> int:
        """What is credible at this moment of *clock*."""
        bound = clock.lower_bound()
        return self.look(clock.boot_id, clock.monotonic_ns(), bound.t_ns, bound.source)

    def look(self, boot: str, mono_ns: int, bound_ns: int, source: str) -> int:
        """What the box can explain of a bound, at *mono_ns* of *boot*: a time no later than it."""
        if boot == self._boot:
            ran = max(0, mono_ns - self._mono_ns)
            self._ceiling_ns += ran
            self._slack_ns = min(MOST_SLACK_NS, self._slack_ns + ran // _SLACK_OF_RUN)
        else:
            self._off_ns = OFF_NS
        beyond = bound_ns - self._ceiling_ns
        if not self._vouched:  # so it was the day of a release, and may be any time ago
            self._ceiling_ns = max(self._ceiling_ns, bound_ns)
        elif 0 < beyond <= self._slack_ns + self._off_ns:
            by_slack = min(beyond, self._slack_ns)
            self._slack_ns -= by_slack
            self._off_ns -= beyond - by_slack
            self._ceiling_ns = bound_ns
        self._boot, self._mono_ns = boot, mono_ns
        self._vouched = self._vouched or source in _VOUCHING
        return min(bound_ns, self._ceiling_ns)
