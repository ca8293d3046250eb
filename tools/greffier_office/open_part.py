"""``greffier-office open``: one sealed part, far from its device, with head office's key.

The envelope of a voluntary part is not in its file: it is in the device's shred store, which is
looked for above the file, or comes as a file of its own.
"""

from pathlib import Path
from typing import Any

import click

from greffier.cli.output import answer, json_option
from greffier.durable import Disk
from greffier.encode import export
from greffier.errors import BadKeyFile, NotADataDirectory, NotFound, UsageError
from greffier.language import translate as _
from greffier.seal import keys
from greffier.seal.header import BadPart
from greffier.seal.keys import Role
from greffier.seal.reader import Reader
from greffier.store import layout, playback
from greffier.store.shred_format import PART, Name


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


@click.command(help=_("Open one sealed part with head office's key."))
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--key", required=True, type=click.Path(path_type=Path), help=_("secret key (office.key)")
)
@click.option(
    "--envelope", type=click.Path(path_type=Path), help=_("file with the part's envelope block")
)
@click.option("-o", "output", type=click.Path(path_type=Path), help=_("write the sound (WAV) here"))
@json_option
def command(
    file: Path, key: Path, envelope: Path | None, output: Path | None, as_json: bool
) -> int:
    """Run it."""
    private = keys.read_private(key, Role.OFFICE)
    if not file.is_file():
        raise UsageError(reason=_("{path} is not a file").format(path=file))
    try:
        block = envelope.read_bytes() if envelope else envelope_beside(file)
    except OSError as error:
        raise BadKeyFile(path=envelope, reason=error.strerror) from error
    part = playback.open_part(file, block, private)
    if output:
        legs, _first = playback.sound([part])
        sound = export.render(legs, "wav") if legs else b""
        Disk().create_file(output, sound, 0o600)
    value: dict[str, Any] = {
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
        "complete": True,
        "output": str(output) if output else None,
    }
    answer(
        value,
        as_json,
        lambda: _("Part {part} is whole: {frames} frames, {legs} legs.").format(
            part=value["part"], frames=part.frames, legs=len(part.legs)
        ),
    )
    return 0
