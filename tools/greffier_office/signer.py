"""``greffier-office signer``: the key of a person who may sign policies."""

from pathlib import Path

import click

from greffier.audit.note import BadNote, Signer
from greffier.cli.output import answer, json_option
from greffier.durable import Disk
from greffier.errors import UsageError
from greffier.language import translate as _
from greffier.trust import LogKey


@click.command(help=_("Make the key of a person who may sign policies: NAME.key and NAME.pub."))
@click.argument("name")
@click.option(
    "-o", "folder", required=True, type=click.Path(path_type=Path), help=_("the folder to use")
)
@json_option
def command(name: str, folder: Path, as_json: bool) -> int:
    """Run it."""
    made = LogKey.new(name)
    try:
        Signer(name, made.private)
    except BadNote as error:
        raise UsageError(reason=error.reason) from error
    if "/" in name:
        raise UsageError(reason=_("a signer's name holds no slash"))
    disk = Disk()
    disk.make_dirs(folder)
    disk.create_file(folder / f"{name}.key", (made.private_line() + "\n").encode("ascii"))
    disk.create_file(folder / f"{name}.pub", (made.public_line() + "\n").encode("ascii"), 0o644)
    value = {"key": str(folder / f"{name}.key"), "public": made.public_line()}
    answer(
        value,
        as_json,
        lambda: _("{key} signs policies: it stays with {name}.").format(
            key=value["key"], name=name
        ),
    )
    return 0
