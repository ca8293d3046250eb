"""``greffier audit verify``: read the whole log, and the vault against it, trusting nothing."""

from collections.abc import Sequence
from pathlib import Path

import click

from greffier.audit import note
from greffier.audit.narrative import ListedCall
from greffier.audit.verify import Report, verify
from greffier.cli.output import answer, data_option, json_option, progress
from greffier.durable import Disk
from greffier.errors import BadKeyFile, IntegrityError
from greffier.language import translate as _
from greffier.language import visible
from greffier.recorder.picture import INTERRUPTED
from greffier.recorder.recovery import RUNNING
from greffier.seal.header import BadPart
from greffier.seal.reader import Reader
from greffier.store import journal, layout
from greffier.store.layout import DataDirectory
from greffier.store.shred_format import PART, Name
from greffier.store.shred_names import names_in

_NONE_OF_OURS = ListedCall("", (), "", None)


@click.group(help=_("The audit log."))
def group() -> None:
    """Hold the commands of the log."""


def trusted_keys(path: Path | None) -> Sequence[note.VerifierKey] | None:
    """The verifier keys in the file *path*, one a line; None without a file. Raises BadKeyFile."""
    if path is None:
        return None
    try:
        return note.read_keys(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadKeyFile(path=path, reason=error) from error


def stored_parts(directory: DataDirectory) -> dict[str, tuple[int, str]]:
    """Size and SHA-256 of every part file, by part id."""
    parts = directory.vault(Disk()).parts()
    found: dict[str, tuple[int, str]] = {}
    with progress(_("Reading parts"), len(parts)) as report:
        for done, part in enumerate(parts, 1):
            digest = part.digest()
            # A second file of one name, in the folder of another day, is no part of the log's.
            twice = part.part_id in found
            name = f"{part.day}/{part.part_id}" if twice else part.part_id
            found[name] = (digest.size, digest.sha256)
            report(done)
    return found


def listed_calls(directory: DataDirectory) -> dict[str, ListedCall]:
    """What the last record of the calls journal says of each call, by its number."""
    found: dict[str, ListedCall] = {}
    for record in journal.everything(directory.calls):
        clear = record.clear
        number, codes = clear.get("number"), clear.get("codes")
        if not isinstance(number, str) or not isinstance(codes, list):
            found[f"{record.epoch}/{record.number}"] = _NONE_OF_OURS
        elif clear.get("end") != RUNNING:
            found[number] = ListedCall(
                str(clear.get("record")),
                tuple(map(str, codes)),
                str(clear.get("result")),
                clear["recording"],
                clear.get("end") == INTERRUPTED,
            )
    return found


def held_keys(directory: DataDirectory) -> set[Name]:
    """Every key that an envelope holds: in the shred store, or in a part's own file.

    Changes nothing, so the lock is not needed.
    """
    found = names_in(directory.shred)
    for part in directory.vault(Disk()).parts():
        try:
            with part.path.open("rb") as file:
                header = Reader(file).header
        except BadPart:
            continue  # its digest is told to be another
        if header.envelopes:
            found.add(Name(PART, header.part_id))
    return found


@group.command("verify", help=_("Find any edit, cut or insertion in the log, and altered parts."))
@data_option
@click.option(
    "--trust",
    type=click.Path(path_type=Path),
    help=_("verifier keys of the device's log and of witnesses, one a line"),
)
@json_option
def verify_command(data: str, trust: Path | None, as_json: bool) -> int:
    """Run it."""
    directory = layout.open(Path(data))
    report = verify(
        directory.path,
        trusted_keys(trust),
        parts=stored_parts(directory),
        calls=listed_calls(directory),
        held=held_keys(directory),
        origin=directory.identity.origin,
    )
    answer(report.as_json(), as_json, lambda: _text(report))
    return 0 if report.ok else IntegrityError.exit_code


def _text(report: Report) -> str:
    lines = [
        _("{entries} entries, {size} under the signed checkpoint").format(
            entries=report.entries, size=report.size
        )
    ]
    if report.cosigned_size:
        lines.append(_("cosigned by a witness up to {size}").format(size=report.cosigned_size))
    else:
        lines.append(_("not witnessed: an old state put back whole would not be noticed"))
    for one in report.problems:
        place = one.file or (str(one.seq) if one.seq is not None else "")
        lines.append(visible(f"✖ {one.code} {place} {one.detail}"))
    lines.append(_("The log is whole.") if report.ok else _("The log is NOT whole."))
    return "\n".join(lines)
