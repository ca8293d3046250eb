"""Whether a prompt was said on a line: streaming, in memory and time that are bounded.

docs/notice-format.md section 4. The prompt is cut into segments of one second. Each is compared
with the line by normalised cross-correlation, which knows neither level nor a steady colour of the
line; a second is too short for 2 % of speed to matter. The prompt was said where enough segments
are found in their order and at their distances, at one speed: so noise, a codec, or a third of the
prompt that is missing cost segments, and another sentence of the same voice finds hardly any.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greffier.calls.bands import BANDS, FRAMES_PER_SECOND, Bands, Floats, Samples
from greffier.calls.fingerprint import BadFingerprint, Fingerprint

SEGMENT = 50
"""Frames in a segment."""
STEP = 25
"""Frames between two segments, of a prompt that is not long."""
MOST_SEGMENTS = 40
LOW, HIGH = 0.5, 0.7
"""A segment that correlates at most LOW is not there, at least HIGH: it is."""
HEARD = 550
"""Of 1000: from this score on the prompt was said."""
SPEED = 0.022
"""How much faster or slower than learnt it may be."""
SETTLE = 15
"""Frames that the score must not have grown before the place is believed."""
BOUND_S = 60
"""A line is listened to at most this long: its sound waits no longer either."""
_BLOCK = FRAMES_PER_SECOND
_SPEED_STEP = 2.5  # frames at the far end of the prompt from one speed to the next
_FLAT = 0.35  # of the usual variation: a segment that varies less is a pause
_STEADY = 200.0  # a segment that varies less than this, whatever the others do, has no shape at all
_SURE = 0.9


@dataclass(frozen=True, slots=True)
class Heard:
    """The prompt ended before sample *end*; *score* of 1000; *speed* 1.01: it took 1 % longer."""

    end: int
    score: int
    speed: float


class Template:
    """A fingerprint, made ready to compare with. Immutable: many lines share one."""

    def __init__(self, fingerprint: Fingerprint) -> None:
        """Raises BadFingerprint where nothing in it varies."""
        levels = fingerprint.levels.astype(np.float32)
        self.frames = len(levels)
        last = self.frames - SEGMENT
        wanted = min(max(round(last / STEP) + 1, 2), MOST_SEGMENTS)
        begins = np.round(np.linspace(0, last, wanted)).astype(int)
        cut = np.stack([levels[at : at + SEGMENT] for at in begins])
        cut -= cut.mean(axis=1, keepdims=True)
        size = np.sqrt(np.square(cut).sum(axis=(1, 2)))
        varied = size > max(_FLAT * float(np.median(size)), _STEADY)
        if not varied.any():
            raise BadFingerprint("nothing in it varies")
        self.segments: Floats = np.ascontiguousarray(
            (cut[varied] / size[varied, None, None]).reshape(int(varied.sum()), -1).T
        )
        """A column a segment, of length 1 and without the mean of each band."""
        self.missing = int((~varied).sum())
        """How many segments hold next to nothing, and are not compared."""
        ends = begins[varied] + SEGMENT
        half = max(int(np.ceil(SPEED * self.frames / _SPEED_STEP)), 1)
        self.speeds = 1 + np.linspace(-SPEED, SPEED, 2 * half + 1)
        distance = np.round(self.speeds[:, None] * (self.frames - ends)).astype(np.intp)
        count = self.segments.shape[1]
        self.reach = int(distance.max(initial=0)) + 2 * _BLOCK
        self.places = np.arange(count) - distance * count

    @property
    def count(self) -> int:
        """How many segments are compared."""
        return int(self.segments.shape[1])


class Follower:
    """Scores each frame of a line as the last one of the prompt. One thread owns it."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._rows = np.zeros((SEGMENT - 1, BANDS), np.float32)  # of the frames that were last
        self._raw = np.zeros((2, template.count), np.float32)
        self._found = np.zeros((template.reach, template.count), np.float32)

    def follow(self, fresh: Floats) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """The line went on with *fresh* frames, a second of them at most.

        A score of 0 to 1 and the number of a speed for as many frames, the last of which is the one
        before the last of *fresh*.
        """
        template, count = self._template, len(fresh)
        rows = np.concatenate((self._rows, fresh))
        self._rows = rows[-(SEGMENT - 1) :]
        raw = np.concatenate((self._raw, _correlated(rows, template.segments)))
        self._raw = raw[-2:]
        # A frame of the line lies between two of the prompt: its neighbours count as well.
        near = np.maximum(np.maximum(raw[:-2], raw[1:-1]), raw[2:])
        sure = _SURE * np.clip((near - LOW) / (HIGH - LOW), 0, 1)
        sure += (1 - _SURE) * np.maximum(near, 0)  # so that the best place stands out
        self._found = np.concatenate((self._found[count:], sure))
        row = len(self._found) - count + np.arange(count)
        at = row[:, None, None] * template.count + template.places
        scores = self._found.ravel().take(at).mean(axis=2)
        which = scores.argmax(axis=1)
        return scores[np.arange(count), which], which


