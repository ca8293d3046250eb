"""What the recorder as it runs costs and carries: `greffier run` on a wire, beside tcpdump.

The recorder listens in a network namespace, its process pinned to one processor, the sender to
another; its data directory lies in memory. Minutes long: only when asked for by name.
"""

import functools
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from greffier_sim.lab import Wire, wire
from greffier_sim.soak_box import SoakBox
from greffier_sim.traffic import A_SECOND, Traffic

PI4 = 4  # how much slower a Pi 4 is taken to be; not measured
READER, SENDER = max(os.sched_getaffinity(0)), min(os.sched_getaffinity(0))
MEMORY = Path("/dev/shm")  # noqa: S108 - tmpfs, so that no disk is measured
FIFO = ("chrt", "-f", "10")  # the class and priority of the recorder's capture thread
CURVE = (10, 100, 1000)
SECONDS, RUNS = 60, 1
PACKETS_S = 100  # of a call, both ways
BEGINNING = 3  # seconds until it is known whose the packets are: that is set-up
ON_TRIAL = (500, 1000, 1500, 2000, 3000, 4000)  # calls; the generator carries about 6,000
TRIAL_SECONDS = 6
GOAL_PACKET, GOAL_LOSSLESS, GOAL_ARMED = 1.5, 1.0, 3.0
GOAL_KIB = 1024.0  # our own: a hundred calls in 100 MiB
STARTS = 5


class Carried(NamedTuple):
    """What one run of the recorder did with so many packets."""

    sent: int
    recorded: int
    cpu_s: float
    """CPU seconds a packet, once calls are established."""
    kib: float
    """Resident memory a call."""


@contextmanager
def recorder(calls: int, codec: str = "original") -> Iterator[tuple[SoakBox, Traffic, Wire]]:
    """A recorder that is armed, and traffic that has not begun."""
    with wire() as cable, tempfile.TemporaryDirectory(dir=MEMORY) as name:
        folder = Path(name)
        box = SoakBox(folder / "recorder", cable.namespace, cable.tap, codec=codec, rate=0.2)
        config = folder / "recorder/recorder.toml"
        config.write_text(config.read_text() + "[limits]\ncalls = 10000\nencoder_threads = 1\n")
        box.under("prlimit", "--nofile=20000:20000", "taskset", "-c", str(READER))
        traffic = Traffic(folder, cable, calls)
        box.start()
        try:
            yield box, traffic, cable
        finally:
            box.kill()


def settled(box: SoakBox, most: float = 60.0) -> None:
    """Wait until the recorder published twice: it has followed what came."""
    for _ in range(2):
        before = time.monotonic()
        box.wait_for(lambda status: status.age_ms < 400, most)
        time.sleep(max(0.0, 0.8 - (time.monotonic() - before)))


@functools.cache
def carried(calls: int, seconds: int, *, codec: str = "original", run: int = 0) -> Carried:
    """Established calls for so long: CPU from the first packet to the last commit.

    Another *run* is measured anew.
    """
    with recorder(calls, codec) as (box, traffic, _cable):
        empty = box.used()[1]
        traffic.signal("opening")
        box.wait_for(lambda status: sum(one.calls for one in status.lines) == calls)
        ramp = calls // A_SECOND
        talk = traffic.talk(BEGINNING + seconds, "taskset", "-c", str(SENDER), ramp=ramp)
        time.sleep(ramp + BEGINNING)
        before = box.used()[0]
        sent = talk.wait()
        settled(box)
        cpu, resident = box.used()
        traffic.signal("closing")
        box.wait_idle(240.0)
        box.stop()
        listed = box.ask("calls", key=True)["calls"]
    recorded = sum(call["accounted"]["recorded"] for call in listed)
    measured = calls * PACKETS_S * seconds
    return Carried(sent, recorded, (cpu - before) / measured, (resident - empty) / calls)


