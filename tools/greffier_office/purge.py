"""``greffier-office purge``: destroy what has reached its term, or what its box destroyed."""

import time
from pathlib import Path
from typing import Any

import click

from greffier.cli.output import answer, json_option
from greffier.clock import format_time
from greffier.durable import Disk
from greffier.language import translate as _
from greffier.policy.words import explain
from greffier_office import disposal, place
from greffier_office.office_init import office_option
from greffier_office.purging import Plan, Purging, Verdict
from greffier_office.sweeping import Sweeping


@click.command(
    help=_("Destroy the parts whose term is reached, or whose keys their boxes destroyed.")
)
@office_option
@click.option("--dry-run", is_flag=True, help=_("say what would be done, and do nothing"))
@click.option("--visa", default="", help=_("reference of the archives administration's visa"))
@click.option("--sweep", is_flag=True, help=_("remove what kills left behind as well"))
@json_option
def command(office: Path, dry_run: bool, visa: str, sweep: bool, as_json: bool) -> int:
    """Run it. Whoever does so vouches for this machine's clock."""
    opened = place.open(office)
    disk = Disk()
    purging = Purging.of(opened, disk)
    try:
        waiting = purging.replay()
        plan = purging.plan(bool(visa or opened.archives_visa), believe=True)
        finished = 0 if dry_run else purging.carry_out(plan)
    finally:
        purging.close()
    swept = _swept(opened, disk) if sweep and not dry_run else 0
    value: dict[str, Any] = {
        "done": [_as_json(one) for one in plan.doomed],
        "refused": [_as_json(one) for one in plan.refused],
        "bytes": sum(one.size for one in plan.doomed),
        "resumed": waiting if dry_run else finished - len(plan.doomed),
        "swept": swept,
        "dry_run": dry_run,
        "clock": format_time(time.time_ns(), digits=0),
    }
    answer(value, as_json, lambda: _text(value, plan))
    return 0


def _swept(office: place.Office, disk: Disk) -> int:
    sweeping = Sweeping.of(office, disk)
    try:
        return sweeping.everything()
    finally:
        sweeping.close()


def _as_json(one: Verdict) -> dict[str, Any]:
    return {"id": one.part, "device": one.device, "code": one.code, "reason": one.asked}


def _text(value: dict[str, Any], plan: Plan) -> str:
    codes = {one.code for one in (*plan.doomed, *plan.refused)}
    whys = {one.code: one.text for one in explain(codes - {disposal.DELETE_ASKED})}
    whys[disposal.DELETE_ASKED] = _("Its box destroyed its key.")
    lines = [
        f"{one.device} {one.part} {one.code}: {whys[one.code]}"
        for one in (*plan.doomed, *plan.refused)
    ]
    said = _("{done} parts would go") if value["dry_run"] else _("{done} parts are destroyed")
    kept = _("{refused} stay although they were due or asked for")
    time_ = _("by this machine's clock, {time}")
    lines.append(
        f"{said.format(done=len(plan.doomed))}; {kept.format(refused=len(plan.refused))};"
        f" {time_.format(time=value['clock'])}"
    )
    if value["resumed"]:
        lines.append(_("Begun before and finished: {count}").format(count=value["resumed"]))
    return "\n".join(lines)
