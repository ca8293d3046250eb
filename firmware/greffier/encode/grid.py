"""Cuts PCM that arrives at absolute positions into blocks of one length for a block encoder.

The grid starts at the first sample ever written. A block in which no sample was received is never
made; missing samples of a block that has some are zeros.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Blocks:
    """Whole consecutive blocks from *position* on; *padding* zeros at the end are not audio."""

    position: int
    pcm: Samples
    padding: int = 0


class Grid:
    """Collects samples until blocks of *block* samples are whole. One leg, positions only grow."""

    def __init__(self, block: int) -> None:
        self.block = block
        self._anchor: int | None = None
        self._pending = np.zeros(block, np.int16)
        self._start = 0  # position of the pending block
        self._held = 0  # its samples up to the end of what was written last

    def write(self, position: int, pcm: Samples) -> list[Blocks]:
        """The blocks that *pcm* at *position* makes whole, oldest first.

        Raises ValueError when *position* lies before what was written.
        """
        if self._anchor is None:
            self._anchor = self._start = position
        if position < self._start + self._held:
            raise ValueError("a sample may be written only once")
        done: list[Blocks] = []
        if position >= self._start + self.block:
            if self._held:
                done.append(Blocks(self._start, self._take()))
            self._start = position - (position - self._anchor) % self.block
        done.extend(self._fill(position - self._start, pcm))
        return done

    def flush(self) -> Blocks | None:
        """The last block, if it has a sample: padded with zeros to its whole length."""
        if not self._held:
            return None
        padding = self.block - self._held
        return Blocks(self._start, self._take(), padding)

    def wipe(self) -> None:
        """Zero what is pending and forget it."""
        self._pending.fill(0)
        self._held = 0

    def _take(self) -> Samples:
        block = self._pending.copy()
        self.wipe()
        return block

    def _fill(self, offset: int, pcm: Samples) -> list[Blocks]:
        """Put *pcm* at *offset* in the pending block; the whole blocks that come of it."""
        whole = (offset + len(pcm)) // self.block
        if not whole:
            self._pending[offset : offset + len(pcm)] = pcm
            self._held = offset + len(pcm)
            return []
        first = self.block - offset
        used = first + (whole - 1) * self.block
        if offset:
            self._pending[offset:] = pcm[:first]
            blocks = Blocks(self._start, np.concatenate((self._pending, pcm[first:used])))
            self._pending.fill(0)
        else:
            # A copy all the same: the caller zeroes what it wrote.
            blocks = Blocks(self._start, pcm[:used].copy())
        self._start += whole * self.block
        rest = pcm[used:]
        self._pending[: len(rest)] = rest
        self._held = len(rest)
        return [blocks]
