"""Who works at which extension, and when: rows of the configuration or a CSV file.

The CSV has a heading ``extension,agent,from,until``, of which the last two may be missing or empty.
A day counts whole, in the configuration's time zone; an RFC 3339 time counts to the instant.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from greffier.clock import BadTime, parse_time
from greffier.config.fields import Problems, Table
from greffier.config.records import Assignment

COLUMNS = ("extension", "agent", "from", "until")
MOST_ROWS = 100_000
# Further than any clock of ours counts.
FOREVER_NS = 2**63 - 1


def read_rows(rows: Iterable[Table], zone: ZoneInfo) -> list[Assignment]:
    """The assignments of ``[[agents.entry]]`` tables."""
    found = []
    for row in rows:
        values = {name: row.values.get(name, "") for name in ("from", "until")}
        extension, agent = row.text("extension"), row.text("agent")
        row.asked |= set(values)
        bounds = []
        for name, value in values.items():
            try:
                bounds.append(_instant(value, zone, after=name == "until"))
            except BadTime:
                row.wrong(name, "must be a day or an RFC 3339 time with an offset")
                bounds.append(None)
        row.done()
        one = _assignment(extension, agent, bounds)
        if one.from_ns >= one.until_ns:
            row.wrong("until", "must be after from")
        found.append(one)
    return found


def read_csv(path: Path, zone: ZoneInfo, key: str, problems: Problems) -> list[Assignment]:
    """The assignments of the CSV file *path*; *key* names it among the *problems*."""
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        problems.add(key, "{path} cannot be read: {reason}", path=path, reason=error.strerror)
        return []
    except UnicodeDecodeError:
        problems.add(key, "{path} is not UTF-8 text", path=path)
        return []
    reader = csv.DictReader(io.StringIO(text), strict=True, restkey="_more", restval="")
    found: list[Assignment] = []
    try:
        if not {"extension", "agent"} <= set(reader.fieldnames or ()) <= set(COLUMNS):
            problems.add(key, "{path} must begin with extension,agent,from,until", path=path)
            return []
        for row in reader:
            if len(found) == MOST_ROWS:
                problems.add(key, "{path} has too many rows", path=path)
                break
            one = _csv_row(row, zone)
            if one is None:
                problems.add(key, "{path} line {line} is wrong", path=path, line=reader.line_num)
            else:
                found.append(one)
    except csv.Error:
        problems.add(key, "{path} line {line} is wrong", path=path, line=reader.line_num)
    return found


def check_overlaps(assignments: Sequence[Assignment], key: str, problems: Problems) -> None:
    """Note every extension that two agents would have at one instant."""
    last: dict[str, Assignment] = {}
    for one in sorted(assignments, key=lambda item: (item.extension, item.from_ns)):
        before = last.get(one.extension)
        if before is not None and one.from_ns < before.until_ns:
            problems.add(key, "extension {extension} has two agents", extension=one.extension)
        if before is None or one.until_ns > before.until_ns:
            last[one.extension] = one


def _csv_row(row: dict[str, str], zone: ZoneInfo) -> Assignment | None:
    extension, agent = row["extension"].strip(), row["agent"].strip()
    if not extension or not agent or "_more" in row:
        return None
    try:
        bounds = [
            _instant((row.get(name) or "").strip(), zone, after=name == "until")
            for name in ("from", "until")
        ]
    except BadTime:
        return None
    one = _assignment(extension, agent, bounds)
    return one if one.from_ns < one.until_ns else None


def _assignment(extension: str, agent: str, bounds: Sequence[int | None]) -> Assignment:
    start, end = bounds
    return Assignment(
        extension, agent, 0 if start is None else start, FOREVER_NS if end is None else end
    )


def _instant(value: object, zone: ZoneInfo, *, after: bool) -> int | None:
    """Nanoseconds of *value*; a day's beginning, or with *after* the next day's. Raises BadTime."""
    if value == "":
        return None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise BadTime("a time without an offset")
        return round(value.timestamp()) * 1_000_000_000
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            return parse_time(str(value))
    if not isinstance(value, date):
        raise BadTime("not a day")
    try:
        day = value + timedelta(days=1) if after else value
        return round(datetime.combine(day, time(), zone).timestamp()) * 1_000_000_000
    except (OverflowError, ValueError):
        raise BadTime("a day beyond the calendar") from None
