"""``greffier hold``: what must not be deleted yet, by the word of two persons."""

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from greffier.cli.output import answer, json_option, table
from greffier.cli.retaining import (
    Place,
    carried_out,
    data_option,
    in_words,
    lists_of,
    signatures,
    standing_holds,
)
from greffier.cli.running import config_option, find_config, socket_option
from greffier.cli.unlocking import Sources, key_option, passphrase_option
from greffier.clock import SECOND, BadTime, SystemClock, format_time, parse_time
from greffier.control.retention import HoldState, PlaceHold, ReleaseHold
from greffier.errors import UsageError
from greffier.language import translate as _
from greffier.recorder.holding import PLACE, RELEASE, REVIEW_NS
from greffier.recorder.retention import Order, wish_of

_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_BY = click.option("--by", "by", multiple=True, required=True, help=_("who; two different persons"))


@click.group(help=_("Holds: what must not be deleted yet."))
def group() -> None:
    """The commands."""


@group.command(name="add", help=_("Hold a recording, or one of its parts."))
@click.argument("target")
@click.option("--reference", required=True, help=_("the case, in at most eight digits"))
@click.option(
    "--mode",
    type=click.Choice(["floor", "suspend"]),
    default="floor",
    show_default=True,
    help=_("floor: no deletion before the release; suspend: its time is added to the term"),
)
@click.option("--review", default="", help=_("when it is to be looked at, at most 180 days ahead"))
@_BY
@passphrase_option
@key_option
@data_option
@config_option
@socket_option
@json_option
def add(
    target: str,
    reference: str,
    mode: str,
    review: str,
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
    order = PlaceHold(_id_of(target), reference, mode, by, _review(review, config))
    signed = signatures(place, by, sources, PLACE, wish_of(order).order)
    return _order(place, replace(order, signatures=signed), as_json)


@group.command(name="release", help=_("End a hold."))
@click.argument("hold")
@_BY
@passphrase_option
@key_option
@data_option
@config_option
@socket_option
@json_option
def release(
    hold: str,
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
    signed = signatures(place, by, sources, RELEASE, {"hold": _id_of(hold)})
    return _order(place, ReleaseHold(hold, by, signed), as_json)


@group.command(name="list", help=_("The holds that stand."))
@data_option
@config_option
@socket_option
@json_option
def list_command(data: Path | None, config: Path | None, socket: Path | None, as_json: bool) -> int:
    """Run it."""
    found = [_shown(one) for one in standing_holds(Place(data, socket, config))]
    answer({"holds": found}, as_json, lambda: _table(found))
    return 0


def _order(place: Place, order: Order, as_json: bool) -> int:
    value = lists_of(carried_out(place, order))
    answer(value, as_json, lambda: "\n".join(in_words(value, "done", "refused")))
    return 0 if value["done"] else 1


def _id_of(text: str) -> str:
    if not _ID.fullmatch(text):
        raise UsageError(reason=_("a recording, a part and a hold have 32 hex digits"))
    return text


def _review(text: str, config: Path | None) -> int:
    """The time that *text* says; a date is that day's end. Raises UsageError."""
    if not text:
        return SystemClock().wall_ns() + REVIEW_NS
    if not _DATE.fullmatch(text):
        try:
            return parse_time(text)
        except BadTime as error:
            raise UsageError(reason=f"--review: {error}") from None
    found = find_config(config)
    try:
        day = datetime.fromisoformat(f"{text}T23:59:59")
    except ValueError:
        raise UsageError(reason=_("--review: no such day")) from None
    zoned = day.replace(tzinfo=found.timezone) if found else day.astimezone()
    return int(zoned.timestamp()) * SECOND


def _shown(one: HoldState) -> dict[str, Any]:
    return {
        "id": one.hold,
        "recording": one.recording or None,
        "parts": list(one.parts),
        "reference": one.reference,
        "mode": one.mode,
        "since": format_time(one.since_ns, digits=0),
        "review": format_time(one.review_ns, digits=0) if one.review_ns else None,
        "declared": one.declared,
    }


def _table(found: list[dict[str, Any]]) -> str:
    rows = [
        [
            one["id"],
            one["recording"] or " ".join(one["parts"]),
            one["reference"],
            one["mode"],
            one["since"],
            one["review"] or "-",
            _("declared") if one["declared"] else _("signed"),
        ]
        for one in found
    ]
    headings = [
        _("hold"),
        _("of"),
        _("reference"),
        _("mode"),
        _("since"),
        _("review"),
        _("persons"),
    ]
    return table(headings, rows)
