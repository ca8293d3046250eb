"""Prompts are heard through what a line does to them, and nothing else is taken for one.

Positives: a prompt between other sound, through a line drawn at random (docs/notice-format.md names
the bounds). Negatives: lines without the prompt, each asked of several: other prompts of the
same voice, other voices, music on hold. Two recordings that share much of their very sound (menus
cut together from the same takes) are no negatives of each other: they are found by the waveform,
without the detector, and counted.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from greffier.calls.learning import Unusable, learn
from greffier.calls.notice import HEARD, Detector, Heard, Template
from greffier_sim import notice_line, notice_voices
from greffier_sim.notice_voices import RATE, Sound, Voice
from greffier_sim.soak_missing import Missing

LEAST_VOICES: Final = 6
MOST_MISSED: Final = 2
_ASKED: Final = 4
"""Prompts that each line without a prompt is asked for."""
_LINE_S: Final = 40
_SHARED: Final = 0.3
"""So much of a prompt in another recording: it is no other prompt."""
_PI: Final = 4
_CALLS: Final = 30


def configure(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""
    parser.add_argument("--positives", type=int, default=500)
    parser.add_argument("--negatives", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)


class _Ear:
    """Listens, and counts the processor time that it takes."""

    def __init__(self) -> None:
        self.spent = 0.0
        self.heard_s = 0.0

    def listen(self, template: Template, line: NDArray[np.int16]) -> tuple[int, Heard | None]:
        detector = Detector(template, RATE)
        began = time.process_time()
        found = None
        for at in range(0, len(line), 160):
            found = detector.feed(at, line[at : at + 160])
            if found is not None or detector.over:
                break
        else:
            found = detector.finish()
        self.spent += time.process_time() - began
        self.heard_s += min(len(line), at + 160) / RATE
        return found.score if found else detector.score, found


def main(words: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Run it."""
    try:
        voices = list(notice_voices.voices())
    except OSError as error:
        raise Missing("espeak-ng") from error
    music = notice_voices.music()
    say(f"{len(voices)} voices, {sum(len(one.prompts) for one in voices)} prompts")
    ear, rng = _Ear(), np.random.default_rng(words.seed)
    found = _positives(words.positives, voices, music, rng, ear, say)
    found |= _negatives(words.negatives, voices, music, rng, ear, say)
    spent = ear.spent / ear.heard_s
    found |= {
        "threshold": HEARD,
        "us_per_call_second": round(spent * 1e6),
        "pi4_estimate": f"{spent * 1e6 * _PI:.0f} us a call-second: {_CALLS} calls take"
        f" {spent * _PI * _CALLS:.1%} of a core (÷{_PI}, not measured)",
    }
    found["ok"] = (
        found["missed"] <= MOST_MISSED
        and found["false"] == 0
        and found["voices"] >= LEAST_VOICES
        and found["refused"] == 0
    )
    return found


def _positives(
    count: int,
    voices: Sequence[Voice],
    music: Sequence[Sound],
    rng: np.random.Generator,
    ear: _Ear,
    say: Callable[[str], None],
) -> dict[str, Any]:
    scores: list[int] = []
    off: list[float] = []
    missed: list[str] = []
    by_engine: Counter[str] = Counter()
    unseen = refused = 0
    for number in range(count):
        voice = voices[number % len(voices)]
        which = int(rng.integers(len(voice.prompts)))
        prompt = voice.prompts[which]
        template = _learnt(prompt)
        if template is None:
            refused += 1
            continue
        others = [one for one in voice.all if one is not prompt]
        before = _surroundings(others, music, rng, 55 - len(prompt) / RATE * 1.03)
        told = notice_line.said(prompt, before, _surroundings(others, music, rng, 8), rng)
        score, heard = ear.listen(template, told.line)
        scores.append(score)
        by_engine[voice.engine] += 1
        unseen += not voice.tuned
        if heard is None or abs(heard.end - told.end) > RATE:
            missed.append(f"{voice.name} prompt {which}, {told.how}: {score}")
            say(f"missed: {missed[-1]}")
        else:
            off.append((heard.end - told.end) / RATE * 1000)
    return {
        "positives": len(scores),
        "missed": len(missed),
        "worst_positive": min(scores),
        "positives_1_percent": int(np.percentile(scores, 1)),
        "positives_median": int(np.median(scores)),
        "end_off_ms": [round(one) for one in np.percentile(off, [0, 1, 50, 99, 100])],
        "voices": len(voices),
        "voices_unseen": sum(not one.tuned for one in voices),
        "positives_unseen": unseen,
        "by_engine": dict(by_engine),
        "refused": refused,
    }


