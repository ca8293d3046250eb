"""Holds as they come and go: two persons, an entry of the log, then the index.

Only the log says which holds there are (:mod:`greffier.audit.holds`); the index shows them to who
lists. Whoever places or releases one is the thread that deletes, so nothing is deleted meanwhile.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from greffier.audit.holds import Mode
from greffier.audit.kinds import REFERENCE
from greffier.policy.lifecycle import DAY_NS
from greffier.recorder.archive import Archive
from greffier.recorder.persons import NotVouched, Persons, vouched
from greffier.store.ageing import Ageing
from greffier.store.index import PartRow

REVIEW_NS: Final = 180 * DAY_NS
PLACE: Final = "hold.place"
RELEASE: Final = "hold.release"
"""For what two operators sign."""
PLACED: Final = "HOLD_PLACED"
RELEASED: Final = "HOLD_RELEASED"
NO_SUCH: Final = "NO_SUCH_RECORDING"
NO_SUCH_HOLD: Final = "NO_SUCH_HOLD"
ALREADY_RELEASED: Final = "HOLD_ALREADY_RELEASED"
DESTROYED: Final = "ALREADY_DESTROYED"
BAD_REVIEW: Final = "HOLD_REVIEW_TOO_LATE"
BAD_REFERENCE: Final = "HOLD_REFERENCE_NOT_LOGGABLE"

Hands = Callable[[Callable[[], None]], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """A hold that somebody wants: on a recording, or a part. *review_ns* 0: nobody said when."""

    target: str
    reference: str
    mode: Mode
    persons: Persons
    review_ns: int = 0

    @property
    def order(self) -> dict[str, str]:
        """What two operators sign."""
        return {
            "target": self.target,
            "reference": self.reference,
            "mode": self.mode,
            "review_ns": str(self.review_ns),
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an order: *name* is that of the hold, or of what was refused."""

    name: str
    code: str
    done: bool


def place(archive: Archive, wish: Wish, hands: Hands | None = None) -> Outcome:
    """Place a hold; it is durable at return. Raises StorageFailed, IntegrityError."""
    bound_ns = archive.clock.lower_bound().t_ns
    latest_ns = max(bound_ns, archive.clock.wall_ns()) + REVIEW_NS
    rows = _rows(archive, wish.target)
    recording = next((row.recording for row in rows), None)
    if not rows and _is_recording(archive, wish.target):
        recording = wish.target
    part = wish.target if recording not in (None, wish.target) else None
    known = archive.unconfirmed
    refused = None
    if known.is_destroyed(wish.target) or (
        rows and all(known.is_destroyed(row.part_id) for row in rows)
    ):
        refused = DESTROYED
    elif recording is None:
        refused = NO_SUCH
    elif not REFERENCE.holds(wish.reference):
        refused = BAD_REFERENCE
    elif wish.review_ns and not bound_ns < wish.review_ns <= latest_ns:
        refused = BAD_REVIEW
    if refused is not None:
        return Outcome(wish.target, refused, done=False)
    try:
        by = vouched(archive, wish.persons, PLACE, wish.order)
    except NotVouched as error:
        return Outcome(wish.target, error.code, done=False)
    hold = secrets.token_hex(16)
    data = {
        "hold": hold,
        "mode": wish.mode,
        "reference": wish.reference,
        "recording": recording,
        "parts": [part] if part else None,
        "review_ns": wish.review_ns or None,
        **by,
    }
    archive.learn(archive.log.append("hold.placed", recording, data))
    _show(archive, hands, wish.target)
    return Outcome(hold, PLACED, done=True)


def release(archive: Archive, hold: str, persons: Persons, hands: Hands | None = None) -> Outcome:
    """Release a hold; it is durable at return. Raises StorageFailed, IntegrityError."""
    found = archive.holds.find(hold)
    if found is None:
        return Outcome(hold, NO_SUCH_HOLD, done=False)
    if found.until_ns is not None:
        return Outcome(hold, ALREADY_RELEASED, done=False)
    try:
        by = vouched(archive, persons, RELEASE, {"hold": hold})
    except NotVouched as error:
        return Outcome(hold, error.code, done=False)
    archive.learn(archive.log.append("hold.released", found.recording, {"hold": hold, **by}))
    _show(archive, hands, *(found.parts or {found.recording or ""}))
    return Outcome(hold, RELEASED, done=True)


def mark(archive: Archive) -> None:
    """Make the index show the holds that the log tells of. Raises StorageFailed."""
    shown = archive.index.held()
    names = {name for hold in archive.holds for name in hold.parts or {hold.recording or ""}}
    if not shown and not names:
        return
    with Ageing.open(archive.data.index) as ageing:
        rows = {row.part_id: row for name in {*names, *shown} for row in ageing.of(name)}
    wanted = {row.part_id: _standing(archive, row) for row in rows.values()}
    changed = {part: now for part, now in wanted.items() if now != shown.get(part, ())}
    if changed:
        archive.index.mark_held(changed)


def _show(archive: Archive, hands: Hands | None, *names: str) -> None:
    rows = [row for name in names for row in _rows(archive, name)]
    shown = {row.part_id: _standing(archive, row) for row in rows}
    (hands or archive.perform)(lambda: archive.index.mark_held(shown))


def _standing(archive: Archive, row: PartRow) -> tuple[str, ...]:
    return archive.holds.standing(row.part_id, row.recording)


def _rows(archive: Archive, name: str) -> list[PartRow]:
    with Ageing.open(archive.data.index) as ageing:
        return ageing.of(name)


def _is_recording(archive: Archive, name: str) -> bool:
    """Whether a part of the recording *name* is being written, and in no row yet."""
    return archive.deletions.is_running(name)
