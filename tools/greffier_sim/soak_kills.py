"""kill -9 of the recorder, again and again, while calls run: nothing that was committed is lost.

Calls of 5 to 30 s overlap on a wire; the recorder is killed at random instants, also while it
starts and right after a commit, and started again at once. A program of its own
(:mod:`greffier_sim.soak_checker`) compares files and log with what was published, before and after
each restart. At the end the log must verify, every second of every channel have one state, every
call be listed once, and every recording play exactly what was said outside the outages.
"""

import argparse
import json
import random
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from greffier.audit import verify
from greffier_sim import lab, soak_said
from greffier_sim.service import Unwell
from greffier_sim.soak_box import SoakBox
from greffier_sim.soak_peers import Outside, Party
from greffier_sim.soak_waits import Waits

PROMISED_NS = 1_000_000_000
"""At most this much audio before a kill may be lost, and as much more as the process was measured
to wait for a processor, or to be late with its tick."""
_BARE_STARTS = ("starting", "early")
"""Kills of a run that may have committed nothing of its own yet."""


@dataclass(frozen=True, slots=True)
class Kill:
    """When it came, what it hit, and how long the process had waited for a processor just then."""

    at_ns: int
    kind: str
    waited_ns: int

    @property
    def allowed_ns(self) -> int:
        """How much audio before it may be lost."""
        return PROMISED_NS + self.waited_ns


@dataclass(slots=True)
class Kills:
    """What happened so far."""

    kinds: Counter[str] = field(default_factory=Counter)
    killed: list[Kill] = field(default_factory=list)
    dead: list[int] = field(default_factory=list)
    """When the process was gone: between the two it may still have run."""
    spawned: list[int] = field(default_factory=list)
    armed_s: list[float] = field(default_factory=list)
    armed_ns: int = 0
    """When it was seen to be armed last."""
    faults: list[str] = field(default_factory=list)
    waits: Waits = field(default_factory=Waits)
    tick_ms: int = 500


def strike(box: SoakBox, draw: random.Random, told: Kills) -> None:
    """Wait for a random instant, and kill. The recorder is armed before. Raises Unwell."""
    kind = draw.choice(("any", "any", "committed"))
    if kind == "any":
        time.sleep(draw.uniform(0.0, 3.0))
    else:
        time.sleep(draw.uniform(0.3, 1.5))
        before = box.status()
        box.wait_for(lambda status: before is None or status.committed != before.committed, 60)
    _kill(box, kind, told)


def _kill(box: SoakBox, kind: str, told: Kills) -> None:
    if not box.runs:
        raise Unwell(f"the recorder ended by itself: {box.last_words()}")
    status = None if kind == "starting" else box.status()
    late_ns = max(0, (status.age_ms - told.tick_ms) * 1_000_000) if status is not None else 0
    now = time.time_ns()
    if kind != "starting" and now - told.armed_ns < PROMISED_NS:
        kind = "early"
    told.killed.append(Kill(now, kind, told.waits.since(now - PROMISED_NS) + late_ns))
    box.kill()
    told.dead.append(time.time_ns())
    told.kinds[kind] += 1


def again(box: SoakBox, draw: random.Random, told: Kills, left: int) -> None:
    """Start again; sometimes it is killed while it starts. Raises Unwell."""
    while True:
        told.spawned.append(time.time_ns())
        begun = time.monotonic()
        told.waits.follow(box.spawn())
        if left <= 0 or draw.random() > 0.3:
            break
        time.sleep(draw.uniform(0.0, max([1.2, *told.armed_s[-1:]])))
        _kill(box, "starting", told)
        left -= 1
    box.wait_for(lambda status: status.armed)
    told.armed_s.append(time.monotonic() - begun)
    told.armed_ns = time.time_ns()


def kill_all(box: SoakBox, outside: Outside, words: argparse.Namespace, say: Any) -> Kills:
    """Every kill, with what the checker says of each."""
    told, draw = Kills(tick_ms=words.tick_ms), random.Random(words.seed)
    told.waits.follow(box.pid)
    told.waits.start()
    until = time.monotonic() + words.minutes * 60
    while len(told.killed) < words.kills and time.monotonic() < until:
        strike(box, draw, told)
        told.faults += outside.ask("killed")["faults"]
        again(box, draw, told, words.kills - len(told.killed))
        told.faults += outside.ask("started")["faults"]
        if len(told.killed) % 20 < 2:
            say(f"{len(told.killed)} kills, {len(told.faults)} faults")
    return told


