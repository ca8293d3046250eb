"""How the commands of retention reach a data directory: through its recorder, or by its lock."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from greffier.cli.running import find_config, find_socket
from greffier.cli.unlocking import Sources, two_proofs
from greffier.clock import SystemClock, format_time, pause
from greffier.control.client import ask
from greffier.control.messages import AskStatus, Request, Status
from greffier.control.retention import AskHolds, AskTold, HoldState, HoldStates, Said, Ticket, Told
from greffier.errors import (
    Busy,
    IntegrityError,
    NoAnswer,
    NotRunning,
    Refused,
    StorageFailed,
    UsageError,
)
from greffier.language import translate as _
from greffier.policy import archives, rules
from greffier.policy import packs as law
from greffier.policy.purposes import METADATA_DAYS
from greffier.policy.words import explain
from greffier.recorder import (
    erasure,
    holding,
    mass,
    operators,
    persons,
    purge,
    recovery,
    registering,
)
from greffier.recorder.archive import Archive
from greffier.recorder.retention import Order, Report, Retention, state_of
from greffier.store import layout

PATIENCE_S: Final = 3600
_POLL_S: Final = 0.1

data_option = click.option(
    "--data", "data", type=click.Path(path_type=Path), help=_("the data directory")
)
policy_option = click.option(
    "--policy",
    "policy_file",
    type=click.Path(path_type=Path),
    help=_("the site's policy, which may name the visa of the public archives"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the order goes: what the command line says."""

    data: Path | None = None
    socket: Path | None = None
    config: Path | None = None
    policy: Path | None = None

    @property
    def folder(self) -> Path:
        """The data directory. Raises UsageError, BadConfig."""
        if self.data is not None:
            return self.data
        found = find_config(self.config)
        if found is None:
            raise UsageError(reason=_("--data DIR or --config FILE is needed"))
        return found.data


def carried_out(place: Place, order: Order) -> Told:
    """What became of *order*, all of it.

    A recorder that has the data directory is asked; without one it is done here. Raises Busy (it
    is another command that has it), and what opening, recovery and ``ask`` raise.
    """
    if place.data is None and place.socket is not None:
        return _checked(_asked(place.socket, order))
    try:
        with Archive.open(place.folder, SystemClock()) as archive:
            recovery.recover(archive)
            return _checked(_done(archive, place, order))
    except Busy as busy:
        socket = find_socket(place.socket, place.config)
        try:
            same_device(socket, place.folder)
            return _checked(_asked(socket, order))
        except NotRunning:
            raise busy from None


def standing_holds(place: Place) -> Sequence[HoldState]:
    """The holds that stand. Raises as :func:`carried_out`."""
    if place.data is None and place.socket is not None:
        return _holds_at(place.socket)
    try:
        with Archive.open(place.folder, SystemClock()) as archive:
            recovery.recover(archive)
            return [state_of(one) for one in archive.holds if one.until_ns is None]
    except Busy as busy:
        socket = find_socket(place.socket, place.config)
        try:
            same_device(socket, place.folder)
            return _holds_at(socket)
        except NotRunning:
            raise busy from None


def signatures(
    place: Place, by: Sequence[str], sources: Sources, purpose: str, order: Mapping[str, str]
) -> tuple[str, ...]:
    """What two operators sign of *order*, in hex; nothing where this box has none, or the
    directory is not at hand. Raises as :func:`greffier.cli.unlocking.two_proofs`.
    """
    if place.data is None and place.socket is not None:
        return ()
    data = layout.open(place.folder)
    if not operators.known(data):
        return ()
    octets = persons.octets_of(data.identity.device, order)
    return tuple(one.signature.hex() for one in two_proofs(data, by, sources, purpose, octets))


def lists_of(told: Told) -> dict[str, Any]:
    """What the contract says of each order: what was done, what was refused, by which rule."""
    value: dict[str, Any] = {"done": [], "refused": []}
    for one in told.said:
        value.setdefault(one.what, []).append(_shown(one))
    bound = {"lower_bound": format_time(told.lower_bound_ns, digits=0), "source": told.source}
    return value | {"clock": bound}


def in_words(value: dict[str, Any], *lists: str) -> list[str]:
    """A line for each thing in *lists* of *value*, with what its code means."""
    shown = [one for name in lists for one in value.get(name, ())]
    whys = {one.code: one.text for one in explain({one["code"] for one in shown})}
    return [_line(one, (whys | _own_words())[one["code"]]) for one in shown]


