"""``greffier-office open``: what is sealed, far from its device, with head office's key.

The envelope of a voluntary part is not in its file: it is in the device's shred store, which is
looked for above the file, or comes as a file of its own; head office has those of its parts.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from greffier.cli.output import answer, json_option
from greffier.durable import Disk
from greffier.encode import export
from greffier.errors import BadKeyFile, GreffierError, NotADataDirectory, NotFound, UsageError
from greffier.language import translate as _
from greffier.seal import keys
from greffier.seal.header import BadPart
from greffier.seal.keys import Keyring, Opener, Role
from greffier.seal.reader import Reader
from greffier.store import layout, playback
from greffier.store.playback import OpenedPart
from greffier.store.shred_format import PART, Name
from greffier_office import accesses, place
from greffier_office.accesses import Opening
from greffier_office.place import Office
from greffier_office.stored import Holdings


def envelope_beside(path: Path) -> bytes | None:
    """The envelope block of the part *path* from the data directory that it lies in, or None."""
    for folder in path.resolve().parents:
        if (folder / "device.json").exists():
            break
    else:
        return None
    try:
        directory = layout.open(folder)
        with path.open("rb") as file:
            name = Name(PART, Reader(file).header.part_id)
    except (NotADataDirectory, BadPart):
        return None
    disk = Disk()
    with directory.lock(disk):
        store = directory.shred_store(disk)
        try:
            return store.get(name).block
        except NotFound:
            return None
        finally:
            store.close()


@click.command(
    help=_("Open a sealed part, or a recording that head office holds, with head office's key.")
)
@click.argument("target")
@click.option(
    "--office",
    "folder",
    type=click.Path(path_type=Path),
    help=_("head office's directory; then the argument is the id of a part or a recording"),
)
@click.option("--device", help=_("of this device"))
@click.option(
    "--key",
    "files",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help=_("secret key (office.key); several, where it was replaced"),
)
@click.option(
    "--envelope", type=click.Path(path_type=Path), help=_("file with the part's envelope block")
)
@click.option("-o", "output", type=click.Path(path_type=Path), help=_("write the sound (WAV) here"))
@click.option("--by", default="", help=_("who opens it; it is written down at head office"))
@click.option("--role", default="", help=_("in which role"))
@click.option("--purpose", default="", help=_("for which purpose"))
@click.option("--reference", default="", help=_("the dispute or the contract"))
@json_option
def command(
    target: str,
    folder: Path | None,
    device: str | None,
    files: tuple[Path, ...],
    envelope: Path | None,
    output: Path | None,
    by: str,
    role: str,
    purpose: str,
    reference: str,
    as_json: bool,
) -> int:
    """Run it."""
    private = Keyring([keys.read_private(key, Role.OFFICE) for key in files])
    if folder is None:
        parts = [_open_file(Path(target), envelope, private)]
    elif envelope is not None:
        raise UsageError(reason=_("head office has the envelopes of its parts"))
    else:
        office = place.open(folder)
        key = private.key_id.hex()
        accesses.note(folder, Opening(target, key, by, role, purpose, reference))
        try:
            parts = _open_stored(office, target, device, private)
        except GreffierError as error:
            failed = Opening(target, key, by, role, purpose, reference, type(error).__name__)
            accesses.note(folder, failed)
            raise
    if output:
        legs, _first = playback.sound(parts)
        sound = export.render(legs, "wav") if legs else b""
        Disk().create_file(output, sound, 0o600)
    values = [_as_json(part) for part in parts]
    value = {**values[0], "output": str(output) if output else None}
    if len(values) > 1 or value["part"] != target:
        value["parts"] = values
    answer(value, as_json, lambda: "\n".join(map(_line, values)))
    return 0


def _open_file(file: Path, envelope: Path | None, private: Opener) -> OpenedPart:
    if not file.is_file():
        raise UsageError(reason=_("{path} is not a file").format(path=file))
    try:
        block = envelope.read_bytes() if envelope else envelope_beside(file)
    except OSError as error:
        raise BadKeyFile(path=envelope, reason=error.strerror) from error
    return playback.open_part(file, block, private)


def _open_stored(
    office: Office, name: str, device: str | None, private: Opener
) -> list[OpenedPart]:
    """What the log says ends without FINAL is opened as far as it goes: its hash is the log's."""
    with Holdings.open(office, Disk()) as held, TemporaryDirectory() as folder:
        return [
            playback.open_part(
                held.write(part, Path(folder)), held.envelope(part), private, unfinished=True
            )
            for part in held.named(name, device)
        ]


def _as_json(part: OpenedPart) -> dict[str, Any]:
    return {
        "part": part.header.part_id.hex(),
        "recording": part.header.recording_id.hex(),
        "number": part.header.number,
        "line": part.header.meta.get("line"),
        "purposes": part.header.meta.get("purposes"),
        "about": dict(part.about),
        "legs": [
            {
                **leg.table,
                "leg": number,
                "kind": leg.stored.kind,
                "rate": leg.stored.rate,
                "packets": len(leg.packets),
                "gaps": [
                    {"from": gap.start, "to": gap.end, "packets": gap.packets, "cause": gap.cause}
                    for gap in leg.gaps
                ],
            }
            for number, leg in sorted(part.legs.items())
        ],
        "frames": part.frames,
        "complete": bool(part.reason),
    }


def _line(value: dict[str, Any]) -> str:
    if not value["complete"]:
        text = _("Part {part} ends where the power was cut: {frames} frames, {legs} legs.")
    else:
        text = _("Part {part} is whole: {frames} frames, {legs} legs.")
    return text.format(part=value["part"], frames=value["frames"], legs=len(value["legs"]))
