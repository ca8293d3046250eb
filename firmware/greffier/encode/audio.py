"""Stored packets of a leg back to sound, for an export: silence where nothing is.

``original`` G.711 and linear PCM need only numpy; FLAC goes through soundfile, Opus through the
C core or, where that was never built, through soundfile; G.722, GSM and Opus that came as Opus
need the C core.
"""

import io
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray

from greffier.encode import BadPayload, Coded, Gap, core, flac_frame, ogg, opus_packet
from greffier.encode.codecs import Codec
from greffier.encode.decoders import Decoder, decoder_of
from greffier.encode.stored import Stored
from greffier.errors import NotDecodable

Samples = NDArray[np.int16]
_LONGEST_SECONDS = 48 * 3600
_MOST_CONCEALED = 50  # lost blocks that are fed to a decoder, so that it fades as it should


class BadAudio(ValueError):
    """Stored packets that cannot be sound. *offset* is a position, *reason* why."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(f"{reason} (position {offset})")
        self.reason = reason
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Sound:
    """*samples* at the leg's rate; *damaged*: payloads, stored as they came, that are no sound."""

    samples: Samples
    damaged: tuple[Gap, ...] = ()


def decode(
    stored: Stored,
    coded: Iterable[Coded],
    *,
    silent: Iterable[tuple[int, int]] = (),
    start: int = 0,
    end: int | None = None,
) -> Sound:
    """The leg's sound in [start, end) of the recording's sample line (end None: the last sample).

    *coded* are packets of one part, in any order; ranges of *silent* (gaps, masks) are zeros
    whatever was decoded there. Raises BadAudio for packets that cannot be, NotDecodable(codec)
    where a codec is missing here.
    """
    packets = sorted(coded, key=lambda c: (c.position, c.sequence))
    last = max((c.position + c.samples for c in packets), default=start)
    stop = last if end is None else end
    if stop - start > _LONGEST_SECONDS * stored.rate:
        raise BadAudio("longer than two days", stop)
    canvas = _Canvas(start, np.zeros(max(stop - start, 0), np.int16))
    damaged: list[Gap] = []
    if stored.kind == "original":
        damaged = _original(stored, packets, canvas)
    elif stored.kind == "flac":
        _flac(stored, packets, canvas)
    else:
        _opus(stored, packets, canvas)
    for low, high in silent:
        canvas.samples[max(low - start, 0) : max(high - start, 0)] = 0
    return Sound(canvas.samples, tuple(damaged))


@dataclass(frozen=True, slots=True)
class _Canvas:
    """Samples from position *start* on; what lies outside is not kept."""

    start: int
    samples: Samples

    def put(self, position: int, pcm: Samples) -> None:
        low = max(position, self.start)
        high = min(position + len(pcm), self.start + len(self.samples))
        if low < high:
            target = self.samples[low - self.start : high - self.start]
            target[:] = pcm[low - position : high - position]


def _runs(
    packets: Sequence[Coded], together: Callable[[Coded, Coded], bool]
) -> Iterator[list[Coded]]:
    """Neighbours that *together* joins, as lists."""
    run: list[Coded] = []
    for packet in packets:
        if run and not together(run[-1], packet):
            yield run
            run = []
        run.append(packet)
    if run:
        yield run


def _original(stored: Stored, packets: Sequence[Coded], canvas: _Canvas) -> list[Gap]:
    decoders: dict[Codec, Decoder] = {}
    damaged: list[Gap] = []

    def same(a: Coded, b: Coded) -> bool:
        return a.position + a.samples == b.position and a.payload_type == b.payload_type

    for run in _runs(packets, same):
        codec = stored.codecs.get(run[0].payload_type)
        if codec is None:
            raise BadAudio("a payload type that the leg table lacks", run[0].position)
        for packet in run:
            _check_length(codec, packet)
        if codec not in decoders:
            decoders[codec] = decoder_of(codec)
        decoded = decoders[codec].decode([packet.data for packet in run])
        position = run[0].position
        canvas.put(position, decoded.pcm)
        damaged += [Gap(position + o, position + o + n, 1, "damaged") for o, n in decoded.damaged]
    return damaged


def _check_length(codec: Codec, packet: Coded) -> None:
    if not codec.decodable:
        raise NotDecodable(codec=codec.name)
    try:
        samples = codec.samples(packet.data)
    except BadPayload as error:
        raise BadAudio(error.reason, packet.position) from error
    if samples != packet.samples:
        raise BadAudio("a payload of another length than listed", packet.position)


