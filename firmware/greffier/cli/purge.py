"""``greffier purge``: destroy what has reached its term, or what head office has where room lacks.

On a data directory that no recorder uses.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from greffier.cli.output import answer, data_option, json_option
from greffier.clock import SystemClock, format_time
from greffier.language import translate as _
from greffier.policy import packs as law
from greffier.policy import rules
from greffier.policy.purposes import EMERGENCY
from greffier.policy.words import explain
from greffier.recorder import enlisting, purge, recovery
from greffier.recorder.archive import Archive
from greffier.store.index import PartRow

_PUBLIC = (*EMERGENCY, "public_admin")


@click.command(help=_("Destroy what has reached its term, or what head office has, for space."))
@data_option
@click.option("--dry-run", is_flag=True, help=_("say what would be done, and do nothing"))
@click.option(
    "--space", type=click.IntRange(min=0), default=0, help=_("bytes that are to become free")
)
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(path_type=Path),
    help=_("the site's policy, which may name the visa of the public archives"),
)
@json_option
def command(data: str, dry_run: bool, space: int, policy_file: Path | None, as_json: bool) -> int:
    """Run it."""
    blocked = _needs_visa(policy_file)
    with Archive.open(Path(data), SystemClock()) as archive:
        recovery.recover(archive)
        found = purge.plan(archive, space, blocked)
        bound = archive.clock.lower_bound()
        if not dry_run:
            purge.carry_out(archive, found.doomed)
            enlisting.remove_unneeded(archive)
    value: dict[str, Any] = {
        "done": [{"id": one.row.part_id, "code": one.code} for one in found.doomed],
        "refused": [{"id": one.row.part_id, "code": one.code} for one in found.refused],
        "bytes": found.octets,
        "dry_run": dry_run,
        "clock": {"lower_bound": format_time(bound.t_ns, digits=0), "source": bound.source},
    }
    answer(value, as_json, lambda: _text(value))
    return 0


def _needs_visa(policy_file: Path | None) -> Callable[[PartRow], bool]:
    """Whether a part is a public body's and the archives have not agreed to its destruction.

    Code du patrimoine L.212-2. Without a policy only emergencies are known to be a public body's.
    Raises BadPolicy.
    """
    if policy_file is None:
        return lambda row: any(name in EMERGENCY for name in row.purposes)
    policy = rules.load(policy_file)
    needed = law.load().of(policy.device).archives_visa
    if not needed or policy.governance.has("archives_visa_ref"):
        return lambda row: False
    lines = {name for name, line in policy.lines.items() if line.sector in _PUBLIC}
    return lambda row: row.line in lines or any(name in EMERGENCY for name in row.purposes)


def _text(value: dict[str, Any]) -> str:
    shown = (*value["done"], *value["refused"])
    whys = {one.code: one.text for one in explain({one["code"] for one in shown})}
    whys[purge.RESUMED] = _("Its destruction had begun, and is finished.")
    lines = [f"{one['id']} {one['code']}: {whys[one['code']]}" for one in shown]
    said = _("{done} parts would go") if value["dry_run"] else _("{done} parts are destroyed")
    counts = said.format(done=len(value["done"]))
    kept = _("{refused} stay although they were due or asked for").format(
        refused=len(value["refused"])
    )
    time = _("by trusted time, not before {time}").format(time=value["clock"]["lower_bound"])
    return "\n".join([*lines, f"{counts}; {kept}; {time}"])
