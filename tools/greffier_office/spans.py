"""Octets of a file as few spans: what is still wanted of an upload. Pure."""

from bisect import bisect_right
from collections.abc import Iterator


class Spans:
    """A set of whole numbers as spans [start, end), ascending and apart. One thread owns it."""

    def __init__(self, *spans: tuple[int, int]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in spans:
            self.add(start, end)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._ends, strict=True)

    def __len__(self) -> int:
        """How many spans there are."""
        return len(self._starts)

    def __bool__(self) -> bool:
        return bool(self._starts)

    @property
    def size(self) -> int:
        """How many numbers are in it."""
        return sum(self._ends) - sum(self._starts)

    @property
    def first(self) -> int:
        """The lowest number. Raises IndexError where there is none."""
        return self._starts[0]

    @property
    def last(self) -> int:
        """The number behind the highest. Raises IndexError where there is none."""
        return self._ends[-1]

    def add(self, start: int, end: int) -> None:
        """Put in *start* .. *end* - 1; what touches becomes one span."""
        if start >= end:
            return
        low = bisect_right(self._ends, start - 1)  # the first span that ends at start or behind it
        high = bisect_right(self._starts, end)  # behind the last one that begins at end or before
        if low < high:
            start = min(start, self._starts[low])
            end = max(end, self._ends[high - 1])
        self._starts[low:high] = [start]
        self._ends[low:high] = [end]

    def remove(self, start: int, end: int) -> list[tuple[int, int]]:
        """Take out *start* .. *end* - 1; the spans that were in it."""
        if start >= end:
            return []
        low = bisect_right(self._ends, start)  # the first span that ends behind start
        high = low
        taken: list[tuple[int, int]] = []
        left: list[tuple[int, int]] = []
        while high < len(self._starts) and self._starts[high] < end:
            first, last = self._starts[high], self._ends[high]
            taken.append((max(first, start), min(last, end)))
            if first < start:
                left.append((first, start))
            if last > end:
                left.append((end, last))
            high += 1
        self._starts[low:high] = [first for first, _ in left]
        self._ends[low:high] = [last for _, last in left]
        return taken
