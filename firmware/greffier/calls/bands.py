"""How a prompt and a line are compared: the sound of 16 bands of speech, fifty times a second.

docs/notice-format.md section 2. Each frame looks at 40 ms; the window grows with the sample rate,
so sound of any rate gives the same bands, and nothing has to be resampled.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
Floats = NDArray[np.float32]

BANDS = 16
FRAMES_PER_SECOND = 50
LOWEST_HZ, HIGHEST_HZ = 200.0, 3500.0
_EMPHASIS, _EMPHASIS_HZ = 0.95, 8000.0
_FULL_SCALE = 32768.0


class Bands:
    """Makes frames of sound at *rate* Hz (8,000 to 192,000)."""

    def __init__(self, rate: int) -> None:
        self.hop = rate // FRAMES_PER_SECOND
        """Samples from one frame to the next."""
        self.window = 2 * self.hop
        """Samples that one frame looks at."""
        self._length = round(rate * 0.064)
        self._shape, self._weights = _tables(rate, self.window, self._length)

    def frames_of(self, sound: NDArray[np.int16] | Floats) -> Floats:
        """The frames that lie wholly in *sound*: one row each, a number for each band.

        A number is the fourth root of the band's power: a quieter line scales all of them alike.
        """
        count = (len(sound) - self.window) // self.hop + 1
        if count <= 0:
            return np.zeros((0, BANDS), np.float32)
        views = np.lib.stride_tricks.sliding_window_view(sound, self.window)
        cut = views[: (count - 1) * self.hop + 1 : self.hop].astype(np.float32) * self._shape
        spectrum = np.fft.rfft(cut, self._length)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        found = np.sqrt(np.sqrt(power.astype(np.float32, copy=False) @ self._weights))
        return np.asarray(found, np.float32)


@lru_cache(maxsize=8)
def _tables(rate: int, window: int, length: int) -> tuple[Floats, Floats]:
    """The Hann window, scaled to full scale; and what each bin counts in each band."""
    hann = np.hanning(window + 1)[:window]
    shape = (hann / (hann.sum() * _FULL_SCALE)).astype(np.float32)
    hertz = np.arange(length // 2 + 1) * (rate / length)
    edges = _hertz(np.linspace(_mel(LOWEST_HZ), _mel(HIGHEST_HZ), BANDS + 2))
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (hertz[:, None] - low) / (middle - low)
    falling = (high - hertz[:, None]) / (high - middle)
    triangles = np.maximum(np.minimum(rising, falling), 0)
    turn = 2 * np.pi * hertz / _EMPHASIS_HZ
    emphasis = 1 + _EMPHASIS**2 - 2 * _EMPHASIS * np.cos(turn)
    return shape, (triangles * emphasis[:, None]).astype(np.float32)


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))
