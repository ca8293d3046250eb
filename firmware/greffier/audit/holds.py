"""Who may not be deleted yet: the holds, as the log tells them and nothing else does.

Give it every entry in order with :meth:`Holds.read`: at a start those that are there, later each
that is appended. Head office reads the same from its replica of a log. Rules: docs/retention.md.

Any thread may call anything here; a lock is held for moments.
"""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from greffier.audit import verify
from greffier.audit.entry import Entry
from greffier.policy.lifecycle import Claim

Mode = Literal["floor", "suspend"]


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold on all parts of *recording*, also those to come, or on *parts* alone.

    It stands since *since_ns*, until *until_ns* (None: it stands). *review_ns*: somebody should
    look at it then (0: nobody said). *declared*: its two persons were named, and proved nothing.
    """

    hold: str
    mode: Mode
    reference: str
    recording: str | None
    parts: frozenset[str]
    since_ns: int
    until_ns: int | None
    review_ns: int
    declared: bool

    def claim(self, created_ns: int) -> Claim:
        """What it means for a part created at *created_ns*."""
        end = None if self.until_ns is None else self.until_ns - created_ns
        return Claim(self.since_ns - created_ns, end, self.mode)


class Holds:
    """Every hold that there ever was."""

    def __init__(self) -> None:
        # Guards all below.
        self._door = threading.Lock()
        self._holds: dict[str, Hold] = {}
        self._of: dict[str, list[str]] = {}  # recording or part -> its holds, in order

    def read(self, entry: Entry) -> None:
        """Take in the next entry of the log."""
        data = entry.data
        if entry.ev == "hold.placed":
            parts = frozenset(data.get("parts", ()))
            hold = Hold(
                hold=data["hold"],
                mode="suspend" if data["mode"] == "suspend" else "floor",
                reference=data["reference"],
                recording=None if parts else data.get("recording"),
                parts=parts,
                # As early as it may have been, and below as late: a claim is never counted short.
                since_ns=entry.t_lb_ns,
                until_ns=None,
                review_ns=data.get("review_ns", 0),
                declared=data["proof"] == "declared",
            )
            with self._door:
                self._holds[hold.hold] = hold
                for name in hold.parts or {hold.recording or ""}:
                    self._of.setdefault(name, []).append(hold.hold)
        elif entry.ev == "hold.released":
            until = max(entry.t_lb_ns, entry.t_ns)
            with self._door:
                found = self._holds.get(data["hold"])
                if found is not None and found.until_ns is None:
                    self._holds[found.hold] = replace(found, until_ns=max(until, found.since_ns))

    def find(self, hold: str) -> Hold | None:
        """The hold of this id, also one that was released."""
        with self._door:
            return self._holds.get(hold)

    def of(self, part: str, recording: str) -> tuple[Hold, ...]:
        """Every hold that a part has or had, in order."""
        with self._door:
            if not self._of:
                return ()
            names = self._of.get(recording, []) + self._of.get(part, [])
            return tuple(self._holds[name] for name in names)

    def claims(self, part: str, recording: str, created_ns: int) -> tuple[Claim, ...]:
        """What they mean for the part, which was created at *created_ns*."""
        return tuple(one.claim(created_ns) for one in self.of(part, recording))

    def standing(self, part: str, recording: str) -> tuple[str, ...]:
        """The ids of the holds that a part has now, sorted."""
        return tuple(sorted(one.hold for one in self.of(part, recording) if one.until_ns is None))

    def __iter__(self) -> Iterator[Hold]:
        with self._door:
            return iter(tuple(self._holds.values()))


def holds_in(entries: Iterable[Entry]) -> Holds:
    """The holds that *entries*, a log in order, tell of."""
    found = Holds()
    for entry in entries:
        found.read(entry)
    return found


def holds_of(data: Path) -> Holds:
    """Those of the log of the data directory *data*. Raises IntegrityError."""
    return holds_in(verify.entries(data))
