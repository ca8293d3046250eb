"""``greffier-office revoke``: shut out a box that was stolen or given up."""

from pathlib import Path
from typing import Any

import click

from greffier.cli.output import answer, json_option
from greffier.clock import SystemClock
from greffier.durable import Disk
from greffier.language import translate as _
from greffier_office import admission, place
from greffier_office.claim import check_device
from greffier_office.enrol import pid_option, tell_broker
from greffier_office.office_init import office_option


@click.command(help=_("Shut a device out: its certificates are revoked. What it sent stays."))
@click.argument("device")
@office_option
@pid_option
@json_option
def command(device: str, office: Path, pid_file: Path | None, as_json: bool) -> int:
    """Run it."""
    opened = place.open(office)
    changed = admission.revoke(opened, check_device(device), Disk(), SystemClock().wall_ns())
    told, line = tell_broker(opened, pid_file)
    value: dict[str, Any] = {"device": device, "changed": changed, "broker_told": told}
    answer(
        value,
        as_json,
        lambda: _("{device} is shut out.").format(device=device) + "\n" + line,
    )
    return 0