# --- FLAC -----------------------------------------------------------------------------------


def flac_header(rate: int, block: int, samples: int) -> bytes:
    """``fLaC`` and the STREAMINFO of RFC 9639 8.2: one channel, 16 bits, sizes and MD5 unknown."""
    packed = rate << 44 | 0 << 41 | 15 << 36 | samples
    info = struct.pack(">HH", block, block) + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    return b"fLaC" + b"\x80" + len(info).to_bytes(3, "big") + info


def _flac(stored: Stored, packets: Sequence[Coded], canvas: _Canvas) -> None:
    def numbered(a: Coded, b: Coded) -> bool:
        # Frames carry their number: a decoder fills a hole in them with silence of its own.
        return b.sequence == a.sequence + 1 and a.samples == stored.block

    for run in _runs(packets, numbered):
        total = sum(packet.samples for packet in run)
        file = flac_header(stored.rate, stored.block, total) + b"".join(_frames(run))
        try:
            pcm, rate = soundfile.read(io.BytesIO(file), dtype="int16")
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise BadAudio("FLAC frames that cannot be read", run[0].position) from error
        if rate != stored.rate or pcm.shape != (total,):
            raise BadAudio("FLAC frames of another length or rate", run[0].position)
        at = 0
        for packet in run:
            canvas.put(packet.position, pcm[at : at + packet.samples])
            at += packet.samples


def _frames(run: Sequence[Coded]) -> Iterator[bytes]:
    """The frames of *run*, numbered from 0."""
    for number, packet in enumerate(run):
        try:
            if flac_frame.head(packet.data).samples != packet.samples:
                raise BadPayload("a FLAC frame of another length than listed")
            anew = run[0].sequence != 0
            yield flac_frame.renumber(packet.data, number) if anew else packet.data
        except BadPayload as error:
            raise BadAudio(error.reason, packet.position) from error


# --- Opus -----------------------------------------------------------------------------------


def _opus(stored: Stored, packets: Sequence[Coded], canvas: _Canvas) -> None:
    """The encoder heard its blocks as one stream, whatever lay between them: decode it as one."""
    for packet in packets:
        try:
            samples = opus_packet.duration(packet.data) * stored.rate // 48000
        except BadPayload as error:
            raise BadAudio(error.reason, packet.position) from error
        if samples != stored.block or not 0 < packet.samples <= samples:
            raise BadAudio("an Opus packet of another length than listed", packet.position)

    def near(a: Coded, b: Coded) -> bool:
        return 0 < b.sequence - a.sequence <= _MOST_CONCEALED

    for run in _runs(packets, near):
        decoded = _opus_core(stored, run) if core.available() else _opus_file(stored, run)
        # Decoded sound comes `delay` samples late; the last ones are still in the encoder.
        heard = np.concatenate((decoded[stored.delay :], np.zeros(stored.delay, np.int16)))
        for packet in run:
            at = (packet.sequence - run[0].sequence) * stored.block
            canvas.put(packet.position, heard[at : at + packet.samples])


def _opus_core(stored: Stored, run: Sequence[Coded]) -> Samples:
    decoder = core.OpusDecoder(stored.rate)
    heard: list[Samples] = []
    expected = run[0].sequence
    for packet in run:
        for _ in range(packet.sequence - expected):
            heard.append(decoder.conceal(stored.block))
        try:
            heard.append(decoder.decode(packet.data))
        except BadPayload as error:
            raise BadAudio(error.reason, packet.position) from error
        expected = packet.sequence + 1
    return core.join(heard)


def _opus_file(stored: Stored, run: Sequence[Coded]) -> Samples:
    """By way of an Ogg file in memory, for a machine that has libsndfile but no C core."""
    packets = list(_without_holes(run))
    file = ogg.mux(packets, ogg.Stream(stored.rate, 1, 0))
    try:
        pcm, rate = soundfile.read(io.BytesIO(file), dtype="int16")
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise BadAudio("Opus packets that cannot be read", run[0].position) from error
    if rate != stored.rate or pcm.shape != (len(packets) * stored.block,):
        raise BadAudio("Opus packets of another length or rate", run[0].position)
    return np.ascontiguousarray(pcm)


def _without_holes(run: Sequence[Coded]) -> Iterator[bytes]:
    """The packets of *run*, a packet without sound in place of each missing one."""
    expected = run[0].sequence
    for packet in run:
        for _ in range(packet.sequence - expected):
            yield opus_packet.silence(packet.data)
        yield packet.data
        expected = packet.sequence + 1
