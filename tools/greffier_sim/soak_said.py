"""What was said, compared with what a recording plays: packet by packet, from the exported WAV."""

import bisect
import io
import wave
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from greffier_sim.captures import tagged

_SAMPLES, _RATE = 160, 8_000


@dataclass(slots=True)
class Played:
    """One recording beside its call."""

    found: int = 0
    missing: list[int] = field(default_factory=list)
    """When each packet that is not there was sent, ns."""
    later: list[int] = field(default_factory=list)
    """Those of them that were sent after one of the same side that is there."""
    foreign: int = 0
    """Samples that are no silence and no packet of the call."""
    drift_ms: float = 0.0
    """How far at most a packet stands from where it was said."""


def _expanded(octet: int) -> int:
    """One octet of A-law as a sample of 16 bits (ITU-T G.711, table 1a)."""
    octet ^= 0x55
    segment, low = octet >> 4 & 7, (octet & 15) << 4
    size = low + 8 if segment == 0 else (low + 0x108) << (segment - 1)
    return size if octet & 0x80 else -size


_ALAW = np.array([_expanded(octet) for octet in range(256)], "<i2")


def linear(payload: bytes) -> bytes:
    """A-law as 16-bit little-endian samples; none of them is 0."""
    return _ALAW[np.frombuffer(payload, np.uint8)].tobytes()


def compare(content: bytes, call: dict[str, Any]) -> Played:
    """Find every packet of *call* in the WAV file *content*."""
    with wave.open(io.BytesIO(content)) as file:
        count = file.getnchannels()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, count)
    tracks = [samples[:, number].tobytes() for number in range(count)]
    played = Played()
    free = set(range(count))
    for side, sent in call["sent"].items():
        packets = [linear(tagged(call["call_id"], side, index)) for index in range(len(sent))]
        # Which track is whose: the one that holds most of it. A restart may open a track anew.
        found = [_find(track, packets) for track in tracks]
        at: dict[int, tuple[int, int]] = {}
        for number in sorted(free, key=lambda one: -len(found[one])):
            at = {index: (number, place) for index, place in found[number].items()} | at
        played.found += len(at)
        played.missing += [sent[index] for index in range(len(sent)) if index not in at]
        begun = min(at, default=len(sent))
        played.later += [sent[index] for index in range(begun, len(sent)) if index not in at]
        played.drift_ms = max(played.drift_ms, _drift(at, sent))
    sound = int(np.count_nonzero(samples))
    played.foreign = sound - played.found * _SAMPLES
    return played


def _find(track: bytes, packets: Sequence[bytes]) -> dict[int, int]:
    """The sample at which each packet begins, of those that are there in their order."""
    found: dict[int, int] = {}
    if not any(packet in track for packet in packets[::5]):
        return found  # the other side's
    at = 0
    for index, packet in enumerate(packets):
        place = track.find(packet, at)
        if place >= 0:
            found[index] = place // 2
            at = place + len(packet)
    return found


def _drift(at: dict[int, tuple[int, int]], sent: Sequence[int]) -> float:
    """How far positions and times of sending go apart, ms, from their middle."""
    offsets = [place / _RATE * 1000 - sent[index] / 1e6 for index, (_, place) in at.items()]
    if not offsets:
        return 0.0
    middle = float(np.median(offsets))
    return max(abs(one - middle) for one in offsets)


def inside(windows: Sequence[tuple[int, int]], time_ns: int) -> bool:
    """Whether *time_ns* is in one of the *windows*, which are in order and apart."""
    at = bisect.bisect_right(windows, (time_ns, 1 << 62)) - 1
    return at >= 0 and windows[at][0] <= time_ns <= windows[at][1]
