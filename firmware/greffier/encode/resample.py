"""Linear-phase resampling by a rational factor: a Kaiser-windowed sinc in polyphase form.

Only for exports that put legs of different rates side by side. 32 zero crossings a side at
90 dB attenuation: flat to 0.9 of the lower band edge; the delay is taken out exactly, so a
sample keeps its place in time.
"""

from math import gcd

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
_CROSSINGS = 32
_BETA = 0.1102 * (90 - 8.7)  # Kaiser's formula for 90 dB
_ROLL_OFF = 0.95


def resample(samples: Samples, rate: int, wanted: int) -> Samples:
    """*samples* at *rate* Hz brought to *wanted* Hz, of length ceil(len * wanted / rate)."""
    divisor = gcd(rate, wanted)
    up, down = wanted // divisor, rate // divisor
    if up == down or not len(samples):
        return samples.copy()
    taps, half = _prototype(up, down)
    reach = half // up + 1  # input samples that a tap may lie off to either side
    padded = np.concatenate((np.zeros(reach), samples.astype(np.float64), np.zeros(reach + 1)))
    length = -(-len(samples) * up // down)
    out = np.empty(length)
    for phase in range(min(up, length)):
        _one_phase(out, padded, taps, (half, reach, up, down, phase))
    return np.clip(np.rint(out), -32768, 32767).astype(np.int16)


def _prototype(up: int, down: int) -> tuple[NDArray[np.float64], int]:
    """The low-pass at the common multiple of both rates, and the index of its centre."""
    wide = max(up, down)
    half = _CROSSINGS * wide
    at = np.arange(-half, half + 1)
    cut = _ROLL_OFF / wide
    return np.sinc(at * cut) * np.kaiser(2 * half + 1, _BETA) * cut * up, half


def _one_phase(
    out: NDArray[np.float64],
    padded: NDArray[np.float64],
    taps: NDArray[np.float64],
    shape: tuple[int, int, int, int, int],
) -> None:
    """Outputs phase, phase + up, phase + 2 up, ... : all use the same taps."""
    half, reach, up, down, phase = shape
    whole, part = divmod(phase * down, up)
    # Output n lies at input n * down / up; tap k weighs the input at distance (part - k * up).
    offsets = np.arange(-reach, reach + 1)
    index = part - offsets * up + half
    inside = (index >= 0) & (index < len(taps))
    weights = np.where(inside, taps[np.clip(index, 0, len(taps) - 1)], 0.0)
    count = len(range(phase, len(out), up))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    first = whole  # padded index of the window whose centre is input `whole`
    out[phase::up] = windows[first : first + (count - 1) * down + 1 : down] @ weights
