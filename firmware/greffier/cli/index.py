"""``greffier index rebuild``: make the index anew from the files, which are the truth."""

from pathlib import Path

import click

from greffier.cli.output import answer, data_option, json_option
from greffier.durable import Disk
from greffier.errors import PartlyDone
from greffier.language import translate as _
from greffier.recorder.reindex import reindex
from greffier.store import layout


@click.group(help=_("The index of recordings."))
def group() -> None:
    """Hold the commands of the index."""


@group.command("rebuild", help=_("Make the index anew from parts, journal and shred store."))
@data_option
@json_option
def rebuild_command(data: str, as_json: bool) -> int:
    """Run it."""
    directory = layout.open(Path(data))
    disk = Disk()
    with directory.lock(disk):
        shred = directory.shred_store(disk, whole=False)
        try:
            made = reindex(directory, disk, shred)
        finally:
            shred.close()
    value = {
        "recordings": made.recordings,
        "added": made.added,
        "removed": made.removed,
        "unreadable": list(made.unreadable),
    }
    answer(
        value,
        as_json,
        lambda: _("{recordings} recordings; {added} added, {removed} removed").format(**value),
    )
    return PartlyDone.exit_code if made.unreadable else 0
