"""Carries out the strikes of ./build.sh soak sync, and has both sides looked at after each."""

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from greffier_sim.broker import Broker
from greffier_sim.service import Service
from greffier_sim.sickdisk import SickDisk, Unable
from greffier_sim.soak_missing import Missing
from greffier_sim.soak_peers import Peer
from greffier_sim.strikes import Strike
from greffier_sim.sync_lab import SyncLab
from greffier_sim.uplink import Cut

LOOK_S = 1.0
DISK_MIB = 2048
"""Of each machine, where power is cut: head office keeps a gibibyte free."""
_RUNS_THERE = {"box": ("recorder", "sync"), "site": ("office", "broker")}
_AFTER = {"box": "cut", "site": "dead", "office": "dead"}


@dataclass(slots=True)
class Told:
    """What happened so far."""

    faults: list[str] = field(default_factory=list)
    struck: Counter[str] = field(default_factory=Counter)
    waiting: list[int] = field(default_factory=list)
    """Octets that had no receipt, about each second."""
    checked: int = 0
    """Receipts that head office held up while it was down, all looks together."""


class Struck:
    """Carries strikes out, and has both sides looked at after each."""

    def __init__(
        self, place: SyncLab, outside: Peer, told: Told, disks: Mapping[str, SickDisk]
    ) -> None:
        self._place, self._outside, self._told = place, outside, told
        self._disks = disks  # of each machine that can lose its power

    def run(self, plan: list[Strike], begun: float) -> None:
        """All of it, on time or as soon as possible. Raises Unwell."""
        moments = [(one.at_s, 0, number, one) for number, one in enumerate(plan)]
        moments += [(one.back_s, 1, number, one) for number, one in enumerate(plan)]
        for at_s, back, _, strike in sorted(moments):
            while (left := begun + at_s - time.monotonic()) > 0:
                time.sleep(min(left, LOOK_S))
                self.look("backlog")
            (self._up if back else self._down)(strike)

    def look(self, word: str) -> dict[str, Any]:
        """What the checker says; its faults are noted."""
        found = self._outside.ask(word)
        self._told.faults += found.pop("faults")
        if "waiting_bytes" in found:
            self._told.waiting.append(found["waiting_bytes"])
        self._told.checked += found.get("received", 0)
        return found

    def _down(self, strike: Strike) -> None:
        place, target = self._place, strike.target
        with (place.folder / "strikes").open("a") as log:
            log.write(f"{time.time():.3f} {target} {strike.how} {strike.down_s:.3f}\n")
        self._told.struck[f"{target} {strike.how}"] += 1
        if target == "line":
            how = Cut.RESET if strike.how == "reset" else Cut.SILENT
            place.line.cut(how)
            return
        struck = [(name, self._process(name)) for name in _RUNS_THERE.get(target, (target,))]
        self._told.faults += [f"{name} ended by itself" for name, one in struck if not _runs(one)]
        if disk := self._disks.get(target):
            disk.cut()
        for _, one in struck:
            one.kill()
        if disk:
            disk.mend()
        self.look(_AFTER.get(target, "killed"))

    def _process(self, name: str) -> Service | Broker:
        place = self._place
        found: dict[str, Service | Broker] = {
            "recorder": place.box, "sync": place.sync, "office": place.office,
            "broker": place.head.broker,
        }  # fmt: skip
        return found[name]

    def _up(self, strike: Strike) -> None:
        if strike.target == "line":
            self._place.line.restore(forget=strike.how == "forgotten")
            return
        for name in _RUNS_THERE.get(strike.target, (strike.target,)):
            one = self._process(name)
            if isinstance(one, Broker):
                one.start()
            else:
                one.spawn()


def _runs(one: Service | Broker) -> bool:
    return one.running if isinstance(one, Broker) else one.runs


def powered(stack: ExitStack, folder: Path) -> dict[str, SickDisk]:
    """A disk for each machine, and on them the folders that the lab will use. Raises Missing."""
    found = {}
    for machine, names in (("box", ("box", "sync")), ("site", ("head",))):
        (folder / f"{machine}-disk").mkdir()
        try:
            disk = stack.enter_context(SickDisk.make(folder / f"{machine}-disk", DISK_MIB))
        except Unable as error:
            raise Missing(str(error)) from error
        for name in names:
            (disk.path / name).mkdir(mode=0o700)
            (folder / name).symlink_to(disk.path / name)
        found[machine] = disk
    return found
