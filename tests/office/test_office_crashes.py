"""Killed, or failed by disk or database, between any two steps: one row, and a receipt that holds.

Every fault exists twice: it erred and did nothing, it erred although it was done.
"""

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.office.in_process import Crash, Inside, Told, enrol

from greffier.audit import receipt
from greffier.durable import Disk
from greffier.errors import StorageFailed
from greffier.sync.chunk import BLOCK
from greffier.sync.messages import Have, Later, Need, Refused
from greffier.trust import LogKey
from greffier_office import place
from greffier_office.place import Office
from greffier_sim.faults import Fault, FaultySystem
from greffier_sim.hand_box import HandBox, Held
from greffier_sim.held_parts import held_parts

DEVICE = "box-1a2b3c4d"
STEPS = ("put", "row", "envelope", "commit", "receipt")


class Scene:
    """A head office that knows a log, and parts that it names."""

    def __init__(self, folder: Path, sizes: list[int]) -> None:
        self.office: Office = place.create(folder, Disk(), time.time_ns())
        self.box = HandBox(LogKey.new(f"greffier/{DEVICE}"))
        enrol(self.office, self.box.key)
        self.box.say("device.created", device=DEVICE, version="0.1.0")
        self.parts = [self.box.hold(size) for size in sizes]
        life = Inside(self.office)
        assert isinstance(life.audit(DEVICE, self.box.batch()), Have)
        life.close()


def send(life: Inside, held: Held, order: Callable[[list[bytes]], list[bytes]] = list) -> bytes:
    """Offer *held* until its receipt is here. Raises Crash."""
    for _attempt in range(8):
        life.offer(DEVICE, held.offered())
        while life.voice.told:
            said = life.voice.told.pop(0)[1]
            if isinstance(said, bytes):
                return said
            if isinstance(said, Need):
                for one in said.ranges:
                    for payload in order(list(held.chunks(one.start, one.end))):
                        life.chunk(DEVICE, payload)
        life.tick(2.0)
    raise AssertionError("no receipt")


def check(scene: Scene, receipts: dict[str, bytes]) -> None:
    """Exactly one row of each part, objects and envelopes that fit, receipts that verify."""
    assert held_parts(scene.office) == {(DEVICE, part) for part in receipts}
    keys = scene.office.public_keys()
    for part, raw in receipts.items():
        assert receipt.read(raw, keys).receipt.part == part
    life = Inside(scene.office)
    (count,) = life.rows.db.execute("SELECT count(*) FROM parts").fetchone()
    assert count == len(scene.parts)
    life.close()


@settings(max_examples=20)
@given(
    strikes=st.lists(st.integers(0, 12), max_size=6),
    sizes=st.lists(st.sampled_from([1, 70_000, BLOCK + 9]), min_size=1, max_size=2),
    backwards=st.booleans(),
)
def test_a_kill_between_any_two_steps_is_repaired_by_the_next_offer(
    tmp_path_factory: pytest.TempPathFactory,
    strikes: list[int],
    sizes: list[int],
    backwards: bool,
) -> None:
    scene = Scene(tmp_path_factory.mktemp("crash") / "office", sizes)
    left = list(strikes)
    receipts: dict[str, bytes] = {}
    given_out: dict[str, bytes] = {}

    def strike(_step: str) -> None:
        if left:
            left[0] -= 1
            if left[0] < 0:
                left.pop(0)
                raise Crash

    while len(receipts) < len(scene.parts):
        life = Inside(scene.office, strike=strike)
        strike_at_commit(life, strike)
        try:
            for held in scene.parts:
                order = (lambda some: some[::-1]) if backwards else list
                receipts[held.part] = send(life, held, order)
                given_out.setdefault(held.part, receipts[held.part])
        except Crash:
            pass
        finally:
            life.close()
    assert receipts == given_out  # a part has one receipt, however often it is asked for
    check(scene, receipts)


