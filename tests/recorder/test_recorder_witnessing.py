"""The cosignature over an epoch's commitment: when it came is told in the log, once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.recorder.office_scene import WITNESS, Box, made

from greffier.audit import verify
from greffier.audit.entry import Entry
from greffier.control.messages import Done
from greffier.control.transfer import Cosigned


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
