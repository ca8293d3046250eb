"""What is inside the frames of a part: frozen records <-> plaintext bytes (docs/part-format.md).

Every class checks its values when it is made, so what cannot be written cannot be built; every
``parse`` accepts only the bytes that ``bytes()`` of its result gives back.
"""

import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Self

from greffier import canonical

NO_LEG = 0xFF
LARGEST_SEALED = 1 << 20  # ciphertext and tag
TAG_BYTES = 16
LARGEST_PLAINTEXT = LARGEST_SEALED - TAG_BYTES
LARGEST_POSITION = 2**53 - 1
CUT_FRONT = 1
CUT_END = 2
NO_PAYLOAD_TYPE = 0xFF

_U32 = 0xFFFFFFFF
_HASH_BYTES = 32
_AUDIO = struct.Struct(">QIH")
_PACKET = struct.Struct(">IIIBBH")
_SPAN = struct.Struct(">QQ")
_is_word = re.compile(rb"[A-Za-z0-9_.-]{1,64}").fullmatch


class FrameType(IntEnum):
    """The types of frames; the value is the byte of the format."""

    AUDIO = 1
    META = 2
    MASK = 3
    GAP = 4
    FINAL = 0x7F

    @property
    def has_leg(self) -> bool:
        """Whether a frame of this type names a leg (0..254)."""
        return self in (FrameType.AUDIO, FrameType.MASK, FrameType.GAP)


class BadFrame(ValueError):
    """Plaintext bytes or values are not those of a frame; ``offset`` counts in the plaintext."""

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(f"{reason} (at byte {offset} of the frame)")
        self.reason = reason
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet of an AUDIO frame.

    ``offset`` samples after the frame's position; ``samples`` of the part that it covers (0: no
    audio, as a telephone event); ``sequence`` the extended RTP number modulo 2**32 or a running
    number; ``payload_type`` 0..127 or 255 for none; ``flags`` of CUT_FRONT and CUT_END; ``data``
    the codec's bytes, at most 65,535.
    """

    offset: int
    samples: int
    sequence: int
    payload_type: int
    flags: int
    data: bytes

    def __post_init__(self) -> None:
        for value in (self.offset, self.samples, self.sequence):
            _check_range(value, _U32, "a number of a packet")
        if not (0 <= self.payload_type <= 127 or self.payload_type == NO_PAYLOAD_TYPE):
            raise BadFrame("a payload type is not 0..127 or 255")
        _check_range(self.flags, CUT_FRONT | CUT_END, "the flags of a packet")
        if len(self.data) > 0xFFFF:
            raise BadFrame("the data of a packet are longer than 65,535 bytes")


@dataclass(frozen=True, slots=True)
class Audio:
    """At most one second of one leg: samples [position, position + span) and its packets."""

    position: int
    span: int
    packets: tuple[Packet, ...]

    def __post_init__(self) -> None:
        _check_range(self.span, _U32, "a span")
        _check_range(self.position + self.span, LARGEST_POSITION, "a position")
        _check_range(self.position, LARGEST_POSITION, "a position")
        if not 1 <= len(self.packets) <= 0xFFFF:
            raise BadFrame("the number of packets is not in 1..65535", 12)
        if any(packet.offset + packet.samples > self.span for packet in self.packets):
            raise BadFrame("a packet reaches beyond the span")

    @property
    def end(self) -> int:
        """The first sample after the frame."""
        return self.position + self.span

    def __bytes__(self) -> bytes:
        parts = [_AUDIO.pack(self.position, self.span, len(self.packets))]
        for p in self.packets:
            parts += (
                _PACKET.pack(p.offset, p.samples, p.sequence, p.payload_type, p.flags, len(p.data)),
                p.data,
            )
        return _bounded(b"".join(parts))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The frame whose plaintext is *data*. Raises BadFrame."""
        position, span, count = _unpacked(_AUDIO, data, 0)
        offset = _AUDIO.size
        packets = []
        for _ in range(count):
            first, samples, sequence, kind, flags, length = _unpacked(_PACKET, data, offset)
            offset += _PACKET.size
            if len(data) - offset < length:
                raise BadFrame("the plaintext ends inside a packet", len(data))
            coded = data[offset : offset + length]
            packets.append(Packet(first, samples, sequence, kind, flags, coded))
            offset += length
        _check_end(data, offset)
        return cls(position, span, tuple(packets))


