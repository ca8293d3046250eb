"""What a soak of sound cards through the whole recorder found, and whether that is good."""

import argparse
from collections import Counter
from typing import Any

from greffier.audit import coverage, verify
from greffier.capture.alsa import BACK_OFF_S
from greffier.config.records import Config
from greffier_sim.faketap import Tap
from greffier_sim.recorder_soak_judge import Judge

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


def period(words: argparse.Namespace) -> int:
    """Frames that a card hands over together."""
    frames: float = words.period_ms * words.rate / 1000
    return round(frames)


def figures(
    taps: list[Tap],
    words: argparse.Namespace,
    judge: Judge,
    ran: dict[str, object],
    config: Config,
) -> dict[str, object]:
    """All that is counted, with what *ran* says of the run itself."""
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
        "gaps_wrong_by_more_than_a_period": sum(one > period(words) for one in errors),
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
                low, high = frame - true - period(words), frame + period(words)
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
