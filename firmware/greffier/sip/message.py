"""SIP requests and responses (RFC 3261 section 7): bytes in, frozen dataclasses out.

Accept first: a fault is named in ``anomalies`` and the bytes stay in ``raw``. Only a message
without a start line, a Call-ID or a CSeq is refused, because no call could own it. The anomalies:

=================== ==========================================================================
start-line          tabs, doubled or trailing spaces, or angle brackets in the start line
version             another SIP version than 2.0
encoding            the head is not UTF-8; bad bytes are U+FFFD in the text
bare-cr             a carriage return without line feed, read as a space
line-ends           lines end with LF instead of CR LF
no-blank-line       nothing ends the head, so there is no body
header              a line without a usable header name, left out
repeated            Call-ID, CSeq, From or To stands twice with different values; the first counts
too-many-headers    only the first MAX_HEADERS lines were read
oversize            only the first MAX_MESSAGE bytes were read
content-length      not a number, or two different ones
truncated           the body is shorter than Content-Length says
trailing            bytes after the body, cut off
cseq-range          a CSeq number of 2**31 or more
cseq-method         the CSeq names another method than the start line
from, to            the header is absent or holds no address
=================== ==========================================================================
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from greffier.sip import address, head
from greffier.sip import uri as uris
from greffier.sip.address import Address, BadAddress
from greffier.sip.head import BadMessage

__all__ = [
    "MAX_MESSAGE",
    "BadMessage",
    "CSeq",
    "Message",
    "Request",
    "Response",
    "is_sip",
    "parse",
]

MAX_MESSAGE: Final = 262144
_CSEQ = re.compile(r"([0-9]{1,32})[ \t]+([^\x00-\x20\x7f\"(),/:;<=>?@\[\\\]{}]{1,64})")
_SIP = re.compile(
    rb"[\r\n]{0,64}+(?:SIP/2\.0 [1-6][0-9][0-9]|(?:%s)[ \t])" % "|".join(head.METHODS).encode()
)


@dataclass(frozen=True, slots=True)
class CSeq:
    """The place of a request in its dialog, repeated by each of its responses."""

    number: int
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What requests and responses share.

    ``raw`` is the input, byte for byte. ``headers`` are (name, value) in order, compact names
    expanded, folded lines joined. ``body`` is cut to Content-Length; ``truncated`` says that it
    is shorter than that. Fields with personal data stay out of ``repr``.
    """

    raw: bytes = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    call_id: str = field(repr=False)
    cseq: CSeq
    from_: Address | None = field(repr=False)
    to: Address | None = field(repr=False)
    truncated: bool
    anomalies: tuple[str, ...]
    # Lower-case name -> values in order; filled by parse, never changed after.
    _index: Mapping[str, list[str]] = field(repr=False, compare=False)

    def get(self, name: str) -> str | None:
        """The first value of header *name* (any case, long form), or None."""
        values = self._index.get(name.lower())
        return values[0] if values else None

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of header *name*, one a header line."""
        return tuple(self._index.get(name.lower(), ()))

    def elements(self, name: str) -> tuple[str, ...]:
        """Every value of header *name*, lines with commas taken apart."""
        return tuple(part for value in self.all(name) for part in address.split(value))

    @property
    def branch(self) -> str | None:
        """The branch of the topmost Via, or None: it names the transaction."""
        values = self._index.get("via")
        if not values:
            return None
        top = address.split(values[0])[:1] or [""]
        found = address.parameters(top[0].partition(";")[2])
        return next((value for key, value in found if key == "branch" and value), None)

    @property
    def contact(self) -> Address | None:
        """The first Contact that holds an address, or None."""
        return next(iter(self.addresses("contact")), None)

    @property
    def content_type(self) -> str:
        """The media type of the body in lower case, without parameters; "" where none is given."""
        return (self.get("content-type") or "").partition(";")[0].strip().lower()

    def addresses(self, name: str) -> tuple[Address, ...]:
        """Every usable address of header *name*; what holds none is left out."""
        found = []
        for element in self.elements(name):
            try:
                found.append(address.parse(element))
            except BadAddress:
                continue
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Message):
    """A request; ``uri`` is the Request-URI as written."""

    method: str
    uri: str = field(repr=False)

    @property
    def target(self) -> uris.Uri | None:
        """The Request-URI taken apart, or None where it is no URI."""
        try:
            return uris.parse(self.uri)
        except uris.BadUri:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Response(Message):
    """A response; ``reason`` is the phrase after the status ("" where there is none)."""

    status: int
    reason: str = field(repr=False)


def is_sip(data: bytes) -> bool:
    """Whether *data* begins like a SIP/2.0 message of a known method; cheap, for each packet."""
    match = _SIP.match(data)
    if match is None:
        return False
    end = match.end()
    if data[end - 1] > 0x20:  # a status digit: a response
        return True
    line_end = data.find(b"\n", end, end + head.MAX_HEAD)
    return data.find(b" SIP/2.0", end - 1, line_end if line_end >= 0 else end + head.MAX_HEAD) >= 0


def parse(data: bytes) -> Request | Response:
    """The message in *data*, which is one UDP payload or one message of a stream.

    Raises BadMessage, and nothing else, whatever the bytes are.
    """
    notes: list[str] = []
    window = data
    if len(data) > MAX_MESSAGE:
        window = data[:MAX_MESSAGE]
        notes.append("oversize")
    start = 0
    if window[:1] in (b"\r", b"\n"):
        start = len(window) - len(window.lstrip(b"\r\n"))
    head_end, body_start = head.end_of_head(window, start)
    if body_start < 0:
        notes.append("no-blank-line")
        head_end = body_start = min(len(window), start + head.MAX_HEAD)
    first, _, rest = head.text_of(window[start:head_end], notes).partition("\n")
    line = head.start_line(first, start, notes)
    headers, index = head.headers_of(rest, notes)
    call_id = (index.get("call-id") or [""])[0]
    if not call_id:
        raise BadMessage("no Call-ID", start)
    cseq = _cseq(index, start, notes)
    body, truncated = _body(window, body_start, index, notes)
    from_, to = _party(index, "from", notes), _party(index, "to", notes)
    if isinstance(line, head.StatusLine):
        return Response(
            raw=data,
            headers=headers,
            body=body,
            call_id=call_id,
            cseq=cseq,
            from_=from_,
            to=to,
            truncated=truncated,
            anomalies=tuple(notes),
            _index=index,
            status=line.status,
            reason=line.reason,
        )
    if cseq.method != line.method:
        notes.append("cseq-method")
    return Request(
        raw=data,
        headers=headers,
        body=body,
        call_id=call_id,
        cseq=cseq,
        from_=from_,
        to=to,
        truncated=truncated,
        anomalies=tuple(notes),
        _index=index,
        method=line.method,
        uri=line.uri,
    )


def _cseq(index: Mapping[str, list[str]], offset: int, notes: list[str]) -> CSeq:
    for name in ("call-id", "cseq", "from", "to"):
        values = index.get(name, ())
        if len(values) > 1 and len(set(values)) > 1:
            notes.append("repeated")
            break
    match = _CSEQ.fullmatch((index.get("cseq") or [""])[0])
    if match is None:
        raise BadMessage("no CSeq", offset)
    number = int(match[1])
    if number >= 2**31:
        notes.append("cseq-range")
    return CSeq(number, match[2])


def _body(
    data: bytes, start: int, index: Mapping[str, list[str]], notes: list[str]
) -> tuple[bytes, bool]:
    values = index.get("content-length")
    if values is None:
        return data[start:], False
    match = head.NUMBER.fullmatch(values[0])
    if match is None or len(set(values)) > 1:
        notes.append("content-length")
    if match is None:
        return data[start:], False
    end = start + int(match[0])
    if end > len(data):
        notes.append("truncated")
    elif end < len(data):
        notes.append("trailing")
    return data[start:end], end > len(data)


def _party(index: Mapping[str, list[str]], name: str, notes: list[str]) -> Address | None:
    values = index.get(name)
    if values:
        try:
            return address.parse(values[0])
        except BadAddress:
            pass
    notes.append(name)
    return None
