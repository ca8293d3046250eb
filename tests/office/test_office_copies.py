"""Sealed copies of the envelopes: whole or refused, gone after a week, no way back for the dead."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.office.deleting import DAY_NS, DUTY, QUALITY, Archive, device_of

from greffier.cli.main import run
from greffier.durable import Disk
from greffier.errors import GreffierError, IntegrityError
from greffier.seal import keys
from greffier.seal.envelope import DoesNotOpen
from greffier.seal.keys import Role
from greffier_office import copies
from greffier_office.copies import Kept
from greffier_office.main import COMMANDS
from greffier_sim.held_parts import held_parts

PRIVATE = keys.generate(Role.OFFICE)


def office(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    capsys.readouterr()
    code = run("greffier-office", COMMANDS, [*map(str, words), "--json"], "test")
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out.splitlines()[-1])


def test_lost_envelopes_come_back_and_deleted_ones_do_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = Archive(tmp_path)
    box = archive.box()
    quality, duty = archive.sealed(box, QUALITY), archive.sealed(box, DUTY)
    archive.store(box, quality, duty)
    (tmp_path / "office.key").write_text(archive.private.format())
    (tmp_path / "office.pub").write_text(archive.private.public.format())
    folder = tmp_path / "copies"
    folder.mkdir()
    old = folder / copies.name_of(archive.clock())
    old.write_bytes(b"of another time")
    where = ("--office", archive.office.path)
    said = office(capsys, "backup", *where, "--to", folder, "--office-key", tmp_path / "office.pub")
    assert said["envelopes"] == 2 and said["removed"] in ([old.name], [])
    raw = Path(said["copy"]).read_bytes()
    assert not any(one.envelope[40:80] in raw for one in (quality, duty))
    archive.day = 90
    archive.purge()
    life = archive.inside()
    life.envelopes.db.execute("DELETE FROM envelopes")
    life.close()
    assert not archive.opens(duty)
    back = ("restore", said["copy"], *where, "--key", tmp_path / "office.key")
    assert office(capsys, *back)["restored"] == 1
    assert archive.opens(duty) and not archive.opens(quality)
    assert held_parts(archive.office) == {(device_of(box), duty.part)}
    assert office(capsys, *back)["restored"] == 0


def test_copies_go_after_a_week_and_nothing_else_does(tmp_path: Path) -> None:
    now_ns = 1_800_000_000 * 1_000_000_000
    names = [copies.name_of(now_ns - age * DAY_NS) for age in (0, 6, 7, 8, 400)]
    for name in (*names, "envelopes-x.gcopy", "notes.txt", "envelopes-20200101T000000Z.gcopy.old"):
        (tmp_path / name).write_bytes(b"")
    assert {one.name for one in copies.outdated(tmp_path, now_ns)} == set(names[3:])


def made(folder: Path, count: int) -> Path:
    kept = [
        Kept("box-1", f"{number:032x}", "2027-01-01", number, bytes([number % 256]) * 1500)
        for number in range(count)
    ]
    path = folder / "copy"
    assert copies.write(path, Disk(), kept, PRIVATE.public, 5) == count
    assert list(copies.read(path, PRIVATE)) == kept
    return path


@pytest.mark.parametrize("count", [0, 1, 400])
def test_a_copy_cut_short_or_with_more_behind_it_is_refused(tmp_path: Path, count: int) -> None:
    path = made(tmp_path, count)
    whole = path.read_bytes()
    for wrong in (
        whole[:-1],
        whole[:-17],
        whole[:40],
        b"",
        whole + b"\0",
        whole[: len(whole) // 2],
    ):
        path.write_bytes(wrong)
        with pytest.raises((IntegrityError, DoesNotOpen)):
            list(copies.read(path, PRIVATE))


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    with pytest.raises(DoesNotOpen):
        list(copies.read(made(tmp_path, 1), keys.generate(Role.OFFICE)))


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_no_altered_octet_goes_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = made(tmp_path_factory.mktemp("copy"), 2)
    whole = bytearray(path.read_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(whole)
    with pytest.raises((GreffierError, DoesNotOpen)):
        list(copies.read(path, PRIVATE))
