"""``greffier decommission``: the end of a box; a certificate says so first."""

from pathlib import Path
from typing import Any

import click

from greffier.cli import unlocking
from greffier.cli.output import answer, data_option, json_option
from greffier.cli.unlocking import Sources, key_option, passphrase_option
from greffier.clock import SystemClock
from greffier.durable import Disk
from greffier.errors import AlreadyThere, NotReady, UsageError
from greffier.language import translate as _
from greffier.recorder import decommissioning, operators, recovery
from greffier.recorder.archive import Archive
from greffier.recorder.decommissioning import Agreed, Inventory
from greffier.store import layout
from greffier.store.layout import DECOMMISSIONED, DataDirectory


@click.command(help=_("Destroy this box's keys, then all it holds; a certificate says so first."))
@data_option
@click.option("--certificate", type=click.Path(path_type=Path), help=_("the file to write"))
@click.option("--dry-run", is_flag=True, help=_("say what would be done, and do nothing"))
@click.option("--lose-unsynced", is_flag=True, help=_("also what head office does not have"))
@click.option(
    "--operator",
    "names",
    multiple=True,
    help=_("who agrees: two different ones, where the box has operators"),
)
@passphrase_option
@key_option
@json_option
def command(
    data: str,
    certificate: Path | None,
    dry_run: bool,
    lose_unsynced: bool,
    names: tuple[str, ...],
    passphrases: tuple[str, ...],
    key_files: tuple[str, ...],
    as_json: bool,
) -> int:
    """Run it."""
    path = Path(data)
    if certificate is None and not dry_run:
        raise UsageError(reason=_("say with --certificate where the certificate is to be written"))
    begun = (path / DECOMMISSIONED).exists()
    if certificate is not None and certificate.exists() and not begun:
        raise AlreadyThere(path=certificate)
    value: dict[str, Any] = {"data": str(path), "dry_run": dry_run, "resumed": begun}
    if not begun:
        sources = Sources(passphrases, key_files)
        value |= _announced(layout.open(path), dry_run, lose_unsynced, names, sources)
    if not dry_run:
        assert certificate is not None  # noqa: S101 - refused above
        value |= _destroyed(path, certificate)
    answer(value, as_json, lambda: _text(value))
    return 3 if value.get("peppers_left") else 0


def _announced(
    directory: DataDirectory,
    dry_run: bool,
    lose_unsynced: bool,
    names: tuple[str, ...],
    sources: Sources,
) -> dict[str, Any]:
    """Everything up to the certificate in the folder."""
    with Archive.open(directory.path, SystemClock()) as archive:
        recovery.recover(archive)
        found = decommissioning.take_stock(archive)
        listed = archive.sealing.roll.listed
        value = {
            "device": directory.identity.device,
            "class": found.deletion,
            "parts": found.parts,
            "unsynced": found.unsynced,
            "held": found.held,
            "two_persons": bool(listed),
        }
        if dry_run:
            return value
        if found.held:
            raise NotReady(reason=_("{held} parts are held; release them first").format(**value))
        if found.unsynced and not lose_unsynced:
            said = _("head office does not have {unsynced} parts; add --lose-unsynced to lose them")
            raise NotReady(reason=said.format(**value))
        at_ns = archive.clock.wall_ns()
        agreed = _agreed(directory, found, at_ns, names, sources) if listed else []
        decommissioning.announce(archive, found, at_ns, agreed)
    return value


def _agreed(
    directory: DataDirectory,
    found: Inventory,
    at_ns: int,
    names: tuple[str, ...],
    sources: Sources,
) -> list[Agreed]:
    octets = decommissioning.statement(directory, found, at_ns)
    proofs = unlocking.two_proofs(directory, names, sources, decommissioning.PURPOSE, octets)
    here = operators.known(directory)
    people = operators.two_persons(here, proofs, decommissioning.PURPOSE, octets)
    return [Agreed(one.key_id, proof) for one, proof in zip(people, proofs, strict=True)]


def _destroyed(path: Path, certificate: Path) -> dict[str, Any]:
    disk = Disk()
    with disk.lock(path / "lock"):
        content = (path / DECOMMISSIONED).read_bytes()
        disk.write_file(certificate, content)
        left = decommissioning.destroy(path, disk)
    return {"certificate": str(certificate), "peppers_left": left}


def _text(value: dict[str, Any]) -> str:
    lines = []
    if "parts" in value:
        said = _("{device}: {parts} parts, {unsynced} of them not at head office; class {class}")
        lines.append(said.format_map(value))
    if value["dry_run"]:
        lines.append(_("Nothing was done."))
        return "\n".join(lines)
    lines.append(_("The keys are destroyed. {certificate} says so.").format_map(value))
    if value.get("class") == "C":
        lines.append(_("Class C: old copies of a key may survive in the medium; destroy it too."))
    if value["peppers_left"]:
        said = _("The TPM still keeps something for {names}; clear it.")
        lines.append(said.format(names=", ".join(value["peppers_left"])))
    return "\n".join(lines)
