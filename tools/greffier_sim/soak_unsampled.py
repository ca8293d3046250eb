"""What may not be kept is never written: every write of the recorder is looked at for its sound.

Three rounds of calls on a drawn line: never drawn (0 %), drawn at 20 %, and waiting for a consent
that does not come. Every packet holds a mark in any 26 octets of it. strace logs every octet that
the recorder's processes write, to files and sockets, and what files they share by memory; then the
log is searched for the mark as it was sent and as the samples that it means. The same search must
find it in what tcpdump writes of the same calls, and in samples that are written on purpose.
"""

import argparse
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from greffier.capture.datagram import Address
from greffier_sim import captures, lab, packets
from greffier_sim.captures import MS, Plan, Side
from greffier_sim.schedules import SAMPLED
from greffier_sim.service import Unwell, children
from greffier_sim.soak_box import SoakBox
from greffier_sim.soak_missing import Missing
from greffier_sim.soak_said import linear

ROUNDS = (("never drawn", 0.0, "opt_out"), ("drawn", 0.2, "opt_out"), ("waiting", 0.3, "opt_in"))
TRACED = (
    "write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,sendmmsg,sendfile,splice,tee,vmsplice,"
    "copy_file_range,mmap,mremap,io_uring_setup,process_vm_writev"
)
_STRING = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_MOST = 1 << 20
_OUTSIDE = 64  # octets of a descriptor's last write that a mark may begin in


def tracer(log: Path) -> list[str]:
    """The command before the one whose writes go into *log*, whole and in hex."""
    return [
        "strace",
        "-f",
        "-qq",
        "-xx",
        "-yy",
        "-s",
        str(_MOST),
        "-e",
        f"trace={TRACED}",
        "-o",
        str(log),
    ]


def forms(mark: bytes) -> dict[str, bytes]:
    """The mark as octets of A-law, and as samples in the usual forms."""
    little = linear(mark)
    samples = np.frombuffer(little, "<i2")
    return {
        "octets": mark,
        "16 bit little": little,
        "16 bit big": samples.astype(">i2").tobytes(),
        "float": (samples.astype("<f4") / 32768).astype("<f4").tobytes(),
    }


@dataclass(slots=True)
class Found:
    """What a log of writes holds."""

    writes: int = 0
    octets: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    cut: int = 0
    """Strings that strace did not show whole."""
    shared: list[str] = field(default_factory=list)
    """Files that memory is shared with, writable."""
    other: list[str] = field(default_factory=list)
    """Calls that write what the log does not show."""


def search(log: Path, wanted: dict[str, bytes]) -> Found:
    """Look through *log*, also across the writes of one descriptor."""
    found = Found()
    rest: dict[bytes, bytes] = {}
    with log.open("rb") as lines:
        for line in lines:
            call = line.partition(b" ")[2].strip()
            name = call.partition(b"(")[0].decode()
            if name in ("mmap", "mremap"):
                if b"MAP_SHARED" in call and b"PROT_WRITE" in call and b"ANONYMOUS" not in call:
                    found.shared.append(_file_of(call))
                continue
            if name in ("splice", "tee", "vmsplice", "sendfile", "copy_file_range") or (
                name in ("io_uring_setup", "process_vm_writev")
            ):
                found.other.append(call.decode()[:120])
                continue
            data = b""
            for text, more in _STRING.findall(call):
                data += bytes.fromhex(text.replace(b"\\x", b"").decode())
                found.cut += bool(more)
            found.writes += 1
            found.octets += len(data)
            number = call.partition(b"(")[2].partition(b",")[0]
            before = rest.get(number, b"")
            for form, octets in wanted.items():
                whole = before[-(len(octets) - 1) :] + data
                found.hits[form] += whole.count(octets)
            rest[number] = (before + data)[-_OUTSIDE:]
    return found


def _file_of(call: bytes) -> str:
    """What the descriptor in an mmap stands for."""
    name = call.partition(b"MAP_SHARED")[2].partition(b"<")[2].rpartition(b">")[0]
    shown = re.sub(rb"\\x([0-9a-f]{2})", lambda one: bytes.fromhex(one[1].decode()), name)
    return shown.decode(errors="replace")


def capture_of(path: Path, calls: int, talk_ms: int, mark: bytes) -> tuple[int, int]:
    """A capture of *calls* marked calls, a tenth of a second apart: how many RTP packets and marks
    are in it."""
    datagrams, rtp, marks = [], 0, 0
    for number in range(calls):
        plan = replace(
            Plan(call_id=f"unkept-{number}@sim", talk_ms=talk_ms, to_number=SAMPLED),
            start_ns=Plan().start_ns + number * 100 * MS,
            caller_media=Address(f"10.1.{number // 200}.{1 + number % 200}", 4000),
            callee_media=Address(f"10.2.{number // 200}.{1 + number % 200}", 5000),
        )
        sides: tuple[Side, Side] = ("caller", "callee")
        for side in sides:
            head = f"{side[-1]}{number % 1000:03d}".encode()
            payload = ((mark + head) * 16)[:160]
            datagrams += captures.speech(plan, side, payload=lambda _, p=payload: p)  # type: ignore[misc]
            rtp += talk_ms // plan.ptime_ms
            marks += talk_ms // plan.ptime_ms * payload.count(mark)
        datagrams += captures.opening(plan) + captures.closing(plan)
    path.write_bytes(packets.pcap(packets.frames_of(captures.in_order(datagrams))))
    return rtp, marks


def can_trace(folder: Path) -> None:
    """Raises Missing where nobody may trace a process."""
    done = subprocess.run([*tracer(folder / "trial"), "true"], capture_output=True, check=False)
    if done.returncode:
        raise Missing("this machine lets nobody trace a process")


