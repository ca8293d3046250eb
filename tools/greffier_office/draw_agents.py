"""Agents in a log: who they are, as far as head office knows, and how their calls count. Pure.

docs/sampling.md sections 3 and 4.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from greffier.audit.entry import Entry
from greffier.policy import sampling
from greffier.policy.site import Policy
from greffier_office.draw_calls import CallTold, Counts
from greffier_office.draw_keys import Keys
from greffier_office.draw_replay import Known, Replay


class Names:
    """*names* are those that head office was given; those in the policies are known too."""

    def __init__(self, keys: Keys, names: Iterable[str], policies: Iterable[Policy]) -> None:
        known = set(names)
        for policy in policies:
            agents = policy.agents
            known |= {*agents.never, *agents.rates}
            known.update(name for team in agents.teams.values() for name in team)
        self._keys = keys
        self._names = {
            month: {sampling.agent_pseudonym(key, name): name for name in known}
            for month, key in keys.agents.items()
        }

    def name(self, month: str, pseudonym: str) -> str | None:
        """Who *pseudonym* is in *month*; None where nobody knows."""
        return self._names.get(month, {}).get(pseudonym)

    def why(self, month: str) -> str:
        """What is lacking to know an agent of *month*."""
        if month not in self._keys.agents:
            return f"the agents of {month} were not opened"
        return f"an agent of {month} is not named"


class Counting:
    """The quota and the slots of every agent of one box, entry by entry.

    *say* is told of a finding (code, entry, detail, uid), *cannot_tell* what is lacking.
    """

    def __init__(
        self,
        keys: Keys,
        names: Names,
        say: Callable[[str, Entry, str, str | None], None],
        cannot_tell: Callable[[str], None],
    ) -> None:
        self.counts = Counts()
        self._keys = keys
        self._names = names
        self._say = say
        self._cannot_tell = cannot_tell

    def count(self, entry: Entry, data: Mapping[str, Any], call: CallTold) -> None:
        """The agent of *call* is known, by the *data* of *entry*."""
        replay, known = call.replay, call.known
        if replay is None or known is None:
            return
        month = sampling.month_of(replay.day(known.at_ns))
        agent = data["agent"]
        call.counted = month, agent
        opened = self._keys.months.get(month)
        if opened is None or opened.seq > entry.seq or data.get("month") != month:
            self._say("month.other", entry, f"{month} is not open", call.uid)
        name = self._names.name(month, agent)
        if name is None and replay.names_agents:
            self._cannot_tell(self._names.why(month))
        used = self.counts.used(month, agent, call.uid)
        if replay.counts and replay.sampled(known.line):
            if "used" not in data:
                self._say("count.missing", entry, "", call.uid)
            elif data["used"] != used:
                self._say("count.other", entry, f"{data['used']} is not {used}", call.uid)
        call.known = replace(known, agent=name or agent, used=used)
        if replay.policy.sampling.method == "slots":
            slot = self._slot(entry, data, call, (month, agent), name)
            call.known = replace(call.known, slot=slot)
        self.counts.count(month, agent, call.uid, frozenset(data["codes"]))

    def _slot(
        self,
        entry: Entry,
        data: Mapping[str, Any],
        call: CallTold,
        place: tuple[str, str],
        name: str | None,
    ) -> bool:
        """Whether a slot is this call's; what the log says where the key does not tell."""
        replay, known = call.replay, call.known
        if replay is None or known is None:
            return False
        month = place[0]
        state = self.counts.months[place]
        if not state.eligible_ns and month in self._keys.months:
            state.eligible_ns = self._keys.months[month].t_ns
        due, key = bool(data.get("slot")), self._keys.slots_of(month)
        if key is None:
            self._cannot_tell(f"the slots of {month} were not revealed, and not opened")
        elif name is not None:
            due = _between(replay, key, month, name, state.eligible_ns, known)
            eligible = replay.eligible(known)
            if eligible != ("slot" in data) or (eligible and due != data["slot"]):
                wanted = due if eligible else "none"
                said = data.get("slot", "none")
                self._say("slot.other", entry, f"{said} is not {wanted}", call.uid)
        if "slot" in data:
            state.eligible_ns = known.at_ns
        return due and "slot" in data


def _between(
    replay: Replay, key: bytes, month: str, name: str, after_ns: int, known: Known
) -> bool:
    """Whether an instant of the agent lies after *after_ns* and not after the call's beginning."""
    found = sampling.slot_instants(replay.policy, key, month, name)
    return any(after_ns < one <= known.at_ns for one in found)
