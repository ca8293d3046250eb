"""SIP, SIPS and tel URIs (RFC 3261 section 19.1, RFC 3966), and any other kind by its scheme."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from greffier.sip.refusal import Refused

MAX_PARAMETERS = 64
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,31}):")
_HOST = re.compile(
    r"(\[[0-9A-Za-z:.%_-]{2,80}\]|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f.]{0,15}){2,8}"
    r"|[^\s\[\]:;?@<>\",/\\]{1,255})(?::([0-9]{0,10}))?\s*+(?=[;?]|\Z)"
)
_VISUAL_SEPARATORS = str.maketrans("", "", "-.() ")


class BadUri(Refused):
    """The text is not a URI."""


@dataclass(frozen=True, slots=True)
class Uri:
    """One URI.

    ``text`` is as written. ``user`` is percent-decoded, without password, with its own parameters
    (``+33478123456;phone-context=...``); "" where there is none. ``host`` is without brackets.
    ``number`` is ``user`` without those parameters, and without visual separators where the URI
    says that it is a telephone number (tel:, ``user=phone``). Parameter names are in lower case.
    """

    text: str
    scheme: str
    user: str
    number: str
    host: str
    port: int | None
    parameters: tuple[tuple[str, str], ...]

    def parameter(self, name: str) -> str | None:
        """The value of the first parameter *name* ("" where it has none), or None."""
        name = name.lower()
        return next((value for key, value in self.parameters if key == name), None)


def parse(text: str) -> Uri:
    """The parts of *text*. Raises BadUri.

    A scheme that is neither sip, sips nor tel keeps only ``text`` and ``scheme``.
    """
    text = text.strip()
    match = _SCHEME.match(text)
    if match is None:
        raise BadUri("no scheme")
    scheme = match[1].lower()
    rest = text[match.end() :]
    if scheme in ("sip", "sips"):
        return _sip(text, scheme, rest, match.end())
    if scheme == "tel":
        return _tel(text, rest, match.end())
    return Uri(text, scheme, "", "", "", None, ())


def _sip(text: str, scheme: str, rest: str, offset: int) -> Uri:
    first = rest.find("@")
    place = first + 1
    host = _HOST.match(rest, place)
    if host is None and first >= 0:
        # An address as user part, its "@" not escaped: sip:alice@corp.example@sbc.example
        place = rest.rfind("@") + 1
        host = _HOST.match(rest, place)
    if host is None:
        raise BadUri("no host", offset + place)
    user, _, _password = rest[: place - 1].partition(":") if place else ("", "", "")
    parameters = _parameters(rest[host.end() :].partition("?")[0])
    number = _decode(user.partition(";")[0])
    if ("user", "phone") in parameters:
        number = number.translate(_VISUAL_SEPARATORS)
    port = int(host[2]) if host[2] else None
    if port is not None and not 0 < port < 65536:
        port = None
    return Uri(text, scheme, _decode(user), number, host[1].strip("[]"), port, parameters)


def _tel(text: str, rest: str, offset: int) -> Uri:
    subscriber, _, tail = rest.partition(";")
    user = _decode(subscriber.strip())
    if not user:
        raise BadUri("no number", offset)
    number = user.translate(_VISUAL_SEPARATORS)
    return Uri(text, "tel", user, number, "", None, _parameters(tail))


def _parameters(text: str) -> tuple[tuple[str, str], ...]:
    if not text:
        return ()
    found = []
    for piece in text.split(";", MAX_PARAMETERS + 1)[: MAX_PARAMETERS + 1]:
        name, _, value = piece.partition("=")
        if name := name.strip():
            found.append((_decode(name).lower(), _decode(value.strip())))
    return tuple(found)


def _decode(text: str) -> str:
    return unquote(text) if "%" in text else text
