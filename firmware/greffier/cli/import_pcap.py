"""``greffier import-pcap``: the calls of a capture become verdicts and sealed recordings."""

import re
from pathlib import Path
from typing import Any

import click

from greffier.capture.pcap import open_capture
from greffier.cli.output import answer, data_option, json_option, progress, table
from greffier.clock import SECOND, Clock, SystemClock
from greffier.durable import Disk
from greffier.errors import NotADataDirectory, UsageError
from greffier.language import translate as _
from greffier.language import visible
from greffier.policy import packs as law
from greffier.policy import rules as policies
from greffier.policy.facts import Facts
from greffier.policy.site import Policy
from greffier.recorder import archive
from greffier.recorder.archive import Archive
from greffier.recorder.importing import import_capture
from greffier.recorder.report import as_json as call_json
from greffier.recorder.rules import Rules
from greffier.seal import keys
from greffier.seal.keys import Role
from greffier.store.layout import DEVELOPMENT_KEY

LINE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
MOST_DIGITS = 6


def prepare(data: Path, clock: Clock) -> None:
    """Make *data* a data directory if it is empty, with an office key of its own in it.

    The key is there first, lest an interruption leave a directory that nobody can open. Raises
    NotADataDirectory for a folder that holds something else.
    """
    if (data / "device.json").exists():
        return
    key = data / DEVELOPMENT_KEY
    if data.exists() and set(data.iterdir()) - {key}:
        raise NotADataDirectory(path=data)
    disk = Disk()
    disk.make_dirs(data)
    if not key.exists():
        disk.create_file(key, keys.generate(Role.OFFICE).format().encode("ascii"))
    pair = keys.read_private(key, Role.OFFICE)
    archive.create(data, clock, pair.public.format().encode("ascii"))


def words_of(words: tuple[str, ...]) -> dict[str, str]:
    """The facts in ``k=v`` words, by name, checked. Raises UsageError."""
    Facts.from_words(words)
    return dict(pair.split("=", 1) for word in words for pair in word.split())


def line_of(policy: Policy, line: str | None) -> str:
    """The line that was named, else the policy's only line, else one that it does not know.

    Raises UsageError for a name that could not stand in the log: it might be a caller's number.
    """
    if line is None:
        line = next(iter(policy.lines)) if len(policy.lines) == 1 else "unnamed"
    if not LINE_NAME.fullmatch(line) or sum(one.isdigit() for one in line) > MOST_DIGITS:
        reason = _("a line's name has up to 64 letters, digits, - and _, and at most 6 digits")
        raise UsageError(reason=reason)
    return line


@click.command(help=_("Record the calls of a capture (pcap, pcapng) as the policy says."))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--policy", "policy_file", required=True, type=click.Path(path_type=Path))
@data_option
@click.option("--line", help=_("the policy line that the capture was made on"))
@click.option("--draw", type=float, help=_("sampling draw of every call, from 0 to 1"))
@click.option("--facts", multiple=True, help=_("facts of every call, name=value"))
@click.argument("more_facts", nargs=-1)
@json_option
def command(
    file: Path,
    policy_file: Path,
    data: str,
    line: str | None,
    draw: float | None,
    facts: tuple[str, ...],
    more_facts: tuple[str, ...],
    as_json: bool,
) -> int:
    """Run it."""
    if more_facts and not facts:
        raise UsageError(reason=_("unexpected words: {words}").format(words=" ".join(more_facts)))
    if draw is not None and not 0 <= draw <= 1:
        raise UsageError(reason=_("--draw is a number from 0 to 1"))
    policy = policies.load(policy_file)
    rules = Rules(policy, law.load(), line_of(policy, line), words_of(facts + more_facts), draw)
    clock = SystemClock()
    started = clock.monotonic_ns()
    check_readable(file)
    prepare(Path(data), clock)
    with (
        Archive.open(Path(data), clock) as opened,
        progress(_("Importing"), file.stat().st_size) as report,
    ):
        made = import_capture(file, opened, rules, clock, report)
    value: dict[str, Any] = {
        "packets": made.packets,
        "ignored": made.ignored,
        "damage": made.damage,
        "elapsed_s": round((clock.monotonic_ns() - started) / SECOND, 3),
        "calls": [call_json(one.clear, one.about) for one in made.calls],
    }
    answer(value, as_json, lambda: _text(value))
    if (Path(data) / DEVELOPMENT_KEY).exists():
        warning = _("for trials only: {path} lies beside what it opens")
        click.echo(warning.format(path=visible(str(Path(data) / DEVELOPMENT_KEY))), err=True)
    return 0


def check_readable(file: Path) -> None:
    """Refuse what is no capture before a data directory is made for it. Raises BadCapture."""
    open_capture(file).close()


def _text(value: dict[str, Any]) -> str:
    rows = [
        [
            call["start"] or "-",
            call["from"] or "-",
            call["to"] or "-",
            "-" if call["duration_s"] is None else f"{call['duration_s']:.1f} s",
            call["result"],
            call["record"],
            " ".join(call["codes"]),
        ]
        for call in value["calls"]
    ]
    headings = [_("start"), _("from"), _("to"), _("length"), _("result"), _("verdict"), _("why")]
    counts = _("{packets} frames, {ignored} of no call, {calls} calls, {seconds} s").format(
        packets=value["packets"],
        ignored=value["ignored"],
        calls=len(value["calls"]),
        seconds=value["elapsed_s"],
    )
    lines = [table(headings, rows), counts]
    if value["damage"]:
        lines.append(_("the capture is damaged: {reason}").format(reason=value["damage"]))
    return "\n".join(lines)
