"""`./build.sh test --power N`: N power cuts of a real ext4, and mutants that must be caught.

A run of the archive (greffier_sim.power_work) is recorded below the file system, write by write.
Then the power is cut: at any place of that record, with all that was flushed before it, and any
share of the writes since, in any order, one of them torn at 512 octets. Each such disk is mounted
(ext4 replays its journal, and e2fsck mends a torn superblock: nothing else), the archive starts on
it, and everything that had been said to be committed at that place must be there. Of some disks the
real commands are asked too, and a recorder is started on it.

The last line is one JSON object. Exit code 0: nothing was lost and every mutant was caught; 1: not
so; 3: this machine lacks what it needs.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from greffier.seal import keys
from greffier.seal.keys import PrivateKey, Role
from greffier_sim import block_disk, power_work
from greffier_sim.block_disk import FLUSH, NOTE, SECTOR, WRITE, BlockDisk, Operation
from greffier_sim.captures import Plan
from greffier_sim.power_check import Found, check
from greffier_sim.power_commands import ask_commands, start_recorder
from greffier_sim.power_mutants import MUTANTS, NONE
from greffier_sim.power_work import Promise
from greffier_sim.sickdisk import Unable

CUTS_A_RUN: Final = 1000
LISTEN_EVERY: Final = 8
COMMANDS_EVERY: Final = 250
RECORDER_EVERY: Final = 1000
MUTANT_CUTS: Final = 60
MUTANT_RUNS: Final = 8
MUTANT_CALLS: Final = 6
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - images of a few MB are faster there


@dataclass
class Figures:
    """What the cuts cost."""

    cuts: int = 0
    committed_bytes_lost: int = 0
    failed_starts: int = 0
    failed_mounts: int = 0
    mounts_after_fsck: int = 0
    other_faults: int = 0
    mutants: int = 0
    mutants_caught: int = 0
    worst_beyond_s: float = 0.0
    runs: int = 0
    writes_recorded: int = 0
    flushes_recorded: int = 0
    commands_asked: int = 0
    recorders_started: int = 0
    ms_a_cut: float = 0.0
    seconds: float = 0.0
    caught_after: dict[str, int] = field(default_factory=dict)
    first: str = ""

    @property
    def good(self) -> bool:
        """Whether everything held."""
        lost = self.committed_bytes_lost or self.failed_starts or self.failed_mounts
        return not lost and not self.other_faults and self.mutants == self.mutants_caught

    def take(self, found: Found) -> None:
        """Add one cut."""
        self.cuts += 1
        self.committed_bytes_lost += found.lost
        self.failed_starts += not found.started
        self.other_faults += bool(found.wrong) and not found.lost and found.started
        self.first = self.first or "; ".join(found.wrong[:3])
        self.worst_beyond_s = round(max(self.worst_beyond_s, found.beyond_s), 3)


@dataclass(frozen=True)
class Run:
    """What was recorded: *image* as it was before it, and what came then."""

    seed: int
    image: Path
    operations: Sequence[Operation]
    plans: Sequence[Plan]


class Rig:
    """Everything that is made once, below *folder*, which is best in memory."""

    def __init__(self, folder: Path, tick_ms: int = power_work.TICK_MS) -> None:
        self.folder = folder
        self._tick_ms = tick_ms
        self.program = block_disk.build(folder)
        self.key: PrivateKey = keys.generate(Role.OFFICE)
        self.key_path = folder / "office.key"
        self.key_path.write_text(self.key.format())
        self._fresh = folder / "fresh.img"
        block_disk.make_file_system(self._fresh)
        with BlockDisk(self.program, self._fresh, folder / "log") as disk:
            disk.mount()
            power_work.prepare(disk.path, self.key.public.format().encode())

    def record(self, seed: int, calls: int, mutant: str = NONE) -> Run:
        """One run of the workload. Raises Unable, RuntimeError: the workload itself failed."""
        image, live, log = (self.folder / name for name in ("base.img", "live.img", "log"))
        for copy in (image, live):
            subprocess.run(["cp", "--sparse=always", str(self._fresh), str(copy)], check=True)
        with BlockDisk(self.program, live, log) as disk:
            disk.mount()
            words = [str(disk.path), str(disk.note_path), "--mutant", mutant]
            words += ["--seed", str(seed), "--calls", str(calls), "--tick-ms", str(self._tick_ms)]
            program = [sys.executable, "-m", "greffier_sim.power_work"]
            done = subprocess.run([*program, *words], capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"the workload failed: {done.stderr[-2000:]}")
            disk.note(b'{"end": true}')  # what unmounting writes is no part of it
        found = list(block_disk.operations(log))
        end = max(at for at, one in enumerate(found) if one.kind == NOTE)
        made = power_work.plans(random.Random(f"calls {seed}"), calls)
        return Run(seed, image, found[:end], made)


def places(operations: Sequence[Operation], count: int, draw: random.Random) -> list[int]:
    """Where to cut, in order: before the n-th operation. Most often where writes are under way, or
    right after something was promised.
    """
    every = range(1, len(operations) + 1)
    busy = [at for at in every if operations[at - 1].kind == WRITE]
    told = [at for at in every if operations[at - 1].kind == NOTE]
    wanted = draw.choices((busy, told, every), (5, 3, 2), k=count)
    return sorted(draw.choice(one) for one in wanted)


def survivors(loose: Sequence[Operation], draw: random.Random) -> Iterator[Operation]:
    """Which of the writes since the last flush reached the medium, in which order, how torn."""
    kind = draw.randrange(5)
    share = (1.0, 0.0, draw.random(), draw.random(), draw.random())[kind]
    kept = [one for one in loose if draw.random() < share]
    if draw.random() < 0.5:
        draw.shuffle(kept)
    torn = draw.randrange(len(kept)) if kept and draw.random() < 0.5 else -1
    for number, one in enumerate(kept):
        if number != torn:
            yield one
            continue
        sectors = range(0, len(one.data), SECTOR)
        many = draw.random()
        first = draw.random() < 0.5
        end = draw.randrange(len(sectors) + 1)
        for place, at in enumerate(sectors):
            if place < end if first else draw.random() < many:
                yield Operation(WRITE, one.offset + at, one.data[at : at + SECTOR])


class Shown:
    """Shows one disk after another, as a cut at any place of *operations* may leave *image*."""

    def __init__(self, image: Path, operations: Sequence[Operation], disk: BlockDisk) -> None:
        self.operations = operations
        self.disk = disk
        self._base = os.open(image, os.O_WRONLY)
        self._durable = 0  # so many operations are in the image

    def close(self) -> None:
        """Let the image go."""
        os.close(self._base)

    def show(self, at: int, survive: Callable[[list[Operation]], Iterable[Operation]]) -> None:
        """The disk after a cut before operation *at*, which never is before the last one's.

        *survive* says which of the writes since the last flush reached the medium, and in which
        order.
        """
        run = self.operations
        flushed = max((n for n in range(self._durable, at) if run[n].kind == FLUSH), default=0)
        for one in run[self._durable : flushed]:
            if one.kind == WRITE:
                os.pwrite(self._base, one.data, one.offset)
        self._durable = max(self._durable, flushed)
        self.disk.note(b"again")
        for one in survive([one for one in run[self._durable : at] if one.kind == WRITE]):
            self.disk.write(one.offset, one.data)


class Player(Shown):
    """Shows the disks of a run, and checks them."""

    def __init__(self, rig: Rig, run: Run, disk: BlockDisk) -> None:
        super().__init__(run.image, run.operations, disk)
        self._rig = rig
        self._run = run
        self._told = 0  # so many are in the promise
        self.promise = Promise()

    def cut(self, at: int, draw: random.Random) -> None:
        """The disk after a cut before operation *at*, and what was promised by then."""
        for one in self.operations[self._told : at]:
            if one.kind == NOTE:
                self.promise.take(one.data)
        self._told = at
        self.show(at, lambda loose: survivors(loose, draw))

    def _mount(self, figures: Figures) -> None:
        """Mount it. A superblock torn in the middle is all that ext4's journal cannot mend: then
        e2fsck takes the second one, once. Raises OSError.
        """
        try:
            self.disk.mount()
        except OSError:
            figures.mounts_after_fsck += 1
            self.disk.mend()
            self.disk.mount()

    def look(self, figures: Figures, listen: bool, commands: bool, recorder: bool) -> Found:
        """Mount the disk that is shown and check it."""
        try:
            self._mount(figures)
        except OSError as error:
            figures.failed_mounts += 1
            return Found(wrong=[f"no mount: {error}"])
        try:
            plans = self._run.plans if listen else ()
            if recorder:
                start_recorder(self.disk.path, self._rig.folder)
                figures.recorders_started += 1
            found = check(self.disk.path, self.promise, self._rig.key, plans)
            if commands:
                found.wrong += ask_commands(self.disk.path, self._rig.key_path)
                figures.commands_asked += 1
            if self.disk.read_only:
                found.wrong.append("ext4 found an error in itself")
        finally:
            # What went wrong may have left a file open, and the next disk must be able to come.
            self.disk.release()
            self.disk.unmount()
        if commands and (said := self.disk.mended()):
            found.wrong.append(f"e2fsck: {said}")
        return found


def cut_run(rig: Rig, run: Run, count: int, figures: Figures, mutant: bool = False) -> int:
    """Cut *run* at *count* places; how many cuts it took to find the first fault (0: none)."""
    draw = random.Random(f"cuts {run.seed}")
    with BlockDisk(rig.program, run.image, None) as disk:
        player = Player(rig, run, disk)
        try:
            for number, at in enumerate(places(run.operations, count, draw), 1):
                player.cut(at, draw)
                turn = figures.cuts + 1
                found = player.look(
                    figures,
                    turn % LISTEN_EVERY == 0,
                    not mutant and turn % COMMANDS_EVERY == 0,
                    not mutant and turn % RECORDER_EVERY == 0,
                )
                figures.take(found)
                if found.wrong and mutant:
                    return number
                if found.wrong:
                    say(f"seed {run.seed}, cut {number} at {at}: {'; '.join(found.wrong[:5])}")
        finally:
            player.close()
    return 0


def catch(rig: Rig, mutant: str, figures: Figures) -> bool:
    """Cut runs of *mutant* until a fault is found; whether one was."""
    cuts = 0
    for seed in range(1, MUTANT_RUNS + 1):
        run = rig.record(seed, MUTANT_CALLS, mutant)
        spent = Figures()
        if taken := cut_run(rig, run, MUTANT_CUTS, spent, mutant=True):
            figures.caught_after[mutant] = cuts + taken
            say(f"{mutant}: caught by cut {cuts + taken}: {spent.first}")
            return True
        cuts += MUTANT_CUTS
    say(f"{mutant}: NOT caught in {cuts} cuts")
    return False


def run_all(rig: Rig, cuts: int, calls: int, first_seed: int, mutants: Sequence[str]) -> Figures:
    """Everything."""
    figures = Figures()
    began = time.monotonic()
    seed = first_seed
    while figures.cuts < cuts:
        run = rig.record(seed, calls)
        figures.runs += 1
        figures.writes_recorded += sum(one.kind == WRITE for one in run.operations)
        figures.flushes_recorded += sum(one.kind == FLUSH for one in run.operations)
        cut_run(rig, run, min(CUTS_A_RUN, cuts - figures.cuts), figures)
        say(f"{figures.cuts} cuts of {cuts}, {time.monotonic() - began:.0f} s")
        seed += 1
    spent = time.monotonic() - began
    figures.ms_a_cut = round(1000 * spent / max(1, figures.cuts), 1)
    for mutant in mutants:
        figures.mutants += 1
        figures.mutants_caught += catch(rig, mutant, figures)
    figures.seconds = round(time.monotonic() - began, 1)
    return figures


def say(text: str) -> None:
    """One line for the person who watches."""
    print(text, file=sys.stderr, flush=True)


def _ended(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(1)


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="./build.sh test --power", description=__doc__)
    parser.add_argument("cuts", type=int)
    parser.add_argument("--json", action="store_true", help="the default, and the only form")
    parser.add_argument("--calls", type=int, default=power_work.CALLS)
    parser.add_argument("--seed", type=int, default=1, help="of the first run")
    parser.add_argument("--tick-ms", type=int, default=power_work.TICK_MS, help="between commits")
    parser.add_argument("--mutant", choices=(*MUTANTS, NONE), action="append")
    given = parser.parse_args()
    wanted = [one for one in given.mutant or MUTANTS if one != NONE]
    signal.signal(signal.SIGTERM, _ended)
    memory = _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 1 << 29 else None
    try:
        block_disk.own_mounts()
        with tempfile.TemporaryDirectory(prefix="greffier-power-", dir=memory) as folder:
            rig = Rig(Path(folder), given.tick_ms)
            figures = run_all(rig, given.cuts, given.calls, given.seed, wanted)
    except Unable as error:
        say(f"power: {error}")
        return 3
    print(json.dumps(asdict(figures)))
    return 0 if figures.good else 1


if __name__ == "__main__":
    sys.exit(main())
