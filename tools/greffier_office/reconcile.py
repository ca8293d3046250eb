"""``greffier-office reconcile``: calls that an operator knows of, and the box never saw."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from greffier.audit.entry import Entry
from greffier.cli.output import answer, json_option
from greffier.clock import SECOND, format_time
from greffier.durable import Disk
from greffier.errors import UsageError
from greffier.language import translate as _
from greffier.seal import keys
from greffier.seal.keys import Keyring, Opener, Role
from greffier_office import cdr, held_calls, matching, place
from greffier_office.catalogue import Catalogue
from greffier_office.cdr import Reading, Record
from greffier_office.checking import Checking
from greffier_office.matching import Group, Matched, Offset, One
from greffier_office.office_init import office_option
from greffier_office.place import Office
from greffier_office.stored import Holdings

MISSING, AMBIGUOUS, DONE = 20, 3, 0
_AWAY: Final = ("off", "blind", "lost")


@dataclass(frozen=True, slots=True)
class Side:
    """The box's side: its calls, and the times in which it says that it saw nothing."""

    calls: tuple[One, ...]
    away: tuple[tuple[int, int, str], ...]


def box_side(
    held: Holdings, office: Office, device: str, lines: Sequence[str], opener: Opener | None
) -> Side:
    """What head office knows of *device*; with *opener* the numbers too that it holds.

    Raises StorageFailed, BadDatabase.
    """
    numbers: Mapping[str, tuple[str, ...]] = {}
    if opener is not None:
        numbers = {
            one["uid"]: tuple(one[side] for side in ("from", "to") if one[side])
            for one in held_calls.list_calls(held, device, opener)
        }
    rows = held.db.execute(
        "SELECT uid, line, start_ns FROM calls WHERE device = ? ORDER BY start_ns, uid", (device,)
    )
    calls = [
        One(row["uid"], row["start_ns"], matching.significant(numbers.get(row["uid"], ())))
        for row in rows
        if not lines or row["line"] in lines
    ]
    away = [
        (entry.data["from_ns"], entry.data["to_ns"], entry.data["state"])
        for entry, _raw in Checking(held, office.public_keys()).entries(device)
        if isinstance(entry, Entry)
        and entry.ev == "coverage"
        and entry.data["state"] in _AWAY
        and (not lines or entry.data["line"] in lines)
    ]
    return Side(tuple(calls), tuple(away))


def reconciled(
    records: Sequence[Record],
    side: Side,
    tolerance_ns: int,
    offset_ns: int | None,
    *,
    numbers: bool,
) -> tuple[Matched, Offset]:
    """Records against calls; *offset_ns* None: it is estimated. *numbers*: they are compared."""
    ones = matching.without_common(
        [
            One(
                one.row, one.start_ns, matching.significant(one.numbers) if numbers else frozenset()
            )
            for one in records
        ]
    )
    known = matching.without_common(side.calls)
    if offset_ns is None:
        offset = matching.estimate(ones, known, tolerance_ns)
    else:
        offset = Offset(offset_ns, 0)
    low, high = _span(ones, offset.ns, tolerance_ns)
    calls = [one for one in known if low <= one.start_ns <= high]
    return matching.match(ones, calls, offset.ns, tolerance_ns), offset


def _span(ones: Sequence[One], offset_ns: int, tolerance_ns: int) -> tuple[int, int]:
    """The time that the records speak of, by the box's clock."""
    if not ones:
        return 0, -1
    return ones[0].start_ns - offset_ns - tolerance_ns, ones[-1].start_ns - offset_ns + tolerance_ns


