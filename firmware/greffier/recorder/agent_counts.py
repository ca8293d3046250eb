"""How many calls of each agent count this month, and which slots are used: from the log alone.

docs/sampling.md sections 3 and 4. Agents are pseudonyms of the month here. One thread at a time
owns an AgentCounts; :meth:`dump` is what a summary keeps of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from greffier.audit.entry import Entry

_NOT_KEPT: Final = ("none", "provisional_deleted")
MOST_MONTHS: Final = 2
"""So many of the newest months are known: a call may begin in one and end in the next."""


@dataclass(slots=True)
class _Month:
    opened_ns: int
    counted: dict[str, set[str]] = field(default_factory=dict)
    eligible: dict[str, int] = field(default_factory=dict)


class AgentCounts:
    """Give it every entry with :meth:`read`, in order."""

    def __init__(self) -> None:
        self._months: dict[str, _Month] = {}
        self._places: dict[str, tuple[str, str]] = {}  # of calls that count: (month, agent)
        self._begun: dict[str, int] = {}  # of calls whose agent may come later: at_ns
        self.decided = 0
        """Calls that were decided since it began to read."""

    def opened_ns(self, month: str) -> int | None:
        """When *month* was opened in the log, or None."""
        found = self._months.get(month)
        return found.opened_ns if found else None

    def used(self, month: str, agent: str, uid: str) -> int:
        """How much of the agent's quota is used by other calls than *uid*."""
        found = self._months.get(month)
        return len(found.counted.get(agent, set()) - {uid}) if found else 0

    def eligible_ns(self, month: str, agent: str) -> int:
        """When the agent's last eligible call began; instants up to then are used or void."""
        found = self._months.get(month)
        return found.eligible.get(agent, found.opened_ns) if found else 0

    def read(self, entry: Entry) -> None:
        """Take in the next entry of the log."""
        data = entry.data
        if entry.ev == "month.opened":
            self._months.setdefault(data["month"], _Month(entry.t_ns))
            for old in sorted(self._months)[:-MOST_MONTHS]:
                self._forget(old)
        elif entry.ev == "call.decided":
            self.decided += 1
            self._begun[data["uid"]] = data.get("at_ns", entry.t_ns)
            self._count(data)
        elif entry.ev == "call.counted":
            self._count(data)
        elif entry.ev == "call.ended":
            self._end(data)

    def _count(self, data: Mapping[str, Any]) -> None:
        uid, agent = data["uid"], data.get("agent")
        month = self._months.get(data.get("month", ""))
        if agent is None or month is None:
            return
        if "SAMPLED_IN" in data["codes"]:
            month.counted.setdefault(agent, set()).add(uid)
            self._places[uid] = data["month"], agent
        if "slot" in data:
            month.eligible[agent] = self._begun.get(uid, 0)

    def _end(self, data: Mapping[str, Any]) -> None:
        self._begun.pop(data["uid"], None)
        place = self._places.pop(data["uid"], None)
        if place is not None and data.get("record", "") in _NOT_KEPT:
            month = self._months.get(place[0])
            if month is not None:
                month.counted[place[1]].discard(data["uid"])

    def _forget(self, month: str) -> None:
        del self._months[month]
        self._places = {uid: place for uid, place in self._places.items() if place[0] != month}

    # --- from a summary, and for one ---

    def become(self, other: Self) -> None:
        """Be a copy of *other*."""
        made = type(self).load(other.dump())
        self._months, self._places, self._begun = made._months, made._places, made._begun

    def dump(self) -> dict[str, Any]:
        """All of it, as JSON values."""
        return {
            "months": {
                name: {
                    "opened": one.opened_ns,
                    "counted": {agent: sorted(uids) for agent, uids in one.counted.items()},
                    "eligible": one.eligible,
                }
                for name, one in self._months.items()
            },
            "places": {uid: list(place) for uid, place in self._places.items()},
            "begun": self._begun,
        }

    @classmethod
    def load(cls, told: Mapping[str, Any]) -> Self:
        """What :meth:`dump` gave. Raises KeyError, TypeError, AttributeError for anything else."""
        made = cls()
        for name, one in told["months"].items():
            counted = {agent: set(uids) for agent, uids in one["counted"].items()}
            made._months[name] = _Month(one["opened"], counted, dict(one["eligible"]))
        made._places = {uid: (place[0], place[1]) for uid, place in told["places"].items()}
        made._begun = dict(told["begun"])
        return made
