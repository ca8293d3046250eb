"""The codecs of the C core, each as an object that owns its C state; one thread at a time.

Nothing here needs the C core until an object is made: then NotDecodable says what is missing.
"""

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from greffier.encode import BadPayload, Coded
from greffier.errors import NotDecodable

try:
    from greffier._native import ffi, lib
except ImportError:
    _MISSING = True
else:
    _MISSING = False

if TYPE_CHECKING:
    from greffier._native import CData

Samples = NDArray[np.int16]

_CODED = struct.Struct("=qIIHBx4x")  # native/coder.h, greffier_coded
_NO_TYPE = 0xFF

_LARGEST = 1276  # native/opus.h: room that one encoded frame may need
_BLOCKS = 64  # frames that cross into C at once
_LONGEST_PER_SECOND = 25  # an Opus packet lasts 120 ms at most: rate * 3 / 25 samples


def available() -> bool:
    """Whether the C core was built here."""
    return not _MISSING


def _need(codec: str) -> None:
    if _MISSING:
        raise NotDecodable(codec=codec)


class OpusEncoder:
    """libopus, application VOIP, VBR. *rate* 8, 12, 16, 24 or 48 kHz, 1 or 2 *channels*.

    Raises NotDecodable without the C core, ValueError for a setting that libopus refuses.
    """

    def __init__(
        self, rate: int, *, channels: int = 1, bitrate: int = 24000, complexity: int = 5
    ) -> None:
        _need("opus")
        error = ffi.new("int32_t *")
        state = lib.greffier_opus_encoder_create(rate, channels, bitrate, complexity, error)
        if not state:
            raise ValueError(f"libopus refuses {rate} Hz, {channels} channels: {_reason(error[0])}")
        self._state = ffi.gc(state, lib.greffier_opus_encoder_destroy)
        self.frame = rate // 50
        self.channels = channels
        self.delay = lib.greffier_opus_encoder_lookahead(self._state)
        self._out = ffi.new("uint8_t[]", _BLOCKS * _LARGEST)
        self._view = ffi.buffer(self._out)
        self._lengths = ffi.new("uint16_t[]", _BLOCKS)

    def encode(self, pcm: Samples) -> list[bytes]:
        """One packet per 20 ms of *pcm* (contiguous, interleaved, a whole number of frames)."""
        size = self.frame * self.channels
        blocks, rest = divmod(len(pcm), size)
        if rest:
            raise ValueError("no whole number of frames")
        packets: list[bytes] = []
        for first in range(0, blocks, _BLOCKS):
            count = min(_BLOCKS, blocks - first)
            part = ffi.from_buffer("int16_t[]", pcm[first * size : (first + count) * size])
            written = lib.greffier_opus_encode(
                self._state, part, self.frame, count, self._out, len(self._view), self._lengths
            )
            if written < 0:
                raise ValueError(f"libopus: {_reason(written)}")
            octets, at = self._view[:written], 0
            for length in ffi.unpack(self._lengths, count):
                packets.append(octets[at : at + length])
                at += length
        return packets


