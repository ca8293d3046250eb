"""Hours of sound cards in minutes: overruns, cards pulled out, quartz drift, nothing lost unsaid.

    python -m greffier_sim.alsa_soak --hours 24 --lines 8 --speed 100

Prints one JSON object. The lines are the channels of ``--cards`` simulated cards (one thread and
one ring each); every sample is compared with what its card sent, every gap with what was lost. The
exit code is 1 if a sample differs, a gap is wrong by more than a period, a position is out of line,
a period was dropped, or a thread did not end.
"""

import argparse
import json
import os
import random
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from greffier.capture.alsa import CardReader
from greffier.capture.alsa_device import CardSettings
from greffier.capture.card_ring import CardRing
from greffier_sim import faketap, recorder_soak
from greffier_sim.faketap import FAULTS, Tap
from greffier_sim.heard_card import Judge

TICK_S = 0.05
LEAD_S = 30
"""Simulated seconds before the first fault: the card is open by then, at any speed."""


@dataclass(slots=True)
class Line:
    """One card under test."""

    tap: Tap
    reader: CardReader
    ring: CardRing
    judge: Judge
    longest_pause_s: float = 0.0

    def hear(self) -> None:
        for event in self.ring.events():
            self.judge.hear(event)


def _faults(
    rng: random.Random, seconds: float, an_hour: float, longest_s: float
) -> list[tuple[float, float]]:
    """(second, length in seconds), ascending and apart."""
    count = min(FAULTS, round(an_hour * seconds / 3600))
    stretch = (seconds - LEAD_S) / max(1, count)
    return [
        (LEAD_S + stretch * (i + rng.random() * 0.4), min(stretch / 2, rng.random() * longest_s))
        for i in range(count)
    ]


def plan(words: argparse.Namespace) -> list[Tap]:
    """The cards of this soak, from its seed."""
    rng = random.Random(words.seed)
    seconds = words.hours * 3600
    taps = []
    for number in range(words.cards):
        overruns = _faults(rng, seconds, words.overruns, 2.0)
        absences = _faults(rng, seconds, words.absences, 40.0)
        taps.append(
            Tap(
                f"card{number}",
                rate=words.rate,
                channels=words.lines // words.cards,
                speed=words.speed,
                drift_ppm=rng.uniform(-200, 200),
                seed=words.seed + number,
                overruns=tuple(
                    (round(s * words.rate), 1 + round(n * words.rate)) for s, n in overruns
                ),
                absences=tuple((round(s * words.rate), 1 + n) for s, n in absences),
                gone_as=rng.choice(("nodev", "overruns")),
            )
        )
    return taps


def _line(tap: Tap, words: argparse.Namespace) -> Line:
    period = round(words.period_ms * words.rate / 1000)
    settings = CardSettings(tap.name, tap.rate, tap.channels, period, words.periods)
    ring = CardRing(settings.frame_octets, 16 << 20)
    stop = threading.Event()

    def pause(seconds: float) -> None:
        line.longest_pause_s = max(line.longest_pause_s, seconds)
        stop.wait(seconds / tap.speed)

    scale = round(tap.speed)
    now_ns: Callable[[], int] = lambda: time.monotonic_ns() * scale  # noqa: E731
    reader = CardReader(settings, ring, now_ns, pause=pause)
    line = Line(tap, reader, ring, Judge(tap, period))
    return line


def _returns(line: Line) -> list[float]:
    """Seconds of the card's time from each return of the card to the first frame heard of it."""
    rate = line.tap.rate
    backs = [at + round(seconds * rate) for at, seconds in line.tap.absences]
    heard = [gap.frame for gap in line.judge.gaps if "returned" in gap.kind]
    return [
        (frame - max((back for back in backs if back <= frame), default=frame)) / rate
        for frame in heard
    ]


