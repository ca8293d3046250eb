"""What a killed process left behind: parts without FINAL, files without an entry.

Runs when the archive is opened for writing, before anything new begins. A torn tail is cut; what is
left of a part is named in the log by its length and SHA-256, because nobody on the device has
its key any more and no FINAL can be added.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from greffier.audit.coverage import Account
from greffier.audit.intervals import Interval
from greffier.clock import format_time
from greffier.recorder import holding, past
from greffier.recorder.archive import Archive
from greffier.recorder.doomed import erase
from greffier.recorder.numbers import journal_name
from greffier.recorder.operators import roll_of
from greffier.recorder.outcome import leading_code
from greffier.recorder.pauses import Window
from greffier.recorder.picture import INTERRUPTED, Picture
from greffier.seal.header import BadPart
from greffier.seal.reader import Reader
from greffier.seal.structure import State
from greffier.store.vault import StoredPart

RUNNING = "running"
TORN = "torn"
"""The end of a part that was cut: its whole frames count, there is no FINAL."""


class EarlierPart(NamedTuple):
    """A part of a call that a restart cut, and what it is kept for."""

    part: str
    purposes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CutCall:
    """A call that the log knows and the journal does not: the process ended before its record.

    *ended* is what the log says of its end, or None. *recording* is None where nothing was kept.
    *names* are the pseudonyms of its Call-ID and of its flows, *draw* the numerator of its draw,
    *parts* how many parts it began, *about* the record (epoch, number) that says who called whom.
    *heard*: the last run heard it, so its time until that run ended is known. *settled_ns*: up to
    when its time is accounted for. *pauses* are those of its sound; *waits_ns* is how long sound
    waited in memory, and is lost. *facts* were told of it, as the log says them; *begun* are its
    parts of which something is left.
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
    facts: tuple[Mapping[str, Any], ...] = ()
    begun: tuple[EarlierPart, ...] = ()


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
    numbers: Mapping[str, int] = field(default_factory=dict)
    """The last number of each line."""


def recover(archive: Archive, alive: Callable[[], None] = lambda: None) -> Recovered:
    """Bring vault, journal, log and index to one story.

    *alive* is called with each step of the work, so that who waits for it sees that it goes on.
    Raises IntegrityError, StorageFailed.
    """
    picture, since = past.remembered(archive, alive)
    archive.sealing.take_roll(roll_of(picture.kept))
    kept: list[StoredPart] = []
    empty: list[str] = []
    last_ns = picture.last_ns
    finish_dooms(archive, picture.unended)
    stored, lost = past.find_parts(archive, picture.unended)
    for one in stored:
        alive()
        # What was still written of audio shows how long the process lived after its last entry.
        last_ns = max(last_ns, one.path.stat().st_mtime_ns)
        if _recover_part(archive, one):
            kept.append(one)
        else:
            empty.append(one.part_id)
    for part in lost:  # its file never began, or was empty and has gone
        _append_recovered(archive, None, _nothing(part))
    if kept or empty or lost:
        archive.log.commit()
    past.mend_index(archive, since, kept, empty)
    holding.mark(archive)
    archive.clock.witnessed(picture.bound_ns, "persisted")
    return Recovered(
        len(kept),
        len(empty) + len(lost),
        len(since.mended),
        tuple(_cut_calls(picture)),
        last_ns,
        picture.settled | {"": picture.started_ns},
        dict(picture.states),
        picture.trusted,
        picture.running,
        dict(picture.numbers),
    )


def finish_dooms(archive: Archive, unended: Collection[str]) -> None:
    """Destroy the parts of *unended* that the log gave up while they were being written.

    Raises StorageFailed.
    """
    doomed = sorted(part for part in unended if archive.unconfirmed.is_destroyed(part))
    if not doomed:
        return
    erase(archive.shred, archive.vault, dict.fromkeys(doomed, ""))
    archive.log.commit()
    for part in doomed:
        archive.shred_logged([part], "resumed", archive.deletions.class_of(part), "done")
    archive.log.commit()


def _cut_calls(picture: Picture) -> Iterator[CutCall]:
    for uid, call in picture.calls.items():
        ended = call.ended
        recording = picture.recording_of(uid)
        yield CutCall(
            uid,
            call.line,
            call.start_ns,
            (ended or {}).get("record", call.record),
            tuple((ended or {}).get("codes", call.codes)),
            recording,
            ended,
            # Where it was heard, both its addresses are known, which is surer.
            (call.call, *(call.flows or call.offers)),
            call.draw,
            picture.begun_in(recording, uid),
            call.speaker,
            call.heard,
            picture.settled.get(uid, call.start_ns),
            tuple(call.pauses),
            call.waits_ns,
            tuple(call.facts),
            tuple(EarlierPart(*one) for one in picture.parts_of(uid)),
        )


def account_for(archive: Archive, call: CutCall, last_ns: int) -> CutCall:
    """Account for the time until *last_ns*, when the run ended that heard *call* last.

    Whether it lasted longer is known when it is heard again.
    """
    if not call.heard or last_ns <= call.settled_ns:
        return call
    for interval in cut_coverage(call, last_ns):
        archive.log.append("coverage", None, interval.data)
    return replace(call, settled_ns=last_ns)


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
            archive.learn(archive.log.append("call.ended", call.recording, data))
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


def tell_tap(
    archive: Archive, name: str, since: int, last_ns: int, now: int, gap: tuple[str, str | None]
) -> None:
    """The time of the tap *name* from *since*, where a start left it, as entries: it listened until
    *last_ns*, when the process ended, and then there is the *gap*.
    """
    until = max(since, last_ns)
    for from_ns, to_ns, state, reason in ((since, until, "idle", None), (until, now, *gap)):
        if from_ns < to_ns:
            account = Account(name, name, from_ns)
            account.mark(state, from_ns, to_ns, reason)
            for interval in account.close(to_ns):
                archive.log.append("coverage", None, interval.data)
