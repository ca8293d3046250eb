"""Every draw, number, quota and slot of a box computed again from its log, in order. Pure.

Findings and their meaning: docs/sampling.md section 5.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from greffier.audit.entry import Entry
from greffier.clock import SECOND, day_of
from greffier.policy import sampling
from greffier.policy.packs import Packs
from greffier.policy.site import Policy
from greffier.seal.keys import Opener
from greffier_office import draw_keys, draw_replay
from greffier_office.draw_agents import Counting, Names
from greffier_office.draw_calls import NOT_KEPT, CallTold, Numbering, Steadiness
from greffier_office.draw_replay import LATE, PAUSES, ROOM, Known, Replay
from greffier_office.draw_result import DayTold, EpochTold, Finding, Result

LATE_NS: Final = 120 * SECOND
"""A decision stands in the log within this of the beginning that it states."""
_FAR_NS: Final = 60 * SECOND
_NEAR_NS: Final = 2 * SECOND
_FORGOTTEN_NS: Final = 7 * 86_400 * SECOND
_OF_DAY: Final = 5 * SECOND
_SAMPLED: Final = frozenset({"quality", "training"})


def replays_of(policies: Mapping[str, Policy], packs: Packs) -> dict[str, Replay]:
    """What :func:`check` needs of *policies*; it may be kept for several boxes."""
    return {name: Replay(one, packs) for name, one in policies.items()}


def check(
    device: str,
    entries: Sequence[Entry],
    replays: Mapping[str, Replay],
    *,
    opener: Opener | None = None,
    names: Iterable[str] = (),
    witnessed: Mapping[str, int] | None = None,
) -> Result:
    """What is to be said of the sampling in the whole log *entries* of *device*.

    *replays* are of the policies, by their SHA-256 (:func:`replays_of`), *names* those of agents.
    *witnessed*: by an epoch's name the size of the first log with its commitment inside that head
    office cosigned.
    """
    checking = _Check(device, replays)
    keys = draw_keys.collect(entries, opener, checking.say)
    checking.begin(keys, names, witnessed or {})
    for entry in entries:
        checking.read(entry)
    return checking.finish()


class _Check:
    """One box."""

    def __init__(self, device: str, replays: Mapping[str, Replay]) -> None:
        self._device = device
        self._replays = replays
        self._result = Result()
        self._calls: dict[str, CallTold] = {}
        self._numbers = Numbering()
        self._steady = Steadiness()
        self._epoch: EpochTold | None = None
        self._epochs: dict[str, EpochTold] = {}
        self._unexplained: Entry | None = None
        self._renewed_on: str | None = None  # the day that was closed for the sake of the next
        self._covered: set[str] = set()  # calls whose time was accounted for in this run
        self._adopted: str | None = None
        self._run = 0
        self._importing = False
        self._last: Entry | None = None

    def begin(
        self, keys: draw_keys.Keys, names: Iterable[str], witnessed: Mapping[str, int]
    ) -> None:
        """The first pass is over."""
        self._keys = keys
        self._witnessed = witnessed
        policies = (replay.policy for replay in self._replays.values())
        self._agents = Counting(keys, Names(keys, names, policies), self.say, self._cannot_tell)

    # --- saying ---

    def say(self, code: str, entry: Entry, detail: str = "", uid: str | None = None) -> None:
        """Note a finding at *entry*."""
        call = self._calls.get(uid) if uid else None
        day = call.day if call else day_of(entry.t_ns)
        self._result.findings.append(Finding(code, self._device, entry.seq, day, uid, detail))

    def _cannot_tell(self, what: str) -> None:
        self._result.unknown.add(f"{self._device}: {what}")

    # --- reading ---

    def read(self, entry: Entry) -> None:
        """The next entry."""
        odd = self._steady.take(entry, _FAR_NS, _NEAR_NS)
        if odd is not None and not self._importing:
            self.say("time.other", odd, "its clock jumps away and back", odd.data.get("uid"))
        self._last = entry
        reader = _READERS.get(entry.ev)
        if reader is not None:
            reader(self, entry, entry.data)
        uid = entry.data.get("uid")
        if uid in self._calls:
            self._calls[uid].last_ns = entry.t_ns

    def _epoch_opened(self, entry: Entry, data: Mapping[str, Any]) -> None:
        name = data["epoch"]
        if name in self._epochs:
            self.say("epoch.twice", entry, name)
        if name[:10] not in (day_of(entry.t_ns), day_of(max(0, entry.t_ns - _OF_DAY))):
            self.say("epoch.name", entry, name)
        fresh_day = self._renewed_on is not None and self._renewed_on != name[:10]
        # Otherwise only a new run may open one: it says so before it decides anything.
        self._unexplained = None if fresh_day else entry
        self._renewed_on = None
        told = EpochTold(self._device, name, entry.seq, self._keys.source(name))
        told.witnessed_size = self._witnessed.get(name)
        self._epoch = self._epochs.setdefault(name, told)
        if self._epoch is told:
            self._result.epochs.append(told)

    def _epoch_closed(self, entry: Entry, data: Mapping[str, Any]) -> None:
        if self._epoch is None or data["epoch"] != self._epoch.epoch:
            self.say("epoch.other", entry, f"{data['epoch']} is not open")
        elif data.get("reason") == "day":
            self._renewed_on = data["epoch"][:10]
        self._epoch = None

    def _started(self, entry: Entry, _data: Mapping[str, Any]) -> None:
        self._unexplained = None
        self._covered.clear()
        self._run += 1
        self._importing = entry.ev == "import.started"

    def _import_ended(self, _entry: Entry, _data: Mapping[str, Any]) -> None:
        self._importing = False

    def _policy(self, _entry: Entry, data: Mapping[str, Any]) -> None:
        self._adopted = data["policy_sha256"]

    # --- a decision ---

    def _decided(self, entry: Entry, data: Mapping[str, Any]) -> None:
        uid = data["uid"]
        replay = self._replay_of(entry, data)
        at_ns = data.get("at_ns", entry.t_ns)
        day = replay.day(at_ns).isoformat() if replay else day_of(at_ns)
        wrong = self._number(entry, uid)
        call = CallTold(uid, day, self._run, entry.t_ns, data["record"], frozenset(data["codes"]))
        if wrong == "number.doubled":
            self.say(wrong, entry, "", uid)
            return
        known_before = uid in self._calls  # spoken of before it was decided
        self._calls[uid] = call
        if wrong:
            self.say(wrong, entry, "a higher number was decided before", uid)
        far = abs(entry.t_ns - at_ns) > LATE_NS and not self._importing  # a capture is of any day
        if far or known_before:
            self.say("decision.late", entry, f"{(entry.t_ns - at_ns) // SECOND} s", uid)
        self._check_uncovered(entry)
        if self._unexplained is not None:
            self.say("epoch.unexplained", self._unexplained, "neither a new day nor a new run")
            self._unexplained = None
        self._check_draw(entry, data, call, replay, at_ns)

    def _number(self, entry: Entry, uid: str) -> str | None:
        device, line, number = uid.rsplit("/", 2)
        if device != self._device or line != entry.data["line"]:
            self.say("line.other", entry, entry.data["line"], uid)
        return self._numbers.take(line, int(number), entry)

    def _replay_of(self, entry: Entry, data: Mapping[str, Any]) -> Replay | None:
        name = data.get("policy_sha256")
        if name is None or name != self._adopted:
            self.say("policy.other", entry, "it is not the one that was adopted", data["uid"])
        replay = self._replays.get(name or "")
        if replay is None:
            self._cannot_tell(f"policy {name} is not known")
        return replay

    def _check_draw(
        self,
        entry: Entry,
        data: Mapping[str, Any],
        call: CallTold,
        replay: Replay | None,
        at_ns: int,
    ) -> None:
        uid, numerator = call.uid, data.get("u")
        key = self._key(entry, data, uid)
        if numerator is None:
            self.say("draw.missing", entry, "", uid)
            return
        call.judged = not data.get("given")
        fixed = "u" in data.get("given", ())
        if fixed:
            self.say("draw.fixed", entry, "the draw came from outside", uid)
        elif key is not None:
            due = sampling.draw(key, data.get("stratum", ""), uid)
            if due.numerator != numerator:
                self.say("draw.other", entry, f"{numerator} is not {due.numerator}", uid)
            numerator = due.numerator
        if replay is None:
            return
        stratum = sampling.stratum(replay.policy, data["line"], data.get("dir", "in"))
        if data.get("stratum", "") != stratum:
            self.say("stratum.other", entry, f"{stratum} is due", uid)
        u = sampling.Draw(numerator).u
        call.replay = replay
        call.known = Known(data["line"], data.get("dir", "in"), data.get("consumer"), at_ns, u)
        if "agent" in data:
            self._agents.count(entry, data, call)
        call.drawn = replay.drawn(call.known)
        self._sum(call, replay)
        self._check_start(entry, call)

    def _key(self, entry: Entry, data: Mapping[str, Any], uid: str) -> bytes | None:
        name = data.get("epoch")
        if name is None or self._epoch is None or name != self._epoch.epoch:
            code = "epoch.missing" if name is None else "epoch.other"
            self.say(code, entry, f"{name} is not open", uid)
        else:
            self._epoch.calls += 1
            size = self._epoch.witnessed_size
            self._epoch.unwitnessed += size is None or entry.seq < size
        key = self._keys.epoch(name) if name else None
        if key is None:
            self._cannot_tell(f"the key of epoch {name} was not revealed, and not opened")
        return key

    def _sum(self, call: CallTold, replay: Replay) -> None:
        """Of sampled lines: how many calls were drawn, and how many were to be expected."""
        if call.known is None or not replay.sampled(call.known.line):
            return
        told = self._result.days.setdefault(call.day, DayTold())
        told.calls += 1
        told.drawn += bool(call.drawn)
        if replay.policy.sampling.method != "slots":
            told.expected += replay.rate(call.known)
        if call.drawn:
            told.lost.update(call.codes & {*ROOM, LATE})

    def _check_start(self, entry: Entry, call: CallTold) -> None:
        if not call.judged or call.known is None or call.replay is None:
            return
        if (call.record, call.codes - PAUSES) not in call.replay.at_start(call.known):
            self.say("verdict.other", entry, " ".join(sorted(call.codes)), call.uid)

    # --- agents ---

    def _counted(self, entry: Entry, data: Mapping[str, Any]) -> None:
        call = self._find(entry, data["uid"])
        if call is None:
            return
        call.codes = frozenset(data["codes"])
        if call.known is None or call.replay is None:
            return
        if data["month"] != sampling.month_of(call.replay.day(call.known.at_ns)):
            self.say("month.other", entry, data["month"], call.uid)
        self._agents.count(entry, data, call)
        call.drawn = call.replay.drawn(call.known)
        if call.judged and draw_replay.contradicts(call.codes, drawn=call.drawn):
            self.say("verdict.other", entry, " ".join(sorted(call.codes)), call.uid)

    # --- what else is said of a call ---

    def _find(self, entry: Entry, uid: str) -> CallTold | None:
        """The call that *entry* speaks of, which must have been decided."""
        call = self._calls.get(uid)
        if call is None:
            self.say("decision.missing", entry, entry.ev, uid)
        return call

    def _mentioned(self, entry: Entry, data: Mapping[str, Any]) -> None:
        call = self._find(entry, data["uid"])
        if call is not None and entry.ev == "call.resumed":
            call.resumed, call.run = True, self._run

    def _fact(self, entry: Entry, data: Mapping[str, Any]) -> None:
        call = self._find(entry, data["uid"])
        if call is None:
            return
        if data.get("state") == "taken":
            call.facts.append((data["fact"], data.get("value", "")))
        if "codes" not in data or data.get("state") != "taken":
            return
        call.codes = frozenset(data["codes"])
        known = call.judged and call.drawn is not None
        if (
            data["fact"] != "agent"
            and known
            and draw_replay.contradicts(call.codes, drawn=bool(call.drawn))
        ):
            self.say("verdict.other", entry, " ".join(sorted(call.codes)), call.uid)

    def _part(self, entry: Entry, data: Mapping[str, Any]) -> None:
        uid = data.get("uid")
        if uid is None:
            return
        call = self._find(entry, uid)
        if call is None:
            return
        if call.ended:
            self.say("part.other", entry, "its call had ended", uid)
        call.recordings.add(data["recording"])
        if _SAMPLED.intersection(data.get("purposes", ())) and (
            "SAMPLED_IN" not in call.codes or call.drawn is False
        ):
            self.say("part.unsampled", entry, data["part"], uid)

    def _coverage(self, entry: Entry, data: Mapping[str, Any]) -> None:
        uid = data["channel"]
        if uid.count("/") != 2:
            return
        call = self._find(entry, uid)
        # At a start the time of calls of before is accounted for, and they may go on.
        if call is not None and call.run == self._run and not (call.resumed or call.ended):
            self._covered.add(uid)

    def _check_uncovered(self, entry: Entry) -> None:
        """A call whose time was accounted for ends at once: nothing is decided between."""
        for uid in sorted(self._covered):
            self.say("end.missing", entry, "its time was accounted for", uid)
        self._covered.clear()

    def _ended(self, entry: Entry, data: Mapping[str, Any]) -> None:
        call = self._find(entry, data["uid"])
        if call is None:
            return
        if call.ended:
            self.say("end.twice", entry, "", call.uid)
            return
        call.ended = True
        self._covered.discard(call.uid)
        record, codes = data.get("record", call.record), frozenset(data.get("codes", call.codes))
        if record in NOT_KEPT and call.counted is not None:
            self._agents.counts.release(call.counted, call.uid)
        recording = data.get("recording")
        if recording is not None and recording not in call.recordings:
            self.say("part.other", entry, "no part of its recording was opened", call.uid)
        if not call.judged or call.known is None or call.replay is None:
            return
        said = (record, codes - PAUSES)
        if call.facts or (call.resumed and record in NOT_KEPT):
            lacking = draw_replay.missing_facts(codes, call.facts)
            bad = bool(lacking) or draw_replay.contradicts(codes, drawn=bool(call.drawn))
        else:
            bad = said not in call.replay.at_end(call.known) | call.replay.at_start(call.known)
        if bad:
            self.say("end.other", entry, f"{record} {' '.join(sorted(codes))}", call.uid)
        elif call.drawn and codes & {*ROOM, LATE} and not call.codes & {*ROOM, LATE}:
            self._result.days.setdefault(call.day, DayTold()).lost.update(codes & {*ROOM, LATE})

    # --- the end ---

    def finish(self) -> Result:
        """All entries were read."""
        for line, missing in sorted(self._numbers.missing.items()):
            for number, entry in sorted(missing.items()):
                uid = sampling.call_uid(self._device, line, number)
                self.say("number.missing", entry, "", uid)
        if self._last is not None:
            for call in self._calls.values():
                if not call.ended and self._last.t_ns - call.last_ns > _FORGOTTEN_NS:
                    self.say("end.missing", self._last, "nothing more was said of it", call.uid)
        return self._result


_READERS: Final[dict[str, Any]] = {
    "epoch.opened": _Check._epoch_opened,
    "epoch.closed": _Check._epoch_closed,
    "recorder.started": _Check._started,
    "import.started": _Check._started,
    "import.ended": _Check._import_ended,
    "policy.adopted": _Check._policy,
    "call.decided": _Check._decided,
    "call.counted": _Check._counted,
    "call.linked": _Check._mentioned,
    "call.paused": _Check._mentioned,
    "call.unpaused": _Check._mentioned,
    "call.resumed": _Check._mentioned,
    "call.fact": _Check._fact,
    "call.ended": _Check._ended,
    "part.opened": _Check._part,
    "coverage": _Check._coverage,
}
