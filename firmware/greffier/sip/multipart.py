"""Multipart bodies of SIP messages (RFC 2046 section 5.1, RFC 5621), as SIPREC sends them.

Tolerant: LF line ends, a missing last delimiter, a boundary that only the body itself shows.
Bounded: MAX_PARTS parts and MAX_DEPTH levels; what is beyond stays inside the last part.
"""

from dataclasses import dataclass, field
from typing import Final

from greffier.sip import address
from greffier.sip.head import MAX_HEAD, end_of_head, headers_of, text_of
from greffier.sip.message import Message
from greffier.sip.refusal import Refused

MAX_PARTS: Final = 64
MAX_DEPTH: Final = 4
MAX_BOUNDARY: Final = 256  # RFC 2046 allows 70; some senders need more


class BadMultipart(Refused):
    """The body holds no delimiter line."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its headers in order, media type in lower case without parameters, and bytes.

    ``body`` is as sent; no Content-Transfer-Encoding is undone (SIP uses binary, RFC 5621).
    """

    headers: tuple[tuple[str, str], ...]
    content_type: str
    body: bytes = field(repr=False)

    def get(self, name: str) -> str | None:
        """The first value of header *name* in any case, or None."""
        name = name.lower()
        return next((value for key, value in self.headers if key.lower() == name), None)


def parse(content_type: str, body: bytes) -> tuple[Part, ...]:
    """The parts of *body*, whose Content-Type header is *content_type*. Raises BadMultipart."""
    delimiter = b"--" + (_boundary(content_type) or _shown_boundary(body))
    starts = _delimiters(body, delimiter)
    if not starts:
        raise BadMultipart("no delimiter line", len(body))
    parts = []
    for (_, begin), (end, _) in zip(starts, [*starts[1:], (len(body), 0)], strict=True):
        if begin >= 0:
            parts.append(_part(body[begin:end]))
    return tuple(parts)


def parts_of(message: Message) -> tuple[Part, ...]:
    """The body of *message* as a flat row of parts: one that is not multipart is one part.

    Nested multiparts are taken apart; one without delimiters stays a part of its own type.
    """
    if not message.body:
        return ()
    value = message.get("content-type") or ""
    whole = Part((("Content-Type", value),), message.content_type, message.body)
    return tuple(_flat(whole, MAX_DEPTH))


def sdp_parts(message: Message) -> tuple[bytes, ...]:
    """Every session description in *message*, in order; usually none or one.

    A body without any Content-Type that begins like SDP counts as one.
    """
    return tuple(
        part.body
        for part in parts_of(message)
        if part.content_type == "application/sdp"
        or (not part.content_type and part.body.lstrip()[:2] == b"v=")
    )


def _flat(part: Part, depth: int) -> list[Part]:
    if depth and part.content_type.startswith("multipart/"):
        try:
            inner = parse(part.get("content-type") or "", part.body)
        except BadMultipart:
            return [part]
        return [leaf for each in inner for leaf in _flat(each, depth - 1)]
    return [part]


def _boundary(content_type: str) -> bytes:
    for name, value in address.parameters(content_type.partition(";")[2]):
        if name == "boundary":
            return value.encode("utf-8", "replace")[:MAX_BOUNDARY]
    return b""


def _shown_boundary(body: bytes) -> bytes:
    line = body.lstrip(b"\r\n")[: MAX_BOUNDARY + 2].partition(b"\n")[0].rstrip()
    if not line.startswith(b"--") or len(line) < 3:
        raise BadMultipart("no boundary")
    return line[2:]


def _delimiters(body: bytes, delimiter: bytes) -> list[tuple[int, int]]:
    """(end of the part before, begin of the part after, -1 for the last) of each delimiter line."""
    found: list[tuple[int, int]] = []
    place = body.find(delimiter)
    while place >= 0 and len(found) <= MAX_PARTS:
        after = place + len(delimiter)
        line_end = body.find(b"\n", after)
        tail = body[after : line_end if line_end >= 0 else len(body)][:MAX_BOUNDARY].strip()
        starts_line = place == 0 or body[place - 1] == 0x0A
        if starts_line and tail in (b"", b"--"):
            end = place - 1 if place else 0
            if end and body[end - 1] == 0x0D:
                end -= 1
            last = tail == b"--" or line_end < 0 or len(found) == MAX_PARTS
            found.append((end, -1 if last else line_end + 1))
            if last:
                break
        place = body.find(delimiter, after)
    return found


def _part(data: bytes) -> Part:
    if data[:1] == b"\n" or data[:2] == b"\r\n":
        return Part((), "", data.partition(b"\n")[2])
    head_end, body_start = end_of_head(data)
    if body_start < 0:
        head_end = body_start = min(len(data), MAX_HEAD)
    headers, index = headers_of(text_of(data[:head_end], []), [])
    kind = (index.get("content-type") or [""])[0].partition(";")[0].strip().lower()
    return Part(headers, kind, data[body_start:])
