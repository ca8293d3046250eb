"""Which record of another system is which call of a box: by time, and by numbers where known. Pure.

Both clocks are wrong by a constant that the pairs themselves show. Then a record may be any call
that lies near enough and has no other numbers; of all ways to pair them one with as many pairs as
possible is taken, and what could be left out by another such way is *ambiguous*.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Final

from greffier.clock import SECOND

MOST_OFF_NS: Final = 900 * SECOND
"""Further apart no two clocks are looked for."""
FEWEST_PAIRS: Final = 3
"""Of pairs that show an offset: fewer show nothing."""
_STEP_NS: Final = SECOND // 2
_DIGITS: Final = 8
"""So many last digits of two numbers are the same where they are one: prefixes differ."""


@dataclass(frozen=True, slots=True)
class One:
    """A record, or a call. ``numbers`` are empty where nobody knows them."""

    name: int | str
    start_ns: int
    numbers: frozenset[str] = field(repr=False, default=frozenset())


@dataclass(frozen=True, slots=True)
class Offset:
    """By how much the records' clock is ahead of the box's, and how many pairs show it."""

    ns: int
    pairs: int


@dataclass(frozen=True, slots=True)
class Group:
    """Of these, ``lacking`` have no counterpart; which ones nobody can tell."""

    members: tuple[One, ...]
    lacking: int


@dataclass(frozen=True, slots=True)
class Matched:
    """``pairs``: how many, and by numbers how many of them."""

    pairs: int
    by_numbers: int
    missing: tuple[One, ...]
    ambiguous: tuple[Group, ...]
    unlisted: tuple[One, ...]
    doubtful: tuple[Group, ...]


def significant(numbers: Sequence[str]) -> frozenset[str]:
    """What of *numbers* is compared; a short or hidden one says nothing."""
    digits = ("".join(char for char in one if char.isascii() and char.isdigit()) for one in numbers)
    return frozenset(one[-_DIGITS:] for one in digits if len(one) >= _DIGITS)


def without_common(ones: Sequence[One]) -> list[One]:
    """*ones* without numbers that a fifth of them have: the branch's own, which tell nothing."""
    times = Counter(number for one in ones for number in one.numbers)
    known = sum(bool(one.numbers) for one in ones)
    common = {name for name, count in times.items() if count >= FEWEST_PAIRS and 5 * count > known}
    return [replace(one, numbers=one.numbers - common) for one in ones]


def estimate(records: Sequence[One], calls: Sequence[One], tolerance_ns: int) -> Offset:
    """The offset under which most records have a call near; of equal ones the smallest.

    Zero, by no pairs, where too few show one.
    """
    starts = [one.start_ns for one in calls]
    apart: list[tuple[int, int]] = []
    for number, record in enumerate(records):
        low = bisect_left(starts, record.start_ns - MOST_OFF_NS)
        high = bisect_right(starts, record.start_ns + MOST_OFF_NS)
        apart += [
            (record.start_ns - calls[at].start_ns, number)
            for at in range(low, high)
            if _agree(record, calls[at])
        ]
    boxes: dict[int, set[int]] = defaultdict(set)
    for difference, number in apart:
        boxes[difference // _STEP_NS].add(number)
    if not boxes:
        return Offset(0, 0)
    reach = max(1, tolerance_ns // (4 * _STEP_NS))

    def near(box: int) -> set[int]:
        return set().union(*(boxes.get(one, set()) for one in range(box - reach, box + reach + 1)))

    best = max(boxes, key=lambda box: (len(near(box)), len(boxes[box]), -abs(box)))
    pairs = len(near(best))
    if pairs < FEWEST_PAIRS:
        return Offset(0, 0)
    low_ns, high_ns = (best - reach) * _STEP_NS, (best + reach + 1) * _STEP_NS
    return Offset(int(median(one for one, _ in apart if low_ns <= one < high_ns)), pairs)


def match(
    records: Sequence[One], calls: Sequence[One], offset_ns: int, tolerance_ns: int
) -> Matched:
    """Pair *records* with *calls*, both in order of time."""
    starts = [one.start_ns for one in calls]
    near: list[list[int]] = []
    for record in records:
        at_ns = record.start_ns - offset_ns
        span = range(
            bisect_left(starts, at_ns - tolerance_ns), bisect_right(starts, at_ns + tolerance_ns)
        )
        near.append([at for at in span if _agree(record, calls[at])])
    taken = _paired(near, len(calls))
    whose = {call: record for record, call in taken.items()}
    back: list[list[int]] = [[] for _ in calls]
    for number, found in enumerate(near):
        for at in found:
            back[at].append(number)
    missing, ambiguous = _sorted_out(records, near, taken, whose)
    unlisted, doubtful = _sorted_out(calls, back, whose, taken)
    known = sum(
        bool(records[record].numbers & calls[call].numbers) for record, call in taken.items()
    )
    return Matched(len(taken), known, missing, ambiguous, unlisted, doubtful)


def _agree(record: One, call: One) -> bool:
    """Whether they may be one: where both have numbers, one of them is the same."""
    return not record.numbers or not call.numbers or bool(record.numbers & call.numbers)


def _paired(near: Sequence[Sequence[int]], calls: int) -> dict[int, int]:
    """As many pairs as possible: record to call (augmenting paths, breadth first)."""
    taken: dict[int, int] = {}
    owner = [-1] * calls
    for begin in range(len(near)):
        came: dict[int, int] = {}  # call -> the record that reached it
        queue = [begin]
        free = -1
        for record in queue:
            for call in near[record]:
                if call in came:
                    continue
                came[call] = record
                if owner[call] < 0:
                    free = call
                    break
                queue.append(owner[call])
            if free >= 0:
                break
        while free >= 0:
            record = came[free]
            owner[free], taken[record], free = record, free, taken.get(record, -1)
    return taken


def _sorted_out(
    ones: Sequence[One],
    near: Sequence[Sequence[int]],
    taken: Mapping[int, int],
    owner: Mapping[int, int],
) -> tuple[tuple[One, ...], tuple[Group, ...]]:
    """Those without a counterpart for certain, and groups of which some have none."""
    found: list[set[int]] = []
    for begin in range(len(ones)):
        if begin in taken:
            continue
        members = _exchangeable(begin, near, owner)
        shared = [one for one in found if one & members]
        found = [one for one in found if one not in shared]
        found.append(members.union(*shared))
    certain: list[One] = []
    groups: list[Group] = []
    for members in found:
        lacking = sum(one not in taken for one in members)
        named = tuple(ones[one] for one in sorted(members))
        if lacking == len(members):
            certain += named
        else:
            groups.append(Group(named, lacking))
    return tuple(certain), tuple(groups)


def _exchangeable(
    begin: int,
    near: Sequence[Sequence[int]],
    owner: Mapping[int, int],
) -> set[int]:
    """*begin*, and everything that could be left out in its place."""
    found, queue = {begin}, [begin]
    looked: set[int] = set()
    for one in queue:
        for other in near[one]:
            if other in looked:
                continue
            looked.add(other)
            holder = owner.get(other)
            if holder is not None and holder not in found:
                found.add(holder)
                queue.append(holder)
    return found
