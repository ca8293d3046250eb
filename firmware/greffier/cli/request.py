"""``greffier request``: what data subjects ask, from its opening to its answer.

docs/requests.md. The register is the log's; nothing here keeps a list of its own.
"""

from collections.abc import Mapping
from datetime import date, datetime, time, tzinfo
from pathlib import Path
from typing import Any, Final

import click

from greffier.audit.requests import NOT_PROVED, Request, register_of
from greffier.cli.output import answer, json_option, table
from greffier.cli.retaining import Place, carried_out, data_option, in_words
from greffier.cli.running import config_option, find_config, socket_option
from greffier.clock import SECOND, BadTime, SystemClock, local, parse_time
from greffier.control.retention import Enter
from greffier.errors import NotFound, UsageError
from greffier.language import translate as _
from greffier.policy import rights
from greffier.recorder import registering
from greffier.recorder.people import Found, calls_with
from greffier.seal import keys
from greffier.seal.keys import Role

MOST: Final = 250
"""Recordings of one request; more are more requests."""
by_option = click.option("--by", "by", help=_("who does it; the log keeps a pseudonym"))
identity_option = click.option(
    "--identity", type=click.Choice(rights.IDENTITIES), help=_("how their identity was proved")
)


@click.group(help=_("Requests of data subjects: erasure, access, rectification, restriction."))
def group() -> None:
    """The commands below, and those of :mod:`greffier.cli.answering`."""


def zone_of(config: Path | None) -> tzinfo | None:
    """Where days are counted: the configuration's zone, else (None) that of the machine."""
    found = find_config(config)
    return found.timezone if found else None


def day_of(t_ns: int, zone: tzinfo | None) -> date:
    """The day of a time. *zone* None: that of the machine."""
    return local(t_ns, zone).date() if zone else local(t_ns).astimezone().date()


def end_of(day: date, zone: tzinfo | None) -> int:
    """The last second of *day*, ns."""
    last = datetime.combine(day, time(23, 59, 59))
    zoned = last.replace(tzinfo=zone) if zone else last.astimezone()
    return int(zoned.timestamp()) * SECOND


def entered(
    place: Place,
    kind: str,
    data: Mapping[str, Any],
    by: str | None,
    recording: str = "",
) -> str:
    """Have an entry written; the code of what became of it. Raises as ``carried_out``."""
    text = registering.write(kind, data)
    order = Enter(kind, text, recording, (by,) if by else ())
    (said,) = carried_out(place, order).said
    return said.code


def outcome(request: str, code: str, as_json: bool, more: Mapping[str, Any] | None = None) -> int:
    """Print what became of an entry; the exit code."""
    right = code == registering.ENTERED
    one = {"id": request, "code": code}
    value = {"done": [one] if right else [], "refused": [] if right else [one], **(more or {})}
    answer(value, as_json, lambda: "\n".join(in_words(value, "done", "refused")))
    return 0 if right else 1


def known_request(place: Place, request: str) -> Request:
    """The request of that reference. Raises NotFound, IntegrityError."""
    found = register_of(place.folder).find(request)
    if found is None:
        raise NotFound(what=_("request {request}").format(request=request))
    return found


@group.command(name="open", help=_("Enter a request into the register; its deadline runs."))
@click.argument("request")
@click.argument("recordings", nargs=-1)
@click.option("--kind", type=click.Choice(rights.KINDS), required=True, help=_("what is asked"))
@click.option("--party", type=click.Choice(rights.PARTIES), default="outside", show_default=True)
@click.option("--received", default="", help=_("when it came: a day or RFC 3339; else now"))
@identity_option
@click.option("--number", default="", help=_("every call in which this number takes part"))
@click.option("--key", type=click.Path(path_type=Path), help=_("secret key that opens numbers"))
@by_option
@data_option
@config_option
@socket_option
@json_option
def open_command(
    request: str,
    recordings: tuple[str, ...],
    kind: str,
    party: str,
    received: str,
    identity: str | None,
    number: str,
    key: Path | None,
    by: str | None,
    data: Path | None,
    config: Path | None,
    socket: Path | None,
    as_json: bool,
) -> int:
    """Run it."""
    place, zone = Place(data, socket, config), zone_of(config)
    if bool(number) != bool(key) or (number and recordings):
        raise UsageError(reason="RECORDING… | --number N --key K")
    if bool(identity) != bool(by):
        raise UsageError(reason=_("--identity and --by go together"))
    found = Found(len(recordings), recordings, ())
    if key is not None:
        found = calls_with(place.folder, number, keys.read_private(key, Role.OFFICE))
    if len(found.recordings) > MOST:
        reason = _("a request has {most} recordings at most").format(most=MOST)
        raise UsageError(reason=reason)
    received_ns = _received(received, zone)
    due_ns = end_of(rights.deadline(day_of(received_ns, zone)), zone)
    entry = {
        "request": request,
        "kind": kind,
        "party": party,
        "identity": identity or NOT_PROVED,
        "received_ns": received_ns,
        "due_ns": due_ns,
        "recordings": list(found.recordings),
        "found": found.calls,
        "codes": list(found.codes),
    }
    code = entered(place, "request.opened", entry, by)
    more = {
        "due": day_of(due_ns, zone).isoformat(),
        "found": found.calls,
        "recordings": list(found.recordings),
        "codes": list(found.codes),
    }
    return outcome(request, code, as_json, more)


