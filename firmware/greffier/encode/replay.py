"""What was said last on a line, as the octets of a WAV file made in memory: every call, one clock.

Each leg of a call has a channel; a call that began when another was over goes on in its channels.
Legs of one rate are not touched; others are brought to the highest one (``resample``). What nobody
sent is silence. Pure; the sound that it works with is zeroed before it returns.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greffier.clock import SECOND
from greffier.encode import BadPayload
from greffier.encode.codecs import Codec
from greffier.encode.decoders import Decoder, decoder_of
from greffier.encode.delay import Copied
from greffier.encode.resample import resample

Samples = NDArray[np.int16]

MOST_OCTETS: Final = 128 << 20
"""Of a file: ten minutes of six legs at 16 kHz."""
_HEADER: Final = struct.Struct("<4sI4s4sIHHIIHH4sI")
_ORDER: Final = {"caller": 0, "callee": 1}


class TooLarge(ValueError):
    """More sound than one answer holds."""


@dataclass(frozen=True, slots=True)
class Strip:
    """Some sound of leg *leg* of *call*: its sample 0 was at *base_ns*, on the clock of the span.

    *side* is caller, callee or unknown. A leg may have several strips, in their order.
    """

    call: str
    leg: int
    side: str
    base_ns: int
    rate: int
    copied: Copied

    def position_at(self, time_ns: int) -> int:
        """The sample that was at *time_ns*, rounded."""
        return ((time_ns - self.base_ns) * self.rate + SECOND // 2) // SECOND

    def time_of(self, position: int) -> int:
        """When a sample was."""
        return self.base_ns + position * SECOND // self.rate

    def extent(self) -> tuple[int, int] | None:
        """When its first sample was, and the end of its last; None if there is none."""
        sounds = self.copied.heads[self.copied.heads["length"] > 0]
        if not len(sounds):
            return None
        return self.time_of(int(sounds["start"][0])), self.time_of(int(sounds["end"].max()))


@dataclass(frozen=True, slots=True)
class Replayed:
    """A WAV file: *header*, then *samples* (one row a moment, one column a channel).

    The first one was at *from_ns*, the last ended at *to_ns*; *calls* are heard in it.
    """

    header: bytes
    samples: Samples
    rate: int
    from_ns: int
    to_ns: int
    calls: tuple[str, ...]


def replayed(strips: Sequence[Strip], from_ns: int, to_ns: int) -> Replayed | None:
    """What *strips* hold of [from_ns, to_ns), from the first sound to the last.

    None where nothing was said. Raises TooLarge, MemoryError.
    """
    heard = [(one, extent) for one in strips if (extent := one.extent()) is not None]
    heard = [(one, span) for one, span in heard if span[0] < to_ns and span[1] > from_ns]
    if not heard:
        return None
    rate = max(one.rate for one, _ in heard)
    low = max(from_ns, min(span[0] for _, span in heard))
    high = min(to_ns, max(span[1] for _, span in heard))
    channels = _channels(heard)
    count = ((high - low) * rate + SECOND // 2) // SECOND
    width = 1 + max(channels.values())
    if not count:
        return None
    if count * width * 2 > MOST_OCTETS:
        raise TooLarge
    samples = np.zeros((count, width), "<i2")
    for one, _ in heard:
        _put(one, low, rate, samples[:, channels[one.call, one.leg]])
    calls = tuple(dict.fromkeys(one.call for one, _ in heard))
    return Replayed(_header(samples, rate), samples, rate, low, high, calls)


def _channels(heard: Sequence[tuple[Strip, tuple[int, int]]]) -> dict[tuple[str, int], int]:
    """The channel of each leg: side by side, those of a later call where a call has ended."""
    spans: dict[str, list[int]] = {}
    legs: dict[str, set[tuple[int, int]]] = {}
    for one, (start, end) in heard:
        span = spans.setdefault(one.call, [start, end])
        span[:] = min(span[0], start), max(span[1], end)
        legs.setdefault(one.call, set()).add((_ORDER.get(one.side, 2), one.leg))
    lanes: list[int] = []  # until when each is taken
    widths: list[int] = []
    lane_of: dict[str, int] = {}
    for call in sorted(spans, key=lambda name: (spans[name][0], name)):
        start, end = spans[call]
        lane = next((at for at, until in enumerate(lanes) if until <= start), len(lanes))
        if lane == len(lanes):
            lanes.append(end)
            widths.append(0)
        lanes[lane], lane_of[call] = end, lane
        widths[lane] = max(widths[lane], len(legs[call]))
    return {
        (call, leg): sum(widths[: lane_of[call]]) + column
        for call, several in legs.items()
        for column, (_, leg) in enumerate(sorted(several))
    }


def _put(strip: Strip, low_ns: int, rate: int, column: Samples) -> None:
    """Lay the sound of *strip* into *column*, whose first sample was at *low_ns*."""
    first = strip.position_at(low_ns)
    if strip.rate == rate:
        _lay(strip, first, column)
        return
    sounds = strip.copied.heads[strip.copied.heads["length"] > 0]
    begin = max(int(sounds["start"][0]), first)
    end = min(int(sounds["end"].max()), first + len(column) * strip.rate // rate)
    canvas = np.zeros(max(end - begin, 0), np.int16)
    _lay(strip, begin, canvas)
    at = (begin - first) * rate // strip.rate
    brought = resample(canvas, strip.rate, rate)[: max(len(column) - at, 0)]
    column[at : at + len(brought)] = brought
    canvas.fill(0)
    brought.fill(0)


def _lay(strip: Strip, first: int, canvas: Samples) -> None:
    """Lay the sound of *strip* into *canvas*, which begins with sample *first*."""
    for position, pcm in _decoded(strip.copied):
        start, end = max(position, first), min(position + len(pcm), first + len(canvas))
        if start < end:
            canvas[start - first : end - first] = pcm[start - position : end - position]
        pcm.fill(0)


def _decoded(copied: Copied) -> Iterator[tuple[int, Samples]]:
    """The sound of each run of packets without a hole, and where it lies."""
    behind = np.cumsum(copied.heads["length"], dtype=np.int64)
    sounds = copied.heads["length"] > 0
    heads, ends = copied.heads[sounds], behind[sounds]
    same = np.zeros(len(heads), bool)
    same[1:] = (heads["start"][1:] == heads["end"][:-1]) & (heads["skip"][1:] == 0)
    same[1:] &= (heads["note"][1:] == heads["note"][:-1]) & (
        heads["type"][1:] == heads["type"][:-1]
    )
    begins = [*np.flatnonzero(~same).tolist(), len(heads)]
    decoders: dict[Codec, Decoder] = {}
    for first, last in pairwise(begins):
        codec = copied.codecs[int(heads["note"][first])]
        start = int(ends[first]) - int(heads["length"][first])
        cuts = [start, int(ends[last - 1])] if codec.cuttable else [start, *ends[first:last]]
        payloads = [copied.octets[a:b].tobytes() for a, b in pairwise(cuts)]
        try:
            if codec not in decoders:
                decoders[codec] = decoder_of(codec)
            pcm = decoders[codec].decode(payloads).pcm
        except BadPayload:
            continue  # silence of its length
        yield int(heads["start"][first]), pcm[int(heads["skip"][first]) :]


def _header(samples: Samples, rate: int) -> bytes:
    """Of a WAV file of 16-bit linear PCM."""
    channels, size = samples.shape[1], samples.nbytes
    return _HEADER.pack(
        b"RIFF", 36 + size, b"WAVE",
        b"fmt ", 16, 1, channels, rate, rate * channels * 2, channels * 2, 16,
        b"data", size,
    )  # fmt: skip
