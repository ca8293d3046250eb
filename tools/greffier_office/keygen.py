"""``greffier-office keygen``: the key pair to which every recording is sealed."""

from pathlib import Path

import click

from greffier.cli.output import answer, json_option
from greffier.durable import Disk
from greffier.errors import AlreadyThere
from greffier.language import translate as _
from greffier.seal import keys
from greffier.seal.keys import Role

PUBLIC_MODE = 0o644


@click.command(help=_("Make head office's key pair: office.key (secret) and office.pub."))
@click.option(
    "-o", "folder", required=True, type=click.Path(path_type=Path), help=_("the folder to make")
)
@json_option
def command(folder: Path, as_json: bool) -> int:
    """Run it."""
    secret, public = folder / "office.key", folder / "office.pub"
    for path in (secret, public):
        if path.exists():
            raise AlreadyThere(path=path)
    disk = Disk()
    disk.make_dirs(folder)
    pair = keys.generate(Role.OFFICE)
    disk.create_file(secret, pair.format().encode("ascii"))
    disk.create_file(public, pair.public.format().encode("ascii"), PUBLIC_MODE)
    value = {
        "key": str(secret),
        "public": str(public),
        "key_id": pair.public.key_id.hex(),
    }
    answer(
        value,
        as_json,
        lambda: _(
            "{key} opens every recording: keep it offline, with a copy elsewhere.\n"
            "{public} goes to the devices."
        ).format(**value),
    )
    return 0
