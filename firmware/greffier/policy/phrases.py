"""Sentences of what is printed for people, as data in both languages that counsel can change.

Unlike messages of the program they are chosen by the reader's language, not the operator's, so a
letter in English can leave a box that speaks French.
"""

import html
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Any

LANGUAGES = ("fr", "en")
_STYLE = (
    "body{font:11pt/1.45 sans-serif;max-width:42em;margin:2em auto;padding:0 1em;color:#111}"
    "table{border-collapse:collapse;width:100%}th,td{border:1px solid #888;padding:.3em .5em;"
    "text-align:left;vertical-align:top}h1{font-size:16pt}h2{font-size:12pt;margin-top:1.6em}"
    "@media print{body{margin:0}}"
)


class Phrases:
    """The phrases of one file in one language."""

    def __init__(self, file: str, language: str) -> None:
        """*file* is that of ``policy/data`` without ``.toml``. Raises ValueError, KeyError."""
        if language not in LANGUAGES:
            raise ValueError(f"unknown language {language!r}")
        self.language = language
        self._tables = _tables(file)

    def __call__(self, name: str, **fields: object) -> str:
        """The phrase *name*, words joined by points, with *fields* filled in."""
        found: Any = self._tables
        for word in name.split("."):
            found = found[word]
        text: str = found[self.language]
        return text.format(**fields)

    def has(self, name: str) -> bool:
        """Whether there is such a phrase."""
        found: Any = self._tables
        for word in name.split("."):
            found = found.get(word, {})
        return self.language in found


def page(title: str, language: str, body: Iterable[str]) -> str:
    """A whole HTML page that needs nothing else; *body* is HTML already."""
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style>'
    inside = "\n".join(body)
    opening = f'<!DOCTYPE html>\n<html lang="{language}"><head>{head}</head>'
    return f"{opening}\n<body>\n{inside}\n</body></html>\n"


def table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """An HTML table; every cell is escaped."""
    head = "".join(f"<th>{html.escape(one)}</th>" for one in headings)
    lines = (
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n" + "\n".join(lines) + "</tbody></table>"


@cache
def _tables(file: str) -> dict[str, Any]:
    text = (resources.files("greffier.policy") / "data" / f"{file}.toml").read_text("utf-8")
    return tomllib.loads(text)
