"""``greffier agents``: who works at which extension, in which team; taken over from a CSV file."""

from pathlib import Path

import click

from greffier.cli.output import answer, json_option, table
from greffier.cli.running import config_option, find_config
from greffier.clock import SystemClock, format_time
from greffier.config.agents import FOREVER_NS, overlaps, parse_csv, teams_at, write_csv
from greffier.config.records import Assignment, Config
from greffier.durable import Disk
from greffier.errors import BadAgents, UsageError
from greffier.language import translate as _

MOST_SHOWN = 100


@click.group(help=_("Who works at which extension, in which team, and when."))
def group() -> None:
    """The commands below."""


@group.command("import", help=_("Check FILE.csv, and make it the table of agents."))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help=_("only check it; nothing is changed"))
@config_option
@json_option
def import_command(file: Path, dry_run: bool, config: Path | None, as_json: bool) -> int:
    """Run it. Every wrong line is said on stderr, by its number, and then nothing is changed."""
    found = _config(config, agents_too=False)
    target = found.agents_file
    if target is None and not dry_run:
        raise UsageError(reason=_("the configuration names no [agents] file to write"))
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BadAgents(path=file, count=1, reason=error.strerror) from error
    rows, wrong = parse_csv(content, found.timezone)
    entries = [(0, one) for one in found.assignments]  # those of the configuration itself
    wrong = sorted([*wrong, *overlaps([*entries, *rows])], key=lambda one: one.line)
    if wrong:
        for one in wrong[:MOST_SHOWN]:
            click.echo(
                _("line {line}: {reason}").format(line=one.line, reason=one.reason), err=True
            )
        raise BadAgents(path=file, count=len(wrong), reason=_("nothing was changed"))
    assignments = [one for _line, one in rows]
    new = write_csv(assignments)
    changed = target is None or not target.exists() or target.read_bytes() != new
    if changed and not dry_run and target is not None:
        Disk().write_for_folder(target, new, 0o644)
    value = {
        "rows": len(rows),
        "agents": len({one.agent for one in assignments}),
        "extensions": len({one.extension for one in assignments}),
        "teams": len({one.team for one in assignments if one.team}),
        "changed": changed and not dry_run,
    }
    said = _("{rows} lines are good: {agents} agents, {extensions} extensions, {teams} teams")
    more = "" if dry_run or not changed else "\n" + _("restart the recorder: it reads them then")
    answer(value, as_json, lambda: said.format(**value) + more)
    return 0


@group.command("list", help=_("Who works where now, and who is in which team."))
@config_option
@json_option
def list_command(config: Path | None, as_json: bool) -> int:
    """Run it."""
    found, now = _config(config), SystemClock().wall_ns()
    here = [one for one in found.assignments if one.from_ns <= now < one.until_ns]
    value = {
        "agents": [_row(one) for one in here],
        "teams": {name: list(agents) for name, agents in teams_at(here, now).items()},
    }
    heads = (_("extension"), _("agent"), _("team"), _("since"), _("until"))
    cells = [
        (one.extension, one.agent, one.team, _day(one.from_ns), _day(one.until_ns)) for one in here
    ]
    answer(value, as_json, lambda: table(heads, cells))
    return 0


def _config(path: Path | None, *, agents_too: bool = True) -> Config:
    found = find_config(path, agents_too=agents_too)
    if found is None:
        raise UsageError(reason="--config FILE")
    return found


def _row(one: Assignment) -> dict[str, object]:
    return {
        "extension": one.extension,
        "agent": one.agent,
        "team": one.team or None,
        "from": format_time(one.from_ns) if one.from_ns else None,
        "until": format_time(one.until_ns) if one.until_ns < FOREVER_NS else None,
    }


def _day(time_ns: int) -> str:
    return "" if time_ns in (0, FOREVER_NS) else format_time(time_ns)[:16]
