"""Session descriptions (RFC 8866): where each media stream goes, and how it is coded.

Tolerant: lines of any order and line end, unknown lines and attributes are passed over. What a
media line does not say is filled in from the session level or from RFC 3551, so that a reader
need not know those rules. The anomalies: ``encoding`` (not UTF-8), ``line`` (not letter = value),
``connection``, ``media`` and ``attribute`` (unreadable, passed over), ``oversize``.
"""

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from greffier.sip.refusal import Refused

MAX_SIZE: Final = 65536
MAX_LINES: Final = 2048
MAX_MEDIA: Final = 64

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
_DIRECTIONS: Final[dict[str, Direction]] = {
    "sendrecv": "sendrecv",
    "sendonly": "sendonly",
    "recvonly": "recvonly",
    "inactive": "inactive",
}
_MEDIA = re.compile(r"(\S{1,64})\s+([0-9]{1,5})(?:/([0-9]{1,5}))?\s+(\S{1,64})((?:\s+\S+)*)\s*")
_CONNECTION = re.compile(
    r"IN\s+(IP4|IP6)\s+([0-9A-Za-z.:_%-]{1,255})(?:/([0-9]{1,3}))?(?:/([0-9]{1,5}))?\s*", re.I
)
_RTPMAP = re.compile(r"([0-9]{1,3})\s+([^\s/]{1,64})\s*/\s*([0-9]{1,9})(?:/([0-9]{1,3}))?\s*")
_CRYPTO = re.compile(r"([0-9]{1,9})\s+(\S{1,64})\s+(.+)")
_NUMBER = re.compile(r"\s*([0-9]{1,6})(?:\.[0-9]*)?(?:\s|\Z)")


class BadSession(Refused):
    """The bytes are no session description."""


@dataclass(frozen=True, slots=True)
class Codec:
    """What one payload type means. ``clock`` is the RTP clock in Hz, ``name`` as written."""

    payload_type: int
    name: str
    clock: int
    channels: int = 1
    fmtp: str = ""


# RFC 3551 tables 4 and 5. The clock of G.722 is 8000 although it samples at 16000 (section 4.5.2).
STATIC: Final = {
    codec.payload_type: codec
    for codec in (
        Codec(0, "PCMU", 8000),
        Codec(3, "GSM", 8000),
        Codec(4, "G723", 8000),
        Codec(5, "DVI4", 8000),
        Codec(6, "DVI4", 16000),
        Codec(7, "LPC", 8000),
        Codec(8, "PCMA", 8000),
        Codec(9, "G722", 8000),
        Codec(10, "L16", 44100, 2),
        Codec(11, "L16", 44100),
        Codec(12, "QCELP", 8000),
        Codec(13, "CN", 8000),
        Codec(14, "MPA", 90000),
        Codec(15, "G728", 8000),
        Codec(16, "DVI4", 11025),
        Codec(17, "DVI4", 22050),
        Codec(18, "G729", 8000),
        Codec(25, "CelB", 90000),
        Codec(26, "JPEG", 90000),
        Codec(28, "nv", 90000),
        Codec(31, "H261", 90000),
        Codec(32, "MPV", 90000),
        Codec(33, "MP2T", 90000),
        Codec(34, "H263", 90000),
    )
}


