"""What a start has to know of the past: what is open, the last numbers, what is accounted for.

A Picture is made from the log's entries and the journal's records, in order, at a start; while the
recorder runs, who commits gives it each of them as it becomes durable. What is over is let go
(:meth:`Picture.settle`), so it is as large as what is open, however long the box has run. It is
what a summary (:mod:`greffier.recorder.summary`) keeps, so that the next start reads only what came
since: both ways are the same methods, so they cannot differ.

One thread at a time owns a Picture: who opens the archive, then who commits.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, NamedTuple, Self

from greffier.audit.entry import Entry, decode, encode
from greffier.audit.kinds_people import PEOPLE
from greffier.audit.origins import Origins
from greffier.audit.pace import Pace
from greffier.policy.succession import Succession
from greffier.recorder.agent_counts import AgentCounts
from greffier.recorder.deletions import Deletions
from greffier.recorder.pauses import Window
from greffier.recorder.settled import Marks
from greffier.recorder.tellings import Tellings
from greffier.recorder.unconfirmed import Unconfirmed
from greffier.store.journal import Place, Record

INTERRUPTED: Final = "interrupted"
EVERY: Final = 4096
"""Entries after which what is over is let go."""
# A start that is killed may have written these: they do not show that the run before still lived.
_OF_A_START: Final = frozenset({"part.recovered", "log.recovered", "epoch.opened"})
KEPT: Final = frozenset(
    {"device.created", "operator.added", "operator.removed", "office.replaced"}
    | {"console.key", "console.closed", "hold.placed", "hold.released", "erasure.decided"}
    | frozenset(PEOPLE)
)
"""Kinds of which there are few, and of which a start has to know every entry."""
_TOLD: Final = ("fact", "value", "agent", "at_ns", "captured", "state")
_UID: Final = re.compile(r"[^/]+/[^/]+/\d{10}", re.ASCII)


@dataclass(slots=True)
class Decided:
    """A call that has a number and, as far as is known, no end in the journal."""

    line: str
    start_ns: int
    record: str
    codes: list[str]
    call: str
    draw: int | None
    waits_ns: int
    flows: list[str] = field(default_factory=list)
    offers: list[str] = field(default_factory=list)
    pauses: list[Window] = field(default_factory=list)
    facts: list[dict[str, Any]] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    heard: bool = True  # in the last run
    ended: dict[str, Any] | None = None
    speaker: tuple[str, int] | None = None  # the record that says who called whom


def is_over(clear: Mapping[str, Any]) -> bool:
    """Whether the clear part of a record says that its call is over."""
    return clear["end_ns"] is not None or clear.get("end") == INTERRUPTED


def told_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a restart has to know of a ``call.fact``."""
    return {key: data[key] for key in _TOLD if key in data}


class Begun(NamedTuple):
    """A part of the call *uid* ("": of none); *size* None: it has no end yet."""

    uid: str
    recording: str
    size: int | None
    purposes: tuple[str, ...] = ()


