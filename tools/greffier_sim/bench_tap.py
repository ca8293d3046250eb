"""What one packet of an established call costs from the wire to the vault, beside tcpdump -w.

Three readers get the same traffic, one after the other, on a veth pair in a network namespace of
the bench's own: the recorder's path (TPACKET_V3, armed flows, legs, sealing, vault), ``tcpdump
-w``, and a plain Python reader (AF_PACKET, a dictionary of flows, a bytearray each, nothing
written). Files lie in memory (tmpfs). Each reader is a process of its own, pinned to one CPU, and
what counts is its CPU clock for each packet it got; receiving in the kernel costs all three the
same and happens on the sender's CPU.

The recorder is the whole of it (:class:`greffier.recorder.live.Live`): reading, filtering, flows,
order, placing, framing, AEAD, CRC, leaf and file hashes, the tracker's and the policy's share of
calls that go on, log, vault and their commits, the snapshot of each tick. The line is one that the
law demands to record and that nobody can pause: what can be paused has to wait in Python. Not
included: the setting up of the calls, which is over when the clock starts, and what a real disk
does.
"""

import argparse
import functools
import json
import os
import re
import resource
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from greffier.capture.datagram import Address
from greffier.capture.record import Record
from greffier.capture.tap import Tap
from greffier.clock import SystemClock
from greffier.config import recorder as configuration
from greffier.control.board import Board
from greffier.policy import packs, rules
from greffier.recorder import archive as archives
from greffier.recorder import memory
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.archive import Archive
from greffier.recorder.live import Live
from greffier.recorder.taps import Port
from greffier.recorder.trunk import Source
from greffier.seal import keys
from greffier.seal.keys import Role
from greffier_sim import captures, packets

HERE = Path(__file__).parent
CALLS, SECONDS, RUNS = 1000, 20, 3
WARM_SECONDS = 3
GOAL_TCPDUMP, GOAL_PYTHON = 1.5, 1 / 15
PI4 = 4  # how much slower a Pi 4 is taken to be; not measured
WARM_PACKETS = 110  # a leg: then the core has it
CONFIG = """schema = "recorder/1"
data = "data"
policy = "policy.toml"
[control]
socket = "socket"
[taps.trunk]
interface = "{tap}"
[[match]]
line = "desk"
[limits]
calls = {calls}
"""
OUT, IN = "out0", "tap0"
READER_CPU, SENDER_CPU = max(os.sched_getaffinity(0)), min(os.sched_getaffinity(0))
Figures = dict[str, float]


def addresses(call: int) -> tuple[Address, Address]:
    """Where the generator says that a call's two parties are."""
    low = f"{call // 250}.{1 + call % 250}"
    return Address(f"10.1.{low}", 4000), Address(f"10.2.{low}", 5000)


