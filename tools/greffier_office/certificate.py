"""``greffier-office certificate``: head office's signed word that it destroyed a part."""

import sqlite3
from pathlib import Path
from typing import Any

import click

from greffier.cli.output import answer, json_option
from greffier.clock import SECOND, format_time
from greffier.durable import Disk
from greffier.errors import NotFound
from greffier.language import translate as _
from greffier_office import deletions, place
from greffier_office.deletion_note import MEDIUM, Deletion
from greffier_office.office_init import office_option
from greffier_office.tombstones import Deleted


class NotDeleted(NotFound):
    """No tombstone of that part, or its destruction is not finished."""

    cause = "head office has not destroyed part {what}"
    step = "see what is due with `greffier-office purge --dry-run`"


@click.command(help=_("Write head office's certificate that it destroyed a part."))
@click.argument("part")
@office_option
@click.option("--device", help=_("of this device"))
@click.option("-o", "output", type=click.Path(path_type=Path), help=_("write here"))
@json_option
def command(part: str, office: Path, device: str | None, output: Path | None, as_json: bool) -> int:
    """Run it."""
    opened = place.open(office)
    disk = Disk()
    db = opened.open_catalogue(disk)
    try:
        deletion = _deletion(db, part, device)
    finally:
        db.close()
    signed = deletion.signed(opened.deletion_signer(disk))
    if output:
        disk.create_file(output, signed, 0o644)
    value: dict[str, Any] = {
        "device": deletion.device,
        "part": deletion.part,
        "rule": deletion.rule,
        "reason": deletion.reason,
        "class": deletion.deletion,
        "medium": deletion.medium,
        "decided": format_time(deletion.decided_s * SECOND, digits=0),
        "destroyed": format_time(deletion.destroyed_s * SECOND, digits=0),
        "certificate": signed.decode(),
        "output": str(output) if output else None,
    }
    answer(value, as_json, lambda: signed.decode().rstrip("\n"))
    return 0


def _deletion(db: sqlite3.Connection, part: str, device: str | None) -> Deletion:
    """What is certified. Raises NotDeleted, also where two devices had such a part."""
    found = [one for one in deletions.find(db, part, device) if one[1] is not None]
    if len(found) != 1:
        raise NotDeleted(what=part)
    record, done_ns = found[0]
    return _certified(record, done_ns or 0)


def _certified(record: Deleted, done_ns: int) -> Deletion:
    return Deletion(
        record.device,
        record.part,
        record.recording,
        record.size,
        record.sha256,
        record.envelope,
        record.rule,
        record.reason or "-",
        record.deletion,
        MEDIUM,
        record.at_ns // SECOND,
        max(done_ns, record.at_ns) // SECOND,
    )
