r"""Hours of sound cards through the whole recorder in minutes: every sample that it kept is judged.

    python -m greffier_sim.alsa_soak --through-recorder --hours 24 --lines 8 --speed 100 \
        --call-s 900 --period-ms 400

The cards run ``--speed`` times faster than time, and so does the clock that the recorder is given;
its loop and its commits go on in real time. Calls are by level, and since the cards are never
silent each is cut in two after ``--call-s``. A part that was sealed is judged by a process of its
own (``heard_parts``) and then removed, so that the disk does not fill.
"""

import argparse
import os
import resource
import tempfile
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from greffier.audit import verify
from greffier.clock import LowerBound, Source, SystemClock
from greffier.config.recorder import load
from greffier.config.records import Config
from greffier.control.board import Board
from greffier.policy import packs as law
from greffier.policy import rules
from greffier.recorder import archive as archives
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.cards import SoundCard
from greffier.recorder.live import Live
from greffier.seal import keys
from greffier.seal.keys import Role
from greffier_sim import faketap, recorder_soak_figures
from greffier_sim.faketap import Tap
from greffier_sim.recorder_soak_judge import Judge, Watched

RING_S = 5
"""Real seconds of sound that wait between a card and the recorder at most."""
STALL_S = 30
"""Real seconds that the disk may need."""
HANG_OVER_S = 15
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
            "rate": tap.rate,
            "speed": tap.speed,
            "period": recorder_soak_figures.period(words),
            "seed": tap.seed,
            "channel": channel,
        }
        for tap in taps
        for channel in range(tap.channels)
    }
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
    return recorder_soak_figures.figures(taps, words, judge, ran, config) | {
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


def run(taps: list[Tap], words: argparse.Namespace) -> dict[str, object]:
    """The figures of one soak, in a folder of its own (below *words.folder*)."""
    with tempfile.TemporaryDirectory(dir=words.folder) as folder:
        figures = soak(taps, words, Path(folder))
    return figures | {"good": recorder_soak_figures.is_good(figures)}
