"""``greffier export``: one recording as a sound file, with a key that opens it."""

from pathlib import Path
from typing import Any

import click

from greffier.cli.opening import opener, operator_option
from greffier.cli.output import answer, data_option, json_option
from greffier.cli.retaining import Place, policy_option
from greffier.cli.running import config_option, socket_option
from greffier.cli.shelves import (
    break_glass_option,
    country_option,
    opened,
    policy_of,
    reference_option,
    role_option,
)
from greffier.cli.unlocking import Sources, key_option, passphrase_option
from greffier.clock import BadTime, SystemClock, format_time, parse_time
from greffier.durable import Disk
from greffier.encode import export
from greffier.encode.export import LegSound, TooLong, TooManyLegs
from greffier.errors import AlreadyThere, GreffierError, UsageError
from greffier.language import translate as _
from greffier.recorder.doorway import Visitor, admit
from greffier.recorder.exporting import Taken, note_heard, take
from greffier.store import layout

LONGEST_S = 10**9


def offset(text: str | None, option: str, start_ns: int) -> float | None:
    """Seconds after the beginning of the sound; *text* is RFC 3339 or seconds.

    Raises UsageError.
    """
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        pass  # not seconds: a time
    else:
        if 0 <= seconds < LONGEST_S:
            return seconds
        raise UsageError(reason=f"{option}: {text}")
    try:
        return (parse_time(text) - start_ns) / 1_000_000_000
    except BadTime as error:
        raise UsageError(reason=f"{option}: {error}") from error


def cut(taken: Taken, since: str | None, until: str | None) -> list[LegSound]:
    """The legs between two times. Raises UsageError when nothing lies there."""
    low = max(offset(since, "--from", taken.start_ns) or 0.0, 0.0)
    high = offset(until, "--to", taken.start_ns)
    legs = []
    for leg in taken.legs:
        end = len(leg.samples) if high is None else round(high * leg.rate)
        legs.append(LegSound(leg.samples[round(low * leg.rate) : max(end, 0)], leg.rate))
    if not any(len(leg.samples) for leg in legs):
        raise UsageError(reason=_("the recording has no sound between these times"))
    return legs


@click.command(help=_("Write one recording as a sound file."))
@click.argument("recording")
@data_option
@click.option("--key", type=click.Path(path_type=Path), help=_("secret key (office.key)"))
@operator_option
@passphrase_option
@key_option
@click.option(
    "--format", "form", type=click.Choice(export.FORMATS), default="wav", show_default=True
)
@click.option("--from", "since", help=_("from here on: RFC 3339, or seconds of the sound"))
@click.option("--to", "until", help=_("up to here: RFC 3339, or seconds of the sound"))
@click.option("--purpose", help=_("only parts kept for this purpose; it is logged"))
@click.option("--by", help=_("who takes it; the log keeps a pseudonym"))
@click.option(
    "-o", "output", required=True, type=click.Path(path_type=Path), help=_("the file to write")
)
@role_option
@country_option
@reference_option
@break_glass_option
@policy_option
@config_option
@socket_option
@json_option
def command(
    recording: str,
    data: str,
    key: Path | None,
    operator: str | None,
    passphrases: tuple[str, ...],
    key_files: tuple[str, ...],
    form: export.Format,
    since: str | None,
    until: str | None,
    purpose: str | None,
    by: str | None,
    output: Path,
    role: str | None,
    country: str,
    reference: str,
    break_glass: str,
    policy_file: Path | None,
    config: Path | None,
    socket: Path | None,
    as_json: bool,
) -> int:
    """Run it."""
    if output.exists():
        raise AlreadyThere(path=output)
    sources = Sources(passphrases, key_files)
    private = opener(layout.open(Path(data)), key, operator, sources)
    if private is None:
        raise UsageError(reason=_("give --key or --operator"))
    who = operator or by or ""
    visitor = Visitor(
        who, purpose or "", role or "", country, reference, break_glass, operator is not None
    )
    place = Place(Path(data), socket, config, policy_file)
    with opened(place) as shelf:
        policy = policy_of(place) if role else None
        admission = admit(shelf, SystemClock(), recording, visitor, policy)
        taken = take(shelf, recording, private, form, admission)
        legs = cut(taken, since, until)
        try:
            content = export.render(legs, form)
        except (TooManyLegs, TooLong) as error:
            raise GreffierError(reason=error) from error
        longest_s = max(len(leg.samples) / leg.rate for leg in legs)
        note_heard(shelf, recording, longest_s, private, admission)
    Disk().create_file(output, content)
    value: dict[str, Any] = {
        "recording": recording,
        "output": str(output),
        "format": form,
        "start": format_time(taken.start_ns),
        "seconds": longest_s,
        "rate": max(leg.rate for leg in legs),
        "legs": len(legs),
        "parts": [part.header.part_id.hex() for part in taken.parts],
        "bytes": len(content),
        "gaps": sum(len(leg.gaps) for part in taken.parts for leg in part.legs.values()),
    }
    answer(
        value,
        as_json,
        lambda: _("{output}: {seconds:.1f} s, {legs} legs").format(
            output=output, seconds=value["seconds"], legs=value["legs"]
        ),
    )
    return 0
