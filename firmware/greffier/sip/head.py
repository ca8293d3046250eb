"""The head of a SIP message: start line and headers (RFC 3261 sections 7 and 25).

Faults are appended to a list of anomalies; :mod:`greffier.sip.message` explains their names.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from greffier.sip.refusal import Refused

MAX_HEAD: Final = 65536
MAX_HEADERS: Final = 512

METHODS: Final = (
    *("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "PRACK", "SUBSCRIBE", "NOTIFY"),
    *("PUBLISH", "INFO", "REFER", "MESSAGE", "UPDATE"),
)

# RFC 3261 section 7.3.3 and the IANA registry of compact forms.
COMPACT: Final[Mapping[str, str]] = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "n": "Identity-Info",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}
_USUAL = (
    *("Via", "From", "To", "Call-ID", "Call-Id", "CSeq", "Contact", "Max-Forwards", "Route"),
    *("Content-Type", "Content-Length", "Allow", "Supported", "User-Agent", "Server", "Expires"),
    *("Record-Route", "Session-Expires", "Min-SE", "Require", "Date", "Subject", "Accept"),
    *("P-Asserted-Identity", "Remote-Party-ID", "Diversion", "History-Info", "Privacy", "Reason"),
    *("Event", "Authorization", "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate"),
)
# Spelling on the wire -> (name that is kept, name that is looked up); spares work per line.
_NAMES: Final = {name: (name, name.lower()) for name in _USUAL} | {
    spelling: (name, name.lower())
    for short, name in COMPACT.items()
    for spelling in (short, short.upper())
}
_TOKEN = re.compile(r"[^\x00-\x20\x7f\"(),/:;<=>?@\[\\\]{}]{1,128}")
_VERSION = re.compile(r"SIP/[0-9]{1,4}\.[0-9]{1,4}", re.I)
_FOLD = re.compile(r"\n[ \t]+")
_STATUS = re.compile(r"[1-6][0-9][0-9]")
NUMBER = re.compile(r"[0-9]{1,9}")


class BadMessage(Refused):
    """The bytes are no SIP message that a call could own."""


def end_of_head(data: bytes | bytearray, start: int = 0) -> tuple[int, int]:
    """Where the head of the message at *start* ends and where its body begins; (-1, -1) if open.

    The blank line may be written with CR LF or LF and lies within MAX_HEAD bytes.
    """
    limit = start + MAX_HEAD
    place = data.find(b"\n\r\n", start, limit)
    length = 3
    other = data.find(b"\n\n", start, place if place >= 0 else limit)
    if other >= 0:
        place, length = other, 2
    if place < 0:
        return -1, -1
    end = place - 1 if place > start and data[place - 1] == 0x0D else place
    return end, place + length


@dataclass(frozen=True, slots=True)
class RequestLine:
    """What a request begins with; the URI is as written."""

    method: str
    uri: str


@dataclass(frozen=True, slots=True)
class StatusLine:
    """What a response begins with; the reason phrase may be empty."""

    status: int
    reason: str


def text_of(head: bytes, notes: list[str]) -> str:
    """The head as text, its lines ended by LF alone; undecodable bytes become U+FFFD."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError:
        text = head.decode("utf-8", "replace")
        notes.append("encoding")
    if "\r\n" in text:
        text = text.replace("\r\n", "\n")
    elif "\n" in text:
        notes.append("line-ends")
    text = text.rstrip("\r\n")
    if "\r" in text:
        text = text.replace("\r", " ")
        notes.append("bare-cr")
    return text


def start_line(line: str, offset: int, notes: list[str]) -> RequestLine | StatusLine:
    """The start line taken apart; *offset* is where it stands. Raises BadMessage."""
    clean = line.replace("\t", " ").strip(" ")
    first, _, rest = clean.partition(" ")
    parsed: RequestLine | StatusLine
    if clean[:4].upper() == "SIP/":
        version = first
        rest = rest.lstrip(" ")
        if _STATUS.match(rest) is None or rest[3:4] not in ("", " "):
            raise BadMessage("no status between 100 and 699", offset)
        parsed = StatusLine(int(rest[:3]), rest[3:].strip(" "))
        tidy = line.startswith(f"{version} {rest[:3]}")
    else:
        target, _, version = rest.rpartition(" ")
        target = target.strip(" ")
        if not (target and _TOKEN.fullmatch(first)):
            raise BadMessage("no start line", offset)
        tidy = line == f"{first} {target} {version}"
        if target[0] == "<" and target[-1] == ">":
            target = target[1:-1]
            tidy = False
        parsed = RequestLine(first, target)
    if _VERSION.fullmatch(version) is None:
        raise BadMessage("no SIP version in the start line", offset)
    if version != "SIP/2.0":
        notes.append("version")
    if not tidy:
        notes.append("start-line")
    return parsed


def headers_of(
    text: str, notes: list[str]
) -> tuple[tuple[tuple[str, str], ...], dict[str, list[str]]]:
    """Every header in order, and the values of each by its lower-case name."""
    if "\n " in text or "\n\t" in text:
        text = _FOLD.sub(" ", text)
    lines = text.split("\n", MAX_HEADERS)
    if len(lines) > MAX_HEADERS:
        lines.pop()
        notes.append("too-many-headers")
    headers = []
    index: dict[str, list[str]] = {}
    bad = 0
    for line in lines:
        name, colon, value = line.partition(":")
        known = _NAMES.get(name) or _name(name)
        if known is None or not colon:
            bad += bool(line)
            continue
        value = value.strip(" \t")
        headers.append((known[0], value))
        values = index.get(known[1])
        if values is None:
            index[known[1]] = [value]
        else:
            values.append(value)
    if bad:
        notes.append("header")
    return tuple(headers), index


def _name(name: str) -> tuple[str, str] | None:
    name = name.strip(" \t")
    if known := _NAMES.get(name):
        return known
    return (name, name.lower()) if _TOKEN.fullmatch(name) else None
