"""What kills leave at head office is removed in time, and nothing that somebody still wants."""

import os
import secrets
import shutil
from pathlib import Path

import pytest
from tests.office.deleting import CREATED_NS, DAY_NS, QUALITY, Archive, device_of

from greffier.durable import Disk
from greffier.sync.messages import Later, Need
from greffier_office import claims
from greffier_office.envelopes import Sealing
from greffier_office.objects import Objects, block_name
from greffier_office.sweeping import Sweeping
from greffier_sim.held_parts import held_parts


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


def test_objects_that_no_row_names_go_after_a_day(archive: Archive) -> None:
    box = archive.box()
    held = archive.sealed(box, QUALITY)
    archive.store(box, held)
    blocks = archive.office.objects / "blocks"
    stray = block_name(secrets.token_hex(32))
    Objects(archive.office.objects, Disk()).put(stray, b"of a killed upload")
    half = blocks / held.sha256[:2] / f"{held.sha256}#1"
    half.write_bytes(b"ha")
    entries = archive.office.objects / "audit" / device_of(box)
    left = entries / "000000000000-000000000002-0123456789abcdef"
    left.write_bytes(b"of a killed transaction")
    ahead = entries / "000000000099-000000000100-0123456789abcdef"
    ahead.write_bytes(b"of a transaction that comes")
    assert archive.sweep() == 0  # all is young
    for one in (archive.office.objects / stray, half, left, ahead, *blocks.rglob(held.sha256)):
        os.utime(one, (0, 0))
    assert archive.sweep() == 3
    assert archive.objects() == {held.sha256}
    assert sorted(one.name for one in entries.iterdir() if one in (left, ahead)) == [ahead.name]
    assert held_parts(archive.office) == {(device_of(box), held.part)}


def test_a_catalogue_that_was_put_back_has_nothing_swept_without_a_person(
    archive: Archive, tmp_path: Path
) -> None:
    """What it does not name may be the only copy of a part that came after the backup."""
    box = archive.box()
    shutil.copy(archive.office.catalogue, tmp_path / "old")
    held = archive.sealed(box, QUALITY)
    archive.store(box, held)
    archive.sweep()
    for suffix in ("", "-wal", "-shm"):
        (archive.office.path / f"catalogue.sqlite{suffix}").unlink(missing_ok=True)
    shutil.copy(tmp_path / "old", archive.office.catalogue)
    for path in (archive.office.objects / "blocks").rglob("*"):
        os.utime(path, (0, 0))
    sweeping = Sweeping.of(archive.office, Disk(), archive.clock)
    assert sweeping.is_put_back and sweeping.step() == 0
    assert archive.objects() == {held.sha256}
    assert sweeping.everything() == 1 and not sweeping.is_put_back
    sweeping.close()


def test_a_part_is_not_stored_with_a_block_that_is_being_removed(archive: Archive) -> None:
    """The block was looked at, then removed, then the part is committed: no receipt for it."""
    box = archive.box()
    held = archive.sealed(box, QUALITY)
    archive.replicate(box)
    life = archive.inside()
    with life.rows.transaction() as db:
        db.execute(
            "INSERT INTO gone_blocks VALUES (?, ?, ?, ?)",
            (held.sha256, block_name(held.sha256), archive.clock(), archive.clock()),
        )
    life.close()
    life = archive.inside()
    life.offer(device_of(box), held.offered())
    assert isinstance(life.voice.told.pop()[1], Need)
    for payload in held.chunks():
        life.chunk(device_of(box), payload)
    assert isinstance(life.voice.told.pop()[1], Later)
    life.close()
    archive.day += 1
    archive.sweep()
    archive.store(box, held)
    assert archive.opens(held)


def test_blocks_envelopes_and_keys_of_what_never_became_a_part_go(archive: Archive) -> None:
    box = archive.box()
    held = archive.sealed(box, QUALITY)
    archive.replicate(box)
    sha256 = secrets.token_hex(32)
    life = archive.inside()
    Objects(archive.office.objects, Disk()).put(block_name(sha256), b"x")
    with life.rows.transaction() as db:
        db.execute(
            "INSERT INTO blocks VALUES (?, 1, ?, ?)",
            (sha256, block_name(sha256), archive.clock()),
        )
        made = claims.make(db, "", None, 1, archive.clock())
    life.envelopes.put(
        [Sealing(device_of(box), held.part, b"block", CREATED_NS + 9 * DAY_NS)], archive.clock()
    )
    stray = life.envelopes.keys.make()
    for copy in ("a", "b"):
        os.utime(archive.office.envelope_keys / copy / stray, (0, 0))
    archive.day = 2.5
    assert archive.sweep() == 2  # the envelope, and the key without a row
    assert archive.objects() == {sha256}
    assert life.envelopes.get(device_of(box), held.part) is None
    assert archive.keys() == set()
    archive.day = 40
    assert archive.sweep() == 1 and archive.objects() == set()
    key = life.rows.db.execute("SELECT key FROM claims WHERE claim = ?", (made.claim,)).fetchone()
    assert key[0] is None
    life.close()


def test_envelopes_of_an_older_version_are_sealed_and_stay_readable(archive: Archive) -> None:
    box = archive.box()
    parts = [archive.sealed(box, QUALITY) for _ in range(2)]
    archive.store(box, *parts)
    life = archive.inside()
    for one in parts:  # as it wrote them
        life.envelopes.db.execute(
            "UPDATE envelopes SET block = ?, key = NULL WHERE part = ?", (one.envelope, one.part)
        )
    life.envelopes.finish(archive.clock())
    rows = life.envelopes.db.execute("SELECT key, block FROM envelopes").fetchall()
    assert all(row["key"] is not None for row in rows)
    path = archive.office.envelopes
    life.close()
    raw = path.read_bytes()
    assert not any(one.envelope[50:200] in raw for one in parts)
    assert all(archive.opens(one) for one in parts)
