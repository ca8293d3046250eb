"""Call detail records: a CSV file of an exchange or an operator, read into times and numbers.

docs/sampling.md section 6. Records of numbers about which nothing may be asked are let go while the
file is read: nothing of them leaves this module. Pure.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from greffier.clock import SECOND
from greffier.config.numbers import BadPattern, Numbering, check_number_pattern, number_matches
from greffier.errors import UsageError
from greffier.language import translate as _

MOST_ROWS: Final = 2_000_000
_USUAL: Final[Mapping[str, tuple[str, ...]]] = {
    "start": (
        *("start", "starttime", "startdate", "calldate", "datetime", "setuptime", "date"),
        *(
            "timestamp",
            "begin",
            "debut",
            "dateappel",
            "datedebut",
            "heuredebut",
            "dateheure",
            "horodatage",
        ),
    ),
    "end": ("end", "endtime", "enddate", "stop", "disconnecttime", "fin", "datefin", "heurefin"),
    "duration": (
        *("duration", "durations", "durationsec", "length", "seconds", "talktime", "billsec"),
        *("duree", "durees", "dureesec", "dureeappel"),
    ),
    "from": (
        *("from", "src", "source", "caller", "callernumber", "calling", "callingnumber"),
        *("callingparty", "anumber", "clid", "origin", "appelant", "numeroappelant", "origine"),
    ),
    "to": (
        *("to", "dst", "destination", "called", "callednumber", "calledparty", "callee"),
        *("bnumber", "dialed", "dialednumber", "appele", "numeroappele", "numeroappel"),
    ),
}
_DAY_FIRST: Final = re.compile(
    r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})[ T]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?", re.ASCII
)
_CLOCK: Final = re.compile(r"(?:(\d+):)?(\d{1,3}):(\d{2})(?:[.,]\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Record:
    """One call by another system's word: *row* counts the file's lines of data from 1.

    ``start_ns`` is that system's own clock; ``duration_ms`` None where it does not say.
    """

    row: int
    start_ns: int
    duration_ms: int | None
    numbers: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read: *columns* are those that were named, by what they hold."""

    columns: Mapping[str, str]
    zone: ZoneInfo
    never: Sequence[str] = field(repr=False, default=())
    numbering: Numbering = field(default_factory=Numbering)


def read(data: bytes, reading: Reading) -> list[Record]:
    """The records in *data*, in order of time. Raises UsageError, naming the row that is wrong."""
    text = _decoded(data)
    rows = csv.reader(io.StringIO(text, newline=""), _dialect(text), strict=True)
    try:
        heading = next(rows, [])
        places = _places(heading, reading.columns)
        found = list(_records(rows, places, reading))
    except csv.Error as error:
        raise UsageError(reason=_("the file is no CSV: {reason}").format(reason=error)) from None
    return sorted(found, key=lambda one: (one.start_ns, one.row))


def never_list(text: str) -> list[str]:
    """The numbers in *text*, one a line; ``#`` begins a comment. Raises UsageError."""
    found = [line.partition("#")[0].strip() for line in text.splitlines()]
    patterns = [one for one in found if one]
    for pattern in patterns:
        try:
            check_number_pattern(pattern)
        except BadPattern as error:
            raise UsageError(reason=f"--never: {_(error.reason)}") from None
    return patterns


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _dialect(text: str) -> type[csv.Dialect]:
    """By the heading alone: what stands in it most often divides the columns."""
    heading = text.partition("\n")[0]

    class Found(csv.excel):
        delimiter = max(",;\t|", key=heading.count)

    return Found


def _places(heading: Sequence[str], named: Mapping[str, str]) -> dict[str, int]:
    """Which column holds what; "start" is needed. Raises UsageError."""
    plain = [_plain(name) for name in heading]
    places = {}
    for what, usual in _USUAL.items():
        wanted = [_plain(named[what])] if named.get(what) else list(usual)
        place = next((plain.index(name) for name in wanted if name in plain), None)
        if place is not None:
            places[what] = place
        elif named.get(what):
            reason = _("the file has no column {name}").format(name=repr(named[what]))
            raise UsageError(reason=reason)
    if "start" not in places:
        raise UsageError(reason=_("name the column of the beginning with --start"))
    return places


def _plain(name: str) -> str:
    split = unicodedata.normalize("NFKD", name.strip().lower())
    return "".join(char for char in split if char.isascii() and char.isalnum())


def _records(
    rows: Iterator[list[str]], places: Mapping[str, int], reading: Reading
) -> Iterator[Record]:
    for row, cells in enumerate(rows, 1):
        if not any(cell.strip() for cell in cells):
            continue
        if row > MOST_ROWS:
            raise UsageError(reason=_("the file has too many rows"))
        told = {
            what: cells[place].strip() if place < len(cells) else ""
            for what, place in places.items()
        }
        numbers = tuple(told[what] for what in ("from", "to") if told.get(what))
        if any(
            number_matches(pattern, number, reading.numbering)
            for pattern in reading.never
            for number in numbers
        ):
            continue
        try:
            start_ns = _time(told["start"], reading.zone)
            yield Record(row, start_ns, _duration(told, start_ns, reading.zone), numbers)
        except (ValueError, OverflowError):
            reason = _("row {row} has no time that can be read").format(row=row)
            raise UsageError(reason=reason) from None


def _duration(told: Mapping[str, str], start_ns: int, zone: ZoneInfo) -> int | None:
    """Milliseconds. Raises ValueError."""
    text = told.get("duration", "")
    clock = _CLOCK.fullmatch(text)
    if clock:
        hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        return ((hours * 60 + minutes) * 60 + seconds) * 1000
    if text:
        return round(float(text.replace(",", ".")) * 1000)
    if told.get("end"):
        return max(0, _time(told["end"], zone) - start_ns) // 1_000_000
    return None


def _time(text: str, zone: ZoneInfo) -> int:
    """Nanoseconds since 1970. Raises ValueError, OverflowError."""
    if text.isdigit() and len(text) in (10, 13):
        return int(text) * (SECOND if len(text) == 10 else 1_000_000)
    found = _DAY_FIRST.fullmatch(text)
    if found:
        day, month, year, hour, minute = (int(part) for part in found.groups()[:5])
        fraction = (found[7] or "").ljust(6, "0")[:6]
        second = int(found[6] or 0)
        moment = datetime(year, month, day, hour, minute, second, int(fraction), zone)
    else:
        moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    whole = moment.replace(microsecond=0)
    return int(whole.timestamp()) * SECOND + moment.microsecond * 1000
