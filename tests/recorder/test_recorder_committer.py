"""A disk that fails under the recorder: the same bytes again, each file whole, nothing twice."""

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stories.box import PAIR

from greffier.audit import verify
from greffier.clock import SystemClock
from greffier.durable import Disk
from greffier.errors import StorageFailed
from greffier.recorder import archive as archives
from greffier.recorder import recovery
from greffier.recorder.archive import Archive
from greffier.recorder.tape import PartPlan, Tape
from greffier.seal.frames import Meta
from greffier.seal.reader import Reader
from greffier.seal.structure import State
from greffier.store import journal, layout
from greffier_sim.faults import CALLS, Fault, FaultySystem

TICKS = 3
PARTS = 3
STEP = 6
"""Each combination tries every sixth call, and begins at another."""
START = 1_700_000_000_000_000_000


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory as it is made, to be copied."""
    folder = tmp_path_factory.mktemp("fresh") / "box"
    archives.create(folder, SystemClock(), PAIR.public.format().encode())
    return folder


def opened(fresh: Path, folder: Path, system: FaultySystem) -> Archive:
    """A copy of *fresh* whose every system call goes through *system*."""
    shutil.copytree(fresh, folder)
    box = Archive(layout.open(folder), SystemClock(), Disk(system))
    recovery.recover(box)
    box.open_epoch()
    return box


def tape(box: Archive, number: int) -> Tape:
    assert box.epoch is not None
    plan = PartPlan(
        device=box.data.identity.device,
        line="desk",
        uid=f"{box.data.identity.device}/desk/{number + 1:010d}",
        epoch=box.epoch.name,
        recording=number.to_bytes(16, "big"),
        number=0,
        previous=None,
        purposes={"quality": (0, 30)},
        kind="original",
        origin_ns=START,
        start_ns=START,
        in_file=False,
        deletion="C",
    )
    return Tape(plan, box.recipients, {"call_id": str(number)})


def call(box: Archive, number: int) -> None:
    clear = {"uid": f"{number:032x}", "line": "desk", "start_ns": str(START)}
    box.write_call(clear | {"end_ns": str(START + 1), "recording": None}, {"from": str(number)})


def tick(box: Archive) -> int:
    """Commit until it is done; how often it failed."""
    failures = 0
    while True:
        try:
            box.tick()
        except StorageFailed:
            failures += 1
            assert failures < 4, "one fault is over at the next try"
        else:
            return failures


def work(box: Archive, failed: Callable[[int], None]) -> list[Tape]:
    """A few ticks of parts that grow, and of calls; then all of them end."""
    tapes = [tape(box, number) for number in range(PARTS)]
    for one in tapes:
        box.add(one)
    for at in range(TICKS):
        for one in tapes:
            one._put(Meta({"tick": at}))
        call(box, at)
        before = {part: two.size for part, two in box.committed.items()}
        failed(tick(box))
        for part, two in box.committed.items():
            assert two.size > before.get(part, 0), "committed only grows"
    for one in tapes:
        one.finish("ended")
    failed(tick(box))
    failed(tick(box))
    return tapes


def check(folder: Path, tapes: list[Tape]) -> None:
    """Every part is whole and its entry true, every call there once; the log verifies."""
    assert verify.verify(folder).problems == ()
    sealed = {
        one.data["part"]: one.data for one in verify.entries(folder) if one.ev == "part.sealed"
    }
    assert len(sealed) == len(tapes)
    data = layout.open(folder)
    for one in tapes:
        (path,) = data.parts.rglob(f"{one.part.hex()}.gpart")
        scan = Reader(path.read_bytes()).scan(path.stat().st_size)
        assert scan.state is State.COMPLETE
        assert sealed[one.part.hex()]["bytes"] == path.stat().st_size
        assert sealed[one.part.hex()]["sha256"] == scan.sha256.hex()
    numbers = [record.clear["uid"] for record in journal.everything(data.calls)]
    assert numbers == [f"{at:032x}" for at in range(TICKS)]
    assert not list(folder.rglob(".*.tmp"))


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT, Fault.SHORT])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_at_every_fault_the_same_process_goes_on_and_loses_nothing(
    tmp_path: Path, fresh: Path, fault: Fault, number: int
) -> None:
    at = -STEP + list(Fault).index(fault) + 3 * (number == errno.EIO)
    failures = 0
    while True:
        at += STEP
        folder = tmp_path / str(at)
        system = FaultySystem(fault=fault, number=number)
        box = opened(fresh, folder, system)
        system.count, system.at = 0, at + 1
        told: list[int] = []
        tapes = work(box, told.append)
        done = system.count <= at
        system.at = 0
        box.close()
        check(folder, tapes)
        failures += sum(told)
        if done:
            break
    assert failures > at // 3 // STEP, "hardly a fault was ever seen"


@given(st.lists(st.sampled_from(sorted(CALLS)), min_size=1, max_size=3), st.integers(1, 12))
def test_a_disk_that_is_ill_for_a_while_costs_nothing_durable(
    tmp_path_factory: pytest.TempPathFactory, fresh: Path, calls: list[str], length: int
) -> None:
    folder = tmp_path_factory.mktemp("ill") / "box"
    system = FaultySystem(calls=frozenset(calls), number=errno.ENOSPC)
    box = opened(fresh, folder, system)

    tapes = [tape(box, number) for number in range(PARTS)]
    for one in tapes:
        box.add(one)
    for at in range(TICKS):
        for one in tapes:
            one._put(Meta({"tick": at}))
        call(box, at)
        for _ in range(length if at == 1 else 0):
            system.count, system.at = 0, 1  # the first of *calls* in each commit fails
            durable = dict(box.committed)
            try:
                box.tick()
            except StorageFailed:
                for part, two in durable.items():
                    assert box.committed[part].size >= two.size
            system.at = 0
        box.tick()
    for one in tapes:
        one.finish("ended")
    box.tick()
    box.tick()
    box.close()
    check(folder, tapes)


class Hiding(FaultySystem):
    """A file system on which the first part that is closed cannot be read for a while."""

    hidden: Path | None = None

    def close(self, fd: int) -> None:
        path = Path(f"/proc/self/fd/{fd}").readlink()
        super().close(fd)
        if path.suffix == ".gpart" and self.hidden is None:
            self.hidden = path
            path.rename(path.with_suffix(".away"))

    def show(self) -> None:
        assert self.hidden is not None
        self.hidden.with_suffix(".away").rename(self.hidden)


def test_a_part_that_cannot_be_read_back_is_closed_once_and_put_on_record_later(
    tmp_path: Path, fresh: Path
) -> None:
    folder = tmp_path / "box"
    system = Hiding()
    box = opened(fresh, folder, system)
    tapes = [tape(box, number) for number in range(PARTS)]
    for one in tapes:
        box.add(one)
    for at in range(TICKS):
        call(box, at)
    box.tick()
    for one in tapes:
        one.finish("ended")
    for _ in range(3):
        with pytest.raises(StorageFailed):
            box.tick()
    system.show()
    box.tick()
    box.tick()
    box.close()
    check(folder, tapes)
