"""What a call costs that is kept as Opus, from the wire to the vault, beside libopus alone.

The recorder as it runs (bench_live.py) hears established calls, G.711 both ways, all of them kept
as Opus with the settings that it has; its whole process counts: capture, order, placing, decoding,
encoding in a thread, sealing, log, vault, snapshot. The reference is libopus alone, an encoder a
leg, fed the very same sound a tick at a time in one loop, before and after. Both are pinned to one
processor, and what counts is CPU for a second of encoded sound of one leg. The ratio is that of
the calls that one processor carries: libopus alone = 1.
"""

import ctypes
import functools
import os
import statistics
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from greffier.encode import core
from greffier_sim import bench_encode, bench_live
from greffier_sim.bench_live import PI4, READER

CURVE = (10, 30, 100)
"""Calls. 1,000 would be 2,000 encoders in real time: more than two processors carry."""
RUNS, MIDDLE = 3, 30
SECONDS = 20
TICK = 35  # packets of 20 ms
PACKETS = 50  # a second
GOAL = 0.95
_HEADERS = 54  # octets in front of the payload, with which generate_rtp.c counts


def payload_of(call: int) -> bytes:
    """What every packet of call *call* holds (generate_rtp.c)."""
    return bytes(0xD5 ^ ((at * 7 + call) & 0xFF) for at in range(_HEADERS, _HEADERS + 160))


def bare(library: ctypes.CDLL, calls: int, seconds: int) -> float:
    """CPU seconds of libopus for a second of one leg, all legs of *calls* in turn."""
    legs = []
    for call in range(calls):
        pcm = np.tile(core.decode_g711("PCMA", payload_of(call)), TICK)
        legs += [(library.bench_opus_new(8000), pcm) for _ in range(2)]
    octets = ctypes.c_int64()
    spent = 0
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {READER})
    for _ in range(seconds * PACKETS // TICK):
        for encoder, pcm in legs:
            spent += library.bench_opus_run(
                encoder, pcm.ctypes.data, 160, TICK, ctypes.byref(octets)
            )
    os.sched_setaffinity(0, before)
    for encoder, _ in legs:
        library.bench_opus_free(encoder)
    blocks = seconds * PACKETS // TICK * TICK * len(legs)
    return spent / 1e9 / blocks * PACKETS


@functools.cache
def measured(calls: int, run: int) -> tuple[float, float, int]:
    """CPU seconds a second of one leg, ours and libopus', and the packets that ours lost."""
    with tempfile.TemporaryDirectory() as folder:
        library = bench_encode.reference(folder)
        first = bare(library, calls, SECONDS // 2)
        ours = bench_live.carried(calls, SECONDS, codec="opus", run=run)
        last = bare(library, calls, SECONDS // 2)
    return ours.cpu_s * PACKETS, (first + last) / 2, ours.sent - ours.recorded


def opus_calls() -> dict[str, Any]:
    """The middle run of the middle number of calls; the curve is one run each."""
    runs = [measured(MIDDLE, run) for run in range(RUNS)]
    curve = {calls: runs[0] if calls == MIDDLE else measured(calls, 0) for calls in CURVE}
    ratios = [theirs / ours for ours, theirs, _ in runs]
    ratio = statistics.median(ratios)
    value, other = (statistics.median(1 / run[who] / 2 for run in runs) for who in (0, 1))
    lost = sum(run[2] for run in (*runs, *curve.values()))
    return {
        "name": "capture.opus_calls",
        "value": round(value, 1),
        "unit": "calls/processor",
        "better": "higher",
        "reference": {"name": "bare libopus, same sound", "value": round(other, 1)},
        "ratio": round(ratio, 3),
        "goal": GOAL,
        "met": ratio >= GOAL and lost == 0,
        "runs": RUNS,
        "spread": round((max(ratios) - min(ratios)) / ratio, 3),
        "curve": {str(calls): round(run[1] / run[0], 3) for calls, run in curve.items()},
        "pi4_estimate": f"{value / PI4:.1f} calls/processor (/ {PI4}, not measured)",
        "seconds": SECONDS,
        "lost": lost,
    }


RESULTS: dict[str, Callable[[], dict[str, Any]]] = {"capture.opus_calls": opus_calls}