def windows_of(
    told: Kills, offs: list[tuple[int, int]], overrun: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    """When audio may be missing: from somewhat before each kill until the next tap was open, and
    where the ledger says that there was no room for frames (a start that took too long).

    A run that is killed while it starts, or within a second of being armed, has promised nothing
    of its own yet: all that came to it may be missing.
    """
    spans = list(overrun)
    ends = sorted(to for _, to in offs)
    for kill in told.killed:
        end = next((to for to in ends if to > kill.at_ns), kill.at_ns)
        low = kill.at_ns - kill.allowed_ns
        if kill.kind in _BARE_STARTS:
            low = min(low, opened_before(kill.at_ns, ends))
        spans.append((low, end))
    found: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found


def opened_before(time_ns: int, ends: list[int]) -> int:
    """When the tap was opened last before *time_ns*; *ends* are the ends of its times off."""
    return max((end for end in ends if end <= time_ns), default=time_ns)


def listed(
    box: SoakBox, said: list[dict[str, Any]], windows: list[tuple[int, int]], faults: list[str]
) -> dict[str, Any]:
    """What the recorder lists, by Call-ID; each call that was placed must be there once.

    A call that began in an outage may be missing: what is heard of it waits in memory for a Call-ID
    or for ten seconds, and the next kill may come sooner.
    """
    found: dict[str, Any] = {}
    by_media = {call["media"]["caller"].partition(":")[0]: call["call_id"] for call in said}
    count: Counter[str] = Counter()
    for call in box.ask("calls", key=True)["calls"]:
        name = call["call_id"]
        if name is None:
            hosts = {
                str(leg[end]).partition(":")[0]
                for leg in call["legs"]
                for end in ("source", "destination")
            }
            name = next((by_media[host] for host in hosts if host in by_media), "?")
        if name == "?" and not call["legs"]:
            continue  # sound without signalling that still runs: nothing tells whose it is
        count[name] += 1
        found[name] = call
    for call in said:
        unknown = count[call["call_id"]] == 0
        if unknown and soak_said.inside(windows, call["invited_ns"]):
            continue
        if count[call["call_id"]] != 1:
            faults.append(f"{call['call_id']} is listed {count[call['call_id']]} times")
    strange = set(count) - {call["call_id"] for call in said}
    faults += [f"a call is listed that nobody placed: {name}" for name in sorted(strange)]
    return found


@dataclass(slots=True)
class Sound:
    """What the recordings play."""

    recordings: int = 0
    packets: int = 0
    before_kill: dict[int, float] = field(default_factory=dict)
    """By the instant of each kill before which something is missing: the most of a call, ms."""
    drift_ms: float = 0.0
    joined_late: int = 0


def play(
    box: SoakBox,
    said: list[dict[str, Any]],
    calls: dict[str, Any],
    windows: list[tuple[int, int]],
    told: Kills,
    offs: list[tuple[int, int]],
) -> Sound:
    """Export every recording, and compare it with what was said."""
    sound = Sound()
    file = box.folder / "out.wav"
    for call in said:
        name, one = call["call_id"], calls.get(call["call_id"])
        recording = one and one["recording"]
        late = soak_said.inside(windows, call["invited_ns"])
        sound.joined_late += late
        if not recording:
            heard = [
                at
                for sent in call["sent"].values()
                for at in sent
                if not soak_said.inside(windows, at)
            ]
            if call["duty"] and not late and heard:
                told.faults.append(f"{name} had to be recorded: {one and one['codes']}")
            continue
        code = box.export(recording, file)
        if code != 0:
            told.faults.append(f"the recording of {name} does not play: exit {code}")
            continue
        played = soak_said.compare(file.read_bytes(), call)
        sound.recordings += 1
        sound.packets += played.found
        sound.drift_ms = max(sound.drift_ms, played.drift_ms)
        if played.foreign:
            told.faults.append(f"{played.foreign} samples of {name} nobody said")
        # Of a call that began in an outage nothing is known until it is heard of.
        lost = played.later if late else played.missing
        missing = [at for at in lost if not soak_said.inside(windows, at)]
        if missing:
            told.faults.append(f"{len(missing)} packets of {name} are missing outside the outages")
        _measure(sound, lost, told, sorted(to for _, to in offs))
    return sound


def _measure(sound: Sound, missing: list[int], told: Kills, ends: list[int]) -> None:
    """Note what is missing just before each kill of a run that was armed."""
    for kill in told.killed:
        if kill.kind in _BARE_STARTS:
            continue
        low = max(opened_before(kill.at_ns, ends), kill.at_ns - 3 * PROMISED_NS)
        lost = [(kill.at_ns - at) / 1e6 for at in missing if low < at <= kill.at_ns]
        if lost:
            known = sound.before_kill.get(kill.at_ns, 0.0)
            sound.before_kill[kill.at_ns] = max([known, *lost])


def spans_of(box: SoakBox, state: str) -> list[tuple[int, int]]:
    """The tap's times in *state*, by the log."""
    return [
        (entry.data["from_ns"], entry.data["to_ns"])
        for entry in verify.entries(box.data)
        if entry.ev == "coverage"
        and entry.data["channel"] == "trunk"
        and entry.data["state"] == state
    ]


def soak(net: lab.Wire, folder: Path, words: argparse.Namespace, say: Any) -> dict[str, Any]:
    """All of it; the figures."""
    box = SoakBox(
        folder / "device",
        net.namespace,
        net.tap,
        codec="original",
        rate=0.3,
        tick_ms=words.tick_ms,
    )
    box.start()
    with closing(box, Party(net, folder / "said.jsonl", words), Outside(box)) as (party, outside):
        told = kill_all(box, outside, words, say)
        say("the last calls end")
        said = party.end(words.longest + 60)
        with suppress(Unwell):  # what still runs is suspended, and listed all the same
            box.wait_idle(words.patience)
        box.stop()
        outages = [[dead, next(at for at in told.spawned if at > dead)] for dead in told.dead]
        end = outside.ask("end " + json.dumps({"outages": outages}))
    told.faults += end.pop("faults")
    say(f"{len(said)} calls: what do the recordings play?")
    offs, overrun = spans_of(box, "off"), spans_of(box, "lost")
    windows = windows_of(told, offs, overrun)
    calls = listed(box, said, windows, told.faults)
    sound = play(box, said, calls, windows, told, offs)
    lost = list(sound.before_kill.values())
    audit, coverage = box.ask("audit", "verify"), box.ask("coverage")
    told.faults += [] if audit["ok"] else [f"the log: {audit['problems'][:3]}"]
    return {
        "kills": len(told.killed),
        "kinds": dict(told.kinds),
        "committed_bytes_checked": end.pop("bytes"),
        **end,
        "calls": len(said),
        "calls_listed": len(calls),
        "invited_in_an_outage": sound.joined_late,
        "recordings_played": sound.recordings,
        "packets_found": sound.packets,
        "lost_before_kill_ms": {
            "kills": len(lost),
            "median": round(statistics.median(lost or [0])),
            "most": round(max(lost, default=0)),
            "over_a_second": sum(one * 1e6 > PROMISED_NS for one in lost),
        },
        "worst_before_kill": sorted(
            (round(sound.before_kill[one.at_ns]), round(one.waited_ns / 1e6), one.kind)
            for one in told.killed
            if one.at_ns in sound.before_kill
        )[-5:],
        "waited_before_kill_ms": {
            "median": round(statistics.median(one.waited_ns for one in told.killed) / 1e6),
            "most": round(max(one.waited_ns for one in told.killed) / 1e6),
        },
        "drift_ms": round(sound.drift_ms),
        "start_to_armed_s": {
            "first": round(told.armed_s[0], 2),
            "median": round(statistics.median(told.armed_s), 2),
            "most": round(max(told.armed_s), 2),
        },
        "overrun_s": round(sum(to - since for since, to in overrun) / 1e9, 1),
        "audit_ok": audit["ok"],
        "coverage_accounted": coverage["accounted"],
        "faults": len(told.faults),
        "wrong": told.faults[:20],
        "ok": not told.faults and audit["ok"] and coverage["accounted"] == 1.0,
    }


@contextmanager
def closing(box: SoakBox, party: Party, outside: Outside) -> Iterator[tuple[Party, Outside]]:
    """End every process, whatever happens."""
    try:
        yield party, outside
    finally:
        box.kill()
        party.close()
        outside.close()


def configure(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=60, help="no more kills after this")
    parser.add_argument("--calls", type=int, default=6, help="at once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shortest", type=float, default=5.0, help="seconds of a call")
    parser.add_argument("--longest", type=float, default=30.0, help="seconds of a call")
    parser.add_argument(
        "--patience", type=float, default=90.0, help="seconds to wait until no call runs any more"
    )
    parser.add_argument("--tick-ms", type=int, default=500, help="between commits")
    parser.add_argument("--keep", type=Path, help="leave the data directory here")


def main(words: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Run; the figures."""
    lab.need()
    folder = words.keep or Path(tempfile.mkdtemp(prefix="greffier-kills-"))
    folder.mkdir(exist_ok=True)
    try:
        with lab.wire() as net:
            return soak(net, folder, words, say)
    except Unwell as error:
        return {"ok": False, "error": str(error)}
    finally:
        if not words.keep:
            shutil.rmtree(folder)
