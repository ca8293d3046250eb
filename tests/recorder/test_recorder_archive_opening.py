"""An opening that fails leaves nothing open: a recorder that waits for its disk tries for hours."""

import errno
from pathlib import Path

import pytest
from tests.stories.box import PAIR

from greffier.clock import SystemClock
from greffier.durable import Disk
from greffier.errors import GreffierError
from greffier.recorder import archive as archives
from greffier.recorder.archive import Archive
from greffier.store import layout
from greffier_sim.faults import Fault, FaultySystem


def held(folder: Path) -> list[Path]:
    """What this process has open below *folder*."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.exists()]
    return [path for link in links if (path := link.readlink()).is_relative_to(folder)]


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.KEPT])
def test_a_failed_opening_leaves_no_file_open(tmp_path: Path, fault: Fault) -> None:
    folder = tmp_path / "box"
    archives.create(folder, SystemClock(), PAIR.public.format().encode())
    failures = at = 0
    while True:
        at += 1
        system = FaultySystem(at=at, fault=fault, number=errno.EIO)
        try:
            opened = Archive(layout.open(folder), SystemClock(), Disk(system))
        except GreffierError:
            failures += 1
            assert held(folder) == []
        else:
            opened.close()
            assert held(folder) == []
            if system.count < at:
                break
    assert failures >= 3


def test_a_shred_store_that_cannot_be_read_leaves_no_file_open(tmp_path: Path) -> None:
    folder = tmp_path / "box"
    archives.create(folder, SystemClock(), PAIR.public.format().encode())
    with Archive.open(folder, SystemClock()) as opened:
        opened.open_epoch()
    for path in (folder / "shred").rglob("root.*"):
        path.write_bytes(b"noise")
    with pytest.raises(GreffierError):
        Archive.open(folder, SystemClock())
    assert held(folder) == []
