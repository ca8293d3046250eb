"""Typed reading of TOML tables that collects every wrong key before it complains once.

Effects: none. Each reader returns a usable value even where the key is wrong, so that one pass
finds all the mistakes of a file; the caller raises with :attr:`Problems.lines`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from greffier.language import translate

REQUIRED: Final = object()
COUNTRY = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")


class Problems:
    """The wrong keys of one file, in the order of reading."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.keys: set[str] = set()

    def add(self, key: str, phrase: str, **fields: object) -> None:
        """Note that *key* is wrong; *phrase* is a message identifier with named fields."""
        self.keys.add(key)
        self.lines.append(f"{key}: {translate(phrase).format(**fields)}")


class Table:
    """One table of the file, at the dotted *path*; remembers which keys were asked for."""

    def __init__(self, values: object, path: str, problems: Problems) -> None:
        self.path = path
        self.problems = problems
        self.asked: set[str] = set()
        self.values: Mapping[str, Any] = {}
        if isinstance(values, Mapping):
            self.values = values
        else:
            problems.add(path or "-", "must be a table")

    def key(self, name: str) -> str:
        """The dotted name of *name* in this table."""
        return f"{self.path}.{name}" if self.path else name

    def wrong(self, name: str, phrase: str, **fields: object) -> None:
        """Note that the key *name* is wrong."""
        self.problems.add(self.key(name), phrase, **fields)

    def sound(self, *names: str) -> bool:
        """Whether none of these keys was found wrong so far: their values may be compared."""
        return not any(self.key(name) in self.problems.keys for name in names)

    def _take(self, name: str, default: Any) -> tuple[bool, Any]:
        self.asked.add(name)
        if name in self.values:
            return True, self.values[name]
        if default is REQUIRED:
            self.wrong(name, "is missing")
        return False, None if default is REQUIRED else default

    def text(self, name: str, default: Any = REQUIRED) -> str:
        """A string; a required one must not be empty."""
        given, value = self._take(name, default)
        if given and not isinstance(value, str):
            self.wrong(name, "must be a text")
            return ""
        if given and default is REQUIRED and not value.strip():
            self.wrong(name, "must not be empty")
        return value or ""

    def choice(self, name: str, choices: Sequence[str], default: Any = REQUIRED) -> str:
        """One of *choices*."""
        given, value = self._take(name, default)
        if given and (not isinstance(value, str) or value not in choices):
            self.wrong(name, "must be one of {values}", values=", ".join(choices))
            return choices[0]
        return choices[0] if value is None else str(value)

    def whole(self, name: str, low: int, high: int, default: Any = REQUIRED) -> int:
        """An integer from *low* to *high*."""
        given, value = self._take(name, default)
        if given and (type(value) is not int or not low <= value <= high):
            self.wrong(name, "must be a whole number from {low} to {high}", low=low, high=high)
            return low
        return low if value is None else int(value)

    def choice_whole(self, name: str, choices: Sequence[int], default: Any = REQUIRED) -> int:
        """One of the whole numbers *choices*."""
        given, value = self._take(name, default)
        if given and (type(value) is not int or value not in choices):
            self.wrong(name, "must be one of {values}", values=", ".join(map(str, choices)))
            return choices[0]
        return choices[0] if value is None else int(value)

    def optional_whole(self, name: str, low: int, high: int) -> int | None:
        """An integer from *low* to *high*, or None where the key is absent."""
        self.asked.add(name)
        return self.whole(name, low, high) if name in self.values else None

    def share(self, name: str, default: Any = REQUIRED) -> float:
        """A number from 0 to 1."""
        given, value = self._take(name, default)
        if given and (type(value) not in (int, float) or not 0 <= value <= 1):
            self.wrong(name, "must be a number from 0 to 1")
            return 0.0
        return float(value or 0)

    def number(self, name: str, low: float, high: float, default: Any = REQUIRED) -> float:
        """A number, whole or not, from *low* to *high*."""
        given, value = self._take(name, default)
        if given and (type(value) not in (int, float) or not low <= value <= high):
            self.wrong(name, "must be a number from {low} to {high}", low=low, high=high)
            return low
        return low if value is None else float(value)

    def flag(self, name: str, default: Any = REQUIRED) -> bool:
        """true or false."""
        given, value = self._take(name, default)
        if given and not isinstance(value, bool):
            self.wrong(name, "must be true or false")
            return False
        return bool(value)

    def country(self, name: str) -> str:
        """A country code as packs have it: two capitals, perhaps with a part ("CA-QC")."""
        value = self.text(name)
        if value and not COUNTRY.fullmatch(value):
            self.wrong(name, "must be a country code such as FR or CA-QC")
        return value or "XX"

    def day(self, name: str) -> date | None:
        """A date, as TOML date or ISO text; None where absent."""
        given, value = self._take(name, None)
        if not given:
            return None
        if isinstance(value, str):
            try:
                return date.fromisoformat(value)
            except ValueError:
                value = None
        if isinstance(value, datetime):
            return value.date()
        if isinstance(value, date):
            return value
        self.wrong(name, "must be a date")
        return None

    def texts(
        self, name: str, choices: Iterable[str] | None = None, default: Any = REQUIRED
    ) -> tuple[str, ...]:
        """A list of strings, each one of *choices* where they are given, none twice."""
        given, value = self._take(name, default)
        if not given:
            return tuple(value or ())
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            self.wrong(name, "must be a list of texts")
            return ()
        if choices is not None:
            known = tuple(choices)
            foreign = [item for item in value if item not in known]
            if foreign:
                self.wrong(name, "must hold only {values}", values=", ".join(known))
                return ()
            if len(set(value)) != len(value):
                self.wrong(name, "holds a value twice")
        return tuple(value)

    def table(self, name: str, *, needed: bool = False) -> "Table":
        """The table *name* below this one; an empty one where it is absent."""
        _, value = self._take(name, REQUIRED if needed else {})
        return Table({} if value is None else value, self.key(name), self.problems)

    def tables(self) -> "list[tuple[str, Table]]":
        """Every key of this table as a table of its own, in the order of the file."""
        self.asked |= set(self.values)
        return [
            (name, Table(value, self.key(name), self.problems))
            for name, value in self.values.items()
        ]

    def rows(self, name: str) -> "list[Table]":
        """The array of tables *name* (``[[name]]``), numbered from 1; empty where it is absent."""
        _, value = self._take(name, ())
        if not isinstance(value, list | tuple):
            self.wrong(name, "must be a list of tables")
            return []
        return [
            Table(row, f"{self.key(name)}[{number}]", self.problems)
            for number, row in enumerate(value, 1)
        ]

    def done(self) -> None:
        """Refuse, by name, every key that nobody asked for."""
        for name in self.values:
            if name not in self.asked:
                self.wrong(str(name), "is not a known key")
