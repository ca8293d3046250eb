"""The reference of sync.throughput: what it says that it moved is there."""

import hashlib
from pathlib import Path

from greffier_sim import mqtt_reference
from greffier_sim.head_office import HeadOffice


def test_what_the_c_programs_moved_lies_in_files_that_their_hashes_name(
    head_office: HeadOffice, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    programs = mqtt_reference.compiled(tmp_path)
    moved = mqtt_reference.run(programs, mqtt_reference.way(head_office), store, 12)
    assert moved.seconds > 0
    assert moved.rate > 0
    files = sorted(store.iterdir())
    assert [path.stat().st_size for path in files] == [mqtt_reference.BLOCK_MIB << 20] * 3
    for number, path in enumerate(files):
        assert path.name == f"{number:08x}-{hashlib.sha256(path.read_bytes()).hexdigest()}"
