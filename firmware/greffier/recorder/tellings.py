"""What the log says of facts that were told: which are known, and what still waits for one.

A picture in memory like :mod:`greffier.recorder.deletions`: it is given every entry that could
matter, in order. Any thread may call anything here; a lock is held for moments.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self

from greffier.audit.entry import Entry

MOST_KNOWN: Final = 4096
"""Facts that are known again when they are told once more, the latest."""
MOST_WAITING: Final = 10_000
WAITS: Final = "waits"
"""The state of a fact that counts when another person says the same."""
LATE: Final = "late"
PROVISIONAL: Final = "MIXED_PROVISIONAL"


class Before(NamedTuple):
    """A fact that was told before: a keyed hash of its content, the number of its entry."""

    content: str
    seq: int


class Tellings:
    """Give it every entry of the kinds ``call.fact`` and ``call.ended``, in order."""

    def __init__(self) -> None:
        # Guards all below.
        self._door = threading.Lock()
        self._known: OrderedDict[str, Before] = OrderedDict()
        self._first: OrderedDict[str, str] = OrderedDict()  # uid -> who said "not MiFID" alone
        self._mixed: dict[str, int] = {}  # uid -> when it ended, trusted

    def read(self, entry: Entry) -> None:
        """Take in the next entry of the log."""
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

    def find(self, identity: str) -> Before | None:
        """The fact that was told under this id, if it is still known."""
        with self._door:
            return self._known.get(identity)

    def first_of(self, uid: str) -> str | None:
        """Who has said alone that the call was no investment service ("": nobody's name)."""
        with self._door:
            return self._first.get(uid)

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
            }

    @classmethod
    def load(cls, told: Mapping[str, Any]) -> Self:
        """What :meth:`dump` gave. Raises KeyError, TypeError, ValueError for anything else."""
        made = cls()
        made._known = OrderedDict((name, Before(*one)) for name, one in told["known"].items())
        made._first = OrderedDict(told["first"])
        made._mixed = dict(told["mixed"])
        return made

    def become(self, other: "Tellings") -> None:
        """Hold what *other* holds, which nobody changes meanwhile."""
        copied = Tellings.load(other.dump())
        with self._door:
            self._known, self._first = copied._known, copied._first
            self._mixed = copied._mixed
