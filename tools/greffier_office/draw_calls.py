"""What the log has said of each call and agent so far, for the check of its sampling. Pure."""

from collections import defaultdict
from dataclasses import dataclass, field

from greffier.audit.entry import Entry
from greffier_office.draw_replay import Known, Replay

NOT_KEPT = ("none", "provisional_deleted")


@dataclass(slots=True)
class CallTold:
    """One call. ``replay`` is None where its policy is not known, ``drawn`` where its key is not.

    ``facts`` were told by somebody; ``codes`` and ``record`` are the verdict that was said last.
    ``run`` counts the recorder's starts, ``last_ns`` is when it was spoken of last.
    """

    uid: str
    day: str
    run: int
    last_ns: int
    record: str
    codes: frozenset[str]
    known: Known | None = None
    replay: Replay | None = None
    drawn: bool | None = None
    judged: bool = True
    """False: facts came from outside that stand nowhere."""
    counted: tuple[str, str] | None = None
    """The month and the agent it is counted for."""
    facts: list[tuple[str, str]] = field(default_factory=list)
    recordings: set[str] = field(default_factory=set)
    resumed: bool = False
    ended: bool = False


@dataclass(slots=True)
class AgentMonth:
    """The calls of one agent in one month that count, and the latest eligible one."""

    counted: set[str] = field(default_factory=set)
    eligible_ns: int = 0


@dataclass(slots=True)
class Counts:
    """Of all agents, by (month, pseudonym)."""

    months: dict[tuple[str, str], AgentMonth] = field(
        default_factory=lambda: defaultdict(AgentMonth)
    )

    def used(self, month: str, agent: str, uid: str) -> int:
        """How much of the month's quota is used by other calls than *uid*."""
        return len(self.months[month, agent].counted - {uid})

    def count(self, month: str, agent: str, uid: str, codes: frozenset[str]) -> None:
        """A call of the agent was decided."""
        if "SAMPLED_IN" in codes:
            self.months[month, agent].counted.add(uid)

    def release(self, place: tuple[str, str], uid: str) -> None:
        """A call ended, and nothing of it was kept."""
        self.months[place].counted.discard(uid)


@dataclass(slots=True)
class Numbering:
    """The numbers of each line: which were decided, which are still missing below the last."""

    last: dict[str, int] = field(default_factory=dict)
    missing: dict[str, dict[int, Entry]] = field(default_factory=dict)

    def take(self, line: str, number: int, entry: Entry) -> str | None:
        """The next decision of *line* is of *number*; the code of what is wrong with that."""
        last = self.last.get(line, 0)
        missing = self.missing.setdefault(line, {})
        if number > last:
            missing.update(dict.fromkeys(range(last + 1, number), entry))
            self.last[line] = number
            return None
        if missing.pop(number, None) is not None:
            return "number.order"
        return "number.doubled"


@dataclass(slots=True)
class Steadiness:
    """Whether the clock of one entry jumps away from both its neighbours', which agree."""

    _two: list[tuple[str, int, Entry]] = field(default_factory=list)

    def take(self, entry: Entry, far_ns: int, near_ns: int) -> Entry | None:
        """The entry before *entry*, where its clock was another for that one entry."""
        now = (entry.boot, entry.t_ns - entry.mono_ns, entry)
        odd = None
        if len(self._two) == 2:
            (boot, first, _), (boot2, second, middle) = self._two
            same = boot == boot2 == entry.boot
            if same and abs(first - now[1]) < near_ns and abs(second - first) > far_ns:
                odd = middle
        self._two = [*self._two[-1:], now]
        return odd
