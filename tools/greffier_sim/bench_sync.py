"""What sync moves: device to durable store beside bare libmosquitto, and both on a slow line.

Minutes long, and in need of a network namespace (the recorder's): only when asked for by name.
"""

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greffier.control import client
from greffier.control.transfer import SyncNow, SyncPause, SyncState
from greffier_sim import mqtt_reference
from greffier_sim.mqtt_reference import Moved
from greffier_sim.service import cpu_s
from greffier_sim.soak_box import SoakBox
from greffier_sim.sync_lab import Shape, SyncLab, fill, lab
from greffier_sim.uplink import QUEUE
from greffier_sim.uplink_schedule import PIECE

RUNS = 5
PARTS, PART_S = 32, 255  # 4.1 MB each: nearly a block, as a call of four minutes is
REFERENCE_MIB = 128
GOAL_THROUGHPUT = 0.4
MIB = 1 << 20
PI4 = 4  # how much slower a Pi 4 is taken to be; not measured
LINE_BPS, LINE_DELAY_MS = 1_000_000, 15
DEEP_QUEUE = 65_536
SLOW_PARTS, SLOW_PART_S = 60, 10  # 170 kB each: what is begun at the end is little of the whole
CALLS = 3
SLOW_SECONDS, GOODPUT_SECONDS = 30, 60
GOAL_ACK_MS, GOAL_GOODPUT = 60, 0.85
HOUR_NS = 3600 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Carried:
    """One run of ours: MiB, seconds, and CPU seconds of each process."""

    mib: float
    seconds: float
    cpu_s: dict[str, float]

    @property
    def rate(self) -> float:
        """MiB a second."""
        return self.mib / self.seconds


@contextmanager
def filled(parts: int, seconds: int) -> Iterator[Path]:
    """A data directory with *parts* sealed parts, to be copied."""
    with tempfile.TemporaryDirectory(prefix="greffier-bench-") as name:
        box = SoakBox(Path(name), "", "", codec="original", rate=0.2, pauses=False)
        fill(box, parts, seconds)
        yield box.data


def reference(place: SyncLab, folder: Path) -> Moved:
    """The C programs on the broker of *place*, whose collector does not run."""
    store = folder / "reference"
    store.mkdir()
    programs = mqtt_reference.compiled(folder)
    return mqtt_reference.run(programs, mqtt_reference.way(place.head), store, REFERENCE_MIB)


def held_back(place: SyncLab) -> SyncState:
    """Start everything, sync paused: its state when head office has the whole log."""
    place.start()
    place.wait_for(lambda state: state.waiting + state.queued > 0, "sync knows what waits")
    client.ask(place.socket, SyncPause(time.time_ns() + HOUR_NS))
    return place.wait_for(
        lambda state: state.state == "paused" and state.cosigned_size >= state.log_size > 0,
        "the log is at head office",
    )


def carried(place: SyncLab, parts: int, limit_s: float) -> Carried:
    """Everything that waits in *place*, from the order to begin to the last receipt."""
    state = held_back(place)
    before_received, size = state.received, state.size
    pids = {
        "sync": place.sync.pid,
        "office": place.office.pid,
        "broker": place.head.broker.pid,
        "recorder": place.box.pid,
    }
    before = {name: cpu_s(pid) for name, pid in pids.items()}
    begun = time.monotonic()
    client.ask(place.socket, SyncNow())
    place.wait_for(
        lambda state: state.received - before_received >= parts, "all is received", limit_s
    )
    seconds = time.monotonic() - begun
    spent = {name: cpu_s(pid) - before[name] for name, pid in pids.items()}
    return Carried(size / MIB, seconds, spent)


def throughput() -> dict[str, Any]:
    """MiB a second from the device's vault to head office's durable store, receipts and all."""
    ours: list[Carried] = []
    theirs: list[Moved] = []
    with filled(PARTS, PART_S) as data:
        for _ in range(RUNS):
            with tempfile.TemporaryDirectory(prefix="greffier-bench-") as name:
                folder = Path(name)
                with lab(folder, data=data) as place:
                    theirs.append(reference(place, folder))
                    ours.append(carried(place, PARTS, 300))
    ratios = [one.rate / other.rate for one, other in zip(ours, theirs, strict=True)]
    value, ratio = statistics.median(one.rate for one in ours), statistics.median(ratios)
    cpu = {
        name: round(statistics.median(one.cpu_s[name] / one.mib for one in ours) * 1000, 2)
        for name in ours[0].cpu_s
    }
    bare = {
        "publisher": statistics.median(one.sender_cpu_s / one.mib for one in theirs) * 1000,
        "subscriber": statistics.median(one.store_cpu_s / one.mib for one in theirs) * 1000,
    }
    return {
        "name": "sync.throughput",
        "value": round(value, 1),
        "unit": "MiB/s",
        "better": "higher",
        "reference": {
            "name": "C libmosquitto, hash, write, fsync",
            "value": round(statistics.median(one.rate for one in theirs), 1),
        },
        "ratio": round(ratio, 3),
        "goal": GOAL_THROUGHPUT,
        "met": ratio >= GOAL_THROUGHPUT,
        "runs": RUNS,
        "spread": round((max(ratios) - min(ratios)) / ratio, 3),
        "cpu_ms_per_mib": cpu,
        "reference_cpu_ms_per_mib": {name: round(spent, 2) for name, spent in bare.items()},
        "pi4_estimate": f"{cpu['sync'] * PI4:.0f} ms CPU/MiB in sync (x{PI4}, not measured)",
    }


