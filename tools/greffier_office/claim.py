"""``greffier-office claim``: a code that lets one box in."""

import re
from pathlib import Path
from typing import Any

import click

from greffier.cli.output import answer, json_option
from greffier.clock import SystemClock, day_of, format_time
from greffier.durable import Disk
from greffier.errors import UsageError
from greffier.language import translate as _
from greffier_office import admission, claims, place
from greffier_office.office_init import office_option

MOST_LABEL = 64


def check_device(device: str) -> str:
    """*device*, if it is a device's name. Raises UsageError."""
    if not re.fullmatch(r"box-[0-9a-f]{8}", device, re.ASCII):
        reason = _("{device} is no device: box- and 8 hex digits")
        raise UsageError(reason=reason.format(device=device))
    return device


@click.command(help=_("Make a claim code that lets one box in; read it to whoever is beside it."))
@office_option
@click.option("--label", default="", help=_("what you call this box, for instance its town"))
@click.option("--device", default=None, help=_("only this device may use it"))
@click.option(
    "--days",
    type=click.IntRange(1, claims.MOST_DAYS),
    default=claims.DAYS,
    show_default=True,
    help=_("how long it is good for"),
)
@json_option
def command(office: Path, label: str, device: str | None, days: int, as_json: bool) -> int:
    """Run it."""
    opened = place.open(office)
    if len(label) > MOST_LABEL or not label.isprintable():
        raise UsageError(reason=_("a label is at most 64 printable characters"))
    if device is not None:
        check_device(device)
    made = admission.claim(opened, label, device, days, Disk(), SystemClock().wall_ns())
    value: dict[str, Any] = {
        "code": made.code,
        "claim": made.claim,
        "label": label,
        "device": device,
        "expires": format_time(made.expires_ns, digits=0),
    }
    answer(
        value,
        as_json,
        lambda: _("{code}\nIt lets one box in, until {day}; it is shown only now.").format(
            code=made.code, day=day_of(made.expires_ns)
        ),
    )
    return 0
