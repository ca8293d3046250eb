"""The cosignature over an epoch's commitment: waited for in bounds, and told in the log."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.recorder.office_scene import WITNESS, Box, made
from tests.stories.box import DESK, RETAIL, SDIS, loaded

from greffier.audit import verify
from greffier.audit.entry import Entry
from greffier.control.messages import Done
from greffier.control.transfer import Cosigned
from greffier.recorder.witnessing import WAIT_NS, Witnessing, may_wait


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with Box(made(tmp_path / "box")) as one:
        yield one


def told(box: Box) -> list[Entry]:
    return [one for one in verify.entries(box.folder) if one.ev == "epoch.witnessed"]


def cosigned(box: Box) -> Cosigned:
    with box.turn:
        checkpoint, signed = box.archive.log.signed
    line = WITNESS.cosign(checkpoint, box.clock.wall_ns() // 10**9)
    return Cosigned((signed + line).decode())


def test_a_commitment_that_was_cosigned_is_told_once(box: Box) -> None:
    assert told(box) == []
    for _ in range(2):
        assert box.ask(cosigned(box)) == Done()
        with box.turn:
            box.step()
            box.archive.tick()
    (one,) = told(box)
    opened = box.archive.opened
    assert opened is not None and one.data["epoch"] == opened.data["epoch"]
    assert one.data["size"] > opened.seq and one.data["draws"] == 0


def test_nobody_is_waited_for_who_never_cosigned(box: Box) -> None:
    with box.turn:
        steps: list[int] = []
        Witnessing(box.archive).wait(lambda: steps.append(1), threading.Event())
    assert steps == []


def test_a_wait_ends_with_the_cosignature_or_with_its_time(tmp_path: Path) -> None:
    folder = made(tmp_path / "box")
    with Box(folder) as box:
        assert box.ask(cosigned(box)) == Done()
    with Box(folder) as box, box.turn:
        now = [0]
        waiting = Witnessing(box.archive)
        box.archive.clock.monotonic_ns = lambda: now[0]  # type: ignore[method-assign]
        steps: list[int] = []

        def step() -> None:
            steps.append(1)
            now[0] += WAIT_NS // 4

        waiting.wait(step, threading.Event())
        assert len(steps) == 4  # no cosignature came: the time was over
        stopped = threading.Event()
        stopped.set()
        now[0] = 0
        waiting.wait(step, stopped)
        assert len(steps) == 4


@pytest.mark.parametrize(("policy", "may"), [(RETAIL, True), (DESK, False), (SDIS, False)])
def test_only_a_branch_without_duties_may_wait(policy: Path, may: bool) -> None:
    assert may_wait(loaded(policy)) is may