@group.command(name="identify", help=_("Say how the person's identity was proved, and to whom."))
@click.argument("request")
@click.option("--identity", type=click.Choice(rights.IDENTITIES), required=True)
@click.option("--by", required=True, help=_("who made sure; the log keeps a pseudonym"))
@data_option
@config_option
@socket_option
@json_option
def identify(
    request: str,
    identity: str,
    by: str,
    data: Path | None,
    config: Path | None,
    socket: Path | None,
    as_json: bool,
) -> int:
    """Run it."""
    entry = {"request": request, "identity": identity}
    code = entered(Place(data, socket, config), "request.identified", entry, by)
    return outcome(request, code, as_json)


@group.command(name="extend", help=_("Take two months more, and say why (GDPR art. 12(3))."))
@click.argument("request")
@click.option("--reason", type=click.Choice(rights.REASONS), required=True)
@by_option
@data_option
@config_option
@socket_option
@json_option
def extend(
    request: str,
    reason: str,
    by: str | None,
    data: Path | None,
    config: Path | None,
    socket: Path | None,
    as_json: bool,
) -> int:
    """Run it."""
    place, zone = Place(data, socket, config), zone_of(config)
    known = known_request(place, request)
    months = rights.MONTHS + rights.MORE_MONTHS
    due_ns = end_of(rights.deadline(day_of(known.received_ns, zone), months), zone)
    entry = {"request": request, "due_ns": due_ns, "reason": reason}
    code = entered(place, "request.extended", entry, by)
    return outcome(request, code, as_json, {"due": day_of(due_ns, zone).isoformat()})


@group.command(name="lift", help=_("End a restriction; the person was told before (art. 18(3))."))
@click.argument("request")
@by_option
@data_option
@config_option
@socket_option
@json_option
def lift(
    request: str,
    by: str | None,
    data: Path | None,
    config: Path | None,
    socket: Path | None,
    as_json: bool,
) -> int:
    """Run it."""
    place = Place(data, socket, config)
    register = register_of(place.folder)
    known = known_request(place, request)
    ours = [one for one in known.recordings if register.restricted_by(one, request)]
    value: dict[str, Any] = {"done": [], "refused": []}
    for recording in ours:
        entry = {"request": request, "recording": recording}
        code = entered(place, "use.freed", entry, by, recording)
        kept = "done" if code == registering.ENTERED else "refused"
        value[kept].append({"id": recording, "code": code})
    if not ours:
        value["refused"].append({"id": request, "code": registering.NOT_FREE})
    answer(value, as_json, lambda: "\n".join(in_words(value, "done", "refused")))
    return 0 if value["done"] and not value["refused"] else 1


@group.command(name="list", help=_("The register of requests, by deadline."))
@click.option("--open", "only_open", is_flag=True, help=_("only those that wait for an answer"))
@data_option
@config_option
@json_option
def list_command(only_open: bool, data: Path | None, config: Path | None, as_json: bool) -> int:
    """Run it."""
    now_ns, zone = SystemClock().wall_ns(), zone_of(config)
    found = sorted(register_of(Place(data, None, config).folder), key=lambda one: one.due_ns)
    shown = [request_json(one, now_ns, zone) for one in found if one.is_open or not only_open]
    answer({"requests": shown}, as_json, lambda: _table(shown))
    return 0


@group.command(name="show", help=_("One request, with all that the log says of it."))
@click.argument("request")
@data_option
@config_option
@json_option
def show(request: str, data: Path | None, config: Path | None, as_json: bool) -> int:
    """Run it."""
    known = known_request(Place(data, None, config), request)
    value = request_json(known, SystemClock().wall_ns(), zone_of(config))
    answer(value, as_json, lambda: "\n".join(f"{key}: {one}" for key, one in value.items()))
    return 0


def request_json(one: Request, now_ns: int, zone: tzinfo | None) -> dict[str, Any]:
    """A request as the commands print it."""
    return {
        "request": one.request,
        "kind": one.kind,
        "party": one.party,
        "identity": None if one.identity == NOT_PROVED else one.identity,
        "state": one.state(now_ns),
        "received": day_of(one.received_ns, zone).isoformat(),
        "due": day_of(one.due_ns, zone).isoformat(),
        "extended": one.extended or None,
        "found": one.found,
        "recordings": list(one.recordings),
        "not_recorded": list(one.codes),
        "outcome": one.outcome or None,
        "codes": list(one.answers),
        "answered": day_of(one.answered_ns, zone).isoformat() if one.answered_ns else None,
        "letter_sha256": one.letter or None,
    }


def _received(text: str, zone: tzinfo | None) -> int:
    """When it came; a day is its beginning. Raises UsageError."""
    now_ns = SystemClock().wall_ns()
    if not text:
        return now_ns
    try:
        day = date.fromisoformat(text)
    except ValueError:
        try:
            found = parse_time(text)
        except BadTime as error:
            raise UsageError(reason=f"--received: {error}") from None
    else:
        begun = datetime.combine(day, time())
        zoned = begun.replace(tzinfo=zone) if zone else begun.astimezone()
        found = int(zoned.timestamp()) * SECOND
    if not 0 < found <= now_ns:
        raise UsageError(reason=_("--received: no request comes from the future"))
    return found


def _table(shown: list[dict[str, Any]]) -> str:
    rows = [
        [
            one["request"],
            one["kind"],
            one["state"],
            one["received"],
            one["due"],
            str(one["found"]),
            one["outcome"] or "-",
        ]
        for one in shown
    ]
    headings = [_("request"), _("kind"), _("state"), _("received"), _("due"), _("calls")]
    return table([*headings, _("answer")], rows)


def _add() -> None:
    from greffier.cli.answering import command  # noqa: PLC0415 - it imports this module

    group.add_command(command, "answer")


_add()
