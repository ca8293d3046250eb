"""``greffier mirror prepare``: let a medium be the second one of this device."""

from pathlib import Path

import click

from greffier.cli.output import answer, data_option, json_option
from greffier.durable import Disk
from greffier.language import translate as _
from greffier.store import layout, medium


@click.group(help=_("The second medium that parts are copied to."))
def group() -> None:
    """Hold the commands of the mirror."""


@group.command("prepare", help=_("Let FOLDER, on a mounted medium, hold copies of the parts."))
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@data_option
@json_option
def prepare(folder: Path, data: str, as_json: bool) -> int:
    """Run it."""
    device = layout.open(Path(data)).identity.device
    mirror = medium.prepare(folder, device, Disk())
    value = {"folder": str(folder), "device": device, "mirror": mirror}
    answer(
        value,
        as_json,
        lambda: _("{folder} is a mirror of {device} now; name it in [storage] mirror").format(
            **value
        ),
    )
    return 0