def _resident_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def soak(words: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Run it; the figures."""
    made = faketap.configure(folder, plan(words))
    os.environ.update(made.environment)
    lines = [_line(tap, words) for tap in plan(words)]
    for line in lines:
        line.reader.open()
    for line in lines:
        line.reader.start()
    start, cpu = time.monotonic(), time.process_time()
    length = words.hours * 3600 / words.speed
    early = 0
    tick = threading.Event()
    while (elapsed := time.monotonic() - start) < length:
        tick.wait(TICK_S)
        for line in lines:
            line.hear()
        if not early and elapsed > length / 10:
            early = _resident_kib()
    stopped = [line.reader.stop(30) for line in lines]
    for line in lines:
        line.hear()
        line.judge.finish()
    figures = _figures(lines, words)
    cpu_s = time.process_time() - cpu
    figures["hung_threads"] = stopped.count(False)
    figures["cpu_s"] = round(cpu_s, 1)
    figures["cpu_us_per_period"] = round(cpu_s * 1e6 / max(1, int(str(figures["periods"]))), 1)
    figures["resident_kib_at_a_tenth"] = early
    figures["resident_kib_at_the_end"] = _resident_kib()
    figures["peak_kib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return figures


def _figures(lines: list[Line], words: argparse.Namespace) -> dict[str, object]:
    counters = [line.reader.counters for line in lines]
    gaps = [gap for line in lines for gap in line.judge.gaps]
    drift = zip(counters, lines, strict=True)
    return {
        "hours": words.hours,
        "lines": words.lines,
        "cards": words.cards,
        "speed": words.speed,
        "period_frames": lines[0].judge.period_frames,
        "periods": sum(c.periods for c in counters),
        "line_hours_heard": round(
            sum(line.judge.frames * line.tap.channels for line in lines) / words.rate / 3600, 3
        ),
        "wrong_frames": sum(line.judge.wrong_frames for line in lines),
        "out_of_line": sum(line.judge.out_of_line for line in lines),
        "dropped_periods": sum(c.dropped for c in counters),
        "overruns": sum(c.overruns for c in counters),
        "slips": sum(c.slips for c in counters),
        "losses": sum(c.losses for c in counters),
        "attempts_to_open": sum(c.attempts for c in counters),
        "longest_pause_s": max(line.longest_pause_s for line in lines),
        "worst_return_s": round(max((max(_returns(n), default=0) for n in lines), default=0), 3),
        "gaps": len(gaps),
        "gaps_wrong_by_more_than_a_period": sum(
            gap.error > lines[0].judge.period_frames for gap in gaps
        ),
        "worst_gap_error_frames": max((line.judge.worst_gap_error for line in lines), default=0),
        "mean_gap_error_frames": round(sum(gap.error for gap in gaps) / max(1, len(gaps)), 2),
        "worst_offset_frames": max(abs(line.judge.offset) for line in lines),
        "worst_drift_error_ppm": round(
            max(abs(c.drift_ppm - n.tap.drift_ppm) for c, n in drift), 3
        ),
    }


def is_good(figures: dict[str, object]) -> bool:
    """Whether what must be 0 is 0."""
    nothing = [
        "wrong_frames",
        "out_of_line",
        "dropped_periods",
        "slips",
        "hung_threads",
        "gaps_wrong_by_more_than_a_period",
    ]
    return not any(figures[name] for name in nothing)


def main() -> int:
    parser = argparse.ArgumentParser(description="hours of simulated sound cards in minutes")
    parser.add_argument("--hours", type=float, default=1.0, help="simulated hours")
    parser.add_argument("--lines", type=int, default=8)
    parser.add_argument("--cards", type=int, default=8, help="the lines are their channels")
    parser.add_argument("--speed", type=float, default=100.0)
    parser.add_argument("--rate", type=int, default=8000)
    parser.add_argument("--period-ms", type=float, default=200.0)
    parser.add_argument("--periods", type=int, default=5000, help="that a card's buffer holds")
    parser.add_argument(
        "--overruns", type=float, default=20.0, help="a card and hour (512 at most)"
    )
    parser.add_argument("--absences", type=float, default=4.0, help="a card and hour (512 at most)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--through-recorder", action="store_true", help="calls, parts and log as well"
    )
    parser.add_argument("--codec", default="flac", help="through the recorder: of the line")
    parser.add_argument("--call-s", type=int, default=600, help="the same: of the longest call")
    parser.add_argument("--folder", type=Path, help="the same: where the data directory is made")
    words = parser.parse_args()
    if words.through_recorder:
        figures = recorder_soak.run(plan(words), words)
        json.dump(figures, sys.stdout, indent=2)
        print()
        return 0 if figures["good"] else 1
    with tempfile.TemporaryDirectory() as folder:
        figures = soak(words, Path(folder))
    good = is_good(figures)
    json.dump(figures | {"good": good}, sys.stdout, indent=2)
    print()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
