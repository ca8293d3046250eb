"""A deletion that was aborted because too much would go: the log tells it, two persons end it."""

from collections.abc import Callable
from typing import Final

from greffier.clock import SECOND
from greffier.recorder.archive import Archive
from greffier.recorder.persons import NotVouched, Persons, vouched
from greffier.recorder.purge import Blocked, Plan, plan

CONFIRM: Final = "deletion.confirm"
LATE: Final = "CONFIRMED_AT_ANOTHER_TIME"
PATIENCE_NS: Final = 900 * SECOND
_REASON: Final = "unexplained"


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
    at_ns: int,
    hands: Callable[[Callable[[], None]], None] | None = None,
) -> int:
    """Let what is due now go, however much it is; how many parts were waiting. Durable at return.

    *at_ns* is when the two said so: what they sign holds for a quarter of an hour.

    Raises NotVouched, StorageFailed, IntegrityError.
    """
    if abs(archive.clock.wall_ns() - at_ns) > PATIENCE_NS:
        raise NotVouched(LATE)
    by = vouched(archive, persons, CONFIRM, {"at_ns": str(at_ns)})
    waiting = plan(archive, 0, blocked).aborted
    if waiting:
        data = {"parts": waiting, **by}
        entry = archive.learn(archive.log.append("deletion.confirmed", None, data))
        archive.pace.read(entry)
        (hands or archive.perform)(lambda: None)
    return waiting
