r"""Hours of sound cards through the whole recorder in minutes: every sample that it kept is judged.

    python -m greffier_sim.alsa_soak --through-recorder --hours 24 --lines 8 --speed 100 \
        --call-s 900 --period-ms 400

The cards run ``--speed`` times faster than time, and so does the clock that the recorder is given;
its loop and its commits go on in real time. Calls are by level, and since the cards are never
silent each is cut in two after ``--call-s``. A part that was sealed is judged by a process of its
own (``heard_parts``) and then removed, so that the disk does not fill.
"""

import argparse
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from dataclasses import replace
from pathlib import Path
from typing import Any

from greffier.audit import coverage, verify
from greffier.capture.alsa import BACK_OFF_S
from greffier.clock import Clock, LowerBound, Source, SystemClock
from greffier.config.recorder import load
from greffier.config.records import Config
from greffier.control.board import Board
from greffier.durable import Disk
from greffier.policy import packs as law
from greffier.policy import rules
from greffier.recorder import archive as archives
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.archive import Archive
from greffier.recorder.cards import SoundCard
from greffier.recorder.live import Live
from greffier.recorder.tape import Tape
from greffier.seal import keys
from greffier.seal.keys import Role
from greffier.store.layout import DataDirectory
from greffier_sim import faketap
from greffier_sim.faketap import Tap

RING_S = 5
"""Real seconds of sound that wait between a card and the recorder at most."""
STALL_S = 30
"""Real seconds that the disk may need."""
HANG_OVER_S = 15
RETURN_S = 2.0
EDGE_S = 0.005
"""How well a clock knows where a gap or a part begins and ends on a card that drifts."""
_NOTHING = [
    "wrong_samples",
    "gaps_wrong_by_more_than_a_period",
    "gaps_that_nobody_injected",
    "dropped_periods",
    "slips",
    "unjudged_parts",
    "log_problems",
]
_CONFIG = """schema = "recorder/1"
data = "data"
policy = "policy.toml"
tick_ms = 500
[control]
socket = "control.sock"
"""
_LINE = """[analogue.{name}]
line = "desk"
pcm = "{card}"
channel = {channel}
channels = {channels}
rate = {rate}
hang_over_s = {hang_over}
longest_s = {longest}
"""


class FastClock:
    """A clock that runs *speed* times as fast as the machine's. Any thread may ask it."""

    boot_id = "5" * 32

    def __init__(self, speed: int) -> None:
        self._speed = speed
        self._machine = SystemClock()
        self._wall, self._start = time.time_ns(), time.monotonic_ns()

    def wall_ns(self) -> int:
        return self._wall + (time.monotonic_ns() - self._start) * self._speed

    def monotonic_ns(self) -> int:
        return time.monotonic_ns() * self._speed

    def lower_bound(self) -> LowerBound:
        return self._machine.lower_bound()

    def witnessed(self, t_ns: int, source: Source) -> None:
        """Nobody is believed here."""


class Watched(Archive):
    """An archive that knows which parts it was given."""

    def __init__(self, data: DataDirectory, clock: Clock, disk: Disk) -> None:
        super().__init__(data, clock, disk)
        self.begun: deque[Tape] = deque()
        """In order; the judge takes out what it has judged."""
        self._reading: sqlite3.Connection | None = None

    def add(self, tape: Tape) -> None:
        super().add(tape)
        self.begun.append(tape)

    def sealed(self) -> list[Tape]:
        """Those that are on record as whole: nothing of them is to come, nobody reads them.

        For one thread that is not the owner's.
        """
        if self._reading is None:
            path = f"{self.data.index.absolute().as_uri()}?mode=ro"
            self._reading = sqlite3.connect(path, uri=True, check_same_thread=False)
        known = {part for (part,) in self._reading.execute("SELECT id FROM parts")}
        return [tape for tape in list(self.begun) if tape.part.hex() in known]

    def close(self) -> None:
        if self._reading is not None:
            self._reading.close()
        super().close()


class Judge:
    """The judging process, fed by a thread that also removes what was judged."""

    def __init__(self, key: Path, lines: dict[str, dict[str, Any]], archive: Watched) -> None:
        words = [sys.executable, "-m", "greffier_sim.heard_parts", str(key), json.dumps(lines)]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._archive = archive
        self._stop = threading.Event()
        # The thread's until it has ended.
        self.lines: dict[str, dict[str, Any]] = {}
        self.gaps: dict[str, list[list[int]]] = {name: [] for name in lines}
        self.judged = 0
        self.behind = 0
        self._thread = threading.Thread(target=self._run, name="judge", daemon=True)
        self._thread.start()

    def finish(self) -> int:
        """Judge what is left; how many parts were not judged."""
        self._stop.set()
        self._thread.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait(60)
        return len(self._archive.begun)

    def _run(self) -> None:
        while True:
            last = self._stop.wait(0.1)
            sealed = self._archive.sealed()
            self.behind = max(self.behind, len(sealed))
            for tape in sealed:
                path = self._archive.vault.path_of(tape.part.hex())
                if not self._judge(path, tape.envelopes):
                    return
                self._archive.begun.remove(tape)
                path.unlink()
            if last:
                return

    def _judge(self, path: Path, envelopes: bytes) -> bool:
        to, back = self._process.stdin, self._process.stdout
        if to is None or back is None:
            return False
        to.write(json.dumps({"path": str(path), "block": envelopes.hex()}) + "\n")
        to.flush()
        answer = back.readline()
        if not answer:  # it died; its words are on stderr
            return False
        found = json.loads(answer)
        self.lines[found["line"]] = found
        self.gaps[found["line"]] += found.pop("gaps")
        self.judged += 1
        return True