def _own_words() -> dict[str, str]:
    """What the engine's own codes mean; those of the rules are in greffier.policy.words."""
    return {
        purge.RESUMED: _("Its destruction had begun, and is finished."),
        holding.PLACED: _("The hold stands."),
        holding.RELEASED: _("The hold is released."),
        holding.NO_SUCH: _("There is no such recording or part here."),
        holding.NO_SUCH_HOLD: _("There is no such hold."),
        holding.ALREADY_RELEASED: _("The hold was released before."),
        holding.DESTROYED: _("Its key is destroyed; nothing can be done any more."),
        holding.BAD_REVIEW: _("The review must lie ahead, by 180 days at most."),
        holding.BAD_REFERENCE: _("The log takes a reference of 64 characters and eight digits."),
        persons.ONE_PERSON: _("Two different persons are needed."),
        persons.UNSIGNED: _("This box has operators: two of them must sign."),
        persons.STRANGER: _("No operator of this box has that name."),
        persons.FORGED: _("A signature does not hold."),
        mass.LATE: _("It was confirmed at another time; confirm it again."),
        erasure.RESTRICTED: _("It stays for another purpose; for this one nobody may use it."),
        erasure.NOTHING_HELD: _("Nothing of it is held here, or no longer."),
        erasure.STILL_RUNNING: _("The call still runs; ask again when it is over."),
        registering.ENTERED: _("It is in the log."),
        registering.KNOWN: _("There is a request of this reference already."),
        registering.NO_SUCH: _("There is no request of this reference."),
        registering.ANSWERED: _("It was answered before."),
        registering.UNPROVED: _("Nobody made sure who asks."),
        registering.EXTENDED: _("Its deadline was extended before."),
        registering.LATE: _("Its deadline has passed; it cannot be extended any more."),
        registering.NO_ROLE: _("There is no such role."),
        registering.NOT_GRANTED: _("This person does not have that role."),
        registering.NOT_FREE: _("It restricts nothing."),
        registering.MALFORMED: _("The log does not take it: something is missing or too long."),
        erasure.NO_PURPOSE: _("Nobody knows what it is kept for, so it stays."),
    }


def _line(one: dict[str, Any], why: str) -> str:
    purpose = f" ({one['purpose']})" if "purpose" in one else ""
    return f"{one['id']}{purpose} {one['code']}: {why}"


def _shown(one: Said) -> dict[str, Any]:
    found: dict[str, Any] = {"id": one.id, "code": one.code}
    if one.purpose:
        found["purpose"] = one.purpose
    if one.at_ns:
        found["due"] = format_time(one.at_ns, digits=0)
    return found


# --- without a recorder ------------------------------------------------------------------------


def _done(archive: Archive, place: Place, order: Order) -> Told:
    policy = rules.load(place.policy) if place.policy else None
    lacking = archives.lacking(policy, law.load())
    report = Report()
    days = policy.retention.metadata if policy else METADATA_DAYS
    retention = Retention(archive, lambda row: lacking(row.line, row.purposes), days)
    retention.carry_out(order, report)
    if report.error is not None:
        raise report.error
    bound = archive.clock.lower_bound()
    told = tuple(report.said)
    return Told(True, len(told), told, report.octets, bound.t_ns, bound.source, report.trouble)


# --- with one ----------------------------------------------------------------------------------


def same_device(socket: Path, folder: Path) -> None:
    """Who answers must be the recorder of this very directory. Raises Refused, NotRunning."""
    status = ask(socket, AskStatus())
    assert isinstance(status, Status)  # noqa: S101 - the server answers what it was asked
    if status.device != layout.open(folder).identity.device:
        raise Refused(reason=_("the recorder that answers there uses another data directory"))


def ask_order(socket: Path, order: Request) -> Told:
    """What became of *order*, which the recorder at *socket* was asked. Raises as ``ask``."""
    return _checked(_asked(socket, order))


def _asked(socket: Path, order: Request) -> Told:
    ticket = ask(socket, order)
    assert isinstance(ticket, Ticket)  # noqa: S101 - the server answers what it was asked
    said: list[Said] = []
    for told in _pages(socket, ticket.ticket, said):
        said += told.said
        if told.over and len(said) >= told.items:
            return Told(
                True, len(said), tuple(said), told.octets, told.lower_bound_ns, told.source,
                told.trouble,
            )  # fmt: skip
    raise NoAnswer(path=socket, seconds=str(PATIENCE_S))


def _pages(socket: Path, ticket: int, said: Sequence[Said]) -> Iterator[Told]:
    for _turn in range(int(PATIENCE_S / _POLL_S)):
        told = ask(socket, AskTold(ticket, len(said)))
        assert isinstance(told, Told)  # noqa: S101 - the server answers what it was asked
        yield told
        if not told.said:
            pause(_POLL_S)


def _holds_at(socket: Path) -> Sequence[HoldState]:
    found = ask(socket, AskHolds())
    assert isinstance(found, HoldStates)  # noqa: S101 - the server answers what it was asked
    return found.holds


def _checked(told: Told) -> Told:
    if told.trouble == "no_disk":
        raise StorageFailed(path="-", reason=_("the recorder's disk does not take it"))
    if told.trouble == "altered":
        raise IntegrityError(what=_("the data directory"), reason=_("the recorder cannot read it"))
    return told