def strike_at_commit(life: Inside, strike: Callable[[str], None]) -> None:
    """Also between the envelopes' commit and the rows', and between the rows' and the receipt."""
    transaction = life.rows.transaction

    @contextmanager
    def struck() -> Iterator[object]:
        strike("commit")
        with transaction() as db:
            yield db
        strike("receipt")

    life.rows.transaction = struck  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize(
    ("fault", "number", "reason"),
    [
        (Fault.LOST, errno.EIO, "busy"),
        (Fault.KEPT, errno.EIO, "busy"),
        (Fault.LOST, errno.ENOSPC, "space"),
    ],
)
def test_an_object_store_that_fails_costs_time_and_nothing_else(
    tmp_path: Path, fault: Fault, number: int, reason: str
) -> None:
    scene = Scene(tmp_path / "office", list(range(1, 13)))
    receipts: dict[str, bytes] = {}
    failed = []
    for at, held in enumerate(scene.parts, 1):
        life = Inside(scene.office, system=FaultySystem(at=at, fault=fault, number=number))
        last = attempt(life, held)[-1]
        if isinstance(last, Later):
            failed.append(at)
            assert last.reason == reason
        receipts[held.part] = send(life, held)
        life.close()
    assert len(failed) >= 5 and failed == list(range(1, len(failed) + 1))
    assert len(failed) < len(scene.parts)
    check(scene, receipts)


def attempt(life: Inside, held: Held) -> list[object]:
    """What is said when the part is offered once and sent as asked."""
    life.offer(DEVICE, held.offered())
    said: list[object] = []
    while life.voice.told:
        one = life.voice.told.pop(0)[1]
        said.append(one)
        if isinstance(one, Need):
            for span in one.ranges:
                for payload in held.chunks(span.start, span.end):
                    life.chunk(DEVICE, payload)
    return said


@pytest.mark.parametrize("persisted", [False, True])
@pytest.mark.parametrize("which", range(2))
def test_a_database_that_fails_costs_time_and_nothing_else(
    tmp_path: Path, persisted: bool, which: int
) -> None:
    scene = Scene(tmp_path / "office", [5000])
    (held,) = scene.parts
    life = Inside(scene.office)
    transaction = life.rows.transaction
    count = 0

    @contextmanager
    def failing() -> Iterator[object]:
        nonlocal count
        count += 1
        fails = count == which + 1
        with transaction() as db:
            yield db
            if fails and not persisted:
                raise StorageFailed(path="catalogue", reason="disk I/O error")
        if fails:
            raise StorageFailed(path="catalogue", reason="disk I/O error")

    life.rows.transaction = failing  # type: ignore[method-assign, assignment]
    said = attempt(life, held)
    if which == 1:  # that of the part's row; no receipt left
        assert said[-1] == Later(held.part, "busy", 2)
    receipts = {held.part: send(life, held)}
    life.close()
    check(scene, receipts)


@pytest.mark.parametrize("persisted", [False, True])
def test_a_log_whose_row_fails_is_asked_again(tmp_path: Path, persisted: bool) -> None:
    scene = Scene(tmp_path / "office", [5000])
    scene.box.say("recorder.stopped", reason="x")
    size = len(scene.box.log)
    life = Inside(scene.office)
    transaction = life.rows.transaction

    @contextmanager
    def failing() -> Iterator[object]:
        with transaction() as db:
            yield db
            if not persisted:
                raise StorageFailed(path="catalogue", reason="disk I/O error")
        raise StorageFailed(path="catalogue", reason="disk I/O error")

    life.rows.transaction = failing  # type: ignore[method-assign, assignment]
    with pytest.raises(StorageFailed):
        life.audit(DEVICE, scene.box.batch(size - 1, size))
    life.close()
    life = Inside(scene.office)
    have = life.audit(DEVICE, scene.box.batch(size - 1, size))
    assert isinstance(have, Have) and have.size == size
    assert have.cosigned or life.audit(DEVICE, scene.box.batch(size, size)).cosigned  # type: ignore[union-attr]
    life.close()


