"""``greffier coverage``: what happened to every second of every channel."""

from pathlib import Path
from typing import Any

import click

from greffier.audit import coverage, verify
from greffier.cli.output import answer, data_option, json_option, table
from greffier.clock import BadTime, format_time, local, parse_time
from greffier.errors import UsageError
from greffier.language import translate as _
from greffier.store import layout


def instant(text: str | None, option: str) -> int | None:
    """Nanoseconds of an RFC 3339 time given for *option*. Raises UsageError."""
    if text is None:
        return None
    try:
        return parse_time(text)
    except BadTime as error:
        raise UsageError(reason=f"{option}: {error}") from error


@click.command(help=_("What happened to every second of every channel."))
@data_option
@click.option("--line", help=_("only this line"))
@click.option("--from", "since", help=_("from this time on (RFC 3339)"))
@click.option("--to", "until", help=_("up to this time (RFC 3339)"))
@json_option
def command(
    data: str, line: str | None, since: str | None, until: str | None, as_json: bool
) -> int:
    """Run it."""
    directory = layout.open(Path(data))
    summary = coverage.seconds(
        coverage.intervals_of(verify.entries(directory.path)),
        line,
        instant(since, "--from"),
        instant(until, "--to"),
    )
    here = local(0).astimezone().tzinfo
    value = summary.as_json(lambda t_ns: format_time(t_ns, here) if here else format_time(t_ns))
    answer(value, as_json, lambda: _text(value))
    return 0


def _text(value: dict[str, Any]) -> str:
    rows = []
    for one in value["channels"]:
        seconds = one["seconds"]
        left_out = sum(seconds["not_recorded"].values())
        cells = [seconds["recorded"], seconds["idle"], left_out, seconds["paused"]]
        cells += [seconds["lost"], seconds["blind"], seconds["off"]]
        rows.append([one["line"], one["channel"][-10:], one["from"], *(f"{c:.2f}" for c in cells)])
    headings = [
        _("line"),
        _("channel"),
        _("from"),
        _("recorded"),
        _("idle"),
        _("not recorded"),
        _("paused"),
        _("lost"),
        _("blind"),
        _("off"),
    ]
    share = _("{share:.3%} of the time is accounted for").format(share=value["accounted"])
    return table(headings, rows) + "\n" + share
