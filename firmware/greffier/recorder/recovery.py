"""What a killed process left behind: parts without FINAL, files without an entry.

Runs when the archive is opened for writing, before anything new begins. A torn tail is cut; what is
left of a part is named in the log by its length and SHA-256, because nobody on the device has
its key any more and no FINAL can be added.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from greffier.audit import verify
from greffier.audit.coverage import Account
from greffier.audit.entry import Entry
from greffier.audit.intervals import Interval
from greffier.clock import format_time
from greffier.recorder import holding
from greffier.recorder.archive import Archive
from greffier.recorder.numbers import journal_name
from greffier.recorder.operators import Roll
from greffier.recorder.outcome import leading_code
from greffier.recorder.pauses import Window
from greffier.seal.header import BadPart
from greffier.seal.reader import Reader
from greffier.seal.structure import State
from greffier.store import journal
from greffier.store.rebuild import rebuild
from greffier.store.vault import StoredPart

INTERRUPTED = "interrupted"
RUNNING = "running"
# A start that is killed may have written these: they do not show that the run before still lived.
_OF_A_START = frozenset({"part.recovered", "log.recovered", "epoch.opened"})
TORN = "torn"
"""The end of a part that was cut: its whole frames count, there is no FINAL."""


@dataclass(frozen=True, slots=True)
class CutCall:
    """A call that the log knows and the journal does not: the process ended before its record.

    *ended* is what the log says of its end, or None. *recording* is None where nothing was kept.
    *names* are the pseudonyms of its Call-ID and of its flows, *draw* the numerator of its draw,
    *parts* how many parts it began, *about* the record (epoch, number) that says who called whom.
    *heard*: the last run heard it, so its time until that run ended is known. *settled_ns*: up to
    when its time is accounted for. *pauses* are those of its sound; *waits_ns* is how long sound
    waited in memory, and is lost.
    """

    uid: str
    line: str
    start_ns: int
    record: str
    codes: tuple[str, ...]
    recording: str | None
    ended: Mapping[str, Any] | None
    names: tuple[str, ...] = ()
    draw: int | None = None
    parts: int = 0
    about: tuple[str, int] | None = None
    heard: bool = True
    settled_ns: int = 0
    pauses: tuple[Window, ...] = ()
    waits_ns: int = 0


@dataclass(frozen=True, slots=True)
class Recovered:
    """Parts that were cut and kept, parts that held nothing and went, records cut off journals.

    *calls* are to be listed by :func:`list_cut` once an epoch is open.
    """

    parts: int
    empty: int
    journals: int
    calls: tuple[CutCall, ...]
    last_ns: int = 0
    """The last instant that the log knows of, wall clock; 0 where it knows none."""
    settled: Mapping[str, int] = field(default_factory=dict)
    """Up to when the time of each channel is accounted for; under "" when the recorder started."""
    states: Mapping[str, str] = field(default_factory=dict)
    """In which state each channel was last accounted for."""
    trusted: str | None = None
    """The SHA-256 of the keys of head office that the log says last are believed."""
    cut_off: bool = False
    """Whether a recorder ran before and did not end in good order."""


@dataclass(slots=True)
class _Told:
    """What the log tells of parts and calls."""

    sizes: dict[str, int | None] = field(default_factory=dict)  # of parts; None: no end
    uids: dict[str, tuple[str, str]] = field(default_factory=dict)  # part -> uid, recording
    decided: dict[str, Entry] = field(default_factory=dict)
    ended: dict[str, Entry] = field(default_factory=dict)
    flows: dict[str, list[str]] = field(default_factory=dict)  # uid -> pseudonyms
    offers: dict[str, list[str]] = field(default_factory=dict)  # uid -> pseudonyms
    begun: dict[str, int] = field(default_factory=dict)  # recording -> parts
    last_ns: int = 0
    started_ns: int = 0
    settled: dict[str, int] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    running: bool = False
    pauses: dict[str, list[Window]] = field(default_factory=dict)  # uid -> in order
    heard: set[str] = field(default_factory=set)  # calls of the last run
    received: set[str] = field(default_factory=set)  # parts that head office has
    trusted: str | None = None  # the file of head office's keys
    bound_ns: int = 0  # the latest lower bound of trusted time

    def read(self, entry: Entry) -> None:
        data = entry.data
        alive_ns = 0 if entry.ev in _OF_A_START else entry.t_ns
        self.last_ns = max(self.last_ns, alive_ns)
        self.bound_ns = max(self.bound_ns, entry.t_lb_ns)
        if entry.ev == "coverage":
            channel, until = data["channel"], data["to_ns"]
            if until >= self.settled.get(channel, 0):
                self.settled[channel], self.states[channel] = until, data["state"]
        elif entry.ev == "recorder.started":
            self.started_ns, self.running = entry.t_ns, True
            self.heard.clear()
        elif entry.ev == "recorder.stopped":
            self.running = False
        elif entry.ev == "call.linked":
            table = self.offers if data.get("offer") else self.flows
            table.setdefault(data["uid"], []).append(data["flow"])
        elif entry.ev == "call.paused":
            self.pauses.setdefault(data["uid"], []).append(Window(data["from_ns"]))
        elif entry.ev == "call.unpaused":
            pauses = self.pauses[data["uid"]]
            pauses[-1] = replace(pauses[-1], to_ns=data["at_ns"])
        elif entry.ev == "office.trusted":
            self.trusted = data["sha256"]
        elif entry.ev.startswith("part."):
            self._read_part(entry.ev, data)
        elif entry.ev == "call.decided":
            self.decided[data["uid"]] = entry
            self.heard.add(data["uid"])
        elif entry.ev == "call.resumed":
            self.heard.add(data["uid"])
        elif entry.ev == "call.ended":
            self.ended[data["uid"]] = entry

    def _read_part(self, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "part.opened":
            self.begun[data["recording"]] = self.begun.get(data["recording"], 0) + 1
            self.sizes[data["part"]] = None
            self.uids[data["part"]] = (data.get("uid", ""), data["recording"])
        elif kind in ("part.sealed", "part.recovered"):
            self.sizes[data["part"]] = data["bytes"]
        elif kind == "part.received":
            self.received.add(data["part"])


def recover(archive: Archive, alive: Callable[[], None] = lambda: None) -> Recovered:
    """Bring vault, journal, log and index to one story.

    *alive* is called with each step of the work, so that who waits for it sees that it goes on.
    Raises IntegrityError, StorageFailed.
    """
    told, roll = _Told(), Roll()
    for entry in verify.entries(archive.data.path):
        told.read(entry)
        archive.learn(entry)
        archive.pace.read(entry)
        roll.read(entry)
        alive()
    archive.sealing.take_roll(roll)
    unended = {part for part, size in told.sizes.items() if size is None}
    kept = empty = 0
    for stored in archive.vault.parts():
        alive()
        # What was still written of audio shows how long the process lived after its last entry.
        told.last_ns = max(told.last_ns, stored.path.stat().st_mtime_ns)
        # A file that the log never opened is not ours: it stays, and a verification shows it.
        if stored.part_id in unended:
            unended.discard(stored.part_id)
            told.sizes[stored.part_id] = size = _recover_part(archive, stored)
            kept, empty = kept + bool(size), empty + (not size)
    for part in sorted(unended):  # its file never began, or was empty and has gone
        _append_recovered(archive, None, _nothing(part))
        told.sizes[part] = 0
        empty += 1
    mended = journal.recover(archive.data.calls, archive.disk)
    if kept or empty or mended or archive.index.fresh:
        archive.log.commit()
        archive.index.close()
        rebuild(
            archive.data,
            archive.disk,
            archive.shred,
            archive.holds.standing,
            told.received,
            archive.deletions.forgotten,
        )
        archive.reopen_index()
    # A kill may have come between the entry of a receipt and the row of its part.
    late = [part for part in archive.index.unsynced() if part in told.received]
    if late:
        archive.index.mark_synced(late)
    holding.mark(archive)
    archive.clock.witnessed(told.bound_ns, "persisted")
    calls = tuple(_cut_calls(archive, told))
    settled = told.settled | {"": told.started_ns}
    return Recovered(
        kept,
        empty,
        len(mended),
        calls,
        told.last_ns,
        settled,
        told.states,
        told.trusted,
        told.running,
    )


def _cut_calls(archive: Archive, told: _Told) -> Iterator[CutCall]:
    known = {
        record.clear.get("number"): record for record in journal.everything(archive.data.calls)
    }
    recordings = {
        uid: recording for part, (uid, recording) in told.uids.items() if told.sizes[part]
    }
    for uid, decided in told.decided.items():
        record = known.get(uid)
        if record is not None and record.clear["end_ns"] is not None:
            continue
        if record is not None and record.clear.get("end") == INTERRUPTED:
            continue
        ended = told.ended.get(uid)
        last = (ended or decided).data
        start_ns = decided.data.get("at_ns", decided.t_ns)
        yield CutCall(
            uid,
            decided.data["line"],
            start_ns,
            last.get("record", decided.data["record"]),
            tuple(last.get("codes", decided.data["codes"])),
            recordings.get(uid),
            ended.data if ended else None,
            # Where it was heard, both its addresses are known, which is surer.
            (decided.data["call"], *(told.flows.get(uid) or told.offers.get(uid, []))),
            decided.data.get("u"),
            told.begun.get(recordings.get(uid, ""), 0),
            _speaker(record),
            uid in told.heard,
            told.settled.get(uid, start_ns),
            tuple(told.pauses.get(uid, ())),
            decided.data.get("waits_ns", 0),
        )


def _speaker(record: journal.Record | None) -> tuple[str, int] | None:
    """The record (epoch, number) that says who called whom: *record*, or the one it points to."""
    if record is None:
        return None
    before = record.clear.get("about")
    return (before[0], before[1]) if before else (record.epoch, record.number)


def cut_coverage(call: CutCall, last_ns: int) -> tuple[Interval, ...]:
    """What became of the time of *call* until *last_ns*, since it was accounted for last."""
    account = Account(call.line, call.uid, call.settled_ns)

    def mark(state: str, from_ns: int, to_ns: int, reason: str | None = None) -> None:
        from_ns, to_ns = max(from_ns, call.settled_ns), min(to_ns, last_ns)
        if from_ns < to_ns:
            account.mark(state, from_ns, to_ns, reason)

    if call.record in ("none", "provisional_deleted") or not call.recording:
        mark("not_recorded", 0, last_ns, leading_code(call.codes) or "UNKNOWN")
        return account.close(last_ns)
    mark("recorded", 0, last_ns)
    waiting_to = last_ns
    for pause in call.pauses:
        mark("paused", pause.from_ns, pause.to_ns or last_ns, "PAUSE_SAD")
        waiting_to = waiting_to if pause.to_ns else min(waiting_to, pause.from_ns)
    # What waited for its back-date was in memory only.
    mark("lost", last_ns - call.waits_ns, waiting_to, "RESTART")
    return account.close(last_ns)


def list_cut(archive: Archive, calls: Iterable[CutCall]) -> None:
    """Give *calls* an end in the log and a record in the journal, durable with the next tick.

    Who called whom was known under keys that are gone: the record points to an earlier one that
    says it, where there is one. When the call ended nobody knows.
    Raises StorageFailed.
    """
    for call in calls:
        wanted = call.record not in ("none", "provisional_deleted")
        result = "degraded" if call.recording else "failed" if wanted else "ok"
        if call.ended:  # and its sound may be lost all the same
            lost = call.ended.get("recording") and not call.recording
            result = result if lost else call.ended["result"]
        else:
            data = {
                "uid": call.uid,
                "result": result,
                "line": call.line,
                "record": call.record,
                "codes": list(call.codes),
                "recording": call.recording,
                "reason": INTERRUPTED,
            }
            archive.log.append("call.ended", call.recording, data)
        _write(archive, call, result, INTERRUPTED)


def list_open(archive: Archive, calls: Iterable[CutCall]) -> None:
    """Give *calls*, which may still run, a record that names their recording.

    Raises StorageFailed.
    """
    for call in calls:
        _write(archive, call, "ok", RUNNING)


def _write(archive: Archive, call: CutCall, result: str, end: str) -> None:
    archive.write_call(
        {
            "uid": journal_name(call.uid),
            "number": call.uid,
            "line": call.line,
            "start_ns": str(call.start_ns),
            "end_ns": None,
            "recording": call.recording,
            "call_id": None,
            "start": format_time(call.start_ns),
            "duration_ms": None,
            "result": result,
            "record": call.record,
            "codes": list(call.codes),
            "end": end,
            "warnings": ["INTERRUPTED"],
            "legs": [],
            "about": None if call.about is None else list(call.about),
        },
        {},
    )


def _append_recovered(archive: Archive, recording: str | None, data: Mapping[str, Any]) -> None:
    archive.learn(archive.log.append("part.recovered", recording, data))


def _nothing(part: str) -> dict[str, object]:
    sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # of nothing
    return {"part": part, "bytes": 0, "sha256": sha256, "frames": 0, "end": "empty"}


def _recover_part(archive: Archive, stored: StoredPart) -> int:
    """Cut a part at its last whole frame and log it; how many bytes are left of it."""
    try:
        with stored.path.open("rb") as file:
            reader = Reader(file)
            scan = reader.scan(0)  # nothing is known to have been committed: a break is a tear
            header = reader.header
    except BadPart:
        archive.disk.remove([stored.path])
        _append_recovered(archive, None, _nothing(stored.part_id))
        return 0
    if scan.good < stored.size:
        archive.disk.truncate_to(stored.path, scan.good)
    digest = archive.vault.digest(stored.part_id)
    _append_recovered(
        archive,
        header.recording_id.hex(),
        {
            "part": stored.part_id,
            "recording": header.recording_id.hex(),
            "number": header.number,
            "bytes": digest.size,
            "sha256": digest.sha256,
            "frames": scan.frames,
            "end": "complete" if scan.state is State.COMPLETE else TORN,
        },
    )
    return digest.size