@contextmanager
def slow(queue: int) -> Iterator[SyncLab]:
    """A lab behind a line of 1 Mbit/s and 30 ms, with parts that fill it and calls that run."""
    with tempfile.TemporaryDirectory(prefix="greffier-bench-") as name:
        folder = Path(name)
        shape = Shape(LINE_BPS, LINE_DELAY_MS, queue)
        with lab(folder, shape=shape, pauses=False) as place:
            fill(place.box, SLOW_PARTS, SLOW_PART_S)
            held_back(place)
            with place.talking(CALLS):
                place.box.wait_for(lambda status: bool(status.committed))
                yield place


def drained(place: SyncLab, seconds: float) -> tuple[list[int], float]:
    """Let *place* send for so long: the ms of each cosignature, and the goodput.

    Goodput: octets of parts that head office gave receipts for, of what the line carries. What was
    begun and not ended counts for nothing.
    """
    client.ask(place.socket, SyncNow())
    begun = place.wait_for(lambda state: state.rate_bps > 0, "the line is busy")
    held = held_octets(place)
    at = time.monotonic()
    took: list[int] = []
    seen = begun.last_cosigned_ns
    while time.monotonic() - at < seconds:
        state = place.wait_for(lambda state: True, "sync answers")
        if state.last_cosigned_ns != seen:
            seen = state.last_cosigned_ns
            took.append(state.cosign_ms)
        time.sleep(0.02)
    return took, (held_octets(place) - held) * 8 / (time.monotonic() - at) / LINE_BPS


def held_octets(place: SyncLab) -> int:
    """Octets of the parts that head office has given receipts for."""
    office = place.head.office
    with closing(sqlite3.connect(f"file:{office.catalogue}?mode=ro", uri=True)) as rows:
        (found,) = rows.execute("SELECT total(bytes) FROM parts WHERE receipt IS NOT NULL")
    return int(found[0])


def audit_ack() -> dict[str, Any]:
    """From handing a batch of the log to MQTT until its cosigned checkpoint is back."""
    with slow(QUEUE) as place:
        took, _ = drained(place, SLOW_SECONDS)
    with slow(DEEP_QUEUE) as place:
        deep, _ = drained(place, SLOW_SECONDS)
    value = statistics.median(took)
    return {
        "name": "sync.audit_ack",
        "value": value,
        "unit": "ms",
        "better": "lower",
        "reference": {"name": "the line's round trip", "value": 2 * LINE_DELAY_MS},
        "ratio": round(value / (2 * LINE_DELAY_MS), 3),
        "goal": GOAL_ACK_MS,
        "met": value <= GOAL_ACK_MS,
        "runs": len(took),
        "spread": round((statistics.quantiles(took, n=20)[-1] - value) / value, 3),
        "with_64_kb_queue_in_the_modem": statistics.median(deep),
        "pi4_estimate": None,
    }


def goodput() -> dict[str, Any]:
    """Bits of parts that became durable at head office, of what the line carries."""
    with slow(QUEUE) as place:
        took, value = drained(place, GOODPUT_SECONDS)
    return {
        "name": "sync.goodput",
        "value": round(value, 3),
        "unit": "of 1 Mbit/s",
        "better": "higher",
        "reference": {"name": "TCP payload of full packets", "value": round(PIECE / 1500, 3)},
        "ratio": round(value * 1500 / PIECE, 3),
        "goal": GOAL_GOODPUT,
        "met": value >= GOAL_GOODPUT,
        "runs": 1,
        "spread": 0.0,
        "audit_ack_ms": statistics.median(took),
        "pi4_estimate": None,
    }


RESULTS: dict[str, Callable[[], dict[str, Any]]] = {
    "sync.throughput": throughput,
    "sync.audit_ack": audit_ack,
    "sync.goodput": goodput,
}