def _learnt(prompt: Sound) -> Template | None:
    samples = np.clip(np.rint(prompt), -32768, 32767).astype(np.int16)
    try:
        return Template(learn(samples, RATE, b""))
    except Unusable:
        return None


def _surroundings(
    others: Sequence[Sound], music: Sequence[Sound], rng: np.random.Generator, most_s: float
) -> Sound:
    """What is on the line before or behind a prompt."""
    length = int(rng.uniform(0.3, min(most_s, 12)) * RATE)
    kind = rng.integers(4)
    if kind == 0:
        return np.zeros(length)
    if kind == 1:
        at = np.arange(length) / RATE
        return np.asarray(4000 * np.sin(2 * np.pi * 440 * at) * (at % 5 < 1.5))
    source = others if kind == 2 else music
    return source[int(rng.integers(len(source)))][:length]


def _negatives(
    count: int,
    voices: Sequence[Voice],
    music: Sequence[Sound],
    rng: np.random.Generator,
    ear: _Ear,
    say: Callable[[str], None],
) -> dict[str, Any]:
    scores: list[int] = []
    kinds: Counter[str] = Counter()
    best: dict[str, int] = {}
    wrong = shared = number = 0
    while len(scores) < count:
        voice = voices[number % len(voices)]
        number += 1
        asked = rng.permutation(len(voice.prompts))[:_ASKED]
        prompts = [voice.prompts[one] for one in asked]
        kind, pieces = _other_sound(voice, prompts, voices, music, rng)
        line, how = notice_line.through(np.concatenate(pieces)[: _LINE_S * RATE], rng)
        for prompt in prompts:
            template = _learnt(prompt)
            if template is None or len(scores) >= count:
                continue
            score, heard = ear.listen(template, line)
            if score >= HEARD - 100 and any(_share(prompt, one) >= _SHARED for one in pieces):
                shared += 1
                continue
            scores.append(score)
            kinds[kind] += 1
            best[kind] = max(best.get(kind, 0), score)
            if heard is not None:
                wrong += 1
                say(f"false: {voice.name} in {kind}, {how}: {score}")
    return {
        "negatives": len(scores),
        "false": wrong,
        "best_negative": max(scores),
        "negatives_99_percent": int(np.percentile(scores, 99)),
        "negatives_by_kind": dict(kinds),
        "best_by_kind": best,
        "same_recording": shared,
    }


def _other_sound(
    voice: Voice,
    prompts: Sequence[Sound],
    voices: Sequence[Voice],
    music: Sequence[Sound],
    rng: np.random.Generator,
) -> tuple[str, list[Sound]]:
    """A line on which none of *prompts* is said, in pieces, and what it is."""
    kind = str(rng.choice(["same voice", "same voice", "other voice", "music"]))
    if kind == "music":
        piece = music[int(rng.integers(len(music)))]
        start = int(rng.integers(max(len(piece) - _LINE_S * RATE, 1)))
        return kind, [piece[start : start + _LINE_S * RATE]]
    pool = [one for one in voice.all if not any(one is other for other in prompts)]
    if kind == "other voice" or not pool:
        # Another voice of a synthesiser that says the same text is nearly the same sound.
        far = [one for one in voices if one.engine != voice.engine] or list(voices[:1])
        kind, pool = "other voice", list(far[int(rng.integers(len(far)))].all)
    pieces: list[Sound] = []
    while sum(map(len, pieces)) < _LINE_S * RATE:
        pieces += [pool[int(rng.integers(len(pool)))], np.zeros(int(rng.uniform(0.1, 1) * RATE))]
    return kind, pieces


def _share(prompt: Sound, other: Sound) -> float:
    """How much of *prompt*, in pieces of half a second, is in *other* wave by wave."""
    if len(other) < RATE or not other.any():
        return 0.0
    length = 1 << (len(other) + RATE - 1).bit_length()
    spectrum = np.fft.rfft(other, length)
    power = np.concatenate(([0.0], np.cumsum(np.square(other))))
    size = RATE // 2
    local = np.sqrt(np.maximum(power[size:] - power[:-size], 1.0))
    found = 0
    starts = range(0, len(prompt) - size, size)
    for start in starts:
        piece = prompt[start : start + size]
        alike = np.fft.irfft(spectrum * np.conj(np.fft.rfft(piece, length)), length)
        norm = float(np.sqrt(np.square(piece).sum()))
        found += bool((alike[: len(local)] / (local * max(norm, 1.0))).max() > 0.7)
    return found / max(len(starts), 1)
