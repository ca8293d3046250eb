"""libopus and libspandsp called directly, without our C core: what tests compare it with."""

import ctypes
import ctypes.util

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

_VOIP = 2048
_SET_BITRATE, _SET_VBR, _SET_COMPLEXITY = 4002, 4006, 4010
_GSM_VOIP = 2


def _library(name: str) -> ctypes.CDLL:
    found = ctypes.util.find_library(name)
    assert found, f"lib{name} is missing: ./build.sh setup installs it"
    library = ctypes.CDLL(found)
    for function in (
        *("opus_encoder_create", "opus_decoder_create"),
        *("g722_encode_init", "g722_decode_init", "gsm0610_init"),
    ):
        if hasattr(library, function):
            getattr(library, function).restype = ctypes.c_void_p
    return library


def _in(pcm: Samples) -> ctypes.c_void_p:
    assert pcm.flags.c_contiguous
    return ctypes.c_void_p(pcm.ctypes.data)


def opus_packets(
    pcm: Samples, rate: int, *, channels: int = 1, bitrate: int = 24000
) -> list[bytes]:
    """20 ms packets of *pcm* by libopus with the settings that a recording uses."""
    opus = _library("opus")
    error = ctypes.c_int()
    encoder = ctypes.c_void_p(opus.opus_encoder_create(rate, channels, _VOIP, ctypes.byref(error)))
    for setting, value in ((_SET_BITRATE, bitrate), (_SET_COMPLEXITY, 5), (_SET_VBR, 1)):
        assert opus.opus_encoder_ctl(encoder, setting, ctypes.c_int(value)) == 0
    frame = rate // 50
    out = ctypes.create_string_buffer(4000)
    packets = []
    for at in range(0, len(pcm), frame * channels):
        block = np.ascontiguousarray(pcm[at : at + frame * channels])
        size = opus.opus_encode(encoder, _in(block), frame, out, len(out))
        assert size > 0
        packets.append(out.raw[:size])
    opus.opus_encoder_destroy(encoder)
    return packets


def opus_sound(packets: list[bytes], rate: int) -> Samples:
    """*packets* decoded by libopus, one after the other."""
    opus = _library("opus")
    error = ctypes.c_int()
    decoder = ctypes.c_void_p(opus.opus_decoder_create(rate, 1, ctypes.byref(error)))
    heard = []
    pcm = np.zeros(rate * 3 // 25, np.int16)
    for packet in packets:
        size = opus.opus_decode(decoder, packet, len(packet), _in(pcm), len(pcm), 0)
        assert size > 0
        heard.append(pcm[:size].copy())
    opus.opus_decoder_destroy(decoder)
    return np.concatenate(heard)


def opus_duration(packet: bytes) -> int:
    """Samples at 48 kHz by libopus' own parser, or its negative error."""
    opus = _library("opus")
    sizes = (ctypes.c_int16 * 48)()
    toc = ctypes.c_ubyte()
    frames = opus.opus_packet_parse(packet, len(packet), ctypes.byref(toc), None, sizes, None)
    if frames < 0:
        return int(frames)
    return int(opus.opus_packet_get_nb_samples(packet, len(packet), 48000))


def g722_octets(pcm: Samples) -> bytes:
    """16 kHz *pcm* as G.722 at 64 kbit/s."""
    spandsp = _library("spandsp")
    state = ctypes.c_void_p(spandsp.g722_encode_init(None, 64000, 0))
    out = ctypes.create_string_buffer(len(pcm))
    size = spandsp.g722_encode(state, out, _in(pcm), len(pcm))
    spandsp.g722_encode_free(state)
    return out.raw[:size]


def g722_sound(octets: bytes) -> Samples:
    """G.722 octets decoded to 16 kHz."""
    spandsp = _library("spandsp")
    state = ctypes.c_void_p(spandsp.g722_decode_init(None, 64000, 0))
    pcm = np.zeros(2 * len(octets), np.int16)
    assert spandsp.g722_decode(state, _in(pcm), octets, len(octets)) == len(pcm)
    spandsp.g722_decode_free(state)
    return pcm


def gsm_octets(pcm: Samples) -> bytes:
    """8 kHz *pcm* as GSM 06.10 in the packing of RTP."""
    spandsp = _library("spandsp")
    state = ctypes.c_void_p(spandsp.gsm0610_init(None, _GSM_VOIP))
    out = ctypes.create_string_buffer(len(pcm))
    size = spandsp.gsm0610_encode(state, out, _in(pcm), len(pcm))
    spandsp.gsm0610_free(state)
    return out.raw[:size]


def gsm_sound(octets: bytes) -> Samples:
    """GSM 06.10 frames decoded to 8 kHz."""
    spandsp = _library("spandsp")
    state = ctypes.c_void_p(spandsp.gsm0610_init(None, _GSM_VOIP))
    pcm = np.zeros(len(octets) // 33 * 160, np.int16)
    assert spandsp.gsm0610_decode(state, _in(pcm), octets, len(octets)) == len(pcm)
    spandsp.gsm0610_free(state)
    return pcm


def voice(samples: int, rate: int = 8000, seed: int = 1) -> Samples:
    """Something like speech: a wandering tone with overtones, pauses and noise."""
    random = np.random.default_rng(seed)
    t = np.arange(samples) / rate
    pitch = np.cumsum(120 + 40 * np.sin(3 * t + seed)) / rate
    tone = sum(np.sin(2 * np.pi * k * pitch) / k for k in (1, 2, 3, 5, 8))
    loud = np.clip(np.sin(2.2 * t + seed) + 0.6, 0, None)
    return np.asarray(5000 * tone * loud + random.normal(0, 60, samples)).astype(np.int16)