class Picture:
    """Give it every entry with :meth:`read`, every record with :meth:`heed`."""

    def __init__(self) -> None:
        self.size = 0
        """How many entries it has read."""
        self.last_ns = 0
        self.started_ns = 0
        self.bound_ns = 0  # the latest lower bound of trusted time
        self.running = False
        self.trusted: str | None = None  # the file of head office's keys
        self.settled: dict[str, int] = {}  # up to when a channel is accounted for
        self.states: dict[str, str] = {}
        self.numbers: dict[str, int] = {}  # of each line the last one
        self.calls: dict[str, Decided] = {}
        self.parts: dict[str, Begun] = {}
        self.kept: list[Entry] = []
        """Every entry of the kinds :data:`KEPT`."""
        self.unconfirmed = Unconfirmed()
        self.origins = Origins()
        self.deletions = Deletions()
        self.pace = Pace()
        self.tellings = Tellings()
        self.policies = Succession()
        self.agents = AgentCounts()
        self.journals: dict[str, Place] = {}
        """How far the files of the journal are read."""
        self.growing: str | None = None
        """The epoch whose file may grow."""
        self._over: set[str] = set()  # calls whose last record says that they are
        self._past = Marks()  # hashes of those whose records were read first

    # --- the log ---

    def read(self, entry: Entry) -> None:
        """Take in the next entry of the log."""
        self.size = entry.seq + 1
        self.unconfirmed.read(entry)
        self.origins.read(entry)
        self.deletions.read(entry)
        self.pace.read(entry)
        self.tellings.read(entry)
        self.agents.read(entry)
        data = entry.data
        if entry.ev not in _OF_A_START:
            self.last_ns = max(self.last_ns, entry.t_ns)
        self.bound_ns = max(self.bound_ns, entry.t_lb_ns)
        if entry.ev.startswith("call."):
            self._read_call(entry, data)
        elif entry.ev.startswith("part.") or entry.ev == "key.shredded":
            self._read_part(entry.ev, data)
        elif entry.ev == "coverage":
            channel, until = data["channel"], data["to_ns"]
            if until >= self.settled.get(channel, 0):
                self.settled[channel], self.states[channel] = until, data["state"]
        elif entry.ev == "recorder.started":
            self.started_ns, self.running = entry.t_ns, True
            for call in self.calls.values():
                call.heard = False
        elif entry.ev == "recorder.stopped":
            self.running = False
        elif entry.ev == "office.trusted":
            self.trusted = data["sha256"]
        elif entry.ev == "policy.adopted":
            self.policies.read(data)
        elif entry.ev in KEPT:
            self.kept.append(entry)
        if not self.size % EVERY:
            self.settle()

    def _read_call(self, entry: Entry, data: Mapping[str, Any]) -> None:
        uid = data["uid"]
        if entry.ev == "call.decided":
            _device, line, number = uid.rsplit("/", 2)
            self.numbers[line] = max(self.numbers.get(line, 0), int(number))
            self.calls[uid] = Decided(
                data["line"],
                data.get("at_ns", entry.t_ns),
                data["record"],
                list(data["codes"]),
                data["call"],
                data.get("u"),
                data.get("waits_ns", 0),
            )
            return
        call = self.calls.get(uid)
        if call is None:
            return  # it is over
        if entry.ev == "call.linked":
            (call.offers if data.get("offer") else call.flows).append(data["flow"])
        elif entry.ev == "call.paused":
            call.pauses.append(Window(data["from_ns"], None, data["source"]))
        elif entry.ev == "call.fact":
            call.facts.append(told_of(data))
        elif entry.ev == "call.unpaused":
            call.pauses[-1] = replace(call.pauses[-1], to_ns=data["at_ns"])
        elif entry.ev == "call.resumed":
            call.heard = True
        elif entry.ev == "call.ended":
            call.ended = dict(data)

    def _read_part(self, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "key.shredded":
            for part in data.get("parts", ()) if data.get("outcome") == "done" else ():
                if part in self.parts and self.parts[part].size is None:
                    self.parts[part] = self.parts[part]._replace(size=0)
            return
        part = data["part"]
        if kind == "part.opened":
            uid = data.get("uid", "")
            purposes = tuple(data.get("purposes", ()))
            self.parts[part] = Begun(uid, data["recording"], None, purposes)
            if uid in self.calls:
                self.calls[uid].parts.append(part)
        elif kind in ("part.sealed", "part.recovered") and part in self.parts:
            self.parts[part] = self.parts[part]._replace(size=data["bytes"])

    # --- the journal ---

    def heed(self, epoch: str, number: int, clear: Mapping[str, Any]) -> None:
        """Take in the next record of the journal, once the log has what it speaks of."""
        uid = clear.get("number")
        if not isinstance(uid, str):
            return
        if is_over(clear):
            self._over.add(uid)
            return
        self._over.discard(uid)
        if uid in self.calls:
            before = clear.get("about")
            self.calls[uid].speaker = (before[0], before[1]) if before else (epoch, number)

    def settle(self) -> None:
        """Let go what is over: its calls, their parts that ended, and what was said of them."""
        for uid in self._over:
            self.calls.pop(uid, None)
        self._over.clear()
        self.calls = {u: call for u, call in self.calls.items() if hash(u) not in self._past}
        self.parts = {
            part: begun
            for part, begun in self.parts.items()
            if begun.size is None or begun.uid in self.calls
        }
        for table in (self.settled, self.states):
            for channel in [one for one in table if _UID.fullmatch(one)]:
                if channel not in self.calls:
                    del table[channel]

    def read_all(self, entries: Iterable[Entry], records: Iterable[Record]) -> None:
        """Take in a whole log and a whole journal, without holding either."""
        past = Marks()
        running: dict[str, Record] = {}
        for record in records:  # first, so that what is over can be let go at once
            uid = record.clear.get("number")
            if not isinstance(uid, str):
                continue
            if is_over(record.clear):
                past.add(hash(uid))
                running.pop(uid, None)
            else:
                past.discard(hash(uid))
                running[uid] = record
        self._past = past
        for entry in entries:
            self.read(entry)
        self.settle()
        self._past = Marks()
        for record in running.values():
            self.heed(record.epoch, record.number, record.clear)

    # --- questions ---

    @property
    def unended(self) -> set[str]:
        """The parts that the log opened and did not end."""
        return {part for part, begun in self.parts.items() if begun.size is None}

    def recording_of(self, uid: str) -> str | None:
        """Where something of the call's sound is, if anything is."""
        for part in reversed(self.calls[uid].parts):
            if self.parts[part].size:
                return self.parts[part].recording
        return None

    def parts_of(self, uid: str) -> list[tuple[str, tuple[str, ...]]]:
        """The parts of a call of which something is left, and what each is for."""
        found = ((part, self.parts[part]) for part in self.calls[uid].parts if part in self.parts)
        return [(part, begun.purposes) for part, begun in found if begun.size]

    def begun_in(self, recording: str | None, uid: str) -> int:
        """How many parts of *recording* the call has begun."""
        return sum(self.parts[part].recording == recording for part in self.calls[uid].parts)

    # --- from a summary, and for one ---

    def dump(self) -> dict[str, bytes]:
        """All of it, in sections, for :meth:`load`."""
        self.settle()
        story = {
            "size": self.size,
            "last_ns": self.last_ns,
            "started_ns": self.started_ns,
            "bound_ns": self.bound_ns,
            "running": self.running,
            "trusted": self.trusted,
            "settled": self.settled,
            "states": self.states,
            "numbers": self.numbers,
            "calls": {uid: asdict(call) for uid, call in self.calls.items()},
            "parts": self.parts,
            "journals": {name: [one.size, one.number] for name, one in self.journals.items()},
            "growing": self.growing,
            "origins": self.origins.dump(),
            "deletions": self.deletions.dump(),
            "pace": self.pace.dump(),
            "tellings": self.tellings.dump(),
            "policies": self.policies.dump(),
            "agents": self.agents.dump(),
            "kinds": sorted(KEPT),
            "kept": [encode(entry).decode() for entry in self.kept],
        }
        text = json.dumps(story, separators=(",", ":"))
        return {"story": text.encode(), "waits": self.unconfirmed.dump()}

    @classmethod
    def load(cls, sections: Mapping[str, bytes]) -> Self:
        """What :meth:`dump` gave. Raises ValueError for anything else."""
        made = cls()
        try:
            story = json.loads(sections["story"])
            for name in ("size", "last_ns", "started_ns", "bound_ns", "running", "trusted"):
                setattr(made, name, story[name])
            for name in ("settled", "states", "numbers", "growing"):
                setattr(made, name, story[name])
            made.calls = {uid: _decided(one) for uid, one in story["calls"].items()}
            made.parts = {
                part: Begun(one[0], one[1], one[2], tuple(one[3]))
                for part, one in story["parts"].items()
            }
            made.journals = {name: Place(*one) for name, one in story["journals"].items()}
            if story["kinds"] != sorted(KEPT):
                raise ValueError("a program kept other entries")
            made.kept = [decode(text.encode()) for text in story["kept"]]
            made.origins = Origins.load(story["origins"])
            made.deletions = Deletions.load(story["deletions"])
            made.pace.take(story["pace"])
            made.tellings = Tellings.load(story["tellings"])
            made.policies = Succession.load(story["policies"])
            made.agents = AgentCounts.load(story["agents"])
            made.unconfirmed = Unconfirmed.load(sections["waits"])
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError("no picture of a log") from error
        return made


def _decided(told: dict[str, Any]) -> Decided:
    speaker = told["speaker"]
    return Decided(
        **{
            **told,
            "pauses": [Window(**one) for one in told["pauses"]],
            "speaker": None if speaker is None else (speaker[0], speaker[1]),
        }
    )