class Detector:
    """Listens to one leg at *rate* Hz. One thread owns it."""

    def __init__(self, template: Template, rate: int, bound_s: int = BOUND_S) -> None:
        self._template = template
        self._bands = Bands(rate)
        self._follower = Follower(template)
        self._left = bound_s * rate  # samples
        self._origin: int | None = None  # position of the first sample
        self._taken = 0  # samples since then
        self._sound: list[Samples] = []  # of which no frame was made yet
        self._size = 0  # samples in it
        self._done = 0  # frames
        self._best: tuple[float, int, float] | None = None
        self.score = 0
        """The best that there was so far, of 1000."""
        self.heard: Heard | None = None

    @property
    def over(self) -> bool:
        """Whether it listens no more: the prompt was heard, or the bound is reached."""
        return self.heard is not None or self._left <= 0

    def feed(self, position: int, pcm: Samples) -> Heard | None:
        """The leg went on with *pcm* at *position*; what is missing before it counts as silence.

        The prompt, once, when it is sure; None otherwise.
        """
        if self.over:
            return None
        if self._origin is None:
            self._origin = position
        missing = position - self._origin - self._taken
        if missing < 0:
            pcm = pcm[-missing:]
        elif missing:
            self._take(np.zeros(min(missing, self._left), np.int16))
        self._take(pcm[: self._left])
        block = _BLOCK * self._bands.hop + self._bands.window
        while self._size >= block and self.heard is None:
            self._work(_BLOCK)
        if self._left <= 0 and self.heard is None:
            return self._end()
        return self.heard

    def finish(self) -> Heard | None:
        """No more comes: the prompt, if it is sure by what came and was not told before.

        It may end later than the sound that came.
        """
        if self.over:
            return None
        if self._taken:
            # Its last part may be what is missing: then the place where it would end is to come.
            rest = self._template.frames // 2 * self._bands.hop
            self._sound.append(np.zeros(rest, np.int16))
            self._size += rest
        return self._end()

    def _end(self) -> Heard | None:
        self._left = 0
        while self.heard is None and (frames := self._whole_frames()) > 0:
            self._work(min(frames, _BLOCK))
        if self.heard is None and self._best is not None:
            self._settle()
        self._sound, self._size = [], 0
        return self.heard

    def _whole_frames(self) -> int:
        return (self._size - self._bands.window) // self._bands.hop + 1

    def _take(self, pcm: Samples) -> None:
        if len(pcm):
            self._sound.append(pcm)
            self._size += len(pcm)
            self._taken += len(pcm)
            self._left -= len(pcm)

    def _work(self, count: int) -> None:
        """Look at the next *count* frames; that many are there."""
        hop, window = self._bands.hop, self._bands.window
        sound = np.concatenate(self._sound)
        fresh = self._bands.frames_of(sound[: (count - 1) * hop + window])
        rest = sound[count * hop :]
        self._sound, self._size = [rest], len(rest)
        self._done += count
        scores, speeds = self._follower.follow(fresh)
        self.score = max(self.score, int(scores.max() * 1000))
        if self._best is None and self.score < HEARD:
            return
        for index, (score, speed) in enumerate(zip(scores, speeds, strict=True)):
            frame = self._done - count + index
            if score * 1000 >= HEARD and (self._best is None or score >= self._best[0]):
                self._best = (float(score), frame, float(self._template.speeds[speed]))
            elif self._best is not None and frame - self._best[1] >= SETTLE:
                self._settle()
                return

    def _settle(self) -> None:
        assert self._best is not None  # noqa: S101 - there is a place to believe in
        assert self._origin is not None  # noqa: S101 - sound came
        score, frame, speed = self._best
        end = self._origin + (frame + 1) * self._bands.hop
        self.heard = Heard(end, int(score * 1000), speed)
        self._sound, self._size = [], 0


def _correlated(rows: Floats, segments: Floats) -> Floats:
    """How much each run of SEGMENT *rows* is like each segment: -1 to 1, a row a run."""
    count = len(rows) - SEGMENT + 1
    step = rows.strides[0]
    runs = np.lib.stride_tricks.as_strided(
        rows, (count, SEGMENT * BANDS), (step, rows.itemsize), writeable=False
    )
    sums = np.zeros((len(rows) + 1, BANDS))
    np.cumsum(rows, axis=0, out=sums[1:])
    power = np.zeros(len(rows) + 1)
    np.cumsum(np.square(rows).sum(axis=1), out=power[1:])
    mean = sums[SEGMENT:] - sums[:-SEGMENT]
    rest = power[SEGMENT:] - power[:-SEGMENT] - np.square(mean).sum(axis=1) / SEGMENT
    varied: NDArray[np.float64] = np.sqrt(np.maximum(rest, 0))
    size = np.where(varied > 1e-4, varied, np.inf).astype(np.float32)
    return np.asarray((runs @ segments) / size[:, None], np.float32)
