"""What a verdict may be, from the facts that the log holds: the box's decision made again. Pure.

At the beginning of a call some facts are pending, which ones hangs on how the line is set up; so
what may stand in the log is a small set. The draw, the window, the quota and the slot are in all of
it alike.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import product
from typing import Final

from greffier.policy import decision, purposes
from greffier.policy.call import Call
from greffier.policy.combination import law_for
from greffier.policy.facts import PENDING, Facts
from greffier.policy.packs import Packs
from greffier.policy.site import Policy
from greffier.policy.verdict import Verdict
from greffier.policy.voluntary import effective_rate

Told = tuple[str, frozenset[str]]
"""(record, codes) as the log has them."""
LATE: Final = "JOINED_LATE"
ROOM: Final = ("OVER_CAPACITY", "STORAGE_LOW")
PAUSES: Final = frozenset({"PAUSE_SAD", "GAP_LOGGED", "PAUSE_OVERRUN"})
SAMPLING: Final = frozenset({"SAMPLED_IN", "SAMPLED_OUT", "OUTSIDE_WINDOW", "QUOTA_REACHED"})
# What a code needs that somebody told the recorder: fact and value (None: any).
_NEEDS: Final = {
    "OBJECTED": (("consent", "out"),),
    "PRIVATE_MODE": (("private", None), ("call_kind", "private")),
    "EVIDENCE_SEGMENT": (("proof", None),),
    "EVIDENCE_NOT_NECESSARY": (("proof", None),),
    "INCIDENT_MANUAL": (("threat", None),),
}
# A call that was never answered, or whose caller said nothing, needs nobody for these.
_ALWAYS: Final = (*ROOM, LATE)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a call: facts of the log, and what was computed from them.

    ``agent``: None unknown, else the name (a pseudonym where nobody knows the name). ``at_ns`` is
    the beginning, ``drawn`` what the key gives: None where the key is not known.
    """

    line: str
    direction: str
    consumer: str | None
    at_ns: int
    u: float
    agent: str | None = None
    used: int = 0
    slot: bool = False


@dataclass(slots=True)
class Replay:
    """Under one policy and its packs. Answers are remembered: days are full of equal calls."""

    policy: Policy
    packs: Packs
    _known: dict[tuple[object, ...], frozenset[Told]] = field(default_factory=dict)
    _rates: dict[tuple[object, ...], float] = field(default_factory=dict)

    def day(self, at_ns: int) -> date:
        """The day of *at_ns* in the policy's time zone."""
        return self.policy.local_day(at_ns)

    def sampled(self, line: str) -> bool:
        """Whether calls of *line* are drawn for quality or training."""
        rules = self.policy.lines.get(line)
        return rules is not None and any(one in purposes.SAMPLED for one in rules.voluntary)

    @property
    def counts(self) -> bool:
        """Whether agents' calls are counted: a quota, or slots."""
        method = self.policy.sampling
        return method.method == "slots" or method.agent_quota_month is not None

    @property
    def names_agents(self) -> bool:
        """Whether it matters which agent it was: slots, a never list, or own rates."""
        agents = self.policy.agents
        return self.policy.sampling.method == "slots" or bool(agents.never or agents.rates)

    def rate(self, known: Known) -> float:
        """The rate of the draw of this call."""
        key = (known.consumer, self._someone(known), self._justified(known))
        if key not in self._rates:
            facts = self._facts(known, known.agent or "")
            law = law_for(self.policy, self.packs, facts.consumer)
            line = next(iter(self.policy.lines.values()))
            self._rates[key] = effective_rate(Call(self.policy, self.packs, line, law, facts))[0]
        return self._rates[key]

    def _someone(self, known: Known) -> str:
        """The agent where the policy names them; all others are alike."""
        agents = self.policy.agents
        name = known.agent or ""
        return name if not name or name in agents.never or name in agents.rates else "someone"

    def _justified(self, known: Known) -> bool:
        paper = self.policy.sampling.justification
        return paper is not None and paper.holds_on(self.day(known.at_ns))

    def drawn(self, known: Known) -> bool:
        """Whether the draw (or the slot) takes the call."""
        if self.policy.sampling.method == "slots":
            return known.slot
        return known.u < self.rate(known)

    def eligible(self, known: Known) -> bool:
        """Whether a slot would be this call's."""
        facts = self._facts(replace(known, slot=True), known.agent or "")
        verdict = decision.decide(self.policy, self.packs, known.line, facts)
        return "SAMPLED_IN" in verdict.codes

    def at_start(self, known: Known) -> frozenset[Told]:
        """What a decision may say when the call gets its number."""
        return self._told(known, ended=False)

    def at_end(self, known: Known) -> frozenset[Told]:
        """What may be said when it ends, where nobody told anything of it."""
        return self._told(known, ended=True)

    def _told(self, known: Known, *, ended: bool) -> frozenset[Told]:
        """All that may be said. Of the day only a justification's end matters, and the window."""
        quota = self.policy.sampling.agent_quota_month
        over = quota is not None and known.used >= quota
        key = (
            *(ended, known.line, known.direction, known.consumer, over, known.slot),
            *(known.agent is None, self._someone(known)),
            *(self.drawn(known), self.policy.in_window(known.at_ns), self._justified(known)),
        )
        if key not in self._known:
            self._known[key] = frozenset(self._possible(known, ended=ended))
        return self._known[key]

    def _possible(self, known: Known, *, ended: bool) -> Iterable[Told]:
        agents = (self._someone(known),) if known.agent is not None else ("", PENDING)
        for agent, announce, consent in product(
            agents, ("ok", "assumed_ok", PENDING), ("none", PENDING)
        ):
            facts = replace(self._facts(known, agent), announce=announce, consent=consent)
            decide = decision.settle_ended if ended else decision.decide
            yield from _with_room(decide(self.policy, self.packs, known.line, facts))

    def _facts(self, known: Known, agent: str) -> Facts:
        return Facts(
            dir=known.direction,
            consumer=known.consumer,
            window=self.policy.in_window(known.at_ns),
            t_start=known.at_ns,
            u=known.u,
            agent=agent,
            quota_used=known.used,
            slot=known.slot,
        )


def _with_room(verdict: Verdict) -> Iterable[Told]:
    codes = frozenset(verdict.codes) - PAUSES
    yield verdict.record, codes
    yield verdict.record, codes | {"STORAGE_LOW"}
    if not verdict.mandatory:
        for code in _ALWAYS:
            yield "none", frozenset({code})


def missing_facts(codes: Iterable[str], facts: Iterable[tuple[str, str]]) -> list[str]:
    """Those of *codes* that need a fact which nobody told; *facts* are (name, value)."""
    told = set(facts)
    names = {name for name, _ in told}
    return [
        code
        for code in codes
        if code in _NEEDS
        and not any(
            (name in names) if value is None else ((name, value) in told)
            for name, value in _NEEDS[code]
        )
    ]


def contradicts(codes: frozenset[str], *, drawn: bool) -> bool:
    """Whether *codes* claim another draw than the key gives."""
    claimed = codes & SAMPLING
    return bool(claimed) and ("SAMPLED_OUT" in claimed) == drawn