def counted_by_tcpdump(calls: int, seconds: int, *before: str) -> tuple[int, int, float]:
    """What ``tcpdump -w`` does with the same: (captured, dropped by the kernel, CPU seconds).

    What is in its last block when it ends is neither.
    """
    with wire() as cable, tempfile.TemporaryDirectory(dir=MEMORY) as name:
        traffic = Traffic(Path(name), cable, calls)
        words = ["taskset", "-c", str(READER), *before, "tcpdump", "-i", cable.tap]
        words += ["-w", f"{name}/reference.pcap", "-B", "32768", "-Z", "root", "-s", "0", "udp"]
        process = subprocess.Popen(cable.inside(*words), stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None  # noqa: S101
        while "listening on" not in process.stderr.readline():
            pass
        traffic.talk(seconds, "taskset", "-c", str(SENDER)).wait()
        time.sleep(0.5)
        used = os.times()
        process.terminate()
        said = process.stderr.read()
        process.wait()
        after = os.times()
        process.stderr.close()
        captured, dropped = (
            int(found[1]) if (found := re.search(rf"(\d+) packets? {what}", said)) else -1
            for what in ("captured", "dropped by kernel")
        )
        cpu = after.children_user + after.children_system
        return captured, dropped, cpu - used.children_user - used.children_system


def tap_packet() -> dict[str, Any]:
    """The recorder's whole process for each packet of established calls."""
    curve = {calls: carried(calls, 20).cpu_s * 1e6 for calls in CURVE[:-1]}
    run = carried(CURVE[-1], SECONDS)
    curve[CURVE[-1]] = value = run.cpu_s * 1e6
    captured, dropped, cpu = counted_by_tcpdump(CURVE[-1], SECONDS)
    reference = cpu / max(captured, 1) * 1e6
    ratio = value / reference
    return {
        "name": "tap.packet",
        "value": round(value, 4),
        "unit": "us CPU/packet",
        "better": "lower",
        "reference": {"name": "tcpdump -w", "value": round(reference, 4)},
        "ratio": round(ratio, 4),
        "goal": GOAL_PACKET,
        "met": ratio <= GOAL_PACKET and run.sent == run.recorded,
        "runs": RUNS,
        "spread": 0.0,
        "curve": {str(calls): round(each, 3) for calls, each in curve.items()},
        "pi4_estimate": f"{value * PI4:.2f} us/packet (x {PI4}, not measured)",
        "calls": CURVE[-1],
        "seconds": SECONDS,
        "lost": run.sent - run.recorded,
        "dropped_by_tcpdump": dropped,
    }


def lossless(calls: int) -> bool:
    """Whether the recorder loses nothing of so many calls."""
    with recorder(calls) as (box, traffic, _cable):
        traffic.signal("opening")
        box.wait_for(lambda status: sum(one.calls for one in status.lines) == calls, 240.0)
        talk = traffic.talk(TRIAL_SECONDS, "taskset", "-c", str(SENDER), ramp=calls // A_SECOND)
        sent = talk.wait()
        settled(box, 240.0)
        traffic.signal("closing")
        box.wait_idle(240.0)
        box.stop()
        listed = box.ask("calls", key=True)["calls"]
    return bool(sent == sum(call["accounted"]["recorded"] for call in listed))


def lossless_calls() -> dict[str, Any]:
    """How many calls each records without loss, both under SCHED_FIFO on one processor."""
    ours = theirs = 0
    for calls in ON_TRIAL:
        if not lossless(calls):
            break
        ours = calls
    for calls in ON_TRIAL:
        _captured, dropped, _cpu = counted_by_tcpdump(calls, TRIAL_SECONDS, *FIFO)
        if dropped:
            break
        theirs = calls
    ratio = ours / max(theirs, 1)
    return {
        "name": "tap.lossless_calls",
        "value": ours,
        "unit": "calls",
        "better": "higher",
        "reference": {"name": "tcpdump -w, same class", "value": theirs},
        "ratio": round(ratio, 3),
        "goal": GOAL_LOSSLESS,
        "met": ratio >= GOAL_LOSSLESS,
        "runs": 1,
        "spread": 0.0,
        "tried": list(ON_TRIAL),
        "pi4_estimate": f"{ours // PI4} calls (/{PI4}, not measured)",
    }


def run_memory() -> dict[str, Any]:
    """Resident memory of a call that runs, of the process as a whole at 8 and 100 calls."""
    found = {calls: carried(calls, 20).kib for calls in (8, 100)}
    value = found[100]
    return {
        "name": "run.memory",
        "value": round(value, 1),
        "unit": "KiB/call",
        "better": "lower",
        "reference": None,
        "ratio": None,
        "goal": GOAL_KIB,
        "met": value <= GOAL_KIB,
        "runs": 1,
        "spread": 0.0,
        "curve": {str(calls): round(each, 1) for calls, each in found.items()},
        "pi4_estimate": f"{value:.0f} KiB (the same)",
    }


def run_armed() -> dict[str, Any]:
    """From the start of the process to "armed", beside loading the program alone."""
    load = [sys.executable, "-c", "import greffier.cli.run, greffier.cli.main"]
    ratios, ours, theirs = [], [], []
    with wire() as cable, tempfile.TemporaryDirectory(dir=MEMORY) as name:
        box = SoakBox(Path(name), cable.namespace, cable.tap, codec="original", rate=0.2)
        for _ in range(STARTS):
            begun = time.perf_counter()
            subprocess.run(load, check=True)
            theirs.append(time.perf_counter() - begun)
            ours.append(box.start())
            box.stop()
            ratios.append(ours[-1] / theirs[-1])
    ratio, value = statistics.median(ratios), statistics.median(ours)
    return {
        "name": "run.armed",
        "value": round(value, 3),
        "unit": "s",
        "better": "lower",
        "reference": {"name": "loading it", "value": round(statistics.median(theirs), 3)},
        "ratio": round(ratio, 3),
        "goal": GOAL_ARMED,
        "met": ratio <= GOAL_ARMED,
        "runs": STARTS,
        "spread": round((max(ratios) - min(ratios)) / ratio, 3),
        "pi4_estimate": f"{value * PI4:.1f} s (x{PI4}, not measured)",
    }


RESULTS: dict[str, Callable[[], dict[str, Any]]] = {
    "tap.run_packet": tap_packet,
    "tap.lossless_calls": lossless_calls,
    "run.memory": run_memory,
    "run.armed": run_armed,
}