def control(folder: Path, wanted: dict[str, bytes]) -> dict[str, int]:
    """Hits of the search in a process that writes every form, in two pieces."""
    log, file = folder / "control.trace", folder / "control"
    every = b"".join(b"--" + octets for octets in wanted.values())
    write = "import os,sys; d=bytes.fromhex(sys.argv[1]); f=os.open(sys.argv[2],577); "
    write += "os.write(f,d[:5]); os.write(f,d[5:])"
    words = [sys.executable, "-c", write, every.hex(), str(file)]
    subprocess.run([*tracer(log), *words], check=True)
    return dict(search(log, wanted).hits)


def one_round(
    net: lab.Wire, folder: Path, words: argparse.Namespace, kind: tuple[str, float, str]
) -> dict[str, Any]:
    """One recorder under strace, with tcpdump under strace beside it."""
    name, rate, consent = kind
    folder.mkdir(parents=True)
    mark = secrets.token_bytes(8)
    wanted = forms(mark)
    rtp, marks = capture_of(folder / "wire.pcap", words.calls, round(words.talk * 1000), mark)
    box = SoakBox(
        folder / "device", net.namespace, net.tap, codec="original", rate=rate, consent=consent
    )
    box.under(*tracer(folder / "recorder.trace"))
    dump = [*tracer(folder / "tcpdump.trace"), "tcpdump", "-i", net.tap, "-B", "65536"]
    dump += ["-Z", "root", "-w", str(folder / "dump.pcap"), "udp"]
    try:
        box.start()
        counting = subprocess.Popen(net.inside(*dump), stderr=subprocess.PIPE, text=True)
        assert counting.stderr is not None  # noqa: S101 - asked for above
        while "listening on" not in (line := counting.stderr.readline()):
            if not line:
                raise Missing("tcpdump may not capture here")
        send = [sys.executable, "-m", "greffier_sim.replay", str(folder / "wire.pcap"), net.port]
        subprocess.run(net.inside(*send), check=True, stdout=subprocess.DEVNULL)
        box.wait_idle()
        time.sleep(1)
        for child in children(counting.pid):  # strace itself waits for it
            os.kill(child, signal.SIGTERM)
        counting.communicate(timeout=60)
        box.stop()
    finally:
        box.kill()
    ours = search(folder / "recorder.trace", wanted)
    theirs = search(folder / "tcpdump.trace", wanted)
    listed = box.ask("calls", key=True)["calls"]
    files = [path for path in box.data.rglob("*") if path.is_file()]
    left = sum(octets in path.read_bytes() for path in files for octets in wanted.values())
    codes = Counter(call["codes"][0] for call in listed)
    unkept = [call for call in listed if call["recording"] is None]
    return {
        "round": name,
        "calls": len(listed),
        "not_recorded": len(unkept),
        "codes": dict(codes),
        "packets": sum(call["accounted"]["received"] for call in listed),
        "packets_sent": rtp,
        "writes": ours.writes,
        "octets_written": ours.octets,
        "hits": dict(ours.hits),
        "files_with_hits": left,
        "shared_files": sorted(set(ours.shared)),
        "unseen_writes": ours.other,
        "cut": ours.cut,
        "parts": len(list(box.data.rglob("*.gpart"))),
        "control_tcpdump": theirs.hits["octets"],
        "control_wanted": marks,
        "control_samples": control(folder, wanted),
    }


def held(found: dict[str, Any], calls: int) -> bool:
    """Whether the promise held, and the search was able to see."""
    drawn = found["round"] == "drawn"
    silent = not any(found["hits"].values()) and not found["files_with_hits"]
    seen = not found["cut"] and not found["unseen_writes"] and found["writes"] > 0
    controls = found["control_tcpdump"] == found["control_wanted"] and all(
        found["control_samples"].values()
    )
    kept = drawn or (found["not_recorded"] == calls and not found["parts"])
    whole = found["calls"] == calls and found["packets"] == found["packets_sent"]
    return silent and seen and controls and kept and whole and _known(found["shared_files"])


def _known(shared: Iterable[str]) -> bool:
    """Whether memory is shared with no file but the bookkeeping of the index, which holds the
    numbers of its pages, and with the ring of the tap, which is no file."""
    return all(name.endswith("-shm") or name.startswith(("PACKET:", "socket:")) for name in shared)


def configure(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--calls", type=int, default=190, help="in each of the three rounds")
    parser.add_argument("--talk", type=float, default=2.0, help="seconds of a call")
    parser.add_argument("--only", choices=[name for name, _, _ in ROUNDS], help="one round")
    parser.add_argument("--keep", type=Path, help="leave logs and data directories here")


def main(words: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Run; the figures."""
    lab.need("strace", "tcpdump")
    folder = words.keep or Path(tempfile.mkdtemp(prefix="greffier-unsampled-"))
    folder.mkdir(exist_ok=True)
    rounds: list[dict[str, Any]] = []
    swap = len(Path("/proc/swaps").read_text().splitlines()) - 1
    try:
        can_trace(folder)
        for kind in ROUNDS:
            if words.only not in (None, kind[0]):
                continue
            say(f"{words.calls} calls, {kind[0]}")
            with lab.wire() as net:
                found = one_round(net, folder / kind[0].replace(" ", "-"), words, kind)
            rounds.append({**found, "ok": held(found, words.calls)})
            say(str(rounds[-1]))
    except Unwell as error:
        return {"rounds": rounds, "ok": False, "error": str(error)}
    finally:
        if not words.keep:
            shutil.rmtree(folder)
    return {
        "not_recorded": sum(one["not_recorded"] for one in rounds),
        "hits": sum(sum(one["hits"].values()) for one in rounds),
        "swaps": swap,
        "rounds": rounds,
        "ok": all(one["ok"] for one in rounds),
    }
