"""``greffier certificate``: the proof that a part's key was destroyed, to be handed on."""

from pathlib import Path
from typing import Any

import click

from greffier.audit import certificate as certificates
from greffier.audit import note
from greffier.audit.certificate import BadCertificate, Destruction
from greffier.cli.output import answer, data_option, json_option
from greffier.clock import SECOND, format_time
from greffier.durable import Disk
from greffier.errors import IntegrityError
from greffier.language import translate as _
from greffier.store import layout


@click.command(help=_("Write the certificate that a part was destroyed."))
@click.argument("part")
@data_option
@click.option("-o", "output", required=True, type=click.Path(path_type=Path), help=_("write here"))
@json_option
def command(part: str, data: str, output: Path, as_json: bool) -> int:
    """Run it. The recorder may be running: nothing but the certificate is written."""
    directory = layout.open(Path(data))
    made = certificates.made_from(directory.path, part)
    log_key = note.read_key(directory.log_public.read_text("utf-8").strip())
    witnesses = (
        note.read_keys(directory.head_office.read_text("utf-8"))
        if directory.head_office.exists()
        else ()
    )
    try:
        said = certificates.check(made, log_key, witnesses)
    except BadCertificate as error:
        raise IntegrityError(what=directory.audit, reason=error.reason) from None
    Disk().create_file(output, certificates.write(made), 0o644)
    value = {**said.as_json(), "output": str(output)}
    answer(value, as_json, lambda: text_of(said, value))
    return 0


def text_of(said: Destruction, value: dict[str, Any]) -> str:
    """The same for people."""
    lines = [
        _("The key of part {part} was destroyed: reason {reason}, class {class}."),
        _("Not before {time} by trusted time."),
        _("Witnessed by head office at {time}.")
        if said.witnessed_s is not None
        else _("Not witnessed: only the box's own signature says so."),
    ]
    witnessed_ns = (said.witnessed_s or 0) * SECOND
    return "\n".join(
        (
            lines[0].format(**value),
            lines[1].format(time=format_time(said.not_before_ns, digits=0)),
            lines[2].format(time=format_time(witnessed_ns, digits=0)),
        )
    )
