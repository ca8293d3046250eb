"""What importing one packet costs, beside tshark, which only reads and counts the same file."""

import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from greffier.capture.datagram import Address
from greffier.policy import rules
from greffier_sim import captures
from greffier_sim.packets import frames_of, pcap

CALLS = 40
SHORT, LONG = 5, 45  # seconds of talk: what one packet more costs, start of the process apart
RUNS = 5
GOAL = 4.0  # the reference reads and counts; we also decide, seal, hash and commit
PI4 = 4  # how much slower a Pi 4 is taken to be; not measured
POLICY = "paris-desk.toml"  # the law demands recording: every packet goes all the way


def capture(seconds: int) -> tuple[bytes, int]:
    """A capture of calls in both directions, G.711 and 20 ms; its bytes and its packets."""
    datagrams = []
    for number in range(CALLS):
        plan = captures.Plan(
            call_id=f"bench-{number}@sim",
            start_ns=1_700_000_000_000_000_000 + number * 250_000_000,
            talk_ms=seconds * 1000,
            caller_media=Address(f"10.1.0.{number + 1}", 4000),
            callee_media=Address(f"10.2.0.{number + 1}", 5000),
        )
        datagrams += captures.call(plan)
    frames = frames_of(captures.in_order(datagrams))
    return pcap(frames), len(frames)


def cpu_of(command: Sequence[str]) -> float:
    """CPU seconds, user and system, of *command* as a whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def import_packet() -> dict[str, Any]:
    """Import two captures: decide, seal, commit; the reference counts their RTP streams.

    The figure is the difference of CPU over the difference of packets, for both programs.
    """
    ratios, ours, theirs = [], [], []
    greffier = str(Path(sys.executable).parent / "greffier")
    policy = ["--policy", str(rules.builtin(POLICY)), "--line", "desk", "--facts", "mifid=yes"]
    with tempfile.TemporaryDirectory(prefix="greffier-bench-") as name:
        folder = Path(name)
        files, packets = [], 0
        for seconds in (SHORT, LONG):
            content, count = capture(seconds)
            files.append(folder / f"{seconds}.pcap")
            files[-1].write_bytes(content)
            packets = count - packets
        for run in range(RUNS + 1):
            mine, other = [], []
            for file in files:
                data = ["--data", str(folder / f"{file.stem}-{run}"), "--json"]
                mine.append(cpu_of([greffier, "import-pcap", str(file), *policy, *data]))
                other.append(cpu_of(["tshark", "-r", str(file), "-q", "-z", "rtp,streams"]))
            if run:  # the first fills caches
                ours.append((mine[1] - mine[0]) / packets * 1e6)
                theirs.append((other[1] - other[0]) / packets * 1e6)
                ratios.append(ours[-1] / theirs[-1])
    value, ratio = statistics.median(ours), statistics.median(ratios)
    return {
        "name": "import.packet",
        "value": value,
        "unit": "us CPU/packet",
        "better": "lower",
        "reference": {"name": "tshark -z rtp,streams", "value": statistics.median(theirs)},
        "ratio": ratio,
        "goal": GOAL,
        "met": ratio <= GOAL,
        "runs": RUNS,
        "spread": (max(ratios) - min(ratios)) / ratio,
        "pi4_estimate": f"{value * PI4:.0f} us/packet (x{PI4}, not measured)",
    }


RESULTS: dict[str, Callable[[], dict[str, Any]]] = {"import.packet": import_packet}