@dataclass(frozen=True, slots=True)
class Connection:
    """A c= line: ``family`` is IP4 or IP6; ``ttl`` and ``count`` matter for multicast only."""

    family: str
    host: str
    ttl: int | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Crypto:
    """An SDES line (RFC 4568); the key parameters stay out of ``repr``."""

    tag: int
    suite: str
    parameters: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """One m= section with what it inherits.

    ``port`` 0 means rejected or unreadable. ``connection`` and ``direction`` are the section's
    own, else the session's. ``codecs`` are in the order of ``formats``, then those that only an
    rtpmap names; a dynamic type without rtpmap has none. ``ptime`` is in ms. ``rtcp_port`` is
    where RTCP goes: given, or ``port`` when multiplexed, or the next one; None with port 0.
    """

    kind: str
    port: int
    count: int
    profile: str
    formats: tuple[str, ...]
    connection: Connection | None
    direction: Direction
    codecs: tuple[Codec, ...]
    ptime: int | None
    label: str
    crypto: tuple[Crypto, ...]
    fingerprint: bool
    rtcp_port: int | None
    rtcp_mux: bool
    attributes: tuple[tuple[str, str], ...] = field(repr=False)

    @property
    def rejected(self) -> bool:
        """Whether nothing flows: port 0 (RFC 3264 section 6)."""
        return self.port == 0

    @property
    def encrypted(self) -> bool:
        """Whether the media is, or may be, SRTP: by profile, SDES line or DTLS fingerprint."""
        return "SAVP" in self.profile.upper() or bool(self.crypto) or self.fingerprint

    def codec(self, payload_type: int) -> Codec | None:
        """What *payload_type* means here, static types included, or None."""
        for codec in self.codecs:
            if codec.payload_type == payload_type:
                return codec
        return STATIC.get(payload_type)

    def payload_types(self, name: str) -> tuple[int, ...]:
        """The payload types of the codec *name* in any case, such as ``telephone-event``."""
        name = name.lower()
        return tuple(each.payload_type for each in self.codecs if each.name.lower() == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session description; ``origin`` is the value of o=, which changes with each new offer."""

    raw: bytes = field(repr=False)
    origin: str = field(repr=False)
    connection: Connection | None
    direction: Direction
    media: tuple[Media, ...]
    attributes: tuple[tuple[str, str], ...] = field(repr=False)
    anomalies: tuple[str, ...]

    @property
    def audio(self) -> tuple[Media, ...]:
        """Every audio section, rejected ones too, in order."""
        return tuple(each for each in self.media if each.kind == "audio")


class _Section:
    """The lines of the session level or of one m= section while they are collected."""

    def __init__(self, line: str = "") -> None:
        self.line = line
        self.connection: Connection | None = None
        self.attributes: list[tuple[str, str]] = []

    def value(self, name: str) -> str | None:
        return next((value for key, value in self.attributes if key == name), None)

    def has(self, name: str) -> bool:
        return any(key == name for key, _ in self.attributes)

    @property
    def direction(self) -> Direction | None:
        return next((_DIRECTIONS[key] for key, _ in self.attributes if key in _DIRECTIONS), None)


def parse(data: bytes) -> Session:
    """The session description in *data*.

    Raises BadSession when not one v=, o=, c= or m= line is there, and nothing else.
    """
    notes: dict[str, None] = {}
    top = _Section()
    sections: list[_Section] = []
    current = top
    origin = ""
    usable = False
    for line in _lines(data, notes):
        letter, equals, value = line[:1], line[1:2], line[2:].strip()
        if equals != "=":
            notes["line"] = None
            continue
        usable = usable or letter in "vocm"
        if letter == "a":
            name, _, rest = value.partition(":")
            current.attributes.append((name.strip().lower(), rest.strip()))
        elif letter == "m":
            if len(sections) == MAX_MEDIA:
                notes["oversize"] = None
                break
            current = _Section(value)
            sections.append(current)
        elif letter == "c":
            current.connection = _connection(value, notes) or current.connection
        elif letter == "o" and current is top:
            origin = value
    if not usable:
        raise BadSession("no session description", 0)
    direction = top.direction or "sendrecv"
    return Session(
        raw=data,
        origin=origin,
        connection=top.connection,
        direction=direction,
        media=tuple(_media(section, top, direction, notes) for section in sections),
        attributes=tuple(top.attributes),
        anomalies=tuple(notes),
    )


def _lines(data: bytes, notes: dict[str, None]) -> list[str]:
    if len(data) > MAX_SIZE:
        data = data[:MAX_SIZE]
        notes["oversize"] = None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
        notes["encoding"] = None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n", MAX_LINES)
    if len(lines) > MAX_LINES:
        lines.pop()
        notes["oversize"] = None
    return [line for line in (line.strip() for line in lines) if line]


def _connection(value: str, notes: dict[str, None]) -> Connection | None:
    match = _CONNECTION.fullmatch(value)
    if match is None:
        notes["connection"] = None
        return None
    family, host, first, second = match[1].upper(), match[2], match[3], match[4]
    if family == "IP6":  # RFC 8866 section 5.7: IPv6 multicast has a count but no TTL
        return Connection(family, host, None, int(first or 1))
    return Connection(family, host, int(first) if first else None, int(second or 1))


def _media(section: _Section, top: _Section, direction: Direction, notes: dict[str, None]) -> Media:
    match = _MEDIA.fullmatch(section.line)
    if match and int(match[2]) < 65536:
        kind, port, count, profile = match[1], int(match[2]), int(match[3] or 1), match[4]
        formats = tuple(match[5].split())
    else:
        # Kept in its place, because answers pair with offers by position (RFC 3264 section 6).
        notes["media"] = None
        kind, port, count, profile, formats = section.line.partition(" ")[0], 0, 1, "", ()
    mux = section.has("rtcp-mux")
    rtcp = _number(section, "rtcp", notes)
    if rtcp is None and port:
        rtcp = port if mux else port + 1
    return Media(
        kind=kind.lower(),
        port=port,
        count=count,
        profile=profile,
        formats=formats,
        connection=section.connection or top.connection,
        direction=section.direction or direction,
        codecs=_codecs(section, formats, notes),
        ptime=_number(section, "ptime", notes),
        label=section.value("label") or "",
        crypto=_crypto(section, notes),
        fingerprint=section.has("fingerprint") or top.has("fingerprint"),
        rtcp_port=rtcp if port and rtcp and rtcp < 65536 else None,
        rtcp_mux=mux,
        attributes=tuple(section.attributes),
    )


def _number(section: _Section, name: str, notes: dict[str, None]) -> int | None:
    value = section.value(name)
    if value is None:
        return None
    match = _NUMBER.match(value)
    if match is None:
        notes["attribute"] = None
        return None
    return int(match[1]) or None


def _codecs(
    section: _Section, formats: tuple[str, ...], notes: dict[str, None]
) -> tuple[Codec, ...]:
    fmtp: dict[int, str] = {}
    named: dict[int, Codec] = {}
    for name, value in section.attributes:
        if name == "fmtp":
            first, _, rest = value.partition(" ")
            if first.isascii() and first.isdigit() and len(first) <= 3:
                fmtp.setdefault(int(first), rest.strip())
        elif name == "rtpmap":
            match = _RTPMAP.fullmatch(value)
            if match is None or int(match[1]) > 127 or not int(match[3]):
                notes["attribute"] = None
                continue
            codec = Codec(int(match[1]), match[2], int(match[3]), int(match[4] or 1) or 1)
            named.setdefault(codec.payload_type, codec)
    listed = [int(each) for each in formats if each.isascii() and each.isdigit() and len(each) < 4]
    found = {}
    for payload_type in (*listed, *named):
        known = named.get(payload_type) or STATIC.get(payload_type)
        if known and payload_type not in found:
            extra = fmtp.get(payload_type, "")
            found[payload_type] = Codec(
                payload_type, known.name, known.clock, known.channels, extra
            )
    return tuple(found.values())


def _crypto(section: _Section, notes: dict[str, None]) -> tuple[Crypto, ...]:
    found = []
    for name, value in section.attributes:
        if name == "crypto":
            match = _CRYPTO.fullmatch(value)
            if match:
                found.append(Crypto(int(match[1]), match[2], match[3]))
            else:
                notes["attribute"] = None
    return tuple(found)
