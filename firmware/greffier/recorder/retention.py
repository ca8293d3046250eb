"""Orders of retention and what becomes of them: the same for the running recorder and a command.

Who owns a Retention carries its orders out one after the other, in one thread, so that a hold is
never placed between a decision and its deed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from greffier.audit.holds import Hold, Mode
from greffier.clock import LowerBound
from greffier.control.retention import (
    MOST_TOLD,
    Enter,
    Erase,
    HoldState,
    PlaceHold,
    Purge,
    ReleaseHold,
    Said,
    Told,
)
from greffier.durable.system import failed
from greffier.errors import GreffierError, IntegrityError, StorageFailed
from greffier.policy.purposes import METADATA_DAYS
from greffier.recorder import enlisting, erasure, holding, mass, metadata, purge, registering
from greffier.recorder.archive import Archive
from greffier.recorder.persons import NotVouched, Persons
from greffier.recorder.purge import Blocked, Hands, Plan, Verdict

MOST_READ: Final = 20_000
"""With more entries in the shred store, months are left where they are: nobody may wait so long."""
NOBODY: Final = "0" * 32
"""What is told of an entry that concerns no recording."""
Order = Purge | PlaceHold | ReleaseHold | Erase | Enter


@dataclass(slots=True)
class Report:
    """What became of an order so far. One thread writes it; ``said`` only grows."""

    said: list[Said] = field(default_factory=list)
    octets: int = 0
    over: bool = False
    trouble: str = ""
    error: GreffierError | None = None
    """What *trouble* says in a word, for who is in the same process."""

    def page(self, after: int, bound: LowerBound) -> Told:
        """What is told of it to who knows the first *after*. Any thread."""
        over = self.over  # read first: nothing comes after
        items = len(self.said)
        said = tuple(self.said[after : after + MOST_TOLD])
        return Told(over, items, said, self.octets, bound.t_ns, bound.source, self.trouble)


class Retention:
    """What may be done to an open archive for the sake of retention."""

    def __init__(
        self,
        archive: Archive,
        blocked: Blocked,
        metadata_days: int = METADATA_DAYS,
        hands: Hands | None = None,
        between: Callable[[], bool] = lambda: True,
        complain: Callable[[bool], None] = lambda wrong: None,
    ) -> None:
        """*blocked*, *hands* and *between* as in :mod:`greffier.recorder.purge`; *complain* is told
        whether a deletion is aborted because it is too much.
        """
        self._archive = archive
        self._blocked = blocked
        self._days = metadata_days
        self.hands: Hands = hands or archive.perform
        self._between = between
        self._complain = complain

    def adopt(self, blocked: Blocked, metadata_days: int) -> None:
        """By another policy from now on; a purge that is under way ends as it began. Any thread."""
        self._blocked, self._days = blocked, metadata_days

    def carry_out(self, order: Order, told: Report) -> None:
        """Carry *order* out, and tell it; an error too."""
        try:
            self._carry_out(order, told)
        except NotVouched as error:
            told.trouble = error.code.lower()
        except IntegrityError as error:
            told.trouble, told.error = "altered", error
        except StorageFailed as error:
            told.trouble, told.error = "no_disk", error
        except OSError as error:
            told.trouble, told.error = "no_disk", failed(Path("-"), error)
        finally:
            told.over = True

    def _carry_out(self, order: Order, told: Report) -> None:
        archive = self._archive
        if isinstance(order, Purge):
            self._purge_on_order(order, told)
        elif isinstance(order, PlaceHold):
            told.said.append(_said_of(holding.place(archive, wish_of(order), self.hands)))
        elif isinstance(order, ReleaseHold):
            persons = Persons(order.by, order.signatures)
            found = holding.release(archive, order.hold, persons, self.hands)
            told.said.append(_said_of(found))
        elif isinstance(order, Enter):
            told.said.append(self._enter(order))
        else:
            for request in _requests_of(order):
                answers = erasure.erase(archive, request, self.hands)
                told.said += [Said("done", *_of(one)) for one in answers.done]
                told.said += [Said("refused", *_of(one)) for one in answers.refused]

    def _enter(self, order: Enter) -> Said:
        data = registering.read(order.kind, order.recording, order.data)
        if data is None:
            return Said("refused", NOBODY, registering.MALFORMED)
        wish = registering.Wish(
            order.kind, order.recording, data, order.by, order.person, order.signatures
        )
        try:
            code = registering.enter(self._archive, wish, self.hands)
        except NotVouched as error:
            code = error.code
        done = code == registering.ENTERED
        return Said("done" if done else "refused", order.recording or NOBODY, code)

    def _purge_on_order(self, order: Purge, told: Report) -> None:
        archive, blocked = self._archive, self._blocked
        if order.confirmed_by and not order.dry:
            persons = Persons(order.confirmed_by, order.signatures)
            mass.confirm(archive, blocked, persons, order.confirmed_ns, self.hands)
        found = purge.plan(archive, order.space, blocked)
        told.octets = found.octets
        done = found.doomed if order.dry else self._purge(found)
        told.said += [_told_of(one, "done") for one in done]
        told.said += [_told_of(one, "refused") for one in found.refused]
        if order.dry:
            told.said += [_told_of(one, "kept") for one in purge.upcoming(archive, blocked)]
        else:
            told.octets = sum(one.row.size for one in done)
            self.forget()

    def purge(self, space: int) -> list[Verdict]:
        """Destroy what is due, and for *space* octets; what went. Raises StorageFailed,
        IntegrityError.
        """
        return self._purge(purge.plan(self._archive, space, self._blocked))

    def _purge(self, found: Plan) -> list[Verdict]:
        self._complain(mass.note(self._archive, found))
        return purge.carry_out(self._archive, found.doomed, self.hands, self._between)

    def forget(self) -> None:
        """Destroy the metadata keys that are due. Raises StorageFailed."""
        found = metadata.plan(self._archive, self._days)
        metadata.carry_out(self._archive, found.epochs, self.hands)
        if found.aborted:
            self._complain(True)
        self.hands(self._remove_months)

    def _remove_months(self) -> None:
        """Remove console keys that open nothing any more; it reads the whole shred store."""
        if len(self._archive.shred.names()) <= MOST_READ:
            enlisting.remove_unneeded(self._archive)


def state_of(hold: Hold) -> HoldState:
    """A hold as it is told."""
    return HoldState(
        hold.hold,
        hold.recording or "",
        tuple(sorted(hold.parts)),
        hold.reference,
        hold.mode,
        hold.since_ns,
        hold.review_ns,
        hold.declared,
    )


def wish_of(order: PlaceHold) -> holding.Wish:
    """The hold that an order wants."""
    mode: Mode = "suspend" if order.mode == "suspend" else "floor"
    persons = Persons(order.by, order.signatures)
    return holding.Wish(order.target, order.reference, mode, persons, order.review_ns)


def _requests_of(order: Erase) -> list[erasure.Request]:
    return [
        erasure.Request(one, order.request, order.contestable, order.asked_ns, order.dpo_agreed)
        for one in order.recordings
    ]


def _said_of(found: holding.Outcome) -> Said:
    return Said("done" if found.done else "refused", found.name, found.code)


def _told_of(one: Verdict, what: str) -> Said:
    return Said(what, one.row.part_id, one.code, "", one.at_ns or 0)


def _of(one: erasure.Answer) -> tuple[str, str, str]:
    return one.name, one.code, one.purpose
