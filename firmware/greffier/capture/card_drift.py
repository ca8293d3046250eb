"""How fast a sound card's quartz runs against the machine's clock. Pure: times are handed in.

A card counts frames, the machine counts nanoseconds, and both are off by some parts in a million.
What is looked for is the line through (time, frame). A point comes from asking the card how many
frames wait at a known time, so it is good to microseconds; where the process was held up while it
asked, its *spread* says so and it weighs little. Frames lost between two points say nothing about
the quartz: each uninterrupted run has its own intercept, and all runs share one slope.
"""

from collections import deque
from dataclasses import dataclass

SECOND = 1_000_000_000
WINDOW_NS = 10 * SECOND
"""One point is kept of so much time: the one with the smallest spread."""
WINDOWS = 64
"""How many points are kept: some ten minutes, in which a quartz keeps its temperature."""
ANCHORS = 6
"""How many of the last points carry the line: a minute, so that it follows a slow change."""
PRIOR_PPM = 100
"""How far a quartz is off before anything was measured (one standard deviation)."""
FLOOR_NS = 250_000
"""What a point is uncertain by at least: cards move their counter in steps."""
LIMIT_PPM = 1000
"""No quartz is further off; a card that seems to be has lost frames without saying so."""


@dataclass(frozen=True, slots=True)
class _Point:
    run: int
    t_ns: int
    ahead: float  # frames, of what the nominal rate would have captured since the first point
    weight: float  # 1 / frames^2


class Drift:
    """The line of one card, of *rate* frames a second. One thread owns it (the card's)."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._points: deque[_Point] = deque(maxlen=WINDOWS)
        self._best: _Point | None = None  # of the window that began at _window_ns
        self._window_ns = 0
        self._run = 0
        self._origin: tuple[int, int] | None = None  # time, frame
        self._slope = 0.0  # frames a nanosecond, beyond the nominal rate
        self._precision = self._prior
        self._anchored: tuple[int, float] | None = None  # what _anchor() gave, while it holds

    @property
    def ppm(self) -> float:
        """How much faster than nominal the card runs, in parts in a million of the clock."""
        return self._slope * SECOND * 1e6 / self.rate

    @property
    def uncertain_ppm(self) -> float:
        """The standard deviation of :attr:`ppm`."""
        return float(self._precision**-0.5 * SECOND * 1e6 / self.rate)

    def observe(self, t_ns: int, frame: int, spread_ns: int) -> None:
        """At *t_ns*, give or take half of *spread_ns*, the card had captured *frame* frames."""
        if self._origin is None:
            self._origin = (t_ns, frame)
            self._window_ns = t_ns
        error = (FLOOR_NS + spread_ns / 2) * self.rate / SECOND
        point = _Point(self._run, t_ns, self._ahead(t_ns, frame), 1 / error**2)
        if t_ns - self._window_ns >= WINDOW_NS:
            self._close_window()
            self._window_ns = t_ns
        if self._best is None or point.weight > self._best.weight:
            self._best = point
            self._anchored = None

    def break_run(self) -> None:
        """Frames were lost: what follows shares the slope with what came before, nothing else."""
        self._close_window()
        self._run += 1

    def frame_at(self, t_ns: int) -> float:
        """The frame that the card captures at *t_ns*, by the line of the last run with a point.

        Raises ValueError before the first point.
        """
        if self._origin is None:
            raise ValueError("the card was never seen")
        anchor_ns, ahead = self._anchor()
        since_ns, frame = self._origin
        nominal = frame + (t_ns - since_ns) * self.rate / SECOND
        return nominal + ahead + (t_ns - anchor_ns) * self._slope

    def time_of(self, frame: int) -> int:
        """When the card captures *frame*, in nanoseconds; the inverse of :meth:`frame_at`."""
        if self._origin is None:
            raise ValueError("the card was never seen")
        anchor_ns, ahead = self._anchor()
        since_ns, first = self._origin
        at_anchor = first + (anchor_ns - since_ns) * self.rate / SECOND + ahead
        return anchor_ns + round((frame - at_anchor) / (self.rate / SECOND + self._slope))

    @property
    def _prior(self) -> float:
        return (SECOND * 1e6 / (PRIOR_PPM * self.rate)) ** 2

    def _ahead(self, t_ns: int, frame: int) -> float:
        since_ns, first = self._origin or (t_ns, frame)
        return ((frame - first) * SECOND - (t_ns - since_ns) * self.rate) / SECOND

    def _anchor(self) -> tuple[int, float]:
        """A time, and how far ahead of nominal the card is then."""
        if self._anchored is not None:
            return self._anchored
        points = [*self._points, *([self._best] if self._best else [])]
        run = points[-1].run
        last = points[-1].t_ns
        near = [point for point in points[-ANCHORS:] if point.run == run]
        weight = sum(point.weight for point in near)
        ahead = sum(
            point.weight * (point.ahead + (last - point.t_ns) * self._slope) for point in near
        )
        self._anchored = last, ahead / weight
        return self._anchored

    def _close_window(self) -> None:
        if self._best is not None:
            self._points.append(self._best)
            self._best = None
            self._anchored = None
            self._fit()

    def _fit(self) -> None:
        """Weighted least squares with an intercept a run, drawn towards no drift by the prior."""
        across = along = 0.0
        for run in {point.run for point in self._points}:
            points = [point for point in self._points if point.run == run]
            weight = sum(point.weight for point in points)
            start = points[0].t_ns
            mean_t = sum(point.weight * (point.t_ns - start) for point in points) / weight
            mean_a = sum(point.weight * point.ahead for point in points) / weight
            for point in points:
                off = point.t_ns - start - mean_t
                across += point.weight * off * (point.ahead - mean_a)
                along += point.weight * off * off
        self._precision = along + self._prior
        limit = LIMIT_PPM * self.rate / (SECOND * 1e6)
        self._slope = min(limit, max(-limit, across / self._precision))
