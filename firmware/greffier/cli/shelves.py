"""How a command opens recordings: in the directory itself, or beside the recorder that has it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from greffier.cli.retaining import Place, ask_order, same_device
from greffier.cli.running import find_config, find_socket
from greffier.clock import SystemClock
from greffier.control.retention import Enter
from greffier.errors import Busy, NotRunning, Refused
from greffier.language import translate as _
from greffier.policy import rules
from greffier.policy.access import ROLES
from greffier.policy.site import Policy
from greffier.recorder import registering, shelf
from greffier.recorder.archive import Archive
from greffier.recorder.shelf import Shelf
from greffier.store import layout

role_option = click.option("--role", type=click.Choice(sorted(ROLES)), help=_("in which role"))
country_option = click.option(
    "--country", default="", metavar="CC", help=_("where the listener sits; else the role says")
)
reference_option = click.option(
    "--reference", default="", help=_("the dispute or the contract (needed for evidence)")
)
break_glass_option = click.option(
    "--break-glass", default="", help=_("why a replay must reach further back; an alarm")
)


@contextmanager
def opened(place: Place) -> Iterator[Shelf]:
    """The shelf of *place*, while the ``with`` lasts.

    Raises Busy (another command has it), and what opening raises.
    """
    try:
        archive = Archive.open(place.folder, SystemClock())
    except Busy as busy:
        socket = find_socket(place.socket, place.config)
        try:
            same_device(socket, place.folder)
        except NotRunning:
            raise busy from None
        yield shelf.beside(layout.open(place.folder), _asking(socket))
        return
    with archive:
        yield shelf.of_archive(archive)


def policy_of(place: Place) -> Policy | None:
    """The policy that was named, or the configuration's, or none. Raises BadPolicy, BadConfig."""
    if place.policy is not None:
        return rules.load(place.policy)
    found = find_config(place.config)
    return rules.load(found.policy) if found else None


def _asking(socket: Path) -> shelf.Note:
    def note(kind: str, recording: str | None, data: Mapping[str, Any], by: str | None) -> None:
        text = registering.write(kind, data)
        told = ask_order(socket, Enter(kind, text, recording or "", (by,) if by else ()))
        (said,) = told.said
        if said.code != registering.ENTERED:
            raise Refused(reason=said.code)

    return note