def cpu_s() -> float:
    """CPU seconds of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def warm(port: Port, source: Source, archive: Archive, calls: range) -> None:
    """Set *calls* up and let them speak until the core has their legs, without a network."""
    begun = time.time_ns() - (WARM_PACKETS + 20) * 20_000_000
    every = []
    for call in calls:
        caller, callee = addresses(call)
        plan = captures.Plan(
            call_id=f"bench-{call}@sim",
            start_ns=begun,
            talk_ms=WARM_PACKETS * 20,
            caller_media=caller,
            callee_media=callee,
            caller_ssrc=2 * call + 1,
            callee_ssrc=2 * call + 2,
            caller_sequence=65536 - WARM_PACKETS,  # the generator begins with 0
            callee_sequence=65536 - WARM_PACKETS,
            codings=(captures.PCMA,),
        )
        every += captures.call(plan)[:-2]
    for time_ns, octets in packets.frames_of(captures.in_order(every)):
        port.flows.feed(Record(time_ns, 1, octets, len(octets)))
    source.work(time.time_ns())
    while source.behind:
        source.work(time.time_ns())
    source.collect(time.time_ns())
    archive.tick()


def stop_at_end(live: Live) -> None:
    """End the recorder when the input closes."""
    sys.stdin.read()
    live.stop()


def record(folder: Path, calls: int) -> None:
    """The recorder: says "ready", records until its input closes, prints its figures."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (calls + 200, calls + 200))
    os.sched_setaffinity(0, {READER_CPU})
    memory.keep_what_is_freed()
    memory.look_rarely_for_cycles()
    clock = SystemClock()
    office = keys.generate(Role.OFFICE).public.format().encode()
    archives.create(folder / "data", clock, office)
    policy = folder / "policy.toml"
    text = rules.builtin("paris-desk.toml").read_text("utf-8")
    policy.write_text(re.sub(r"(?m)^sources = .*$", "sources = []", text), "utf-8")
    (folder / "recorder.toml").write_text(CONFIG.format(tap=IN, calls=2 * calls))
    config = configuration.load(folder / "recorder.toml")
    with Archive.open(config.data, clock) as archive:
        alarms = AlarmRoom(clock, "0" * 32)
        live = Live(config, rules.load(policy), packs.load(), clock, archive, Board(), alarms)
        port = Port("trunk", lambda: Tap(IN), clock, 300)
        live.begin([port])
        (source,) = live.sources
        for first in range(0, calls, 20):
            warm(port, source, archive, range(first, min(first + 20, calls)))
        before = port.flows.counters
        Thread(target=stop_at_end, args=(live,), daemon=True).start()
        print("ready", flush=True)
        begun = cpu_s()
        live.run()
        used = cpu_s() - begun
        source.collect(time.time_ns())
        counted, lost = port.flows.counters, port.dropped
        octets = sum(part.size for part in archive.committed.values())
        live.end()
    figures: dict[str, float] = {
        "packets": counted.legs - before.legs,
        "cpu_s": used,
        "armed": before.armed,
        "others": counted.records - before.records,
        "dropped": lost,
        "octets": octets,
    }
    print(json.dumps(figures), flush=True)


def read_plainly() -> None:
    """The plain Python reader: as :func:`record`, without any of its promises."""
    os.sched_setaffinity(0, {READER_CPU})
    source = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    source.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    source.bind((IN, 3))
    source.settimeout(0.5)
    flows: dict[bytes, bytearray] = {}
    buffer = bytearray(2048)
    view = memoryview(buffer)
    packets = 0
    print("ready", flush=True)
    begun = cpu_s()
    running = True
    while running:
        try:
            size = source.recv_into(buffer)
        except TimeoutError:
            running = not select.select([sys.stdin], [], [], 0)[0]
            continue
        if buffer[12:14] != b"\x08\x00" or buffer[23] != 17 or size < 54:
            continue
        key = bytes(view[26:38]) + bytes(view[50:54])
        sound = flows.get(key)
        if sound is None:
            sound = flows[key] = bytearray()
        sound += view[54:size]
        if len(sound) > 8000:
            sound.clear()
        packets += 1
    print(json.dumps({"packets": packets, "cpu_s": cpu_s() - begun}), flush=True)


@contextmanager
def reader(*words: str) -> Iterator["subprocess.Popen[str]"]:
    """One of the readers above as a process, from its "ready" on; its input closes at the end."""
    command = [sys.executable, "-m", "greffier_sim.bench_tap", *words]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None  # noqa: S101
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"the reader {words[0]} did not begin")
        yield process


