"""A deletion that was aborted because too much would go: the log tells it, two persons end it."""

from collections.abc import Callable

from greffier.recorder.archive import Archive
from greffier.recorder.persons import Persons, vouched
from greffier.recorder.purge import Blocked, Plan, plan

_REASON = "unexplained"


def note(archive: Archive, found: Plan) -> bool:
    """Say in the log, once, that part of *found* was aborted; whether it was."""
    if found.aborted and not archive.deletions.aborted:
        data = {"parts": found.aborted, "of": found.all_parts, "reason": _REASON}
        archive.learn(archive.log.append("deletion.aborted", None, data))
    return bool(found.aborted)


def confirm(
    archive: Archive,
    blocked: Blocked,
    persons: Persons,
    hands: Callable[[Callable[[], None]], None] | None = None,
) -> int:
    """Let what is due now go, however much it is; how many parts were waiting. Durable at return.

    Raises NotVouched, StorageFailed, IntegrityError.
    """
    by = vouched(archive, persons)
    waiting = plan(archive, 0, blocked).aborted
    if waiting:
        data = {"parts": waiting, **by}
        entry = archive.learn(archive.log.append("deletion.confirmed", None, data))
        archive.pace.read(entry)
        (hands or archive.perform)(lambda: None)
    return waiting
