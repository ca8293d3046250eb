"""Frozen records to JSON objects and back, strictly: every key, no other, each in its form.

A record's fields are annotated with their form: ``Annotated[str, Text(...)]``, ``Annotated[int,
Whole(...)]``, ``Annotated[int, Time()]``, ``bool``, another record, ``tuple`` of one of these, or
any of these ``| None``.
"""

import re
from dataclasses import dataclass, fields
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from greffier.canonical import LARGEST

MOST_ITEMS = 4096
LARGEST_NS = 2**63 - 1
_NS = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)

Record = TypeVar("Record")


class BadMessage(ValueError):
    """Bytes are no message. ``offset`` is where that showed, ``reason`` one cause."""

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(f"{reason} at offset {offset}")
        self.reason = reason
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Text:
    """A string that *pattern* matches whole."""

    pattern: str

    def read(self, value: object, path: str) -> str:
        if not isinstance(value, str) or not _compiled(self.pattern).fullmatch(value):
            raise BadMessage(f"{path} has not its form")
        return value

    def write(self, value: str) -> object:
        return self.read(value, "a text")


@dataclass(frozen=True, slots=True)
class Whole:
    """An integer from *low* to *high*."""

    low: int = 0
    high: int = LARGEST

    def read(self, value: object, path: str) -> int:
        if type(value) is not int or not self.low <= value <= self.high:
            raise BadMessage(f"{path} has not its form")
        return value

    def write(self, value: int) -> object:
        return self.read(value, "a number")


@dataclass(frozen=True, slots=True)
class Time:
    """Nanoseconds since 1970, written as a string of decimal digits (2**53 is too little)."""

    def read(self, value: object, path: str) -> int:
        if not isinstance(value, str) or not _NS.fullmatch(value) or int(value) > LARGEST_NS:
            raise BadMessage(f"{path} has not its form")
        return int(value)

    def write(self, value: int) -> object:
        return str(Whole(0, LARGEST_NS).read(value, "a time"))


def to_object(record: object) -> dict[str, Any]:
    """The JSON object of a *record*. Raises BadMessage where a value has not its form."""
    kind: Any = type(record)
    hints = _hints(kind)
    return {name: _write(hints[name], getattr(record, name)) for name in hints}


def from_object(kind: type[Record], value: object, path: str = "message") -> Record:
    """The record of *kind* that *value* says. Raises BadMessage."""
    if not isinstance(value, dict):
        raise BadMessage(f"{path} is no object")
    wanted: Any = kind
    hints = _hints(wanted)
    if value.keys() != hints.keys():
        raise BadMessage(f"{path} has not its keys")
    try:
        return kind(
            **{name: _read(hint, value[name], f"{path}.{name}") for name, hint in hints.items()}
        )
    except BadMessage:
        raise
    except ValueError as error:  # what the record itself refuses
        raise BadMessage(f"{path}: {error}") from None


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    named = get_type_hints(kind, include_extras=True)
    return {one.name: named[one.name] for one in fields(kind)}


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


def _write(hint: Any, value: Any) -> Any:
    hint = _without_none(hint)
    if value is None:
        return None
    if get_origin(hint) is Annotated:
        return get_args(hint)[1].write(value)
    if get_origin(hint) is tuple:
        return [_write(get_args(hint)[0], one) for one in value]
    return _flag(value, "a flag") if hint is bool else to_object(value)


def _read(hint: Any, value: Any, path: str) -> Any:
    wanted = _without_none(hint)
    if value is None and wanted is not hint:
        return None
    if get_origin(wanted) is Annotated:
        return get_args(wanted)[1].read(value, path)
    if get_origin(wanted) is tuple:
        if not isinstance(value, list) or len(value) > MOST_ITEMS:
            raise BadMessage(f"{path} is no list, or too long")
        return tuple(_read(get_args(wanted)[0], one, path) for one in value)
    return _flag(value, path) if wanted is bool else from_object(wanted, value, path)


def _flag(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise BadMessage(f"{path} has not its form")
    return value


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, UnionType):
        return next(one for one in get_args(hint) if one is not NoneType)
    return hint