def _configured(taps: list[Tap], words: argparse.Namespace, folder: Path) -> Config:
    text = _CONFIG
    for tap in taps:
        for channel in range(tap.channels):
            text += _LINE.format(
                name=f"{tap.name}-{channel}", card=tap.name, channel=channel,
                channels=tap.channels, rate=tap.rate, hang_over=HANG_OVER_S, longest=words.call_s,
            )  # fmt: skip
    path = folder / "recorder.toml"
    path.write_text(text)
    config = load(path)
    # Longer than a configuration may say: the machine that plays the cards is not that fast.
    period_ms = round(words.period_ms)
    lines = [
        replace(line, period_ms=period_ms, buffer_ms=period_ms * words.periods)
        for line in config.analogue
    ]
    # Of the recorder's time, which is faster.
    limits = replace(config.limits, stall_s=round(STALL_S * words.speed))
    return replace(config, analogue=tuple(lines), limits=limits)


def _card(config: Config, tap: Tap, clock: FastClock, stop: threading.Event) -> SoundCard:
    lines = [line for line in config.analogue if line.pcm == tap.name]
    return SoundCard(
        lines, clock, config.limits.stall_s, pause=lambda seconds: stop.wait(seconds / tap.speed)
    )


def soak(taps: list[Tap], words: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Run it; the figures."""
    clock = FastClock(round(words.speed))
    pair = keys.generate(Role.OFFICE)
    key = folder / "office.key"
    key.write_text(pair.format())
    archives.create(folder / "data", clock, pair.public.format().encode())
    policy = folder / "policy.toml"
    text = rules.builtin("paris-desk.toml").read_text()
    policy.write_text(text.replace("[lines.desk]", f'[lines.desk]\ncodec = "{words.codec}"', 1))
    os.environ.update(faketap.configure(folder, taps).environment)
    config = _configured(taps, words, folder)
    stopped = threading.Event()
    known = {
        f"{tap.name}-{channel}": {
            "rate": tap.rate, "speed": tap.speed, "period": _period(words), "seed": tap.seed,
            "channel": channel,
        }
        for tap in taps
        for channel in range(tap.channels)
    }  # fmt: skip
    with Watched.open(config.data, clock) as archive:
        alarms = AlarmRoom(clock, "5" * 32)
        live = Live(config, rules.load(policy), law.load(), clock, archive, Board(), alarms)
        cards = [_card(config, tap, clock, stopped) for tap in taps]
        judge = Judge(key, known, archive)
        ran = _run(live, cards, words)
        stopped.set()
        live.end()
        left = judge.finish()
    problems = [one for one in verify.verify(config.data).problems if one.code != "part.missing"]
    return _figures(taps, words, judge, ran, config) | {
        "unjudged_parts": left,
        "log_problems": len(problems),
        "alarms": dict(Counter(notice.alarm.name for notice in alarms.view().notices)),
    }


def _run(live: Live, cards: list[SoundCard], words: argparse.Namespace) -> dict[str, object]:
    """The recorder's life, on this thread; another looks at its memory and ends it."""
    length = words.hours * 3600 / words.speed
    resident: list[int] = []

    def watch() -> None:
        done = threading.Event()
        for _ in range(20):
            done.wait(length / 20)
            resident.append(_resident_kib())
        live.stop()

    cpu = time.process_time()
    live.begin([], cards, patience=round(words.speed))
    threading.Thread(target=watch, daemon=True).start()
    live.run()
    counted = [card.reader.counters for card in cards]
    return {
        "cpu_s": round(time.process_time() - cpu, 1),
        "resident_kib": resident,
        "resident_kib_at_a_tenth": resident[1],
        "resident_kib_at_the_end": resident[-1],
        "peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "overruns": sum(one.overruns for one in counted),
        "slips": sum(one.slips for one in counted),
        "losses": sum(one.losses for one in counted),
        "dropped_periods": sum(one.dropped for one in counted),
    }


def _resident_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def _period(words: argparse.Namespace) -> int:
    frames: float = words.period_ms * words.rate / 1000
    return round(frames)


def _figures(
    taps: list[Tap],
    words: argparse.Namespace,
    judge: Judge,
    ran: dict[str, object],
    config: Config,
) -> dict[str, object]:
    lines = list(judge.lines.values())
    told = [(gap[1], gap[2]) for gaps in judge.gaps.values() for gap in gaps if gap[1] >= 0]
    errors = [abs(said - true) for said, true in told]
    returns = _returns(taps, judge)
    strange = _strange(taps, words, judge)
    entries = list(verify.entries(config.data))
    summary = coverage.seconds(coverage.intervals_of(entries))
    decided = [int(e.data["uid"][-10:]) for e in entries if e.ev == "call.decided"]
    seconds: Counter[str] = Counter()
    for channel in summary.channels:
        seconds.update(channel.states)
    return {
        "hours": words.hours,
        "lines": words.lines,
        "cards": words.cards,
        "speed": words.speed,
        "codec": words.codec,
        "calls": len(decided),
        "numbers_without_gaps": decided == list(range(1, len(decided) + 1)),
        "parts": judge.judged,
        "most_parts_waiting_for_the_judge": judge.behind,
        "line_hours_judged": round(sum(one["samples"] for one in lines) / words.rate / 3600, 3),
        "wrong_samples": sum(one["wrong"] for one in lines),
        "gaps": len(errors),
        "gaps_wrong_by_more_than_a_period": sum(one > _period(words) for one in errors),
        "worst_gap_error_frames": max(errors, default=0),
        "mean_gap_error_frames": round(sum(errors) / max(1, len(errors)), 2),
        "gaps_that_nobody_injected": len(strange),
        "the_first_of_them": strange[:16],
        "times_lost": sum(one["lost"] for one in lines),
        "returns": len(returns),
        "returns_over_2_s_of_the_card": sum(one > RETURN_S for one in returns),
        "worst_return_of_the_card_s": round(max(returns, default=0.0), 3),
        "worst_return_s": round(max((_felt(one, words) for one in returns), default=0.0), 3),
        "coverage_accounted": summary.accounted,
        "said_recorded_and_not_kept_s": round(_overstated(taps, judge, summary), 3),
        "coverage_hours": {name: round(ns / 3.6e12, 3) for name, ns in seconds.items() if ns},
        **ran,
    }


def _overstated(taps: list[Tap], judge: Judge, summary: coverage.Summary) -> float:
    """Seconds that the ledger calls recorded and that no part holds, over all lines."""
    said = {one.channel: one.states["recorded"] / 1e9 for one in summary.channels}
    found = 0.0
    for tap in taps:
        for channel in range(tap.channels):
            name = f"{tap.name}-{channel}"
            samples = judge.lines[name]["samples"] if name in judge.lines else 0
            kept = samples / (tap.rate * (1 + tap.drift_ppm / 1e6))
            found += max(said.get(name, 0.0) - kept, 0.0)
    return found


def _strange(taps: list[Tap], words: argparse.Namespace, judge: Judge) -> list[str]:
    """Gaps at which the card lost nothing by the schedule: the recorder lost it, or nobody."""
    found = []
    for tap in taps:
        faults = [(at, at + frames) for at, frames in tap.overruns]
        faults += [(at, at + round(seconds * tap.rate)) for at, seconds in tap.absences]
        for channel in range(tap.channels):
            for frame, told, true in judge.gaps[f"{tap.name}-{channel}"]:
                low, high = frame - true - _period(words), frame + _period(words)
                if not any(at < high and until > low for at, until in faults):
                    where = f"{tap.name}-{channel} at {frame / tap.rate:.3f} s"
                    found.append(f"{where}: {told} frames told, {true} missing")
    return found


def _returns(taps: list[Tap], judge: Judge) -> list[float]:
    """Seconds of the card's time from each return of a card to the first sample that was kept.

    Each line's counts, so a card of two has two.
    """
    found = []
    for tap in taps:
        backs = [at + round(seconds * tap.rate) for at, seconds in tap.absences]
        for channel in range(tap.channels):
            for frame, _, true in judge.gaps[f"{tap.name}-{channel}"]:
                inside = [back for back in backs if frame - true <= back <= frame]
                found += [(frame - inside[-1]) / tap.rate] if inside else []
    return found


def _felt(return_s: float, words: argparse.Namespace) -> float:
    """Seconds of *return_s* of the card's time, had the card run as fast as time.

    The longest pause between two attempts to open it and the first period are of the card's time.
    All else is what this busy machine took, in real time, and weighs ``speed`` times as much in the
    card's: a millisecond of it is a tenth of a second at x100.
    """
    own: float = min(return_s, BACK_OFF_S[-1] + words.period_ms / 1000)
    return own + (return_s - own) / float(words.speed)


def is_good(figures: dict[str, Any]) -> bool:
    """Whether what must be 0 is 0, all time is accounted for, and no return took too long."""
    return (
        not any(figures[name] for name in _NOTHING)
        and figures["coverage_accounted"] == 1.0
        and figures["numbers_without_gaps"]
        and figures["worst_return_s"] <= RETURN_S
        and figures["said_recorded_and_not_kept_s"] <= EDGE_S * (figures["gaps"] + figures["parts"])
        and figures["parts"] > 0
    )


def run(taps: list[Tap], words: argparse.Namespace) -> dict[str, object]:
    """The figures of one soak, in a folder of its own (below *words.folder*)."""
    with tempfile.TemporaryDirectory(dir=words.folder) as folder:
        figures = soak(taps, words, Path(folder))
    return figures | {"good": is_good(figures)}
