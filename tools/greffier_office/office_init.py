"""``greffier-office init``: make head office's directory."""

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

office_option = click.option(
    "--office",
    "office",
    required=True,
    type=click.Path(path_type=Path),
    help=_("head office's directory"),
)
broker_option = click.option(
    "--broker",
    "brokers",
    multiple=True,
    metavar="HOST[:PORT]",
    help=_("where devices reach the broker; may be given again; localhost:8883 without"),
)
bulk_option = click.option(
    "--bulk-broker",
    "bulk",
    multiple=True,
    metavar="HOST[:PORT]",
    help=_("another way for sound alone; may be given again"),
)


def addresses(texts: Sequence[str]) -> list[Address]:
    """The addresses that the options name. Raises UsageError."""
    return [Address.parse(one) for one in texts]


@click.command(
    help=_("Make head office's directory: keys, certificates, catalogue, the broker's files.")
)
@office_option
@click.option("--name", default=place.NAME, show_default=True, help=_("what devices know it by"))
@broker_option
@bulk_option
@json_option
def command(
    office: Path, name: str, brokers: Sequence[str], bulk: Sequence[str], as_json: bool
) -> int:
    """Run it."""
    made = place.create(
        office,
        Disk(),
        SystemClock().wall_ns(),
        name,
        addresses(brokers) or [Address("localhost")],
        addresses(bulk),
    )
    receipt, witness = made.public_keys()
    value: dict[str, Any] = {
        "office": str(made.path),
        "name": made.name,
        "brokers": [str(one) for one in made.brokers],
        "bulk_brokers": [str(one) for one in made.bulk_brokers],
        "receipt_key": receipt.text,
        "witness_key": witness.text,
        "configuration": str(made.broker / "mosquitto.conf"),
    }
    answer(
        value,
        as_json,
        lambda: _(
            "Head office {name} is ready in {office}.\n"
            "Start its broker with: mosquitto -c {configuration}\n"
            "Let a device in with: greffier-office claim --office {office}"
        ).format(**value),
    )
    return 0
