"""``greffier-office broker``: head office's brokers answer at other addresses."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from greffier.cli.output import answer, json_option
from greffier.clock import SystemClock
from greffier.durable import Disk
from greffier.language import translate as _
from greffier_office import place
from greffier_office.broker import Address
from greffier_office.office_init import addresses, broker_option, bulk_option, office_option


@click.command(help=_("Write certificate and configuration for a broker at other addresses."))
@office_option
@broker_option
@bulk_option
@json_option
def command(office: Path, brokers: Sequence[str], bulk: Sequence[str], as_json: bool) -> int:
    """Run it."""
    moved = place.move(
        place.open(office),
        addresses(brokers) or [Address("localhost")],
        addresses(bulk),
        Disk(),
        SystemClock().wall_ns(),
    )
    value: dict[str, Any] = {
        "brokers": [str(one) for one in moved.brokers],
        "bulk_brokers": [str(one) for one in moved.bulk_brokers],
        "configuration": str(moved.broker / "mosquitto.conf"),
    }
    answer(
        value,
        as_json,
        lambda: _(
            "Start the broker again with: mosquitto -c {configuration}\n"
            "Devices keep the old address until they are enrolled again."
        ).format(**value),
    )
    return 0