def test_another_boxs_part_is_nobodys(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "office", [5000])
    other = HandBox(LogKey.new("greffier/box-2b"))
    enrol(scene.office, other.key)
    other.say("device.created", device="box-2b", version="0.1.0")
    life = Inside(scene.office)
    life.audit("box-2b", other.batch())
    (held,) = scene.parts
    life.offer("box-2b", held.offered())
    assert life.voice.told.pop() == ("box-2b", Later(held.part, "log", 2))
    life.now_s += 100.0
    life.offer("box-2b", held.offered())
    assert life.voice.told.pop() == ("box-2b", Later(held.part, "log", 2))
    life.audit("box-2b", other.batch(1, 1))
    life.offer("box-2b", held.offered())
    assert life.voice.told.pop() == ("box-2b", Refused(held.part, "unknown"))
    life.close()


def test_a_part_whose_log_was_held_up_by_a_cut_is_not_unknown(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "office", [5000])
    life = Inside(scene.office)
    size = len(scene.box.log)
    life.audit(DEVICE, scene.box.batch())
    held = scene.box.hold(7000)
    life.offer(DEVICE, held.offered())
    life.now_s += 1000.0  # the line was cut before the log's end came
    life.offer(DEVICE, held.offered())
    assert life.voice.told.pop() == (DEVICE, Later(held.part, "log", 2))
    life.audit(DEVICE, scene.box.batch(size, size))  # what is asked for at each connection
    life.offer(DEVICE, held.offered())
    assert life.voice.told.pop() == (DEVICE, Later(held.part, "log", 2))
    life.audit(DEVICE, scene.box.batch(size))
    life.offer(DEVICE, held.offered())
    assert isinstance(life.voice.told.pop()[1], Need)
    life.close()


def told_of(life: Inside, held: Held, **changes: object) -> Told:
    """What is said of an offer that was changed."""
    offered = held.offered()
    fields = {name: getattr(offered, name) for name in offered.__slots__} | changes
    life.offer(DEVICE, type(offered)(**fields))
    return life.voice.told.pop()


def test_an_offer_that_contradicts_the_log_is_refused(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "office", [5000, 6000])
    life = Inside(scene.office)
    held, other = scene.parts
    hash_ = (DEVICE, Refused(held.part, "hash"))
    assert told_of(life, held, size=5001) == hash_
    assert told_of(life, held, sha256=other.sha256) == hash_
    assert told_of(life, held, blocks=other.blocks) == hash_
    envelope = (DEVICE, Refused(held.part, "envelope"))
    assert told_of(life, held, envelope=other.offered().envelope) == envelope
    scene.box.say("part.opened", "22" * 16, part="33" * 16, recording="22" * 16, number=0)
    assert isinstance(life.audit(DEVICE, scene.box.batch(5)), Have)
    unfinished = Held("33" * 16, os.urandom(9), held.envelope)
    life.offer(DEVICE, unfinished.offered())
    assert life.voice.told.pop() == (DEVICE, Later(unfinished.part, "log", 2))
    life.close()


def test_a_whole_that_is_not_its_blocks_is_refused(tmp_path: Path) -> None:
    """Every block is as offered, and yet the part is not what the log says."""
    scene = Scene(tmp_path / "office", [])
    octets = os.urandom(BLOCK + 5)
    lying = scene.box.hold(BLOCK + 5, {"sha256": "0" * 64})
    held = Held(lying.part, octets, lying.envelope)
    life = Inside(scene.office)
    life.audit(DEVICE, scene.box.batch(1))
    offered = held.offered()
    fields = {name: getattr(offered, name) for name in offered.__slots__} | {"sha256": "0" * 64}
    life.offer(DEVICE, type(offered)(**fields))
    need = life.voice.told.pop()[1]
    while isinstance(need, Need):
        for span in need.ranges:
            for payload in held.chunks(span.start, span.end):
                life.chunk(DEVICE, payload)
        need = life.voice.told.pop()[1]
    assert need == Refused(held.part, "hash")
    life.close()
