"""The body of a fact that is told, read strictly (docs/facts-api.md). Pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from greffier.clock import BadTime, parse_time
from greffier.control.fields import NAME_PATTERN
from greffier.gate.rights import FACTS, Value

MOST_OCTETS: Final = 4096
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_FORMS: Final[Mapping[str, re.Pattern[str]]] = {
    "call": re.compile(r"[A-Za-z0-9._-]{1,64}/[A-Za-z0-9_.-]{1,64}/[0-9]{10}", re.ASCII),
    "line": re.compile(NAME_PATTERN, re.ASCII),
    "recording": _ID,
}
_KEYS: Final = frozenset({"id", "fact", "value", "at", *_FORMS})


class BadBody(ValueError):
    """The body is not one that the documents describe."""


@dataclass(frozen=True, slots=True)
class Told:
    """A fact as somebody told it. At most one of *call*, *line*, *recording* is not empty.

    ``at_ns`` is 0 where it happens now.
    """

    id: str
    fact: str
    value: Value
    call: str = ""
    line: str = ""
    recording: str = ""
    at_ns: int = 0

    @property
    def names_a_place(self) -> bool:
        """Whether it says of which call it speaks."""
        return bool(self.call or self.line or self.recording)

    @property
    def text(self) -> str:
        """The value as the recorder reads it."""
        return str(self.value).lower() if isinstance(self.value, bool) else self.value


def read(body: bytes) -> Told:
    """The fact in *body*. Raises BadBody."""
    value = read_object(body)
    if not {"id", "fact", "value"} <= value.keys() <= _KEYS:
        raise BadBody("not these keys")
    key, fact = value["id"], value["fact"]
    if not isinstance(key, str) or not _ID.fullmatch(key):
        raise BadBody("id")
    if not isinstance(fact, str) or fact not in FACTS or not FACTS[fact].has(value["value"]):
        raise BadBody("fact")
    places = {}
    for name, form in _FORMS.items():
        if name in value:
            if not isinstance(value[name], str) or not form.fullmatch(value[name]):
                raise BadBody(name)
            places[name] = value[name]
    if len(places) > 1:
        raise BadBody("more than one place")
    return Told(key, fact, value["value"], at_ns=_at(value), **places)


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object in *body*: UTF-8, no key twice, no numbers beyond JSON. Raises BadBody."""
    if len(body) > MOST_OCTETS:
        raise BadBody("too long")
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise BadBody(type(error).__name__) from None
    if not isinstance(value, dict):
        raise BadBody("no object")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise BadBody("a key twice")
    return value


def _no_constant(name: str) -> None:
    raise BadBody(name)


def _at(value: Mapping[str, Any]) -> int:
    if "at" not in value:
        return 0
    text = value["at"]
    if not isinstance(text, str) or len(text) > 40:
        raise BadBody("at")
    try:
        found = parse_time(text)
    except BadTime:
        raise BadBody("at") from None
    if found <= 0:
        raise BadBody("at")
    return found
