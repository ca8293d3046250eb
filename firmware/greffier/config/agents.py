"""Who works at which extension, in which team, and when: rows of the configuration, or a CSV file.

The CSV has a heading ``extension,agent,from,until,team``, of which the last three may be missing or
empty; comma or semicolon (as a French Excel writes it), with or without a byte order mark. A day
counts whole, in the configuration's time zone; an RFC 3339 time counts to the instant.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from greffier.clock import BadTime, format_time, parse_time
from greffier.config.fields import Problems, Table
from greffier.config.records import Assignment
from greffier.language import translate as _

COLUMNS = ("extension", "agent", "from", "until", "team")
MOST_ROWS = 100_000
MOST_OCTETS = 16 << 20
# Further than any clock of ours counts.
FOREVER_NS = 2**63 - 1
_NAME = re.compile(r"(?!(?:\D*\d){7})[^\W_][\w .,'()&+/-]{0,63}")
_EXTENSION = re.compile(r"[0-9A-Za-z+*#][0-9A-Za-z+*#._-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RowProblem:
    """What is wrong with a line of a CSV file, in the chosen language; lines count from 1."""

    line: int
    reason: str


def read_rows(rows: Iterable[Table], zone: ZoneInfo) -> list[Assignment]:
    """The assignments of ``[[agents.entry]]`` tables."""
    found = []
    for row in rows:
        values = {name: row.values.get(name, "") for name in ("from", "until")}
        extension, agent = row.text("extension"), row.text("agent")
        team = row.text("team", default="")
        row.asked |= set(values)
        bounds = []
        for name, value in values.items():
            try:
                bounds.append(_instant(value, zone, after=name == "until"))
            except BadTime:
                row.wrong(name, "must be a day or an RFC 3339 time with an offset")
                bounds.append(None)
        row.done()
        one = _assignment(extension, agent, bounds, team)
        if one.from_ns >= one.until_ns:
            row.wrong("until", "must be after from")
        found.append(one)
    return found


def read_csv(path: Path, zone: ZoneInfo, key: str, problems: Problems) -> list[Assignment]:
    """The assignments of the CSV file *path*; *key* names it among the *problems*."""
    try:
        content = path.read_bytes()
    except OSError as error:
        problems.add(key, "{path} cannot be read: {reason}", path=path, reason=error.strerror)
        return []
    found, wrong = parse_csv(content, zone)
    for one in wrong[:10]:
        problems.add(
            key, "{path} line {line}: {reason}", path=path, line=one.line, reason=one.reason
        )
    return [one for _line, one in found]


def parse_csv(
    content: bytes, zone: ZoneInfo
) -> tuple[list[tuple[int, Assignment]], list[RowProblem]]:
    """The assignments in a CSV file's *content* with their lines, and what is wrong with others."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return [], [RowProblem(line, _("this is not UTF-8 text (save it as “CSV UTF-8”)"))]
    if len(content) > MOST_OCTETS:
        return [], [RowProblem(1, _("the file is too large"))]
    heading = text.partition("\n")[0]
    delimiter = ";" if heading.count(";") > heading.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found: list[tuple[int, Assignment]] = []
    wrong: list[RowProblem] = []
    try:
        names = [one.strip().lower() for one in next(reader, [])]
        if not {"extension", "agent"} <= set(names) <= set(COLUMNS) or len(set(names)) < len(names):
            return [], [RowProblem(1, _("it must begin with extension,agent,from,until,team"))]
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue  # what a spreadsheet leaves behind
            if len(found) + len(wrong) >= MOST_ROWS:
                wrong.append(RowProblem(reader.line_num, _("the file has too many lines")))
                break
            one = _csv_row(names, row, zone)
            if isinstance(one, str):
                wrong.append(RowProblem(reader.line_num, one))
            else:
                found.append((reader.line_num, one))
    except csv.Error:
        wrong.append(RowProblem(reader.line_num, _("a quotation mark is missing or too many")))
    return found, wrong


def overlaps(found: Sequence[tuple[int, Assignment]]) -> Iterator[RowProblem]:
    """The lines that give an extension a second agent at one instant."""
    last: dict[str, tuple[int, Assignment]] = {}
    for line, one in sorted(found, key=lambda item: (item[1].extension, item[1].from_ns, item[0])):
        before = last.get(one.extension)
        if before is not None and one.from_ns < before[1].until_ns:
            text = _("extension {extension} has another agent then, by line {line}")
            yield RowProblem(line, text.format(extension=one.extension, line=before[0]))
        if before is None or one.until_ns > before[1].until_ns:
            last[one.extension] = (line, one)


