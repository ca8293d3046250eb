"""How much recording writes to its medium, and how long a medium stands that: pure arithmetic.

The constants were measured below a real ext4 with blocks of 4 KiB (`./build.sh bench
store.amplification`, docs/storage.md); with them the sums are at most a tenth above what was
measured, for 1 to 8 channels and for ticks of 500 and 750 ms.
"""

from typing import Final

from greffier.durable.appender import SYNCFS_FROM

BLOCK: Final = 4096
PART_OCTETS_S: Final = 3870
"""Octets a second in the part of one channel of Opus at 24 kbit/s: 3,000 of sound, the rest are the
packets' places and the frames."""
COMMIT_BLOCKS: Final = 3.3
"""Of the file system's journal, for each tick that has sound."""
IN_PLACE_BLOCKS: Final = 0.9
"""Inodes that go to their place at each tick: where three files or more share a syncfs."""
CALL_BLOCKS: Final = 118
"""For each recorded call: its entries and their checkpoints, envelopes in two copies, names."""
CALL_S: Final = 180
"""How long a call is taken to be."""
DAY_S: Final = 86_400


def octets_a_day(channels: int, *, hours: float = 24.0, tick_ms: int = 500) -> int:
    """What reaches the medium on a day on which *channels* are recorded as Opus for *hours* each.

    *tick_ms* is the configuration's: milliseconds between two commits. All of them are taken to
    talk at the same time; where they do not, it is more for each hour of sound, as for fewer
    channels.
    """
    seconds = hours * 3600
    ticks = seconds * 1000 / tick_ms
    # Each commit also writes the last block of every file again, that it began before.
    a_tick = channels * (1 + PART_OCTETS_S * tick_ms / 1000 / BLOCK) + COMMIT_BLOCKS
    a_tick += IN_PLACE_BLOCKS if channels >= SYNCFS_FROM else 0
    calls = channels * seconds / CALL_S
    return round((ticks * a_tick + calls * CALL_BLOCKS) * BLOCK) if channels else 0


def years(endurance_octets: float, octets_of_a_day: float, *, inner: float = 4.0) -> float:
    """How long a medium lasts that takes *endurance_octets* in large writes.

    *inner* is how much more its controller writes than it is given, because blocks of 4 KiB are
    small for it: 4 is assumed and not measured (docs/storage.md). Infinite for a day of nothing.
    """
    if octets_of_a_day <= 0:
        return float("inf")
    return endurance_octets / (octets_of_a_day * inner * 365.25)
