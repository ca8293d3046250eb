"""Real calls of SIPp through a mirrored port: calls in are calls listed, no packet unaccounted for.

Two rounds, each with a recorder and a tcpdump of its own on two mirrors of the same switch port. In
the first every call must be recorded, packets kept as they came; in the second every call is drawn
at 20 % and coded in Opus. What tcpdump counts, call by call, must be what the recorder says it
recorded, did not record, masked, found silent or double. What it says it recorded is counted again
in the opened parts, and each draw is made again with the sampling key that only head office has.
"""

import argparse
import math
import shutil
import statistics
import struct
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from greffier.audit import verify
from greffier.audit.entry import Entry
from greffier.clock import SystemClock
from greffier.policy import sampling
from greffier.recorder.archive import Archive
from greffier.seal import envelope
from greffier.seal.envelope import What
from greffier.store import playback
from greffier.store.shred_format import PART, Name
from greffier_sim import lab, parties
from greffier_sim.lab import Lab
from greffier_sim.schedules import DUTY, SAMPLED
from greffier_sim.service import Unwell
from greffier_sim.soak_box import SoakBox
from greffier_sim.soak_missing import Missing

TERMS = ("recorded", "not_recorded", "masked", "silent", "duplicates", "lost")
_SNAP = 96


class Counting:
    """tcpdump on the second mirror: heads of all frames into a file."""

    def __init__(self, net: Lab, path: Path) -> None:
        self.path = path
        words = ["tcpdump", "-i", lab.TAPS[1], "-B", "65536", "-s", str(_SNAP), "-w", str(path)]
        self._process = subprocess.Popen(
            Lab.inside(net.recorder, *words, "-Z", "root", "udp"),
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None  # noqa: S101 - asked for above
        while "listening on" not in (line := self._process.stderr.readline()):
            if not line:
                raise Missing("tcpdump may not capture here")

    def stop(self) -> int:
        """End it; how many frames the kernel dropped."""
        self._process.terminate()
        assert self._process.stderr is not None  # noqa: S101 - asked for at the start
        said = self._process.stderr.read()
        self._process.stderr.close()
        self._process.wait()
        return int(next(line.split()[0] for line in said.splitlines() if "dropped by" in line))

    def flows(self) -> Counter[str]:
        """RTP packets by "source destination", each host:port."""
        found: Counter[bytes] = Counter()
        data = memoryview(self.path.read_bytes())
        at = 24
        while at < len(data):
            (kept,) = struct.unpack_from("<I", data, at + 8)
            frame = data[at + 16 : at + 16 + kept]
            at += 16 + kept
            if len(frame) >= 54 and frame[42] >> 6 == 2 and not 200 <= frame[43] <= 207:
                found[bytes(frame[26:38])] += 1
        return Counter({_pair(key): count for key, count in found.items()})


def _pair(key: bytes) -> str:
    source, destination = (".".join(map(str, key[at : at + 4])) for at in (0, 4))
    ports = struct.unpack(">HH", key[8:12])
    return f"{source}:{ports[0]} {destination}:{ports[1]}"


def in_parts(box: SoakBox) -> Counter[str]:
    """Packets in the sealed parts by recording, every part opened and verified."""
    found: Counter[str] = Counter()
    with Archive.open(box.data, SystemClock()) as opened:
        for part in opened.vault.parts():
            block = opened.shred.get(Name(PART, bytes.fromhex(part.part_id))).block
            held = playback.open_part(part.path, block, box.private)
            count = sum(len(leg.packets) for leg in held.legs.values())
            found[held.header.recording_id.hex()] += count
    return found


def draws_wrong(box: SoakBox, entries: list[Entry], rate: float) -> int:
    """How many decisions are not what the epoch's sampling key says."""
    wanted: dict[str, bytes] = {}
    for entry in entries:
        if entry.ev == "epoch.opened":
            name = entry.data["epoch"]
            block = bytes.fromhex(entry.data["sampling"])
            identity = envelope.epoch_id(name)
            wanted[name] = envelope.open_block(block, What.SAMPLING, identity, box.private)
    wrong = 0
    for entry in entries:
        if entry.ev == "call.decided" and "u" in entry.data and entry.data["line"] == "accueil":
            data = entry.data
            draw = sampling.draw(wanted[data["epoch"]], data.get("stratum") or "", data["uid"])
            wrong += int(draw.u * (1 << sampling.DRAW_BITS)) != data["u"]
            wrong += ("SAMPLED_IN" in data["codes"]) != (draw.u < rate)
    return wrong


def setup_ms(entries: list[Entry]) -> dict[str, float]:
    """From the arrival of an INVITE to its decision in the log, milliseconds."""
    took = [
        (entry.t_ns - entry.data["at_ns"]) / 1e6 for entry in entries if entry.ev == "call.decided"
    ]
    if not took:
        return {}
    return {
        "median": round(statistics.median(took), 1),
        "p99": round(sorted(took)[math.ceil(len(took) * 0.99) - 1], 1),
        "most": round(max(took), 1),
    }


def compare(box: SoakBox, flows: Counter[str], listed: list[dict[str, Any]]) -> dict[str, Any]:
    """The sums, and every call whose own sum is not right."""
    sums: Counter[str] = Counter()
    left = Counter(flows)
    wrong, rtp_lost = [], 0
    for call in listed:
        accounted = call["accounted"]
        sums.update({name: accounted[name] for name in TERMS})
        seen = sum(left.pop(f"{leg['source']} {leg['destination']}", 0) for leg in call["legs"])
        rtp_lost += sum(leg["lost"] for leg in call["legs"])
        if seen != sum(accounted[name] for name in TERMS) or accounted["lost"]:
            wrong.append({"call": call["number"], "tcpdump": seen, **accounted})
    return {
        "tcpdump": flows.total(),
        **{name: sums[name] for name in TERMS},
        "sum": sum(sums.values()),
        "rtp_lost": rtp_lost,
        "not_of_a_call": left.total(),
        "calls_wrong": len(wrong),
        "first_wrong": wrong[:3],
    }


def one_round(
    net: Lab, folder: Path, words: argparse.Namespace, codec: str, called: str, rate: float
) -> dict[str, Any]:
    """One recorder, one tcpdump, all the calls."""
    box = SoakBox(folder / "device", net.recorder, lab.TAPS[0], codec=codec, rate=rate)
    try:
        armed_s = box.start()
        counting = Counting(net, folder / "second.pcap")
        cpu_0, memory_0 = box.used()
        begun = time.monotonic()
        told = parties.place(
            net, folder / "sipp", calls=words.calls, rate=words.rate, talk_s=words.talk,
            called=called,
        )  # fmt: skip
        box.wait_idle()
        elapsed = time.monotonic() - begun
        cpu_1, memory_1 = box.used()
        alarms = sorted({alarm.name for alarm in (box.status() or box.wait_idle()).alarms})
        dropped = counting.stop()
        box.stop()
    finally:
        box.kill()
    listed = box.ask("calls", key=True)["calls"]
    entries = list(verify.entries(box.data))
    sums = compare(box, counting.flows(), listed)
    kept = in_parts(box)
    recordings = {call["recording"] for call in listed if call["recording"]}
    found: dict[str, Any] = {
        "codec": codec,
        "sampling": rate if called == SAMPLED else None,
        "calls_placed": told.placed,
        "calls_failed": told.failed,
        "calls_listed": len({call["call_id"] for call in listed}),
        "listed_twice": len(listed) - len({call["number"] for call in listed}),
        "calls_recorded": len(recordings),
        **sums,
        "in_parts": kept.total(),
        "tcpdump_dropped": dropped,
        "alarms": alarms,
        "draws_wrong": draws_wrong(box, entries, rate),
        "audit_ok": box.ask("audit", "verify")["ok"],
        "coverage_accounted": box.ask("coverage")["accounted"],
        "cpu_s": round(cpu_1 - cpu_0, 1),
        "cpu_share": round((cpu_1 - cpu_0) / elapsed, 3),
        "memory_mib": [round(memory_0 / 1024, 1), round(memory_1 / 1024, 1)],
        "start_to_armed_s": round(armed_s, 2),
        "call_setup_ms": setup_ms(entries),
        "elapsed_s": round(elapsed, 1),
    }
    found["ok"] = _held(found, words.calls, called == SAMPLED, set(kept) == recordings)
    return found


def _held(found: dict[str, Any], calls: int, sampled: bool, same_recordings: bool) -> bool:
    same = found["calls_placed"] == found["calls_listed"] == calls
    sums = found["tcpdump"] == found["sum"] and not found["calls_wrong"] and same_recordings
    none = ("lost", "rtp_lost", "calls_failed", "listed_twice", "draws_wrong", "not_of_a_call")
    share = found["calls_recorded"] / calls
    if sampled:
        # Four standard deviations: once in 16,000 honest runs.
        plausible = abs(share - found["sampling"]) <= 4 * math.sqrt(found["sampling"] * 0.8 / calls)
    else:
        plausible = share == 1 and found["in_parts"] == found["recorded"]
    whole = found["audit_ok"] and found["coverage_accounted"] == 1.0
    return same and sums and plausible and whole and not any(found[name] for name in none)


def configure(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--calls", type=int, default=1_000, help="in each round")
    parser.add_argument("--rate", type=float, default=10.0, help="calls a second")
    parser.add_argument("--talk", type=float, default=10.0, help="seconds of speech, both ways")
    parser.add_argument("--keep", type=Path, help="leave data directories and captures here")
    parser.add_argument("--only", choices=("original", "opus"), help="one round")


def main(words: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Run; the figures."""
    lab.need("tc", "sipp", "tcpdump")
    folder = words.keep or Path(tempfile.mkdtemp(prefix="greffier-calls-"))
    rounds = []
    plans = [("original", DUTY, 0.2), ("opus", SAMPLED, 0.2)]
    try:
        for codec, called, rate in plans:
            if words.only not in (None, codec):
                continue
            say(f"{words.calls} calls, {words.rate:g}/s, {words.talk:g} s, codec {codec}")
            with lab.network() as net:
                try:
                    rounds.append(one_round(net, folder / codec, words, codec, called, rate))
                except Unwell as error:
                    rounds.append({"codec": codec, "ok": False, "error": str(error)})
            say(str(rounds[-1]))
    finally:
        if not words.keep:
            shutil.rmtree(folder)
    return {"rounds": rounds, "ok": all(one["ok"] for one in rounds)}
