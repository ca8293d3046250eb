"""Facts that are told when their call is over: what they may still change, and what they change.

A refusal that comes late takes away what a refusal in time would not have let begin, as far as the
law lets it go; a signature and an authority's order make longer what a duty keeps. It is work for
the thread of the retention engine, which may wait for the disk.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from greffier.control.board import Reply
from greffier.control.facts import FactTaken, Tell
from greffier.control.messages import Failure
from greffier.errors import IntegrityError, StorageFailed
from greffier.policy.purposes import SAMPLED, VOLUNTARY
from greffier.policy.site import Policy
from greffier.recorder.archive import Archive
from greffier.recorder.live_facts import NotTaken, Said, checked
from greffier.recorder.numbers import journal_name
from greffier.recorder.picture import is_over
from greffier.recorder.purge import Hands, class_of, destroy
from greffier.recorder.telling import (
    AHEAD_NS,
    FUTURE,
    NO_CALL,
    SECOND_PERSON,
    entry_of,
    is_alone,
    longer,
    since_ns,
)
from greffier.recorder.tellings import LATE, WAITS
from greffier.store.ageing import Ageing
from greffier.store.index import CallRow, PartRow
from greffier.trust import DeletionClass, load_log_key

NO_RECORDING: Final = "no_such_recording"
RUNNING: Final = Failure("busy", "starting")
"""The call runs, and its sound is not heard again yet after a restart."""
NO_DISK: Final = Failure("busy", "no_disk")
HELD: Final = "held"


@dataclass(frozen=True, slots=True)
class Effect:
    """What a late fact does: *doomed* parts go for *reason*; the others' term becomes *days*, from
    *from_ns* on. *code* says what the law does not let it do.
    """

    doomed: Sequence[PartRow] = ()
    reason: str = "refused"
    days: tuple[int, int] | None = None
    from_ns: int | None = None
    code: str = ""


class LateFacts:
    """For one opened archive. *lend* lets the retention engine's thread do something, soon."""

    def __init__(
        self,
        archive: Archive,
        policy: Policy,
        lend: Callable[[Callable[[Hands], None]], Failure | None],
    ) -> None:
        self._archive = archive
        self._policy = policy
        self._lend = lend
        self._key = load_log_key(archive.data.log_key)

    def adopt(self, policy: Policy) -> None:
        """The days of what comes from now on are those of *policy*. Any thread."""
        self._policy = policy

    # --- the recorder's thread ---

    def take(self, request: Tell, content: str, done: Callable[[Reply], None]) -> None:
        """Take a fact about no running call; it is answered when what it changes is done."""
        refusal = self._lend(partial(self._answer, request, content, done))
        if refusal is not None:
            done(refusal)

    def discard(self, parts: Collection[str], reason: str) -> None:
        """Destroy these parts, of which the log has told. Where the engine has no time for it now,
        its next look at what is not finished does it.
        """
        self._lend(partial(self._discard, tuple(parts), reason))

    # --- the retention engine's ---

    def _answer(
        self, request: Tell, content: str, done: Callable[[Reply], None], hands: Hands
    ) -> None:
        try:
            done(self._taken(request, content, hands))
        except (StorageFailed, IntegrityError):
            done(NO_DISK)

    def _taken(self, request: Tell, content: str, hands: Hands) -> Reply:
        archive = self._archive
        before = archive.tellings.find(request.id)
        if before is not None:
            same = before.content == content
            return FactTaken("known") if same else FactTaken("refused", "other_content")
        with Ageing.open(archive.data.index) as ageing:
            call = ageing.call(journal_name(request.call) if request.call else request.recording)
            if call is None:
                return FactTaken("refused", NO_CALL if request.call else NO_RECORDING)
            rows = ageing.of(call.recording) if call.recording else []
        if not is_over(call.clear):
            return RUNNING
        now = archive.clock.wall_ns()
        if request.at_ns > now + AHEAD_NS:
            return FactTaken("refused", FUTURE)
        try:
            value = checked(request.fact, request.value)
        except NotTaken as error:
            return FactTaken("refused", error.code)
        said = Said(request.fact, value, min(request.at_ns or now, now), bool(rows))
        return self._log(request, content, said, call, rows, hands)

    def _discard(self, parts: Sequence[str], reason: str, hands: Hands) -> None:
        with suppress(StorageFailed, IntegrityError):  # the next purge goes on
            with Ageing.open(self._archive.data.index) as ageing:
                rows = [row for part in parts for row in ageing.of(part) if row.part_id == part]
            self._destroy(rows, reason, hands)

    def _destroy(self, rows: Sequence[PartRow], reason: str, hands: Hands) -> None:
        by_class: dict[DeletionClass, list[PartRow]] = {}
        for row in rows:
            by_class.setdefault(class_of(row, self._archive.shred.class_name), []).append(row)
        for deletion, some in by_class.items():
            destroy(self._archive, some, reason, deletion, hands)

    def _log(
        self,
        request: Tell,
        content: str,
        said: Said,
        call: CallRow,
        rows: Sequence[PartRow],
        hands: Hands,
    ) -> FactTaken:
        archive, uid = self._archive, str(call.clear["number"])
        by = self._key.person(request.actor) if request.actor else None
        waits = is_alone(archive, said, uid, by)
        effect = Effect() if waits else self._effect(said, call, rows)
        least, most = effect.days or (None, None)
        data: dict[str, Any] = {
            **entry_of(request, content, said, self._key.person),
            "uid": uid,
            "line": call.line,
            "recording": call.recording,
            "state": WAITS if waits else LATE,
            "from_ns": effect.from_ns,
            "min_days": least,
            "max_days": most,
        }
        archive.learn(archive.log.append("call.fact", call.recording, data))
        self._destroy(effect.doomed, effect.reason, hands)
        if not effect.doomed:
            hands(lambda: None)
        codes = tuple(call.clear.get("codes", ()))
        return FactTaken("late", SECOND_PERSON if waits else effect.code, codes)

    # --- the law ---

    def _effect(self, said: Said, call: CallRow, rows: Sequence[PartRow]) -> Effect:
        """What *said* does to the parts *rows* of *call*. Holds are stronger than any of it."""
        days = longer(self._policy, said, {name for row in rows for name in row.purposes})
        if days is not None:
            created = [
                self._archive.origins.created_ns(one.part_id, one.created_ns) for one in rows
            ]
            known = [one for one in created if one is not None]
            now = self._archive.clock.lower_bound().t_ns  # where nobody knows, it counts from now
            created_ns = max(known) if len(known) == len(created) else max([*known, now])
            return Effect(days=days, from_ns=since_ns(said, created_ns))
        wanted, reason = self._wanted(said, call)
        doomed = [row for row in rows if row.purposes and row.purposes.keys() <= wanted]
        holds = self._archive.holds
        free = [row for row in doomed if not holds.standing(row.part_id, row.recording)]
        return Effect(free, reason, code=HELD if len(free) < len(doomed) else "")

    def _wanted(self, said: Said, call: CallRow) -> tuple[set[str], str]:
        """The purposes that *said* takes away, and why."""
        ended = int(call.clear["end_ns"] or call.start_ns)
        line = self._policy.lines.get(call.line)
        during = said.at_ns <= ended
        found: set[str] = set()
        match said.fact, said.value:
            case "consent", "out":
                # Evidence is the ground of a claim by now; a threat stands.
                found = {*SAMPLED, *(("insurance",) if during else ())}
            case ("private", "true") | ("announce", "fail"):
                found = set(VOLUNTARY)
            case "call_kind", "private":
                found = {*VOLUNTARY, "insurance"}
            case "prospect", "refused":
                found = {"insurance"}
            case "contract", "written" | "signed":
                found = {"evidence"}
            case "mifid", "no" if line is not None and line.mixed:
                return {"regulatory"}, "reclassified"
        return found, "private" if said.fact in ("private", "call_kind") else "refused"
