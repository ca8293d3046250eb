"""One decoder a codec, for a run of payloads: state goes on from call to call.

G.711 and linear PCM need nothing but numpy; the others come from the C core.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from greffier.encode import BadPayload, core
from greffier.encode.codecs import Codec
from greffier.errors import NotDecodable

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Decoded:
    """*pcm* of all payloads in a row; *damaged* are (offset, samples) that are only zeros."""

    pcm: Samples
    damaged: tuple[tuple[int, int], ...] = ()


class Decoder(Protocol):
    """Makes sound of consecutive payloads of one codec, each accepted by ``Codec.samples``."""

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """The samples of *payloads*, exactly as many as ``Codec.samples`` says."""
        ...


def _alaw() -> Samples:
    """ITU-T G.711 table 1a, as 16-bit values by octet."""
    octet = np.arange(256) ^ 0x55
    segment, step = octet >> 4 & 7, octet & 15
    value = np.where(
        segment > 0, (2 * step + 33) << (np.maximum(segment, 1) + 2), (2 * step + 1) << 3
    )
    return np.where(octet & 0x80, value, -value).astype(np.int16)


def _ulaw() -> Samples:
    """ITU-T G.711 table 2a, as 16-bit values by octet."""
    octet = 0xFF ^ np.arange(256)
    value = ((2 * (octet & 15) + 33) << (octet >> 4 & 7)) - 33
    return (4 * np.where(octet & 0x80, -value, value)).astype(np.int16)


TABLES = {"PCMA": _alaw(), "PCMU": _ulaw()}


class _Table:
    def __init__(self, law: str) -> None:
        self._table = TABLES[law]

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        return Decoded(self._table.take(np.frombuffer(b"".join(payloads), np.uint8)))


class _Linear:
    """RFC 3551 4.5.11: 16-bit signed, network byte order."""

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        return Decoded(np.frombuffer(b"".join(payloads), ">i2").astype(np.int16))


class _Stream:
    """Codecs whose payloads may simply be joined."""

    def __init__(self, core_decoder: core.G722Decoder | core.GsmDecoder) -> None:
        self._decoder = core_decoder

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        return Decoded(self._decoder.decode(b"".join(payloads)))


class _Opus:
    """Packet by packet; one that libopus cannot read is silence of its length, and is listed."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._decoder = core.OpusDecoder(codec.rate)

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        heard: list[Samples] = []
        damaged: list[tuple[int, int]] = []
        offset = 0
        for payload in payloads:
            samples = self._codec.samples(payload)
            try:
                heard.append(self._decoder.decode(payload))
            except BadPayload:
                heard.append(np.zeros(samples, np.int16))
                damaged.append((offset, samples))
            offset += samples
        return Decoded(core.join(heard), tuple(damaged))


def decoder_of(codec: Codec) -> Decoder:
    """A fresh decoder. Raises NotDecodable for a codec without one, or without the C core."""
    if not codec.decodable:
        raise NotDecodable(codec=codec.name)
    if codec.name in TABLES:
        return _Table(codec.name)
    if codec.name == "L16":
        return _Linear()
    if codec.name == "G722":
        return _Stream(core.G722Decoder())
    if codec.name == "GSM":
        return _Stream(core.GsmDecoder())
    if codec.name == "opus":
        return _Opus(codec)
    raise NotDecodable(codec=codec.name)
