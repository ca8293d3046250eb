"""``greffier calls``: every call, recorded or not, and why."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from greffier.cli.opening import opener, operator_option
from greffier.cli.output import answer, data_option, json_option, table
from greffier.cli.unlocking import Sources, key_option, passphrase_option
from greffier.clock import SystemClock, format_time
from greffier.durable import Disk
from greffier.errors import IntegrityError
from greffier.language import translate as _
from greffier.recorder.archive import Archive
from greffier.recorder.exporting import note_access
from greffier.recorder.people import About, about_calls
from greffier.recorder.reindex import reindex
from greffier.recorder.report import as_json as call_json
from greffier.seal.keys import Opener
from greffier.store import layout
from greffier.store.index import CallRow, Index, PartRow
from greffier.store.layout import DataDirectory
from greffier.store.rebuild import lags


def part_json(part: PartRow) -> dict[str, Any]:
    """One part as the commands print it."""
    until = part.max_until_ns
    return {
        "part": part.part_id,
        "purposes": {name: list(days) for name, days in sorted(part.purposes.items())},
        "min_until": format_time(part.min_until_ns, digits=0),
        "max_until": None if until is None else format_time(until, digits=0),
        "holds": list(part.holds),
        "synced": part.synced,
        "complete": part.complete,
        "bytes": part.size,
        "codec": part.codec,
    }


def row_json(row: CallRow, about: Mapping[str, Any] | None) -> dict[str, Any]:
    """One call with its parts. Raises IntegrityError for a record that is none of ours."""
    try:
        shown = call_json(row.clear, about)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        reason = "its record lacks what a call has"
        raise IntegrityError(what=f"call {row.uid}", reason=reason) from error
    return {**shown, "line": row.line, "parts": [part_json(part) for part in row.parts]}


def list_calls(directory: DataDirectory, private: Opener | None) -> list[dict[str, Any]]:
    """Every call, in order of time; the lock is held meanwhile. Raises Busy, StorageFailed."""
    disk = Disk()
    with directory.lock(disk):
        shred = directory.shred_store(disk)
        try:
            index = Index.open(directory.index, disk)
            rows = [] if index.fresh else index.calls()
            begun_anew = index.fresh
            index.close()
            if begun_anew or (private and lags(directory, rows)):
                reindex(directory, disk, shred)
                index = Index.open(directory.index, disk)
                rows = index.calls()
                index.close()
            told = about_calls(directory, shred, private, rows) if private else {}
        finally:
            shred.close()
    return [row_json(row, about_of(row, told)) for row in rows]


def about_of(row: CallRow, told: Mapping[tuple[str, int], About]) -> About | None:
    """What is known of the people of a call: a restart may have left it in an earlier record."""
    own = told.get((row.epoch, row.record))
    earlier = row.clear.get("about")
    if not earlier:
        return own
    before = told.get((earlier[0], earlier[1]), {})
    return {**before, **{key: value for key, value in (own or {}).items() if value}}


@click.command(help=_("List every call, recorded or not, and why."))
@data_option
@click.option(
    "--key", type=click.Path(path_type=Path), help=_("secret key that opens names and numbers")
)
@operator_option
@passphrase_option
@key_option
@json_option
def command(
    data: str,
    key: Path | None,
    operator: str | None,
    passphrases: tuple[str, ...],
    key_files: tuple[str, ...],
    as_json: bool,
) -> int:
    """Run it."""
    directory = layout.open(Path(data))
    private = opener(directory, key, operator, Sources(passphrases, key_files))
    if private is not None and operator is not None:
        with Archive.open(directory.path, SystemClock()) as archive:
            note_access(archive, "calls", private, operator)
    calls = list_calls(directory, private)
    answer({"calls": calls}, as_json, lambda: _text(calls))
    return 0


def _text(calls: list[dict[str, Any]]) -> str:
    rows = [
        [
            call["start"],
            call["line"],
            call["from"] or "-",
            call["to"] or "-",
            "-" if call["duration_s"] is None else f"{call['duration_s']:.1f} s",
            call["result"],
            call["record"],
            " ".join(call["codes"]),
            call["recording"] or "-",
        ]
        for call in calls
    ]
    headings = [_("start"), _("line"), _("from"), _("to"), _("length"), _("result")]
    return table([*headings, _("verdict"), _("why"), _("recording")], rows)
