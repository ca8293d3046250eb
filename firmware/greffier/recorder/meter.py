"""How loud an analogue line is: what `greffier levels` shows."""

from collections.abc import Sequence
from math import log10
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greffier.control.messages import Level

SILENCE_MB: Final = -12_000
"""What digital silence is shown as, hundredths of a decibel."""
_FULL: Final = 32767


class Meter:
    """Level, peak and clipped samples of *channel* of *line*. One thread owns it."""

    def __init__(self, line: str, channel: str) -> None:
        self._names = line, channel
        self._squares = 0.0
        self._frames = self._peak = self._clipped = 0
        self._shown: Level | None = None

    def measure(
        self, pcm: NDArray[np.int16], sizes: Sequence[int], powers: Sequence[float]
    ) -> None:
        """Sound came; runs of *sizes* samples of it had the mean squares *powers*, 0..1."""
        loudest = max(int(pcm.max()), -int(pcm.min()))
        if loudest >= _FULL:
            self._clipped += int(np.count_nonzero((pcm >= _FULL) | (pcm <= -_FULL)))
        self._squares += sum(size * power for size, power in zip(sizes, powers, strict=True))
        self._frames += len(pcm)
        self._peak = max(self._peak, loudest)

    def level(self) -> Level | None:
        """What it was since this was asked last, or then; None before any sound came."""
        if self._frames:
            rms = millibel(self._squares / self._frames)
            peak = millibel((self._peak / 32768) ** 2)
            self._shown = Level(*self._names, rms, peak, self._clipped)
            self._squares, self._frames, self._peak, self._clipped = 0.0, 0, 0, 0
        return self._shown


def millibel(power: float) -> int:
    """Hundredths of a decibel of a mean square that is 1 at full scale."""
    return max(round(1000 * log10(power)), SILENCE_MB) if power > 0 else SILENCE_MB
