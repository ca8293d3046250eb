"""What is printed of a policy: the notice, the record of processing, and what it will store."""

import io
from pathlib import Path
from typing import Any

import click
import segno

from greffier import language
from greffier.cli.output import answer, json_option, table
from greffier.durable import Disk
from greffier.errors import AlreadyThere, NotFound, PartlyDone, UsageError
from greffier.language import translate as _
from greffier.policy import notices, projector, rules
from greffier.policy import packs as law
from greffier.policy.notices import Printed

_FILE = click.Path(path_type=Path)
_LANG = click.option(
    "--language", "lang", type=click.Choice(language.LANGUAGES),
    help=_("of what is printed; else that of the program"),
)  # fmt: skip
_PACKS = click.option("--packs", type=_FILE, help=_("law packs instead of the built-in ones"))
_OUTPUT = click.option("-o", "output", required=True, type=_FILE, help=_("the file to write"))


def qr_code(text: str) -> str:
    """The QR code of *text* (ISO/IEC 18004, error correction M) as SVG for a page."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        out, kind="svg", scale=4, xmldecl=False, svgns=True, title=text
    )
    return out.getvalue().decode()


def notice_page(policy: Path, packs: Path | None, lang: str, line: str | None) -> Printed:
    """The notice of a policy file. Raises BadPolicy, BadPacks, NotFound, UsageError."""
    site = rules.load(policy)
    if line is not None and line not in site.lines:
        raise NotFound(what=_("line {line}").format(line=line))
    try:
        code = qr_code(site.notice.url) if site.notice.url else ""
    except ValueError as error:  # more than a code can hold
        raise UsageError(reason=f"notice.url: {error}") from None
    return notices.notice(site, law.load(packs), lang, line, code)


@click.command(help=_("Write the notice to print, with its twelve items (GDPR art. 13)."))
@click.argument("policy", type=_FILE)
@click.option("--line", help=_("of this line alone"))
@_LANG
@_PACKS
@_OUTPUT
@json_option
def notice_command(
    policy: Path,
    line: str | None,
    lang: str | None,
    packs: Path | None,
    output: Path,
    as_json: bool,
) -> int:
    """Run it; exit code 3 where an item stays to be filled in."""
    made = notice_page(policy, packs, lang or language.chosen(), line)
    return _write(made, output, as_json)


@click.command(help=_("Write the record of processing (GDPR art. 30) that a policy amounts to."))
@click.argument("policy", type=_FILE)
@_LANG
@_PACKS
@_OUTPUT
@json_option
def record_command(
    policy: Path, lang: str | None, packs: Path | None, output: Path, as_json: bool
) -> int:
    """Run it; exit code 3 where something stays to be filled in."""
    made = notices.record(rules.load(policy), law.load(packs), lang or language.chosen())
    return _write(made, output, as_json)


@click.command(help=_("How much a policy will store: bytes a day, and once the oldest go."))
@click.argument("policy", type=_FILE)
@click.option(
    "--hours", "given", multiple=True, metavar="LINE=H", help=_("hours of talk a day, of a line")
)
@click.option(
    "--channels", type=click.IntRange(1, 16), default=projector.LEGS, show_default=True,
    help=_("channels of a call: two legs, or one mixed signal"),
)  # fmt: skip
@_PACKS
@json_option
def project_command(
    policy: Path, given: tuple[str, ...], channels: int, packs: Path | None, as_json: bool
) -> int:
    """Run it."""
    site = rules.load(policy)
    hours = dict(_hours(one) for one in given)
    unknown = hours.keys() - site.lines.keys()
    if unknown:
        raise NotFound(what=_("line {line}").format(line=min(unknown)))
    try:
        found = projector.project(site, law.load(packs), hours, channels)
    except KeyError as error:
        reason = _("--hours {line}=H is needed").format(line=error.args[0])
        raise UsageError(reason=reason) from None
    lines: list[dict[str, Any]] = [
        {
            "line": one.line,
            "codec": one.codec,
            "channels": one.channels,
            "hours": one.hours,
            "share": one.share,
            "bytes_per_day": one.bytes_per_day,
            "days": one.days,
            "bytes_kept": one.bytes_kept,
        }
        for one in found
    ]
    value = {
        "lines": lines,
        "bytes_per_day": sum(one.bytes_per_day for one in found),
        "bytes_kept": sum(one.bytes_kept for one in found),
    }
    answer(value, as_json, lambda: _projected(value))
    return 0


def _hours(text: str) -> tuple[str, float]:
    line, equals, number = text.partition("=")
    try:
        hours = float(number)
    except ValueError:
        hours = -1.0
    if not equals or not 0 <= hours <= 24 * 1000:
        raise UsageError(reason=f"--hours {text}")
    return line, hours


def _write(made: Printed, output: Path, as_json: bool) -> int:
    if output.exists():
        raise AlreadyThere(path=output)
    Disk().create_file(output, made.html.encode())
    value = {"output": str(output), "missing": list(made.missing)}
    answer(value, as_json, lambda: _written(value))
    return PartlyDone.exit_code if made.missing else 0


def _written(value: dict[str, Any]) -> str:
    if not value["missing"]:
        return _("{output} is written").format(output=value["output"])
    text = _("{output} is written; to be filled in ([notice] of the policy): {missing}")
    return text.format(output=value["output"], missing=", ".join(value["missing"]))


def _projected(value: dict[str, Any]) -> str:
    rows = [
        [
            one["line"], one["codec"], f"{100 * one['share']:g} %",
            f"{one['bytes_per_day'] / 1e6:.1f} MB", str(one["days"]),
            f"{one['bytes_kept'] / 1e9:.2f} GB",
        ]
        for one in value["lines"]
    ]  # fmt: skip
    headings = [_("line"), _("codec"), _("share"), _("a day"), _("days"), _("kept")]
    return table(headings, rows)
