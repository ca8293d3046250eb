"""``greffier-office backup``: a sealed copy of the envelopes, and the end of old ones."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from greffier.cli.output import answer, json_option
from greffier.durable import Disk
from greffier.errors import UsageError
from greffier.language import translate as _
from greffier.seal import keys
from greffier.seal.keys import Role
from greffier_office import copies, place
from greffier_office.copies import Kept
from greffier_office.office_init import office_option
from greffier_office.stored import Holdings


@click.command(
    help=_("Write a copy of the envelopes that only head office's key opens; old ones are removed.")
)
@office_option
@click.option(
    "--to", "folder", required=True, type=click.Path(path_type=Path), help=_("the folder to use")
)
@click.option(
    "--office-key", "key", required=True, type=click.Path(path_type=Path), help=_("office.pub")
)
@json_option
def command(office: Path, folder: Path, key: Path, as_json: bool) -> int:
    """Run it; once a day is the pace. The collector may run."""
    public = keys.read_public(key, Role.OFFICE)
    if not folder.is_dir():
        raise UsageError(reason=_("{path} is not a folder").format(path=folder))
    disk = Disk()
    now_ns = time.time_ns()
    target = folder / copies.name_of(now_ns)
    with Holdings.open(place.open(office), disk) as held:
        count = copies.write(target, disk, _kept(held), public, now_ns)
    old = copies.outdated(folder, now_ns)
    disk.remove(old)
    value: dict[str, Any] = {
        "copy": str(target),
        "envelopes": count,
        "removed": [one.name for one in old],
    }
    answer(
        value,
        as_json,
        lambda: _("{envelopes} envelopes are in {copy}; older copies removed: {count}").format(
            **value, count=len(old)
        ),
    )
    return 0


def _kept(held: Holdings) -> Iterator[Kept]:
    """Those of the parts that are here: what was deleted is in no copy from now on."""
    for part in held.parts():
        if part.stored_ns is None:
            continue
        block = held.envelope(part)
        if block is not None:
            group = held.envelopes.group(part.device, part.part)
            yield Kept(part.device, part.part, group, part.stored_ns, block)
