"""``greffier-office restore``: envelopes that were lost come back from a sealed copy."""

import hashlib
import time
from pathlib import Path
from typing import Any

import click

from greffier.cli.output import answer, json_option
from greffier.durable import Disk
from greffier.errors import BadKeyFile
from greffier.language import translate as _
from greffier.seal import keys
from greffier.seal.envelope import DoesNotOpen
from greffier.seal.keys import Role
from greffier_office import copies, place
from greffier_office.copies import Kept
from greffier_office.office_init import office_option
from greffier_office.purging import Purging
from greffier_office.stored import Holdings

BATCH = 256


@click.command(help=_("Bring back envelopes from a sealed copy; what was deleted stays so."))
@click.argument("copy", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@office_option
@click.option(
    "--key", required=True, type=click.Path(path_type=Path), help=_("secret key (office.key)")
)
@json_option
def command(copy: Path, office: Path, key: Path, as_json: bool) -> int:
    """Run it."""
    private = keys.read_private(key, Role.OFFICE)
    opened = place.open(office)
    disk = Disk()
    purging = Purging.of(opened, disk)
    try:
        purging.replay()
    finally:
        purging.close()
    try:
        for _one in copies.read(copy, private):  # all of it holds, before any of it is used
            pass
        with Holdings.open(opened, disk) as held:
            waiting = [one for one in copies.read(copy, private) if _is_missing(held, one)]
            for at in range(0, len(waiting), BATCH):
                held.envelopes.put_back(waiting[at : at + BATCH], time.time_ns())
    except DoesNotOpen as error:
        raise BadKeyFile(path=key, reason=error.reason) from None
    value: dict[str, Any] = {"copy": str(copy), "restored": len(waiting)}
    answer(
        value, as_json, lambda: _("{restored} envelopes came back.").format(restored=len(waiting))
    )
    return 0


def _is_missing(held: Holdings, kept: Kept) -> bool:
    """Whether its part is here, has no envelope, and the log's hash is this one's."""
    row = held.db.execute(
        "SELECT envelope FROM parts WHERE device = ? AND part = ? AND stored_ns IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM deletions AS d"
        " WHERE d.device = parts.device AND d.part = parts.part)",
        (kept.device, kept.part),
    ).fetchone()
    if row is None or row["envelope"] != hashlib.sha256(kept.block).hexdigest():
        return False
    return held.envelopes.get(kept.device, kept.part) is None
