"""``greffier purge``: destroy what has reached its term, or what head office has where room lacks.

The recorder that runs is asked; a data directory that none uses is opened here.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from greffier.cli.output import answer, json_option
from greffier.cli.retaining import (
    Place,
    carried_out,
    data_option,
    in_words,
    lists_of,
    policy_option,
    signatures,
)
from greffier.cli.running import config_option, socket_option
from greffier.cli.unlocking import Sources, key_option, passphrase_option
from greffier.clock import SystemClock
from greffier.control.retention import Purge
from greffier.errors import PartlyDone
from greffier.language import translate as _
from greffier.policy.lifecycle import MASS_ABORTED
from greffier.recorder.mass import CONFIRM


@click.command(help=_("Destroy what has reached its term, or what head office has, for space."))
@data_option
@click.option("--dry-run", is_flag=True, help=_("say what would be done, and do nothing"))
@click.option(
    "--space", type=click.IntRange(min=0), default=0, help=_("bytes that are to become free")
)
@click.option("--confirm", is_flag=True, help=_("let go what was too much to go unasked"))
@click.option("--by", "by", multiple=True, help=_("who confirms it; two different persons"))
@passphrase_option
@key_option
@policy_option
@config_option
@socket_option
@json_option
def command(
    data: Path | None,
    dry_run: bool,
    space: int,
    confirm: bool,
    by: tuple[str, ...],
    passphrases: tuple[str, ...],
    key_files: tuple[str, ...],
    policy_file: Path | None,
    config: Path | None,
    socket: Path | None,
    as_json: bool,
) -> int:
    """Run it."""
    place = Place(data, socket, config, policy_file)
    persons = (by or ("-",)) if confirm else ()
    now_ns = SystemClock().wall_ns()
    order = Purge(space, dry_run, persons, (), now_ns if confirm else 0)
    if confirm and not dry_run:
        sources = Sources(passphrases, key_files)
        signed = signatures(place, by, sources, CONFIRM, {"at_ns": str(now_ns)})
        order = replace(order, signatures=signed)
    told = carried_out(place, order)
    value = {**lists_of(told), "bytes": told.octets, "dry_run": dry_run}
    if told.trouble:
        value["refused"] = [{"id": "confirm", "code": told.trouble.upper()}]
    answer(value, as_json, lambda: _text(value))
    aborted = any(one["code"] == MASS_ABORTED for one in value["refused"])
    return 1 if told.trouble else PartlyDone.exit_code if aborted else 0


def _text(value: dict[str, Any]) -> str:
    lines = in_words(value, "done", "refused")
    for one, line in zip(value.get("kept", ()), in_words(value, "kept"), strict=True):
        lines.append(f"{line} {_('due {time}').format(time=one.get('due', '-'))}")
    said = _("{done} parts would go") if value["dry_run"] else _("{done} parts are destroyed")
    counts = said.format(done=len(value["done"]))
    kept = _("{refused} stay although they were due or asked for").format(
        refused=len(value["refused"])
    )
    time = _("by trusted time, not before {time}").format(time=value["clock"]["lower_bound"])
    order = _(
        "where room lacks goes, oldest first, what head office has and no duty and no hold keeps;"
        " then new calls are refused, then parts that run end, unless they are duties"
    )
    told = [*lines, f"{counts}; {kept}; {time}", *([order] if value["dry_run"] else [])]
    return "\n".join(told)
