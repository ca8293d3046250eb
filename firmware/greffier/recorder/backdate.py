"""The last moments of an idle analogue line: a call begins before its detector can know.

Memory of fixed size that is zeroed as soon as it is used or too old; it is never written anywhere.
"""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]


class BackDate:
    """The last *frames* samples of one line. One thread owns it."""

    def __init__(self, frames: int) -> None:
        self._held = np.zeros(frames, np.int16)
        self._end = 0  # position behind the last sample that is held
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def keep(self, position: int, pcm: Samples) -> None:
        """The line went on with *pcm* at *position*; what is older than there is room for goes."""
        size = len(self._held)
        if position != self._end:
            self.wipe()
        if len(pcm) < size:
            self._held[: size - len(pcm)] = self._held[len(pcm) :]
            self._held[size - len(pcm) :] = pcm
        else:
            self._held[:] = pcm[len(pcm) - size :]
        self._end = position + len(pcm)
        self._count = min(self._count + len(pcm), size)

    def take(self, start: int) -> tuple[int, Samples]:
        """What is held from *start* on, and where it begins; all that is held is zeroed."""
        first = max(start, self._end - self._count)
        count = max(self._end - first, 0)
        found = self._held[len(self._held) - count :].copy()
        self.wipe()
        return first, found

    def wipe(self) -> None:
        """Zero what is held."""
        self._held.fill(0)
        self._count = 0
