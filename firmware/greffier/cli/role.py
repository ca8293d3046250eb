"""``greffier role``: who may hear in which role; two persons grant it, the log says so.

docs/access.md.
"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from greffier.audit.grants import Grant
from greffier.audit.requests import register_of
from greffier.cli.output import answer, json_option, table
from greffier.cli.request import outcome
from greffier.cli.retaining import Place, carried_out, data_option, signatures
from greffier.cli.running import config_option, socket_option
from greffier.cli.unlocking import Sources, key_option, passphrase_option
from greffier.clock import SECOND, SystemClock, format_time
from greffier.control.retention import Enter
from greffier.errors import AccessDenied
from greffier.language import translate as _
from greffier.policy import access, words
from greffier.recorder import operators, registering
from greffier.recorder.persons import pseudonym
from greffier.recorder.registering import Wish
from greffier.store import layout

AGREED_DAYS = 30
_BY = click.option("--by", "by", multiple=True, required=True, help=_("two persons who order it"))
_ROLE = click.option("--role", type=click.Choice(sorted(access.ROLES)), required=True)


@click.group(help=_("Who may hear recordings, in which role."))
def group() -> None:
    """The commands below."""


@group.command(name="grant", help=_("Give a person a role."))
@click.argument("person")
@_ROLE
@click.option("--team", default="", help=_("whose calls a team lead hears: a team of the policy"))
@click.option("--agent", default="", help=_("who the person is on the telephone (own calls)"))
@click.option("--country", default="", metavar="CC", help=_("where they listen from"))
@_BY
@passphrase_option
@key_option
@data_option
@config_option
@socket_option
@json_option
def grant(
    person: str,
    role: str,
    team: str,
    agent: str,
    country: str,
    by: tuple[str, ...],
    passphrases: tuple[str, ...],
    key_files: tuple[str, ...],
    data: Path | None,
    config: Path | None,
    socket: Path | None,
    as_json: bool,
) -> int:
    """Run it."""
    told = {"role": role, "team": team, "agent": agent, "country": country}
    entry = {key: value for key, value in told.items() if value}
    place, sources = Place(data, socket, config), Sources(passphrases, key_files)
    return _order(place, sources, Wish("role.granted", "", entry, by, person), as_json)


@group.command(name="revoke", help=_("Take a role from a person."))
@click.argument("person")
@_ROLE
@_BY
@passphrase_option
@key_option
@data_option
@config_option
@socket_option
@json_option
def revoke(
    person: str,
    role: str,
    by: tuple[str, ...],
    passphrases: tuple[str, ...],
    key_files: tuple[str, ...],
    data: Path | None,
    config: Path | None,
    socket: Path | None,
    as_json: bool,
) -> int:
    """Run it."""
    place, sources = Place(data, socket, config), Sources(passphrases, key_files)
    return _order(place, sources, Wish("role.revoked", "", {"role": role}, by, person), as_json)


@group.command(name="agree", help=_("The compliance officer lets a person hear a recording."))
@click.argument("recording")
@click.option("--person", required=True, help=_("who may hear it"))
@click.option("--days", type=click.IntRange(1, 365), default=AGREED_DAYS, show_default=True)
@click.option("--reference", default=None, help=_("of the matter"))
@click.option("--by", required=True, help=_("the compliance officer"))
@data_option
@config_option
@socket_option
@json_option
def agree(
    recording: str,
    person: str,
    days: int,
    reference: str | None,
    by: str,
    data: Path | None,
    config: Path | None,
    socket: Path | None,
    as_json: bool,
) -> int:
    """Run it."""
    place = Place(data, socket, config)
    grants = register_of(place.folder).grants
    officer = grants.find(pseudonym(layout.open(place.folder), by), "compliance_officer")
    if grants.ever and officer is None:
        (why,) = words.explain([access.NOT_GRANTED])
        raise AccessDenied(code=access.NOT_GRANTED, reason=why.text)
    until_ns = SystemClock().wall_ns() + int(timedelta(days=days).total_seconds()) * SECOND
    entry = {"recording": recording, "until_ns": until_ns, "reference": reference}
    text = registering.write("access.agreed", entry)
    order = Enter("access.agreed", text, recording, (by,), person)
    (said,) = carried_out(place, order).said
    return outcome(recording, said.code, as_json, {"until": format_time(until_ns, digits=0)})


@group.command(name="list", help=_("The roles that stand, by pseudonym; operators by name."))
@click.option("--name", "names", multiple=True, help=_("show this person by name"))
@data_option
@config_option
@json_option
def list_command(
    names: tuple[str, ...], data: Path | None, config: Path | None, as_json: bool
) -> int:
    """Run it."""
    directory = layout.open(Place(data, None, config).folder)
    people = {pseudonym(directory, one): one for one in (*operators.known(directory), *names)}
    found = [_shown(one, people) for one in register_of(directory.path).grants]
    answer({"roles": found}, as_json, lambda: _table(found))
    return 0


def _order(place: Place, sources: Sources, wish: Wish, as_json: bool) -> int:
    purpose = registering.GRANT if wish.kind == "role.granted" else registering.REVOKE
    signed = signatures(place, wish.by, sources, purpose, registering.order_of(wish))
    wish = replace(wish, signatures=signed)
    text = registering.write(wish.kind, wish.data)
    order = Enter(wish.kind, text, "", tuple(wish.by), wish.person, tuple(wish.signatures))
    (said,) = carried_out(place, order).said
    return outcome(str(wish.data["role"]), said.code, as_json)


def _shown(one: Grant, people: dict[str, str]) -> dict[str, Any]:
    return {
        "person": one.person,
        "name": people.get(one.person),
        "role": one.role,
        "team": one.team or None,
        "agent": one.agent or None,
        "country": one.country or None,
        "since": format_time(one.since_ns, digits=0),
        "declared": one.declared,
    }


def _table(found: list[dict[str, Any]]) -> str:
    rows = [
        [
            one["name"] or one["person"],
            one["role"],
            one["team"] or one["agent"] or "-",
            one["country"] or "-",
            one["since"],
            _("declared") if one["declared"] else _("signed"),
        ]
        for one in found
    ]
    headings = [_("person"), _("role"), _("whose calls"), _("country"), _("since"), _("persons")]
    return table(headings, rows)
