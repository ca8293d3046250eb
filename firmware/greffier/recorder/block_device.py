"""How much is written to a medium a day, and how many years it would bear that. Reads only.

The figures are the kernel's: what the block device of a folder has written since the boot, how
large it is and, of an eMMC, what it says of its own age. Figures: docs/data-directory.md.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SECTOR: Final = 512
CYCLES: Final = 3000
"""How often an eMMC's capacity may be written, as usual for MLC (docs/storage.md, *Years*)."""
AMPLIFICATION: Final = 4
"""What a medium writes within for one octet that comes to it, in small durable pieces. Assumed."""
LEAST_UPTIME_S: Final = 3600.0
_WRITTEN = 6  # Documentation/block/stat.rst: the seventh field, sectors
_END_OF_LIFE: Final = 3  # EXT_CSD PRE_EOL_INFO: urgent


@dataclass(frozen=True, slots=True)
class Wear:
    """*octets_a_day* of this boot (None: it is not long enough ago), the *capacity* in octets,
    *used_percent* of its life that an eMMC says, in tens (None: it says nothing), and *ending*:
    it says that its reserve is nearly used up.
    """

    device: str
    octets_a_day: int | None
    capacity: int
    used_percent: int | None
    ending: bool

    @property
    def years(self) -> float | None:
        """How long it lasts at this pace; None where nobody can know."""
        if not self.octets_a_day or not self.capacity:
            return None
        left = 1 - min(self.used_percent or 0, 100) / 100
        return self.capacity * CYCLES * left / (AMPLIFICATION * self.octets_a_day * 365.25)


def wear_of(folder: Path, system: Path) -> Wear | None:
    """Of the block device below *folder*; None where there is none. *system* stands for "/".

    Raises OSError.
    """
    number = folder.stat().st_dev
    place = system / f"sys/dev/block/{os.major(number)}:{os.minor(number)}"
    if not (place / "stat").exists():
        return None
    place = place.resolve()
    if (place / "partition").exists():
        place = place.parent
    written = int((place / "stat").read_text("ascii").split()[_WRITTEN]) * SECTOR
    uptime_s = float((system / "proc/uptime").read_text("ascii").split()[0])
    a_day = round(written * 86_400 / uptime_s) if uptime_s >= LEAST_UPTIME_S else None
    return Wear(
        place.name,
        a_day,
        int((place / "size").read_text("ascii")) * SECTOR,
        _used(place / "device/life_time"),
        _number(place / "device/pre_eol_info") >= _END_OF_LIFE,
    )


def _used(path: Path) -> int | None:
    """EXT_CSD DEVICE_LIFE_TIME_EST_TYP_A and _B: tens of percent, 0 where it is not defined."""
    try:
        worst = max(int(one, 16) for one in path.read_text("ascii").split())
    except (OSError, ValueError):
        return None
    return worst * 10 if worst else None


def _number(path: Path) -> int:
    try:
        return int(path.read_text("ascii"), 16)
    except (OSError, ValueError):
        return 0
