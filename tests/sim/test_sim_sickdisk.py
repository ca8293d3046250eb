"""A disk that loses its power loses what was not synced, and nothing else."""

import os
from pathlib import Path

import pytest

from greffier_sim.sickdisk import SickDisk, Unable


def test_a_power_cut_takes_what_was_not_synced(tmp_path: Path) -> None:
    try:
        made = SickDisk.make(tmp_path, 32)
    except Unable as error:
        pytest.skip(str(error))
    with made as disk:
        with (disk.path / "kept").open("wb") as file:
            file.write(b"kept")
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(disk.path, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        (disk.path / "lost").write_bytes(b"lost")
        try:
            disk.cut()
        except Unable as error:
            pytest.skip(str(error))
        with pytest.raises(OSError, match="Input/output"):
            (disk.path / "late").write_bytes(b"late")
        disk.mend()
        assert (disk.path / "kept").read_bytes() == b"kept"
        assert not (disk.path / "lost").exists()
        (disk.path / "again").write_bytes(b"it can be written again")
    assert not (tmp_path / "disk" / "kept").exists()  # unmounted