class OpusCoder:
    """Sound at absolute positions to Opus packets on a grid of 20 ms (native/coder.h), mono.

    Settings and errors as those of :class:`OpusEncoder`. A voice of the C core may borrow it
    (``Spool.voice``) and leaves it where the next packet goes on; nothing else may use it
    meanwhile.
    """

    def __init__(self, rate: int, *, bitrate: int = 24000, complexity: int = 5) -> None:
        _need("opus")
        error = ffi.new("int32_t *")
        coder = lib.greffier_coder_new(rate, bitrate, complexity, error)
        if not coder:
            raise ValueError(f"libopus refuses {rate} Hz: {_reason(error[0])}")
        self._coder = ffi.gc(coder, lib.greffier_coder_free)
        self._length = ffi.new("size_t *")
        self.rate = rate
        self.block = rate // 50
        self.delay = lib.greffier_coder_delay(coder)

    @property
    def handle(self) -> "CData":
        """The greffier_coder, for other rooms of the core; valid as long as this object."""
        return self._coder

    def write(self, position: int, pcm: Samples) -> list[Coded]:
        """The packets of the blocks that *pcm* at *position* makes whole, oldest first.

        Raises ValueError when *position* lies before what was written.
        """
        given = ffi.from_buffer("uint8_t[]", np.ascontiguousarray(pcm))
        law = lib.GREFFIER_CODER_LINEAR
        refused = lib.greffier_coder_write(self._coder, position, law, given, len(pcm)) != 0
        if self._missed() and not refused:
            raise MemoryError("no memory for an Opus packet")
        if refused:
            raise ValueError("a sample may be written only once")
        return self._take()

    def finish(self) -> list[Coded]:
        """The last block, if it has a sample: padded with zeros, its true length kept."""
        lib.greffier_coder_finish(self._coder)
        return self._take()

    def discard(self) -> None:
        """Zero what is pending, and what was made."""
        lib.greffier_coder_wipe(self._coder)

    def _missed(self) -> int:
        span = ffi.new("int64_t[]", 2)
        return lib.greffier_coder_missed(self._coder, span, span + 1)

    def _take(self) -> list[Coded]:
        made = lib.greffier_coder_made(self._coder, self._length)
        octets = ffi.buffer(made, self._length[0])[:] if self._length[0] else b""
        lib.greffier_coder_empty(self._coder)
        found, at = [], 0
        while at < len(octets):
            position, samples, sequence, length, flags = _CODED.unpack_from(octets, at)
            at += _CODED.size
            data = octets[at : at + length]
            found.append(Coded(position, samples, sequence, _NO_TYPE, flags, data))
            at += -(-length // 8) * 8
        return found


class OpusDecoder:
    """libopus decoding at *rate* Hz; packets of two channels are mixed down when *channels* is 1.

    Raises NotDecodable without the C core.
    """

    def __init__(self, rate: int, *, channels: int = 1) -> None:
        _need("opus")
        error = ffi.new("int32_t *")
        state = lib.greffier_opus_decoder_create(rate, channels, error)
        if not state:
            raise ValueError(f"libopus refuses {rate} Hz, {channels} channels: {_reason(error[0])}")
        self._state = ffi.gc(state, lib.greffier_opus_decoder_destroy)
        self._channels = channels
        self._pcm = np.zeros(rate * 3 // _LONGEST_PER_SECOND * channels, np.int16)
        self._out = ffi.from_buffer("int16_t[]", self._pcm, require_writable=True)

    def decode(self, packet: bytes) -> Samples:
        """The samples of one packet. Raises BadPayload when libopus cannot read it."""
        if not packet:
            raise BadPayload("an Opus packet has at least one octet")
        data = ffi.from_buffer("uint8_t[]", packet)
        return self._heard(data, len(packet), len(self._pcm) // self._channels)

    def conceal(self, samples: int) -> Samples:
        """What libopus makes up for *samples* lost ones (at most 120 ms of them)."""
        if not 0 < samples * self._channels <= len(self._pcm):
            raise ValueError("at most 120 ms can be concealed")
        return self._heard(ffi.NULL, 0, samples)

    def _heard(self, data: "CData", length: int, room: int) -> Samples:
        got = lib.greffier_opus_decode(self._state, data, length, self._out, room)
        if got < 0:
            raise BadPayload(f"libopus: {_reason(got)}")
        heard = self._pcm[: got * self._channels].copy()
        self._pcm.fill(0)
        return heard


class FlacEncoder:
    """libFLAC with one fixed *block* size (16 to 4608 samples), 16 bits, one channel.

    Raises NotDecodable without the C core, ValueError for a setting that libFLAC refuses.
    """

    def __init__(self, rate: int, block: int, *, level: int = 5) -> None:
        _need("flac")
        error = ffi.new("int32_t *")
        state = lib.greffier_flac_encoder_create(rate, block, level, error)
        if not state:
            raise ValueError(f"libFLAC refuses {rate} Hz in blocks of {block} ({error[0]})")
        self._state = ffi.gc(state, lib.greffier_flac_encoder_destroy)

    def encode(self, pcm: Samples) -> list[bytes]:
        """The frames that became whole; a block comes out with the first sample of the next."""
        waiting = lib.greffier_flac_encode(self._state, ffi.from_buffer("int16_t[]", pcm), len(pcm))
        return self._take(waiting)

    def finish(self) -> list[bytes]:
        """The last frames, the very last one perhaps short. Nothing may be encoded after."""
        return self._take(lib.greffier_flac_finish(self._state))

    def _take(self, waiting: int) -> list[bytes]:
        if waiting < 0:
            raise ValueError("libFLAC cannot encode (finished, or no memory)")
        octets, lengths = ffi.new("uint8_t **"), ffi.new("uint32_t **")
        samples = ffi.new("uint32_t **")
        frames: list[bytes] = []
        count = lib.greffier_flac_take(self._state, octets, lengths, samples)
        at, sizes = octets[0], lengths[0]
        for i in range(count):
            size = sizes[i]
            frames.append(ffi.buffer(at, size)[:])
            at = at + size
        return frames


class G722Decoder:
    """ITU-T G.722 at 64 kbit/s to 16 kHz (spandsp). Raises NotDecodable without the C core."""

    def __init__(self) -> None:
        _need("G722")
        self._state = ffi.gc(lib.greffier_g722_decoder_create(), lib.greffier_g722_decoder_destroy)

    def decode(self, octets: bytes) -> Samples:
        """Two samples an octet; every octet is valid."""
        pcm = np.empty(2 * len(octets), np.int16)
        out = ffi.from_buffer("int16_t[]", pcm, require_writable=True)
        data = ffi.from_buffer("uint8_t[]", octets)
        if lib.greffier_g722_decode(self._state, data, len(octets), out) != len(pcm):
            raise BadPayload("too long for one call")
        return pcm


class GsmDecoder:
    """GSM 06.10 full rate to 8 kHz (spandsp). Raises NotDecodable without the C core."""

    def __init__(self) -> None:
        _need("GSM")
        self._state = ffi.gc(lib.greffier_gsm_decoder_create(), lib.greffier_gsm_decoder_destroy)

    def decode(self, octets: bytes) -> Samples:
        """160 samples for each 33 octets. Raises BadPayload for a wrong length or signature."""
        pcm = np.empty(len(octets) // 33 * 160, np.int16)
        out = ffi.from_buffer("int16_t[]", pcm, require_writable=True)
        data = ffi.from_buffer("uint8_t[]", octets)
        if lib.greffier_gsm_decode(self._state, data, len(octets), out) != len(pcm):
            raise BadPayload("no whole GSM frames with their signature")
        return pcm


def encode_g711(law: str, pcm: Samples) -> bytes:
    """*pcm* as G.711 octets; *law* is "PCMU" or "PCMA". Raises NotDecodable without the core."""
    _need(law)
    out = bytearray(len(pcm))
    target = ffi.from_buffer("uint8_t[]", out, require_writable=True)
    source = ffi.from_buffer("int16_t[]", np.ascontiguousarray(pcm, np.int16))
    encode = lib.greffier_g711_encode_alaw if law == "PCMA" else lib.greffier_g711_encode_ulaw
    encode(source, len(pcm), target)
    return bytes(out)


def decode_g711(law: str, octets: bytes) -> Samples:
    """G.711 octets as PCM by the C core (decoders.py needs none and says the same)."""
    _need(law)
    pcm = np.empty(len(octets), np.int16)
    out = ffi.from_buffer("int16_t[]", pcm, require_writable=True)
    decode = lib.greffier_g711_decode_alaw if law == "PCMA" else lib.greffier_g711_decode_ulaw
    decode(ffi.from_buffer("uint8_t[]", octets), len(octets), out)
    return pcm


def _reason(error: int) -> str:
    return ffi.string(lib.greffier_opus_reason(error)).decode("ascii", "replace")


def join(parts: Sequence[Samples]) -> Samples:
    """The arrays one after the other."""
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)
