"""Fuzz targets of the sip room: any bytes in, and nothing but that room's own refusal out."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path
from random import Random
from typing import Final

from greffier.sip import address, head, identity, message, multipart, sdp, stream
from greffier.sip import uri as uris
from greffier.sip.refusal import Refused

VECTORS: Final = Path(__file__).parents[2] / "tests" / "vectors" / "sip"


class Broken(AssertionError):
    """A promise of the room does not hold for an input."""


def read_message(data: bytes) -> None:
    """Parse a message and everything that hangs on it."""
    message.is_sip(data)
    try:
        parsed = message.parse(data)
    except message.BadMessage:
        return
    _check(parsed.raw is data, "the raw bytes are kept")
    _check(len(parsed.body) <= len(data), "the body is part of the message")
    _check(parsed == message.parse(data), "the same bytes give the same message")
    try:
        parsed.call_id = ""  # type: ignore[misc]
    except FrozenInstanceError:
        pass
    else:
        raise Broken("a message is frozen")
    for name, value in parsed.headers:
        (name + value).encode("utf-8")  # no lone surrogate, or this raises
    _ = parsed.branch, parsed.contact, parsed.content_type, identity.asserted(parsed)
    if isinstance(parsed, message.Request):
        _ = parsed.target
    for body in multipart.sdp_parts(parsed):
        read_session(body)


def read_session(data: bytes) -> None:
    """Parse a session description."""
    try:
        session = sdp.parse(data)
    except sdp.BadSession:
        return
    _check(session.raw is data, "the raw bytes are kept")
    _check(len(session.media) <= sdp.MAX_MEDIA, "sections are bounded")
    for media in session.media:
        _check(0 <= media.port < 65536, "a port has 16 bits")
        _check(media.rtcp_port is None or 0 < media.rtcp_port < 65536, "so has that of RTCP")
        _ = media.encrypted, media.rejected, media.codec(0), media.payload_types("telephone-event")


def read_address(data: bytes) -> None:
    """Parse header values: an address, a list of them, parameters, a URI."""
    text = data.decode("utf-8", "replace")
    for parse in (address.parse, uris.parse):
        try:
            parse(text)
        except Refused:
            continue
    address.parameters(text)
    _check(sum(map(len, address.split(text))) <= len(text), "a list gives nothing new")


def read_multipart(data: bytes) -> None:
    """Take a body apart whose boundary is named, shown by the body, or wrong."""
    for kind in ("multipart/mixed;boundary=outer", "multipart/mixed", "multipart/mixed;boundary=-"):
        try:
            parts = multipart.parse(kind, data)
        except multipart.BadMultipart:
            continue
        _check(len(parts) <= multipart.MAX_PARTS, "parts are bounded")
        _check(sum(len(part.body) for part in parts) <= len(data), "parts do not overlap")


def read_stream(data: bytes) -> None:
    """Frame a stream whole and in two pieces: the same messages, and memory stays bounded."""
    whole = stream.Framer()
    messages = whole.feed(data)
    _check(whole.pending <= head.MAX_HEAD + stream.MAX_BODY, "memory is bounded")
    halves = stream.Framer()
    cut = sum(data[:64]) % (len(data) + 1)
    split = halves.feed(data[:cut]) + halves.feed(data[cut:])
    _check(messages == split, "segments do not matter")
    _check(whole.close() == halves.close(), "segments do not matter at the end")


def _check(holds: bool, promise: str) -> None:
    if not holds:
        raise Broken(promise)


def _seeds(pattern: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(VECTORS.glob(pattern))]


def _addresses() -> list[bytes]:
    names = (b"From: ", b"To: ", b"Contact: ", b"Via: ")
    lines = (line for data in _seeds("*.sip") for line in data.split(b"\r\n"))
    return sorted({line.partition(b": ")[2] for line in lines if line.startswith(names)})


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "sip.message": read_message,
    "sip.address": read_address,
    "sip.sdp": read_session,
    "sip.multipart": read_multipart,
    "sip.stream": read_stream,
}
SEEDS: Final[dict[str, list[bytes]]] = {
    "sip.message": _seeds("*.sip"),
    "sip.address": _addresses(),
    "sip.sdp": _seeds("*.sdp"),
    "sip.multipart": [data.partition(b"\r\n\r\n")[2] for data in _seeds("*multi*.sip")],
    "sip.stream": [b"".join(_seeds(f"{letter}*.sip")) for letter in "bcdlmnst"],
}
# What SIP, SDP and multipart bodies are made of: mutations with these reach further than bits.
_PIECES: Final = (
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b'"', b"\\", b"<", b">", b";", b",", b":"),
    *(b"=", b"@", b"%", b"%00", b"--outer", b"--outer--", b"m=audio 4000 RTP/AVP 8\r\n", b"\0"),
    *(b"Content-Length: 9\r\n", b"l: 99999\r\n", b"INVITE sip:a@b SIP/2.0\r\n", b"\xff\xfe"),
    *(b"SIP/2.0 200 OK\r\n", b"99999999999999999999", b"-1", b"a=rtpmap:", b"\xed\xa0\x80"),
)


def mutate(random: Random, data: bytes, others: list[bytes]) -> bytes:
    """*data* with one to eight faults: bytes changed, cut, doubled, or spliced from *others*."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 8)):
        place = random.randint(0, len(changed))
        span = random.choice((1, 2, 8, 64))
        fault = random.randrange(6)
        if fault == 0 and place < len(changed):
            changed[place] = random.randrange(256)
        elif fault == 1:
            del changed[place : place + span]
        elif fault == 2:
            changed[place:place] = random.choice(_PIECES)
        elif fault == 3:
            changed[place:place] = changed[place : place + span] * random.choice((1, 2, 50))
        elif fault == 4:
            other = random.choice(others)
            begin = random.randint(0, len(other))
            changed[place:place] = other[begin : begin + span * 8]
        else:
            del changed[place:]
    return bytes(changed[:65536])
