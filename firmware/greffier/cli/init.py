"""``greffier init``: make a data directory with keys of its own."""

from pathlib import Path
from typing import Any

import click

from greffier.cli.output import answer, data_option, json_option
from greffier.clock import SystemClock
from greffier.errors import BadKeyFile
from greffier.language import translate as _
from greffier.language import visible
from greffier.recorder import archive
from greffier.seal import keys
from greffier.seal.keys import Role
from greffier.trust import DeletionClass
from greffier.trust.roots import CHOICES, Choice, trouble


def read_key(path: Path, role: Role) -> bytes:
    """The content of the public key file *path*, checked. Raises BadKeyFile."""
    keys.read_public(path, role)
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadKeyFile(path=path, reason=error.strerror) from error


def told_class(name: DeletionClass) -> str:
    """What a deletion is worth here, in one line."""
    if name == "A":
        return _("Deletion class A: the key that deleting destroys lies in the TPM.")
    return _("Deletion class C: that key is a file; old copies may survive in the storage medium.")


@click.command(help=_("Make a data directory with device keys; recordings go to the office key."))
@data_option
@click.option(
    "--office-key",
    required=True,
    type=click.Path(path_type=Path),
    help=_("public key of head office (office.pub)"),
)
@click.option(
    "--console-key", type=click.Path(path_type=Path), help=_("public key of the site's console")
)
@click.option(
    "--effaceable",
    type=click.Choice(CHOICES),
    default="auto",
    show_default=True,
    help=_("where the key lies that deleting destroys: in a TPM if one works, or in a file"),
)
@json_option
def command(
    data: str, office_key: Path, console_key: Path | None, effaceable: Choice, as_json: bool
) -> int:
    """Run it."""
    office = read_key(office_key, Role.OFFICE)
    console = read_key(console_key, Role.CONSOLE) if console_key else None
    made = archive.create(Path(data), SystemClock(), office, console, effaceable)
    missing = None
    if effaceable == "auto" and made.deletion_class != "A":
        missing = visible(trouble())
    log_public = made.log_public.read_text("ascii").strip()
    value: dict[str, Any] = {
        "device": made.identity.device,
        "data": str(made.path),
        "log_key": log_public,
        "office_key": keys.read_public(made.office_public, Role.OFFICE).key_id.hex(),
        "deletion_class": made.deletion_class,
        "no_tpm": missing,
    }
    answer(
        value,
        as_json,
        lambda: (
            _("Device {device} is ready in {path}.").format(device=value["device"], path=made.path)
            + "\n"
            + told_class(made.deletion_class)
            + (" " + _("No TPM: {reason}.").format(reason=missing) if missing else "")
            + "\n"
            + _("Keep its log key with head office: {key}").format(key=log_public)
        ),
    )
    return 0
