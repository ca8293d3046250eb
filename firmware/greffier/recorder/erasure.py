"""A person asks that a recording be erased (GDPR art. 17): the answer per purpose, and the deed.

The rule is the pure one of :func:`greffier.policy.lifecycle.erase`. A part all of whose purposes
are erased is destroyed at once; where one stays, the part stays for it, and the log says which
purposes nobody may use it for any more.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from greffier.audit.kinds import REFERENCE
from greffier.policy import lifecycle
from greffier.recorder.archive import Archive
from greffier.recorder.holding import BAD_REFERENCE, DESTROYED
from greffier.recorder.purge import Hands, class_of, destroy
from greffier.store.ageing import Ageing
from greffier.store.index import PartRow

REASON: Final = "erased"
ERASED: Final = "ERASED"
RESTRICTED: Final = "RESTRICTED"
"""A purpose is erased, but its part stays for another one."""
NOTHING_HELD: Final = "NOTHING_HELD"
STILL_RUNNING: Final = "STILL_RUNNING"
NO_PURPOSE: Final = "REFUSED_PURPOSE_UNKNOWN"


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks. *request* is the reference of it.

    *contestable*: the contract that evidence proves can still be disputed. *asked_ns*: when it was
    asked (0: nobody said), since a hold placed later counts only if *dpo_agreed*.
    """

    recording: str
    request: str
    contestable: bool = True
    asked_ns: int = 0
    dpo_agreed: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a part (or the recording), for *purpose* ("": for all)."""

    name: str
    code: str
    purpose: str = ""


@dataclass(slots=True)
class Answers:
    """What was done and what was refused."""

    done: list[Answer] = field(default_factory=list)
    refused: list[Answer] = field(default_factory=list)


def erase(archive: Archive, request: Request, hands: Hands | None = None) -> Answers:
    """Carry *request* out as far as the law lets it; durable at return.

    Raises StorageFailed (the next purge goes on), IntegrityError.
    """
    found = Answers()
    name = request.recording
    if not REFERENCE.holds(request.request):
        found.refused.append(Answer(name, BAD_REFERENCE))
        return found
    with Ageing.open(archive.data.index) as ageing:
        rows = [row for row in ageing.of(name) if row.recording == name]
    if archive.deletions.is_running(name):
        found.refused.append(Answer(name, STILL_RUNNING))
        return found
    doomed: list[PartRow] = []
    for row in rows:
        answers = _answers(archive, row, request)
        erased = [purpose for purpose, code in answers.items() if code == ERASED]
        if erased and len(erased) == len(answers):
            doomed.append(row)
            found.done.append(Answer(row.part_id, ERASED))
            continue
        found.done += [Answer(row.part_id, RESTRICTED, purpose) for purpose in erased]
        found.refused += _refusals(row, answers)
    if not rows:
        gone = archive.unconfirmed.is_destroyed(name)
        found.refused.append(Answer(name, DESTROYED if gone else NOTHING_HELD))
    _log(archive, request, found)
    by_class: dict[str, list[PartRow]] = {}
    for row in doomed:
        by_class.setdefault(class_of(row, archive.shred.class_name), []).append(row)
    for some in by_class.values():
        destroy(archive, some, REASON, class_of(some[0], archive.shred.class_name), hands)
    if not doomed:
        (hands or archive.perform)(lambda: None)
    return found


def _answers(archive: Archive, row: PartRow, request: Request) -> dict[str, str]:
    standing = [one for one in archive.holds.of(row.part_id, row.recording) if one.until_ns is None]
    later = bool(request.asked_ns) and all(one.since_ns > request.asked_ns for one in standing)
    days = {name: (least, most or 0) for name, (least, most) in row.purposes.items()}
    answer = lifecycle.erase(
        days,
        hold=bool(standing),
        contestable=request.contestable,
        hold_after_request=bool(standing) and later,
        dpo_agreed=request.dpo_agreed,
    )
    return dict(answer.purposes)


def _refusals(row: PartRow, answers: dict[str, str]) -> Iterator[Answer]:
    for purpose, code in answers.items():
        if code != ERASED:
            yield Answer(row.part_id, code, purpose)
    if not answers:
        yield Answer(row.part_id, NO_PURPOSE)


def _log(archive: Archive, request: Request, found: Answers) -> None:
    status = "partial" if found.done and found.refused else "erased" if found.done else "refused"
    if any(one.code == NOTHING_HELD for one in found.refused):
        status = "nothing_held"
    # What a refused purpose still needs stays usable for it; what is erased of a part that stays
    # is not: the log is where an access finds that.
    data = {
        "request": request.request,
        "recording": request.recording,
        "status": status,
        "erased": sorted({one.purpose for one in found.done if one.purpose}),
        "refused": sorted({one.purpose for one in found.refused if one.purpose}),
        "codes": sorted({one.code for one in (*found.done, *found.refused)}),
    }
    archive.learn(archive.log.append("erasure.decided", request.recording, data))
