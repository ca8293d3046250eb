"""What the log says of facts that were told: which are known, and what still waits for one.

A picture in memory like :mod:`greffier.recorder.deletions`: it is given every entry that could
matter, in order. Any thread may call anything here; a lock is held for moments.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self

from greffier.audit.entry import Entry
from greffier.policy.lifecycle import DAY_NS

MOST_KNOWN: Final = 4096
"""Facts that are known again when they are told once more, the latest."""
MOST_WAITING: Final = 10_000
WINDOW_DAYS: Final = 30
LEAST_UNPICKS: Final = 8
MOST_TIMES: Final = 4
"""An agent stands out who took away so many calls, and so many times more than the others' mean."""
WAITS: Final = "waits"
"""The state of a fact that counts when another person says the same."""
LATE: Final = "late"
PROVISIONAL: Final = "MIXED_PROVISIONAL"


class Before(NamedTuple):
    """A fact that was told before: a keyed hash of its content, the number of its entry."""

    content: str
    seq: int


def is_unpick(data: Mapping[str, Any]) -> bool:
    """Whether a ``call.fact`` is an agent's: the private key, or a refusal that was spoken."""
    if "agent" not in data or data["state"] == WAITS:
        return False
    refusal = data["fact"] == "consent" and data.get("value") == "out"
    spoken = "by" in data or data["source"] in ("desk", "gpio", "console")
    return data["fact"] == "private" or (refusal and spoken)


class Tellings:
    """Give it every entry of the kinds ``call.fact`` and ``call.ended``, in order."""

    def __init__(self) -> None:
        # Guards all below.
        self._door = threading.Lock()
        self._known: OrderedDict[str, Before] = OrderedDict()
        self._first: OrderedDict[str, str] = OrderedDict()  # uid -> who said "not MiFID" alone
        self._mixed: dict[str, int] = {}  # uid -> when it ended, trusted
        self._longer: dict[str, int] = {}  # recording -> until when a fact keeps its duty's parts
        self._bound_ns = 0
        self._unpicks: dict[str, dict[int, int]] = {}  # agent -> day since 1970 -> how often

    def read(self, entry: Entry) -> None:
        """Take in the next entry of the log."""
        self._bound_ns = entry.t_lb_ns
        if entry.ev == "call.fact":
            with self._door:
                self._read_fact(entry)
        elif entry.ev == "call.ended" and PROVISIONAL in entry.data.get("codes", ()):
            with self._door:
                self._mixed[entry.data["uid"]] = max(entry.t_lb_ns, entry.t_ns)
                while len(self._mixed) > MOST_WAITING:
                    del self._mixed[next(iter(self._mixed))]

    def _read_fact(self, entry: Entry) -> None:
        data = entry.data
        self._known[data["id"]] = Before(data["content"], entry.seq)
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        if {"recording", "min_days", "from_ns"} <= data.keys():
            until_ns = data["from_ns"] + data["min_days"] * DAY_NS
            name = data["recording"]
            self._longer[name] = max(until_ns, self._longer.get(name, 0))
        if is_unpick(data):
            self._count(data["agent"], entry.t_ns // DAY_NS)
        if data["fact"] != "mifid":
            return
        uid = data["uid"]
        if data["state"] == WAITS:
            self._first[uid] = data.get("by", "")
            while len(self._first) > MOST_WAITING:
                self._first.popitem(last=False)
            return
        self._first.pop(uid, None)
        if data.get("value") in ("yes", "no"):
            self._mixed.pop(uid, None)

    def _count(self, agent: str, day: int) -> None:
        days = self._unpicks.setdefault(agent, {})
        days[day] = days.get(day, 0) + 1
        for name, counted in list(self._unpicks.items()):
            for old in [one for one in counted if one <= day - WINDOW_DAYS]:
                del counted[old]
            if not counted:
                del self._unpicks[name]

    def unpicks(self, agent: str) -> int:
        """How often in the last 30 days the agent of this pseudonym took a call away."""
        with self._door:
            return sum(self._unpicks.get(agent, {}).values())

    def outliers(self, agents: int) -> int:
        """How many of the site's *agents* take away calls far more often than the others do."""
        with self._door:
            counts = [sum(days.values()) for days in self._unpicks.values()]
        others = max(agents, len(counts)) - 1
        return sum(
            one >= LEAST_UNPICKS and one * others > MOST_TIMES * (sum(counts) - one)
            for one in counts
            if others > 0
        )

    def find(self, identity: str) -> Before | None:
        """The fact that was told under this id, if it is still known."""
        with self._door:
            return self._known.get(identity)

    def first_of(self, uid: str) -> str | None:
        """Who has said alone that the call was no investment service ("": nobody's name)."""
        with self._door:
            return self._first.get(uid)

    def kept_until_ns(self, recording: str) -> int:
        """Until when a fact that was told keeps what a duty has of *recording*; 0: none does."""
        with self._door:
            return self._longer.get(recording, 0)

    def unclassified(self, before_ns: int) -> int:
        """How many calls of mixed lines ended before *before_ns* and are not classified."""
        with self._door:
            return sum(ended_ns < before_ns for ended_ns in self._mixed.values())

    # --- from a summary of the log, and for one ---

    def dump(self) -> dict[str, Any]:
        """All of it as JSON values, for :meth:`load`."""
        with self._door:
            return {
                "known": {name: list(one) for name, one in self._known.items()},
                "first": dict(self._first),
                "mixed": dict(self._mixed),
                "unpicks": {
                    agent: {str(day): count for day, count in days.items()}
                    for agent, days in self._unpicks.items()
                },
                "longer": {
                    name: until_ns
                    for name, until_ns in self._longer.items()
                    if until_ns > self._bound_ns
                },
            }

    @classmethod
    def load(cls, told: Mapping[str, Any]) -> Self:
        """What :meth:`dump` gave. Raises KeyError, TypeError, ValueError for anything else."""
        made = cls()
        made._known = OrderedDict((name, Before(*one)) for name, one in told["known"].items())
        made._first = OrderedDict(told["first"])
        made._mixed = dict(told["mixed"])
        made._longer = dict(told["longer"])
        made._unpicks = {
            agent: {int(day): count for day, count in days.items()}
            for agent, days in told["unpicks"].items()
        }
        return made

    def become(self, other: "Tellings") -> None:
        """Hold what *other* holds, which nobody changes meanwhile."""
        copied = Tellings.load(other.dump())
        with self._door:
            self._known, self._first = copied._known, copied._first
            self._mixed, self._longer = copied._mixed, copied._longer
            self._unpicks = copied._unpicks