def audio_bytes(
    position: int, span: int, packets: Iterable[tuple[int, int, int, int, int, bytes]]
) -> bytes:
    """The plaintext of an AUDIO frame from (absolute position, samples, sequence, payload type,
    flags, data) of each packet: what ``bytes(Audio(...))`` gives, for the path of every packet.

    Raises BadFrame where a number does not fit its field.
    """
    parts = [b""]
    try:
        for at, samples, sequence, kind, flags, data in packets:
            parts += (
                _PACKET.pack(at - position, samples, sequence, kind, flags, len(data)),
                data,
            )
        parts[0] = _AUDIO.pack(position, span, len(parts) // 2)
    except struct.error:
        raise BadFrame("a number of a packet is out of range") from None
    return _bounded(b"".join(parts))


@dataclass(frozen=True, slots=True)
class Meta:
    """Names, numbers, Call-ID, table of legs: a JSON object (canonical when it is written)."""

    value: Mapping[str, Any]

    def __bytes__(self) -> bytes:
        try:
            return _bounded(canonical.dump(dict(self.value)))
        except canonical.NotCanonical as error:
            raise BadFrame(str(error)) from None

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The frame whose plaintext is *data*. Raises BadFrame."""
        try:
            value = canonical.load(data)
        except canonical.NotCanonical as error:
            raise BadFrame(str(error)) from None
        if not isinstance(value, dict):
            raise BadFrame("not an object")
        return cls(value)


@dataclass(frozen=True, slots=True)
class Mask:
    """Samples [start, end) of a leg that were not recorded on purpose, and why (a word)."""

    start: int
    end: int
    reason: str

    def __post_init__(self) -> None:
        _check_span(self.start, self.end)
        _word(self.reason)

    def __bytes__(self) -> bytes:
        return _SPAN.pack(self.start, self.end) + _word(self.reason)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The frame whose plaintext is *data*. Raises BadFrame."""
        start, end = _unpacked(_SPAN, data, 0)
        return cls(start, end, _last_word(data, 16))


@dataclass(frozen=True, slots=True)
class Gap:
    """Samples [start, end) of a leg that are missing: how many packets (0: none, or unknown), why.

    ``cause`` is a word: lost, late, dtx, hold, overrun, late_start or another.
    """

    start: int
    end: int
    packets: int
    cause: str

    def __post_init__(self) -> None:
        _check_span(self.start, self.end)
        _check_range(self.packets, _U32, "a number of packets")
        _word(self.cause)

    def __bytes__(self) -> bytes:
        head = _SPAN.pack(self.start, self.end) + self.packets.to_bytes(4, "big")
        return head + _word(self.cause)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The frame whose plaintext is *data*. Raises BadFrame."""
        start, end = _unpacked(_SPAN, data, 0)
        if len(data) < 20:
            raise BadFrame("the plaintext ends too early", len(data))
        return cls(start, end, int.from_bytes(data[16:20], "big"), _last_word(data, 20))


@dataclass(frozen=True, slots=True)
class Final:
    """Totals of a part: ``frames`` before this one; ``legs`` (leg, end), ascending; the SHA-256 of
    all file bytes before it; the root of the salted tree; why the part ended (a word).
    """

    frames: int
    legs: tuple[tuple[int, int], ...]
    sha256: bytes
    root: bytes
    reason: str

    def __post_init__(self) -> None:
        _check_range(self.frames, _U32, "the number of frames")
        if any(not 0 <= leg < NO_LEG for leg, _ in self.legs):
            raise BadFrame("a leg is not in 0..254", 5)
        if any(a >= b for (a, _), (b, _) in zip(self.legs, self.legs[1:], strict=False)):
            raise BadFrame("the legs are not ascending", 5)
        for _, end in self.legs:
            _check_range(end, LARGEST_POSITION, "a position")
        if not len(self.sha256) == len(self.root) == _HASH_BYTES:
            raise BadFrame("a hash is not 32 bytes")
        _word(self.reason)

    def __bytes__(self) -> bytes:
        legs = b"".join(bytes([leg]) + end.to_bytes(8, "big") for leg, end in self.legs)
        head = self.frames.to_bytes(4, "big") + bytes([len(self.legs)])
        return head + legs + self.sha256 + self.root + _word(self.reason)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The frame whose plaintext is *data*. Raises BadFrame."""
        if len(data) < 5 or len(data) < 5 + 9 * data[4] + 2 * _HASH_BYTES:
            raise BadFrame("the plaintext ends too early", len(data))
        after = 5 + 9 * data[4]
        legs = tuple(
            (data[at], int.from_bytes(data[at + 1 : at + 9], "big")) for at in range(5, after, 9)
        )
        middle, last = after + _HASH_BYTES, after + 2 * _HASH_BYTES
        reason = _last_word(data, last)
        return cls(
            int.from_bytes(data[:4], "big"), legs, data[after:middle], data[middle:last], reason
        )


Content = Audio | Meta | Mask | Gap
"""What a frame before FINAL may hold."""


def type_of(content: Content) -> FrameType:
    """The type of the frame that holds *content*."""
    return FrameType[type(content).__name__.upper()]


def parse(kind: FrameType, data: bytes) -> Content | Final:
    """The record whose plaintext in a frame of type *kind* is *data*. Raises BadFrame."""
    return _CLASSES[kind].parse(data)


def end_of(kind: int, data: bytes) -> int:
    """The end position that a plaintext of a type with a leg states, without parsing the rest.

    Raises BadFrame if it is too short to state one, or states one that cannot be.
    """
    if kind == _AUDIO_TYPE:
        if len(data) < _AUDIO.size:
            raise BadFrame("the plaintext ends too early", len(data))
        position, span, _ = _AUDIO.unpack_from(data)
        end: int = position + span
    else:
        start, end = _unpacked(_SPAN, data, 0)
        if end < start:
            raise BadFrame("the end is before the start", 8)
    if end > LARGEST_POSITION:
        raise BadFrame("a position is out of range")
    return end


_AUDIO_TYPE = int(FrameType.AUDIO)
_CLASSES: dict[FrameType, type[Content] | type[Final]] = {
    FrameType.AUDIO: Audio,
    FrameType.META: Meta,
    FrameType.MASK: Mask,
    FrameType.GAP: Gap,
    FrameType.FINAL: Final,
}


def _unpacked(form: struct.Struct, data: bytes, offset: int) -> tuple[int, ...]:
    if len(data) - offset < form.size:
        raise BadFrame("the plaintext ends too early", len(data))
    return form.unpack_from(data, offset)


def _check_range(value: int, largest: int, what: str) -> None:
    if not 0 <= value <= largest:
        raise BadFrame(f"{what} is out of range")


def _check_span(start: int, end: int) -> None:
    _check_range(start, LARGEST_POSITION, "a position")
    _check_range(end, LARGEST_POSITION, "a position")
    if end < start:
        raise BadFrame("the end is before the start", 8)


def _check_end(data: bytes, offset: int) -> None:
    if offset != len(data):
        raise BadFrame("bytes follow the end of the plaintext", offset)


def _word(text: str) -> bytes:
    """A word with its length in front."""
    data = text.encode("ascii", "replace")
    if not _is_word(data) or len(data) != len(text):
        raise BadFrame("a reason is not 1 to 64 letters, digits, dots, dashes or underscores")
    return bytes([len(data)]) + data


def _last_word(data: bytes, offset: int) -> str:
    """The word at *offset*, after which the plaintext must end."""
    if len(data) <= offset:
        raise BadFrame("the plaintext ends too early", len(data))
    word = data[offset + 1 : offset + 1 + data[offset]]
    if len(word) != data[offset]:
        raise BadFrame("the plaintext ends too early", len(data))
    if not _is_word(word):
        raise BadFrame("a reason is not a word", offset)
    _check_end(data, offset + 1 + data[offset])
    return word.decode("ascii")


def _bounded(data: bytes) -> bytes:
    if len(data) > LARGEST_PLAINTEXT:
        raise BadFrame("a frame holds more than 1 MiB")
    return data
