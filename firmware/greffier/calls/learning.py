"""Which recording makes a prompt that can be found again: docs/notice-format.md section 3."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from greffier.calls.bands import FRAMES_PER_SECOND, Bands, Floats, Samples
from greffier.calls.fingerprint import LEAST_FRAMES, MOST_FRAMES, BadFingerprint, Fingerprint
from greffier.calls.notice import Follower, Template

LOWEST_RATE, HIGHEST_RATE = 8000, 192_000
LONGEST_S = 600
SILENT_DBFS = -50.0
QUIET_DB = 35.0
"""What is so much below the loudest moment, at either end, is no part of the prompt."""
CLIPPED_RUN = 3
"""So many samples in a row at full scale were cut off."""
CLIPPED_SHARE = 0.001
LIKE_ITSELF = 0.45
"""Of 1, elsewhere than in its place: a tone, or a sentence said again and again."""
_FULL_SCALE = 32768.0
_LOUDEST = 32_700
_NEAR = 25  # frames around its place


class Unusable(ValueError):
    """The recording is no prompt that could be found again. *reason* is a word of REASONS."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


REASONS = ("rate", "file_long", "silent", "clipped", "short", "long", "pauses", "repeats")


def learn(pcm: Samples, rate: int, file: bytes) -> Fingerprint:
    """The fingerprint of *pcm* at *rate* Hz, which was read from *file*. Raises Unusable."""
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise Unusable("rate")
    if len(pcm) > LONGEST_S * rate:
        raise Unusable("file_long")
    if _loudness(pcm, rate).max(initial=-200.0) < SILENT_DBFS:
        raise Unusable("silent")
    if _clipped(pcm) > CLIPPED_SHARE * len(pcm):
        raise Unusable("clipped")
    frames = Bands(rate).frames_of(_trimmed(pcm, rate))
    if len(frames) < LEAST_FRAMES:
        raise Unusable("short")
    if len(frames) > MOST_FRAMES:
        raise Unusable("long")
    levels = np.rint(frames * (255 / frames.max())).astype(np.uint8)
    found = Fingerprint(levels, hashlib.sha256(file).hexdigest())
    try:
        template = Template(found)
    except BadFingerprint as error:
        raise Unusable("repeats") from error
    if template.missing > template.count:
        raise Unusable("pauses")
    if _elsewhere(template, levels.astype(np.float32)) > LIKE_ITSELF:
        raise Unusable("repeats")
    return found


def _loudness(pcm: Samples, rate: int) -> NDArray[np.float64]:
    """dB below full scale, every 20 ms."""
    step = rate // FRAMES_PER_SECOND
    whole = pcm[: len(pcm) // step * step].reshape(-1, step).astype(np.float64) / _FULL_SCALE
    return np.asarray(10 * np.log10(np.maximum(np.square(whole).mean(axis=1), 1e-12)))


def _trimmed(pcm: Samples, rate: int) -> Samples:
    loudness = _loudness(pcm, rate)
    loud = np.flatnonzero(loudness >= loudness.max() - QUIET_DB)
    step = rate // FRAMES_PER_SECOND
    return pcm[loud[0] * step : (loud[-1] + 1) * step]


def _clipped(pcm: Samples) -> int:
    """How many samples stand at full scale with others before and behind them."""
    full = np.abs(pcm.astype(np.int32)) >= _LOUDEST
    edges = np.flatnonzero(np.diff(np.concatenate(([0], full.astype(np.int8), [0]))))
    runs = edges[1::2] - edges[::2]
    return int(runs[runs >= CLIPPED_RUN].sum())


def _elsewhere(template: Template, levels: Floats) -> float:
    """The best score of the prompt on itself, but for its own place."""
    follower, silence = Follower(template), np.zeros((len(levels), levels.shape[1]), np.float32)
    line = np.concatenate((levels, silence))
    cut = range(0, len(line), FRAMES_PER_SECOND)
    scores = np.concatenate([follower.follow(line[at : at + FRAMES_PER_SECOND])[0] for at in cut])
    place = len(levels)  # its last frame is the one before, and scores come one frame later
    scores[max(place - _NEAR, 0) : place + _NEAR] = 0
    return float(scores.max())
