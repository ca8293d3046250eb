"""Files of a recording: WAV, FLAC and Ogg Opus of its legs, one channel a leg.

All legs start at the recording's sample 0 and are as long as the longest: silence of true length.
Legs of different rates are brought to the highest one (``resample``).
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from greffier.encode import Coded, core, ogg, opus_packet
from greffier.encode.resample import resample
from greffier.encode.stored import OPUS_RATES, Stored

Samples = NDArray[np.int16]
Format = Literal["wav", "flac", "opus"]
FORMATS: tuple[Format, ...] = ("wav", "flac", "opus")
FLAC_CHANNELS = 8
_OPUS_RATE = 48000
_WAV_LIMIT = 0xFFFFFFFF - 4096


class TooManyLegs(ValueError):
    """More legs than the format has channels."""


class TooLong(ValueError):
    """More sound than a WAV file's 32-bit sizes can say."""


@dataclass(frozen=True, slots=True)
class LegSound:
    """*samples* of one leg from the recording's sample 0 on, at *rate* Hz."""

    samples: Samples
    rate: int


def side_by_side(legs: Sequence[LegSound]) -> tuple[NDArray[np.int16], int]:
    """An array (samples, legs) at the highest rate, the shorter legs filled with silence.

    Raises ValueError without legs.
    """
    if not legs:
        raise ValueError("nothing to export")
    rate = max(leg.rate for leg in legs)
    tracks = [resample(leg.samples, leg.rate, rate) for leg in legs]
    out = np.zeros((max(len(track) for track in tracks), len(tracks)), np.int16)
    for channel, track in enumerate(tracks):
        out[: len(track), channel] = track
    return out, rate


def render(legs: Sequence[LegSound], form: Format, *, bitrate: int = 24000) -> bytes:
    """The file as octets. *bitrate* is for Opus, a leg.

    Raises TooManyLegs (flac: more than 8), TooLong (wav: 4 GiB), NotDecodable (opus without the
    C core), ValueError without legs.
    """
    pcm, rate = side_by_side(legs)
    if form == "opus":
        return _opus(pcm, rate, bitrate)
    if form == "flac" and pcm.shape[1] > FLAC_CHANNELS:
        raise TooManyLegs(f"FLAC has {FLAC_CHANNELS} channels, the recording {pcm.shape[1]} legs")
    if form == "wav" and pcm.nbytes > _WAV_LIMIT:
        raise TooLong("more than a WAV file can hold")
    file = io.BytesIO()
    soundfile.write(file, pcm, rate, format=form.upper(), subtype="PCM_16")
    return file.getvalue()


def write(legs: Sequence[LegSound], form: Format, file: BinaryIO, *, bitrate: int = 24000) -> None:
    """Put :func:`render` into *file*, which the caller opened."""
    file.write(render(legs, form, bitrate=bitrate))


def _opus(pcm: NDArray[np.int16], rate: int, bitrate: int) -> bytes:
    """Two legs are two channels; more are mixed into one (the mean, so that nothing clips)."""
    if pcm.shape[1] > 2:
        pcm = np.rint(pcm.astype(np.float64).mean(axis=1)).astype(np.int16)[:, None]
    channels = pcm.shape[1]
    if rate not in OPUS_RATES:
        pcm = np.stack([resample(pcm[:, i], rate, _OPUS_RATE) for i in range(channels)], axis=1)
        rate = _OPUS_RATE
    encoder = core.OpusEncoder(rate, channels=channels, bitrate=bitrate * channels)
    length = len(pcm)
    blocks = -(-(length + encoder.delay) // encoder.frame)
    padded = np.zeros((blocks * encoder.frame, channels), np.int16)
    padded[:length] = pcm
    packets = encoder.encode(padded.reshape(-1))
    scale = _OPUS_RATE // rate
    stream = ogg.Stream(rate, channels, encoder.delay * scale, length * scale)
    return ogg.mux(packets, stream)


def opus_untouched(stored: Stored, coded: Sequence[Coded], *, end: int | None = None) -> bytes:
    """The stored packets of a recording's only leg as an Ogg Opus file, not encoded again.

    Holes become packets without sound (RFC 6716: a frame of no octets), in steps of 20 ms;
    blocks off the 20 ms grid of the first one are placed on it. *end*: true length in samples.
    Raises ValueError unless the leg is stored as Opus and has packets.
    """
    if stored.kind != "opus" or not coded:
        raise ValueError("not a leg stored as Opus")
    packets = sorted(coded, key=lambda c: c.position)
    last = packets[-1].position + packets[-1].samples if end is None else end
    scale = _OPUS_RATE // stored.rate
    stream = ogg.Stream(stored.rate, 1, stored.delay * scale, last * scale)
    return ogg.mux(_filled(stored, packets, last), stream)


def _filled(stored: Stored, packets: Iterable[Coded], last: int) -> Iterator[bytes]:
    """Packets for every block from sample 0 until the decoder has given *last* samples."""
    block, at, quiet = stored.block, 0, b""
    for packet in packets:
        quiet = opus_packet.silence(packet.data)
        while packet.position - at >= block:
            yield quiet
            at += block
        yield packet.data
        at += block
    while at < last + stored.delay:
        yield quiet
        at += block
