"""``greffier-office verify-sampling``: was every draw what its key says, and every call drawn?"""

import re
import sqlite3
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from greffier.audit.entry import Entry
from greffier.cli.output import answer, json_option
from greffier.config import agents
from greffier.config.fields import Problems
from greffier.durable import Disk
from greffier.errors import BadPolicy, UsageError
from greffier.language import translate as _
from greffier.policy import packs as law
from greffier.policy import rules
from greffier.policy.site import Policy
from greffier.seal import keys
from greffier.seal.keys import Keyring, Opener, Role
from greffier_office import draw_check, place
from greffier_office.checking import Checking
from greffier_office.draw_replay import Replay
from greffier_office.draw_result import Finding, Result
from greffier_office.office_init import office_option
from greffier_office.stored import Holdings
from greffier_office.verify import EXIT

# What a log says of calls, epochs and agents; everything else is hashed and let go.
_KINDS = re.compile(r"(call|epoch|month|recorder|import)\..*|policy\.adopted|part\.opened|coverage")


def verified(
    held: Holdings,
    checking: Checking,
    row: sqlite3.Row,
    replays: dict[str, Replay],
    opener: Opener | None,
    names: Iterable[str],
) -> Result:
    """What is to be said of the box in *row* (of ``logs`` and ``devices``).

    Raises StorageFailed, BadDatabase.
    """
    device = row["device"]
    checking.check_log(row)
    if checking.logs.altered or checking.cosignatures.altered:
        said = [*checking.logs.altered, *checking.cosignatures.altered]
        return Result([Finding("log.altered", device, 0, "", None, one) for one in said])
    entries = [
        entry
        for entry, _ in checking.entries(device)
        if isinstance(entry, Entry) and _KINDS.fullmatch(entry.ev)
    ]
    seen = held.db.execute(
        "SELECT epoch, size FROM witnessed WHERE device = ? AND size IS NOT NULL", (device,)
    )
    result = draw_check.check(
        device,
        entries,
        replays,
        opener=opener,
        names=names,
        witnessed={one["epoch"]: one["size"] for one in seen},
    )
    for fork in held.db.execute("SELECT reason FROM forks WHERE device = ?", (device,)):
        result.findings.append(Finding("log.forked", device, 0, "", None, fork["reason"]))
    result.unknown |= {f"{device}: {one}" for one in checking.logs.missing}
    return result


def read_policies(paths: Iterable[Path]) -> dict[str, Policy]:
    """The policies in *paths* (files, or folders of ``*.toml``), and those of the program, by hash.

    Raises BadPolicy; a file in a folder that is no policy is passed over.
    """
    found: dict[str, Policy] = {}
    for path in (rules.builtin("packs.toml").parent, *paths):
        for file in sorted(path.glob("*.toml")) if path.is_dir() else (path,):
            try:
                policy = rules.load(file)
            except BadPolicy:
                if path.is_dir():
                    continue
                raise
            found[policy.sha256] = policy
    return found


def read_agents(path: Path | None) -> list[str]:
    """The agents' names in the CSV file *path* (docs/config.md). Raises UsageError."""
    if path is None:
        return []
    problems = Problems()
    found = agents.read_csv(path, ZoneInfo("UTC"), "--agents", problems)
    if problems.lines:
        raise UsageError(reason="; ".join(problems.lines))
    return sorted({one.agent for one in found})


@click.command(help=_("Compute every draw of each box again: was any call skipped or chosen?"))
@office_option
@click.option("--device", help=_("of this device"))
@click.option("--day", help=_("of this day alone, YYYY-MM-DD"))
@click.option(
    "--key",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help=_("secret key (office.key); several, where it was replaced"),
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help=_("a policy that was in force, or a folder of them"),
)
@click.option(
    "--packs", type=click.Path(exists=True, path_type=Path), help=_("law packs of that time")
)
@click.option(
    "--agents",
    "agents_file",
    type=click.Path(exists=True, path_type=Path),
    help=_("CSV of the agents (extension,agent): only a name tells its slots"),
)
@json_option
def command(
    office: Path,
    device: str | None,
    day: str | None,
    files: tuple[Path, ...],
    policies: tuple[Path, ...],
    packs: Path | None,
    agents_file: Path | None,
    as_json: bool,
) -> int:
    """Run it."""
    if day is not None:
        try:
            day = date.fromisoformat(day).isoformat()
        except ValueError:
            raise UsageError(reason=_("a day is written YYYY-MM-DD")) from None
    found = [keys.read_private(key, Role.OFFICE) for key in files]
    opener = Keyring(found) if found else None
    replays = draw_check.replays_of(read_policies(policies), law.load(packs))
    names = read_agents(agents_file)
    opened = place.open(office)
    whole = Result()
    with Holdings.open(opened, Disk()) as held:
        rows = held.db.execute(
            "SELECT d.log_key, l.* FROM logs AS l JOIN devices AS d USING (device)"
            " WHERE ?1 IS NULL OR device = ?1 ORDER BY device",
            (device,),
        ).fetchall()
        if device is not None and not rows:
            raise UsageError(reason=_("there is no log of {device}").format(device=device))
        for row in rows:
            checking = Checking(held, opened.public_keys())
            whole.add(verified(held, checking, row, replays, opener, names))
    if day is not None:
        whole = whole.of_day(day)
    answer(whole.as_json(), as_json, lambda: _text(whole))
    return EXIT[whole.state]


def _text(result: Result) -> str:
    words = {
        "authentic": _("Every draw is what its key says."),
        "altered": _("The sampling was tampered with, or the log of it."),
        "cannot_tell": _("Something is not known: nobody can tell."),
    }
    value: dict[str, Any] = result.as_json()
    counts = _("{calls} calls, {drawn} drawn, {expected:.1f} expected")
    lines = [words[result.state], "  " + counts.format(**value)]
    for epoch in value["epochs"]:
        lines.append(
            f"  {epoch['device']} {epoch['epoch']}: {epoch['calls']}, "
            f"{epoch['key']}, {epoch['witnessed']} ({epoch['unwitnessed']})"
        )
    lines += [f"  {_('unknown')}: {one}" for one in value["unknown"]]
    lines += [
        f"  {one['code']}: {one['uid'] or one['device']} ({one['seq']}) {one['detail']}"
        for one in value["findings"]
    ]
    return "\n".join(lines)
