"""No sample belongs to two calls: random schedules through trackers, intakes and real sealed parts.

Two taps of one recorder take each schedule; then every part is opened with head office's key. Each
payload is a stamp of its call, so the check is exact: a payload of a call with a duty is in one
part of its own recording, once; one of a call that is not recorded is nowhere. What a tap shows
before the first message of its call is no part of the call's time: it may be missing, and is
counted.
"""

import argparse
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from greffier.calls.events import CallStarted
from greffier.calls.limits import Limits
from greffier.calls.tracker import Tracker
from greffier.clock import SystemClock
from greffier.policy import packs, rules
from greffier.policy.site import Policy
from greffier.recorder import archive
from greffier.recorder.archive import Archive
from greffier.recorder.intake import Intake
from greffier.recorder.numbers import Numbers
from greffier.recorder.report import Report
from greffier.recorder.rules import Rules, number_of
from greffier.recorder.trunk import BATCH_NS
from greffier.seal import keys
from greffier.seal.keys import PrivateKey, Role
from greffier.store import playback
from greffier.store.shred_format import PART, Name
from greffier_sim import schedules
from greffier_sim.captures import MS
from greffier_sim.schedules import Schedule
from greffier_sim.soak_policy import write_policy

BATCH = 50
"""Schedules that share a data directory."""
TICK_NS = 700 * MS
_IDLE_NS = 20_000 * MS


@dataclass(slots=True)
class Result:
    """What a run counted; *wrong* are faults, each with the seed that shows it again."""

    schedules: int = 0
    calls: int = 0
    packets: int = 0
    recorded: int = 0
    early: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Heard:
    """One schedule, and what the recorder says of its calls."""

    schedule: Schedule
    reports: list[Report]


def rules_of(policy: Policy) -> Callable[[CallStarted], Rules]:
    """The line by the number called; bare RTP is on the line with a duty."""
    law = packs.load()

    def find(call: CallStarted) -> Rules:
        sampled = number_of(call.to) == schedules.SAMPLED
        return Rules(policy, law, "accueil" if sampled else "desk", {"dir": "in"})

    return find


def play(opened: Archive, numbers: Numbers, policy: Policy, made: Schedule) -> list[Report]:
    """Give *made* to a recorder of two taps, as its loop would."""
    taps = []
    ended: list[Report] = []
    for _ in range(schedules.TAPS):
        intake = Intake(opened, rules_of(policy), numbers, ended.append)
        taps.append((Tracker(Limits(batch_ns=BATCH_NS)), intake))
    due = made.frames[0][1].time_ns + TICK_NS
    for tap, datagram in made.frames:
        while datagram.time_ns >= due:
            for tracker, intake in taps:
                intake.take(tracker.advance(due))
            opened.tick()
            due += TICK_NS
        tracker, intake = taps[tap]
        intake.take(tracker.feed(datagram))
    for tracker, intake in taps:
        intake.take(tracker.advance(due + _IDLE_NS))
        intake.take(tracker.finish(due + _IDLE_NS))
    opened.tick()
    return ended


def stored(opened: Archive, private: PrivateKey) -> dict[str, list[bytes]]:
    """The payloads of every recording, from its sealed parts."""
    found: dict[str, list[bytes]] = {}
    for part in opened.vault.parts():
        block = opened.shred.get(Name(PART, bytes.fromhex(part.part_id))).block
        held = playback.open_part(part.path, block, private)
        payloads = found.setdefault(held.header.recording_id.hex(), [])
        payloads += [packet.data for leg in held.legs.values() for packet in leg.packets]
    return found


def judge(heard: Heard, sound: dict[str, list[bytes]], result: Result) -> None:
    """Compare what is in the parts with what was said."""
    made = heard.schedule

    def wrong(what: str) -> None:
        result.wrong.append(f"seed {made.seed}: {what}")

    seen: Counter[bytes] = Counter()
    recordings: dict[str, str] = {}
    for report in heard.reports:
        recording, call_id = report.clear["recording"], report.about.get("call_id")
        payloads = sound.pop(recording, []) if recording else []
        seen.update(payloads)
        owners = {made.owner.get(one, "unknown") for one in payloads}
        if len(owners) > 1:
            wrong(f"a recording holds sound of {sorted(owners)}")
        if call_id is not None and not owners <= {call_id}:
            wrong(f"the recording of {call_id} holds sound of {sorted(owners)}")
        recordings |= dict.fromkeys(owners, recording)
    if any(count > 1 for count in seen.values()):
        wrong("a packet is in two places")
    missing = Counter(
        owner
        for one, owner in made.owner.items()
        if made.calls[owner].duty and one not in seen and one not in made.early
    )
    for owner, count in missing.items():
        wrong(f"{count} packets of {owner} ({made.calls[owner].kind}) are in no part")
    listed = Counter(report.about.get("call_id") for report in heard.reports)
    bare = sum(call.kind == "bare" for call in made.calls.values())
    if listed.pop(None, 0) != bare:
        wrong("calls without signalling are not listed once each")
    signalled = {name for name, call in made.calls.items() if call.kind != "bare"}
    if listed != Counter(signalled):
        wrong(f"calls listed: {dict(listed)}")
    result.recorded += sum(seen.values())


def run_batch(first: int, count: int, folder: Path, private: PrivateKey, result: Result) -> None:
    """The schedules of *count* seeds from *first* on, in one data directory."""
    policy = rules.load(write_policy(folder / "policy.toml", codec="original", rate=0.3))
    clock = SystemClock()
    archive.create(folder / "box", clock, private.public.format().encode())
    heard = []
    with Archive.open(folder / "box", clock) as opened:
        opened.open_epoch()
        numbers = Numbers.of(opened.data)
        for seed in range(first, first + count):
            made = schedules.schedule(seed)
            heard.append(Heard(made, play(opened, numbers, policy, made)))
            result.schedules += 1
            result.calls += len(made.calls)
            result.packets += len(made.owner)
            result.early += len(made.early)
            result.kinds.update(call.kind for call in made.calls.values())
        sound = stored(opened, private)
    for one in heard:
        judge(one, sound, result)
    if sound:
        result.wrong.append(f"seeds from {first}: {len(sound)} recordings of no listed call")


def run(first: int, count: int, say: Callable[[str], None]) -> Result:
    """All of it, in memory."""
    result = Result()
    private = keys.generate(Role.OFFICE)
    for begin in range(first, first + count, BATCH):
        folder = Path(tempfile.mkdtemp(prefix="greffier-mix-", dir="/dev/shm"))
        try:
            run_batch(begin, min(BATCH, first + count - begin), folder, private, result)
        finally:
            shutil.rmtree(folder)
        say(f"{result.schedules} schedules, {result.calls} calls, {len(result.wrong)} faults")
    return result


def configure(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--count", type=int, default=10_000, help="schedules")
    parser.add_argument("--seed", type=int, default=1, help="of the first; the next has the next")


def main(words: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Run; the figures."""
    started = time.monotonic()
    result = run(words.seed, words.count, say)
    return {
        "seed": words.seed,
        "schedules": result.schedules,
        "calls": result.calls,
        "kinds": dict(sorted(result.kinds.items())),
        "packets": result.packets,
        "recorded": result.recorded,
        "before_signalling": result.early,
        "wrong": result.wrong[:20],
        "faults": len(result.wrong),
        "elapsed_s": round(time.monotonic() - started, 1),
        "ok": not result.wrong,
    }
