"""Figures of the C core: a frame through the ring, against two copies and against JACK's ring."""

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
NATIVE = HERE.parents[1] / "native"
COPIED, COPIES, IN_PLACE, JACK_IN_PLACE = range(4)  # the columns of what bench_ring.c prints
PROGRAMS = 7  # each start lays memory out anew, and finds the machine in another mood
FLAGS = ("-std=c11", "-O2")  # as the core itself is built: native/bindings.py


def measured() -> list[list[float]]:
    """One list a column of ns a frame, one entry a run."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "bench_ring"
        sources = [str(HERE / "bench_ring.c"), str(NATIVE / "ring.c")]
        subprocess.run(
            ["gcc", *FLAGS, f"-I{NATIVE}", *sources, "-ljack", "-o", str(program)],
            check=True,
        )
        lines = [
            line
            for _ in range(PROGRAMS)
            for line in subprocess.run(
                [str(program)], check=True, capture_output=True, text=True
            ).stdout.splitlines()
        ]
    rows = [[float(word) for word in line.split()] for line in lines]
    return [list(column) for column in zip(*rows, strict=True)]


def result(name: str, column: int, against: int, reference: str, goal: float) -> dict[str, Any]:
    """The best run of ours against the best run of the reference: a busy machine only adds time."""
    columns = measured()
    ours, theirs = columns[column], columns[against]
    value, other = min(ours), min(theirs)
    ratio = value / other
    return {
        "name": name,
        "value": round(value, 2),
        "unit": "ns",
        "better": "lower",
        "reference": {"name": reference, "value": round(other, 2)},
        "ratio": round(ratio, 3),
        "goal": goal,
        "met": ratio <= goal,
        "runs": len(ours),
        "spread": round((median(ours) - value) / value, 3),
        "pi4_estimate": f"{value * 4:.0f} ns (x 4, not measured)",
    }


def frame() -> dict[str, Any]:
    """Put and get of one 320-octet frame in one thread, against copying it twice."""
    return result("ring.frame", COPIED, COPIES, "2 x memcpy", 1.25)


def frame_jack() -> dict[str, Any]:
    """One frame put in, then read in place and skipped, against the same through JACK's ring."""
    reference = "JACK ringbuffer, write + read vector + read advance"
    return result("ring.frame_jack", IN_PLACE, JACK_IN_PLACE, reference, 0.55)


RESULTS: dict[str, Callable[[], dict[str, Any]]] = {
    "ring.frame": frame,
    "ring.frame_jack": frame_jack,
}