def _insert(
    office: Office,
    device: str,
    source: str,
    found: Sequence[tuple[Record, str]],
    offset_ns: int,
) -> int:
    """Flag what the box never saw in the catalogue; said again, nothing changes.

    Raises StorageFailed, BadDatabase.
    """
    catalogue = Catalogue.open(office.catalogue, Disk())
    try:
        with catalogue.transaction() as db:
            rows = [
                (
                    *(device, source, record.row, record.start_ns - offset_ns),
                    *(record.duration_ms, state, time.time_ns()),
                )
                for record, state in found
            ]
            before = db.total_changes
            db.executemany("INSERT OR IGNORE INTO unseen VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            return int(db.total_changes - before)
    finally:
        catalogue.close()


@click.command(help=_("Compare call detail records with a box's calls: which did it never see?"))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@office_option
@click.option("--device", required=True, help=_("the box"))
@click.option("--line", "lines", multiple=True, help=_("its line; several, or all"))
@click.option("--start", help=_("column of the beginning"))
@click.option("--end", help=_("column of the end"))
@click.option("--duration", help=_("column of the duration"))
@click.option("--from", "from_", help=_("column of the caller's number"))
@click.option("--to", help=_("column of the called number"))
@click.option("--zone", default="Europe/Paris", show_default=True, help=_("of times without one"))
@click.option("--offset", type=float, help=_("seconds by which its clock is ahead of the box's"))
@click.option("--tolerance", type=click.FloatRange(0, 120), default=5.0, show_default=True)
@click.option(
    "--never",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=_("file of the numbers of lines that are never recorded: nothing of them is kept"),
)
@click.option("--no-never", is_flag=True, help=_("there is no line that is never recorded"))
@click.option(
    "--key",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help=_("secret key (office.key); several, where it was replaced"),
)
@click.option("--insert", is_flag=True, help=_("flag what is missing in head office's catalogue"))
@json_option
def command(
    file: Path,
    office: Path,
    device: str,
    lines: tuple[str, ...],
    zone: str,
    offset: float | None,
    tolerance: float,
    never: Path | None,
    no_never: bool,
    files: tuple[Path, ...],
    insert: bool,
    as_json: bool,
    **named: str | None,
) -> int:
    """Run it."""
    if (never is None) != no_never:
        raise UsageError(
            reason=_("name the numbers of never-record lines with --never, or say --no-never")
        )
    columns = {"from" if name == "from_" else name: one for name, one in named.items() if one}
    reading = Reading(columns, _zone(zone), cdr.never_list(never.read_text()) if never else ())
    data = file.read_bytes()
    records = cdr.read(data, reading)
    found = [keys.read_private(key, Role.OFFICE) for key in files]
    opener = Keyring(found) if found else None
    opened = place.open(office)
    with Holdings.open(opened, Disk()) as held:
        if held.db.execute("SELECT 1 FROM devices WHERE device = ?", (device,)).fetchone() is None:
            raise UsageError(reason=_("there is no box {device}").format(device=device))
        side = box_side(held, opened, device, lines, opener)
    offset_ns = None if offset is None else round(offset * SECOND)
    matched, shown = reconciled(
        records, side, round(tolerance * SECOND), offset_ns, numbers=opener is not None
    )
    by_row = {one.row: one for one in records}
    states = [(by_row[int(one.name)], "missing") for one in matched.missing]
    states += [
        (by_row[int(one.name)], "ambiguous") for group in matched.ambiguous for one in group.members
    ]
    value = _value(records, side, matched, shown, by_row, fixed=offset is not None)
    value |= {"device": device, "tolerance_s": tolerance}
    value |= {"by": "numbers" if matched.by_numbers else "times", "inserted": 0}
    if insert:
        source = hashlib.sha256(data).hexdigest()
        value["inserted"] = _insert(opened, device, source, states, shown.ns)
    answer(value, as_json, lambda: _text(value))
    return MISSING if matched.missing else AMBIGUOUS if matched.ambiguous else DONE


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise UsageError(reason=_("{name} is no time zone").format(name=repr(name))) from None


def _value(
    records: Sequence[Record],
    side: Side,
    matched: Matched,
    offset: Offset,
    by_row: Mapping[int, Record],
    *,
    fixed: bool,
) -> dict[str, Any]:
    def told(one: One) -> dict[str, Any]:
        record = by_row[int(one.name)]
        at_ns = record.start_ns - offset.ns
        away = next((state for low, high, state in side.away if low <= at_ns < high), None)
        length = None if record.duration_ms is None else record.duration_ms / 1000
        start = format_time(max(0, at_ns), digits=0)
        return {"row": record.row, "start": start, "duration_s": length, "while": away}

    def call(one: One) -> dict[str, Any]:
        return {"uid": one.name, "start": format_time(one.start_ns, digits=0)}

    def group(one: Group) -> dict[str, Any]:
        return {"records": [told(member) for member in one.members], "missing": one.lacking}

    return {
        "ok": not matched.missing and not matched.ambiguous,
        "records": len(records),
        "matched": matched.pairs,
        "matched_by_numbers": matched.by_numbers,
        "missing": [told(one) for one in matched.missing],
        "ambiguous": [group(one) for one in matched.ambiguous],
        "unlisted": [call(one) for one in matched.unlisted],
        "unlisted_ambiguous": [
            {"calls": [call(member) for member in one.members], "unlisted": one.lacking}
            for one in matched.doubtful
        ],
        "offset_s": round(offset.ns / SECOND, 3),
        "offset_by": "given" if fixed else "pairs" if offset.pairs else "nothing",
        "offset_pairs": offset.pairs,
    }


def _text(value: dict[str, Any]) -> str:
    lines = [
        _("{records} records, {matched} matched, {missing} the box never saw").format(
            records=value["records"], matched=value["matched"], missing=len(value["missing"])
        ),
        "  " + _("clock ahead of the box's: {offset} s").format(offset=value["offset_s"]),
    ]
    if value["by"] == "times":
        lines.append("  " + _("Compared by times alone: no number of a call could be opened."))
    for one in value["missing"]:
        away = f" ({one['while']})" if one["while"] else ""
        lines.append(
            "  "
            + _("missing: row {row}, {start}").format(row=one["row"], start=one["start"])
            + away
        )
    for one in value["ambiguous"]:
        rows = ", ".join(str(record["row"]) for record in one["records"])
        text = _("{missing} of the rows {rows}: nobody can tell which")
        lines.append("  " + text.format(missing=one["missing"], rows=rows))
    lines += ["  " + _("no record: {uid}").format(uid=one["uid"]) for one in value["unlisted"]]
    return "\n".join(lines)
