"""``greffier office-key``: another key of head office for what is recorded from now on.

On a data directory that no recorder uses. What was sealed before stays with the key of its time.
"""

from pathlib import Path

import click

from greffier.audit import verify
from greffier.cli import unlocking
from greffier.cli.output import answer, data_option, json_option
from greffier.cli.unlocking import Sources, key_option, passphrase_option
from greffier.clock import SystemClock
from greffier.errors import NoSuchOperator
from greffier.language import translate as _
from greffier.recorder import operators, replacing
from greffier.recorder.archive import Archive
from greffier.seal import keys
from greffier.seal.keys import Role
from greffier.store import layout


@click.group(help=_("Head office's key, to which everything is sealed."))
def group() -> None:
    """The commands below."""


@group.command(help=_("Seal to another key of head office from the next recording on."))
@click.argument("public", type=click.Path(path_type=Path))
@data_option
@click.option("--operator", help=_("who does it; needed where the box has operators"))
@passphrase_option
@key_option
@json_option
def replace(
    public: Path,
    data: str,
    operator: str | None,
    passphrases: tuple[str, ...],
    key_files: tuple[str, ...],
    as_json: bool,
) -> int:
    """Run it."""
    new = keys.read_public(public, Role.OFFICE)
    directory = layout.open(Path(data))
    listed = operators.roll_of(verify.entries(directory.path)).listed
    if listed and operator is None:
        raise NoSuchOperator(operator="-")
    by = None
    if operator is not None:
        unlocked = unlocking.unlock(directory, operator, Sources(passphrases, key_files))
        by = unlocked.operator.key_id
    with Archive.open(directory.path, SystemClock()) as archive:
        was = replacing.replace_office(archive, new, by)
    value = {"key_id": new.key_id.hex(), "was": was, "changed": was != new.key_id.hex()}
    said = _("From the next recording on, everything is sealed to head office's key {key_id}.")
    kept = _("What was recorded before needs the old one ({was}): keep it as long as that.")
    answer(value, as_json, lambda: f"{said} {kept}".format_map(value))
    return 0