def check_overlaps(assignments: Sequence[Assignment], key: str, problems: Problems) -> None:
    """Note every extension that two agents would have at one instant."""
    last: dict[str, Assignment] = {}
    for one in sorted(assignments, key=lambda item: (item.extension, item.from_ns)):
        before = last.get(one.extension)
        if before is not None and one.from_ns < before.until_ns:
            problems.add(key, "extension {extension} has two agents", extension=one.extension)
        if before is None or one.until_ns > before.until_ns:
            last[one.extension] = one


def write_csv(assignments: Iterable[Assignment]) -> bytes:
    """The CSV file that says *assignments*, in UTC, which :func:`parse_csv` reads as the same."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in assignments:
        start = format_time(one.from_ns) if one.from_ns else ""
        end = format_time(one.until_ns) if one.until_ns < FOREVER_NS else ""
        writer.writerow((one.extension, one.agent, start, end, one.team))
    return text.getvalue().encode()


def teams_at(assignments: Iterable[Assignment], time_ns: int) -> Mapping[str, tuple[str, ...]]:
    """Who is in which team at *time_ns* (ns since the Unix epoch): team -> agents, each once."""
    found: dict[str, dict[str, None]] = {}
    for one in assignments:
        if one.team and one.from_ns <= time_ns < one.until_ns:
            found.setdefault(one.team, {})[one.agent] = None
    return {team: tuple(agents) for team, agents in found.items()}


def in_team(
    assignments: Iterable[Assignment],
    listed: Mapping[str, Sequence[str]],
    team: str,
    agent: str,
    time_ns: int,
) -> bool:
    """Whether *agent* is in *team* at *time_ns*: by this table, or as the policy *listed* it.

    It is the time of the call that counts: who changes teams takes no calls along.
    """
    if agent in listed.get(team, ()):
        return True
    return agent in teams_at(assignments, time_ns).get(team, ())


def _csv_row(names: Sequence[str], row: Sequence[str], zone: ZoneInfo) -> Assignment | str:
    """The assignment that *row* says, or what is wrong with it."""
    if len(row) > len(names) and any(cell.strip() for cell in row[len(names) :]):
        return _("there are more cells than columns")
    cells = dict.fromkeys(COLUMNS, "")
    cells |= {name: cell.strip() for name, cell in zip(names, row, strict=False)}
    for name, form in (("extension", _EXTENSION), ("agent", _NAME)):
        if not cells[name]:
            return _("{column} is empty").format(column=name)
        if not form.fullmatch(cells[name]):
            return _("{column} is no name: {text}").format(column=name, text=repr(cells[name]))
    if cells["team"] and not _NAME.fullmatch(cells["team"]):
        return _("{column} is no name: {text}").format(column="team", text=repr(cells["team"]))
    bounds = []
    for name in ("from", "until"):
        try:
            bounds.append(_instant(cells[name], zone, after=name == "until"))
        except BadTime:
            text = _("{column} must be a day as 2026-03-29 or 29/03/2026, or a time with an offset")
            return text.format(column=name)
    one = _assignment(cells["extension"], cells["agent"], bounds, cells["team"])
    return one if one.from_ns < one.until_ns else _("until is not after from")


def _assignment(
    extension: str, agent: str, bounds: Sequence[int | None], team: str = ""
) -> Assignment:
    start, end = bounds
    return Assignment(
        extension, agent, 0 if start is None else start, FOREVER_NS if end is None else end, team
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
        day = _day(value)
        if day is None:
            return parse_time(value)
        value = day
    if not isinstance(value, date):
        raise BadTime("not a day")
    try:
        day = value + timedelta(days=1) if after else value
        return round(datetime.combine(day, time(), zone).timestamp()) * 1_000_000_000
    except (OverflowError, ValueError):
        raise BadTime("a day beyond the calendar") from None


def _day(text: str) -> date | None:
    """The day that *text* is, as ISO 8601 or as a French spreadsheet writes it; None for none."""
    french = re.fullmatch(r"([0-9]{2})/([0-9]{2})/([0-9]{4})", text, re.ASCII)
    try:
        if french:
            return date(int(french[3]), int(french[2]), int(french[1]))
        return date.fromisoformat(text)
    except ValueError:
        return None
