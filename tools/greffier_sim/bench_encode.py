"""Figures of the encode room: what our way from packets to Opus costs on top of libopus."""

import ctypes
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greffier.encode import Coded, codecs, core
from greffier.encode.leg import LegEncoder
from greffier.encode.timeline import Timeline

HERE = Path(__file__).parent
SECONDS, RUNS, TICK = 10, 40, 50
PCMA = codecs.STATIC[8]


@dataclass(frozen=True, slots=True)
class Arrived:
    """One packet of the measured leg."""

    sequence: int
    timestamp: int
    payload_type: int
    arrival_ns: int
    payload: bytes


def voice() -> NDArray[np.int16]:
    """SECONDS of a wandering tone with overtones, pauses and noise: work for an encoder."""
    random = np.random.default_rng(1)
    t = np.arange(8000 * SECONDS) / 8000
    pitch = np.cumsum(120 + 40 * np.sin(3 * t)) / 8000
    tone = np.sum([np.sin(2 * np.pi * k * pitch) / k for k in (1, 2, 3, 5, 8)], axis=0)
    loud = np.clip(np.sin(2.2 * t) + 0.6, 0, None)
    return np.asarray(5000 * tone * loud + random.normal(0, 60, len(t))).astype(np.int16)


def packets(octets: bytes) -> list[Arrived]:
    """G.711 octets as packets of 20 ms."""
    return [
        Arrived(at // 160, at, 8, at // 160 * 20_000_000, octets[at : at + 160])
        for at in range(0, len(octets), 160)
    ]


def reference(folder: str) -> ctypes.CDLL:
    """The loop over bare libopus, compiled."""
    library = Path(folder) / "bench_opus.so"
    source = str(HERE / "bench_opus.c")
    subprocess.run(
        ["gcc", "-std=gnu11", "-O2", "-shared", "-fPIC", source, "-lopus", "-o", str(library)],
        check=True,
    )
    loaded = ctypes.CDLL(str(library))
    loaded.bench_opus_new.restype = ctypes.c_void_p
    loaded.bench_opus_run.restype = ctypes.c_int64
    loaded.bench_opus_free.argtypes = [ctypes.c_void_p]
    loaded.bench_opus_run.argtypes = [
        *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32, ctypes.c_size_t, ctypes.c_void_p),
    ]
    return loaded


def one_run(bare: ctypes.CDLL, leg: list[Arrived], pcm: NDArray[np.int16]) -> list[list[int]]:
    """CPU ns of every tick: placing, encoding (decoding, libopus, objects), bare libopus."""
    timeline, encoder = Timeline(0, 8000), LegEncoder("opus", PCMA, 8)
    other = bare.bench_opus_new(8000)
    theirs = ctypes.c_int64()
    octets = 0
    spent: list[list[int]] = [[], [], []]
    for at in range(0, len(leg), TICK):
        start = time.thread_time_ns()
        placed = [item for packet in leg[at : at + TICK] for item in timeline.place(packet, PCMA)]
        spent[0].append(time.thread_time_ns() - start)
        start = time.thread_time_ns()
        made = encoder.feed(placed)
        spent[1].append(time.thread_time_ns() - start)
        block = pcm[160 * at :].ctypes.data
        spent[2].append(bare.bench_opus_run(other, block, 160, TICK, ctypes.byref(theirs)))
        octets += sum(len(item.data) for item in made if isinstance(item, Coded))
    bare.bench_opus_free(other)
    if octets != theirs.value:
        raise RuntimeError("ours and libopus made different packets")
    return spent


def measured() -> NDArray[np.int64]:
    """CPU ns by run, by column of one_run, by tick of one second."""
    octets = core.encode_g711("PCMA", voice())
    leg, pcm = packets(octets), core.decode_g711("PCMA", octets)
    with tempfile.TemporaryDirectory() as folder:
        bare = reference(folder)
        return np.array([one_run(bare, leg, pcm) for _ in range(RUNS)])


def spread(column: NDArray[np.int64]) -> float:
    """How far the middle run lies above the best of every tick."""
    best = column.min(axis=0).mean()
    return round(float((median(column.mean(axis=1)) - best) / best), 3)


def opus() -> dict[str, Any]:
    """Placed G.711 packets to Coded, against libopus alone; each second's best run is counted."""
    runs = measured()
    _, value, other = (float(best) for best in runs.min(axis=0).mean(axis=1) / 1000)
    return {
        "name": "encode.opus",
        "value": round(value, 1),
        "unit": "us/audio second",
        "better": "lower",
        "reference": {"name": "bare libopus, same PCM", "value": round(other, 1)},
        "ratio": round(value / other, 3),
        "goal": 1.06,
        "met": value / other <= 1.06,
        "runs": RUNS,
        "spread": spread(runs[:, 1]),
        "pi4_estimate": f"{value * 4 / 1000:.1f} ms/audio second (x 4, not measured)",
    }


def place() -> dict[str, Any]:
    """One packet put on the timeline, for which nothing else exists to compare with."""
    column = measured()[:, 0]
    value = float(column.min(axis=0).mean()) / TICK / 1000
    return {
        "name": "encode.place",
        "value": round(value, 2),
        "unit": "us/packet",
        "better": "lower",
        "reference": None,
        "ratio": None,
        "goal": None,
        "met": None,
        "runs": RUNS,
        "spread": spread(column),
        "pi4_estimate": f"{value * 4:.1f} us/packet (x 4, not measured)",
    }


RESULTS: dict[str, Callable[[], dict[str, Any]]] = {"encode.opus": opus, "encode.place": place}