def generate(program: Path, calls: int, seconds: int) -> int:
    """Send; how many packets went out."""
    command = ["taskset", "-c", str(SENDER_CPU), str(program), OUT, str(calls), str(seconds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    sent, refused = map(int, done.stdout.split())
    if refused:
        raise RuntimeError(f"the veth pair refused {refused} packets")
    return sent


def figures_of(process: "subprocess.Popen[str]") -> Figures:
    """What a reader says when its input is closed."""
    said, _ = process.communicate()
    found: Figures = json.loads(said)
    return found


def by_tcpdump(program: Path, folder: Path, calls: int, seconds: int) -> Figures:
    """The reference: its whole process, whose start is a few milliseconds."""
    file = folder / "reference.pcap"
    command = ["tcpdump", "-i", IN, "-w", str(file), "-B", "32768", "-Z", "root", "-s", "0", "udp"]
    process = subprocess.Popen(
        ["taskset", "-c", str(READER_CPU), *command], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None  # noqa: S101
    while "listening on" not in process.stderr.readline():
        pass
    generate(program, calls, seconds)
    time.sleep(0.5)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process.terminate()
    said = process.stderr.read()
    process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    process.stderr.close()
    file.unlink()
    counts = {line.split(maxsplit=1)[1]: int(line.split()[0]) for line in said.splitlines() if line}
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "packets": counts["packets captured"],
        "cpu_s": used,
        "dropped": counts["packets dropped by kernel"],
    }


def inside(calls: int, seconds: int, runs: int) -> list[dict[str, Figures]]:
    """Every run of every reader; to be called in a namespace without a network."""
    for words in (
        ["link", "add", OUT, "type", "veth", "peer", "name", IN],
        ["link", "set", OUT, "up"],
        ["link", "set", IN, "up"],
    ):
        subprocess.run(["ip", *words], check=True)
    memory = Path("/dev/shm")  # noqa: S108 - tmpfs, so that no disk is measured
    found = []
    with tempfile.TemporaryDirectory(prefix="greffier-bench-", dir=memory) as name:
        folder = Path(name)
        program = folder / "generate_rtp"
        subprocess.run(
            ["gcc", "-std=c11", "-O2", str(HERE / "generate_rtp.c"), "-o", str(program)], check=True
        )
        for _ in range(runs):
            vault = folder / "vault"
            vault.mkdir()
            with reader("record", str(vault), str(calls)) as process:
                sent = generate(program, calls, seconds)
                time.sleep(0.5)
                ours = figures_of(process)
            shutil.rmtree(vault)
            with reader("plain") as process:
                generate(program, min(calls, 200), WARM_SECONDS)
                plain = figures_of(process)
            reference = by_tcpdump(program, folder, calls, seconds)
            ours["sent"] = reference["sent"] = sent
            found.append({"ours": ours, "tcpdump": reference, "python": plain})
    return found


@functools.cache
def measured(calls: int = CALLS, seconds: int = SECONDS, runs: int = RUNS) -> str:
    """The runs, as JSON. Raises RuntimeError where no namespace may be made."""
    command = [sys.executable, "-m", "greffier_sim.bench_tap", "inside"]
    done = subprocess.run(
        ["unshare", "--net", *command, str(calls), str(seconds), str(runs)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"tap.packet needs a network namespace: {done.stderr.strip()[-500:]}")
    return done.stdout


def result(name: str, against: str, reference: str, goal: float) -> dict[str, Any]:
    """The middle run of the ratios of CPU for each packet."""
    runs: list[dict[str, Figures]] = json.loads(measured())
    each = [{who: one["cpu_s"] / one["packets"] * 1e6 for who, one in run.items()} for run in runs]
    ratios = [one["ours"] / one[against] for one in each]
    ratio, value = statistics.median(ratios), statistics.median(one["ours"] for one in each)
    lost = sum(run["ours"]["sent"] - run["ours"]["packets"] for run in runs)
    return {
        "name": name,
        "value": round(value, 4),
        "unit": "us CPU/packet",
        "better": "lower",
        "reference": {
            "name": reference,
            "value": round(statistics.median(one[against] for one in each), 4),
        },
        "ratio": round(ratio, 4),
        "goal": round(goal, 4),
        "met": ratio <= goal and lost == 0,
        "runs": len(runs),
        "spread": round((max(ratios) - min(ratios)) / ratio, 3),
        "pi4_estimate": f"{value * PI4:.2f} us/packet (x {PI4}, not measured)",
        "calls": CALLS,
        "seconds": SECONDS,
        "lost": int(lost),
    }


RESULTS: dict[str, Callable[[], dict[str, Any]]] = {
    "tap.packet": lambda: result("tap.packet", "tcpdump", "tcpdump -w", GOAL_TCPDUMP),
    "tap.packet_python": lambda: result(
        "tap.packet_python", "python", "plain Python reader", GOAL_PYTHON
    ),
}


def main() -> None:
    """What runs inside the namespace."""
    parser = argparse.ArgumentParser(prog="bench_tap")
    parser.add_argument("what", choices=("inside", "record", "plain"))
    parser.add_argument("rest", nargs="*")
    arguments = parser.parse_args()
    rest = arguments.rest
    if arguments.what == "record":
        record(Path(rest[0]), int(rest[1]))
    elif arguments.what == "plain":
        read_plainly()
    else:
        print(json.dumps(inside(*map(int, rest))))


if __name__ == "__main__":
    main()
