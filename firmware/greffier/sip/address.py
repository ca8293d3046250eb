"""The name-addr and addr-spec forms of SIP headers, and the lists they stand in.

RFC 3261 sections 20 and 25.1. Every pattern here is possessive or reads to the end of the text
when a quote or bracket is never closed, so that time stays linear in the length of the input.
"""

import re
from dataclasses import dataclass

from greffier.sip import uri as uris
from greffier.sip.refusal import Refused

MAX_ELEMENTS = 128
_SPACE = " \t\r\n"
_QUOTED = re.compile(r'"((?:[^"\\]++|\\.)*+)"', re.S)
_ESCAPE = re.compile(r"\\(.)", re.S)
_ANY_QUOTED = r'"(?:[^"\\]++|\\.?)*+(?:"|\Z)'
_BETWEEN_COMMAS = re.compile(rf'(?:[^,"<]++|{_ANY_QUOTED}|<[^>]*+(?:>|\Z))++', re.S)
_BETWEEN_SEMICOLONS = re.compile(rf'(?:[^;"]++|{_ANY_QUOTED})++', re.S)


class BadAddress(Refused):
    """The text holds no address."""


@dataclass(frozen=True, slots=True)
class Address:
    """One address of a header.

    ``display`` is the name without quotes and escapes ("" where there is none); ``tag`` is the
    header parameter of that name; ``parameters`` are all header parameters, names in lower case.
    """

    display: str
    uri: uris.Uri
    tag: str | None
    parameters: tuple[tuple[str, str], ...]

    def parameter(self, name: str) -> str | None:
        """The value of the first header parameter *name* ("" where it has none), or None."""
        name = name.lower()
        return next((value for key, value in self.parameters if key == name), None)


def parse(text: str) -> Address:
    """The one address that the header value *text* holds. Raises BadAddress.

    Without angle brackets, parameters belong to the header, not to the URI (RFC 3261 section 20).
    """
    text = text.strip(_SPACE)
    quoted = _QUOTED.match(text)
    start = quoted.end() if quoted else 0
    opening = text.find("<", start)
    closing = text.find(">", opening) if opening >= 0 else -1
    if closing >= 0:
        display = text[start:opening].strip(_SPACE).strip('"')
        spec, tail = text[opening + 1 : closing], text[closing + 1 :]
    else:
        spec, _, tail = text[max(start, opening + 1) :].partition(";")
        display = text[start:opening].strip(_SPACE) if opening >= 0 else ""
        name, space, last = spec.strip(_SPACE).rpartition(" ")
        if space and not display:
            display, spec = name.strip(_SPACE), last
    if quoted:
        display = unescape(quoted[1])
    try:
        uri = uris.parse(spec)
    except uris.BadUri as error:
        raise BadAddress(error.reason, max(start, opening + 1) + error.offset) from None
    found = parameters(tail)
    tag = next((value for key, value in found if key == "tag" and value), None)
    return Address(display, uri, tag, found)


def parameters(text: str) -> tuple[tuple[str, str], ...]:
    """The ``;name=value`` pairs of *text*, names in lower case, values without quotes."""
    if ";" not in text and "=" not in text:
        text = text.strip(_SPACE)
        return ((text.lower(), ""),) if text else ()
    pieces = _BETWEEN_SEMICOLONS.findall(text) if '"' in text else text.split(";")
    found = []
    for piece in pieces[:MAX_ELEMENTS]:
        name, _, value = piece.partition("=")
        if name := name.strip(_SPACE).lower():
            value = value.strip(_SPACE)
            quoted = _QUOTED.match(value)
            found.append((name, unescape(quoted[1]) if quoted else value))
    return tuple(found)


def split(text: str) -> list[str]:
    """The elements of a comma-separated header value; not at commas in quotes or brackets."""
    if "," not in text:
        return [text]
    pieces = _BETWEEN_COMMAS.findall(text)[:MAX_ELEMENTS]
    return [piece for piece in (piece.strip(_SPACE) for piece in pieces) if piece]


def unescape(text: str) -> str:
    """A quoted string's content with its backslash pairs undone."""
    return _ESCAPE.sub(r"\1", text) if "\\" in text else text
