"""Who opened what at head office: lines that are chained by their hashes. docs/access.md section 5.

One line is written and synced before anything is opened; who writes holds the file's lock.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from greffier import canonical
from greffier.cli.output import answer, json_option, table
from greffier.clock import SystemClock, format_time
from greffier.durable import Disk
from greffier.errors import IntegrityError
from greffier.language import translate as _
from greffier_office import place

FILE = "accesses.jsonl"
FIRST = "0" * 64
_KEYS = frozenset(
    {"seq", "at", "by", "role", "purpose", "reference", "target", "key", "outcome", "previous"}
)


@dataclass(frozen=True, slots=True)
class Opening:
    """What is told of an opening: names and words as they were stated, "" where nobody did."""

    target: str
    key: str
    by: str = ""
    role: str = ""
    purpose: str = ""
    reference: str = ""
    outcome: str = "asked"


def note(folder: Path, opening: Opening) -> None:
    """Add a line, durably. Raises Busy, IntegrityError (the lines before do not hold),
    StorageFailed.
    """
    disk, path = Disk(), folder / FILE
    with disk.lock(folder / f"{FILE}.lock"):
        end, whole, previous, seq = 0, b"", FIRST, 0
        if path.exists():
            whole = path.read_bytes()
            end = whole.rfind(b"\n") + 1  # a line that a power cut left half is none
            for line, told in _lines(whole[:end], path):
                previous, seq = hashlib.sha256(line).hexdigest(), told["seq"] + 1
        line = canonical.dump(
            {
                "seq": seq,
                "at": format_time(SystemClock().wall_ns()),
                "by": opening.by,
                "role": opening.role,
                "purpose": opening.purpose,
                "reference": opening.reference,
                "target": opening.target,
                "key": opening.key,
                "outcome": opening.outcome,
                "previous": previous,
            }
        )
        if end != len(whole):
            disk.truncate_to(path, end)
        appender = disk.open(path) if path.exists() else disk.create(path)
        try:
            appender.append(line + b"\n")
            appender.sync()
        finally:
            appender.close()


def read(folder: Path) -> list[Mapping[str, Any]]:
    """Every line, checked. Raises IntegrityError."""
    path = folder / FILE
    if not path.exists():
        return []
    data = path.read_bytes()
    return [told for _line, told in _lines(data[: data.rfind(b"\n") + 1], path)]


def _lines(data: bytes, path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    previous = FIRST
    for number, line in enumerate(data.splitlines()):
        try:
            told = json.loads(line)
            right = isinstance(told, dict) and told.keys() == _KEYS and told["seq"] == number
            right = right and told["previous"] == previous and canonical.dump(told) == line
        except (ValueError, RecursionError):
            right = False
        if not right:
            raise IntegrityError(what=path, reason=f"line {number + 1} does not follow")
        previous = hashlib.sha256(line).hexdigest()
        yield line, told


@click.command(help=_("Who opened what here; a line that was changed or removed shows."))
@click.option(
    "--office",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    help=_("head office's directory"),
)
@json_option
def command(folder: Path, as_json: bool) -> int:
    """Run it."""
    place.open(folder)
    found = [dict(one) for one in read(folder)]
    names = ("seq", "at", "by", "role", "purpose", "reference", "target", "outcome")
    rows = [[str(one[name]) or "-" for name in names] for one in found]
    answer({"accesses": found}, as_json, lambda: table(list(names), rows))
    return 0
