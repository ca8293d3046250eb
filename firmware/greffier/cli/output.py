"""How every command speaks.

Rules: stdout carries the answer, and with --json exactly one JSON object as its last line;
stderr carries progress and, on failure, one line (cause, then the next step). No colour carries
meaning, and nothing depends on the width of a terminal.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from greffier.language import translate as _
from greffier.language import visible


def answer(value: Mapping[str, Any], as_json: bool, text: Callable[[], str]) -> None:
    """Print *value* as one JSON line, or what *text* makes of it for a person."""
    if as_json:
        click.echo(visible(json.dumps(value, ensure_ascii=False)))
    else:
        click.echo("\n".join(map(visible, text().split("\n"))))


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under headings, padded by characters; an empty table says so."""
    if not rows:
        return _("(nothing)")
    lines = [[visible(str(cell)) for cell in line] for line in (headings, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


@contextmanager
def progress(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr where that is a terminal; else one line at each tenth.

    Yields a function that takes how far the work has come, of *length*.
    """
    if sys.stderr.isatty():
        with click.progressbar(length=max(length, 1), label=label, file=sys.stderr) as bar:
            yield lambda done: bar.update(done - bar.pos)
            bar.update(max(length, 1) - bar.pos)
        return
    tenth = 0

    def report(done: int) -> None:
        nonlocal tenth
        reached = 10 * done // max(length, 1)
        if reached > tenth:
            tenth = reached
            click.echo(f"{label} {10 * tenth} %", err=True)

    yield report


json_option = click.option("--json", "as_json", is_flag=True, help=_("one JSON object on stdout"))
data_option = click.option(
    "--data", "data", required=True, type=click.Path(), help=_("the data directory")
)
