"""Someone who can write the disk exchanges keys, names and records, and leaves no byte damaged."""

import json
import os
import shutil
import zlib
from pathlib import Path

import pytest
from tests.stories.box import DESK, PAIR, RETAIL, Box, command

from greffier import canonical
from greffier.clock import SystemClock
from greffier.durable import Disk
from greffier.recorder import archive
from greffier.seal import keys
from greffier.seal.keys import Role
from greffier.seal.reader import Reader
from greffier.store import journal, layout
from greffier.store.shred_format import PART, Name
from greffier_sim import captures
from greffier_sim.captures import Plan

PLAN = Plan(talk_ms=60, ring_ms=40)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    made = Box(tmp_path)
    made.call(captures.call(PLAN))
    return made


def problems(box: Box) -> set[str]:
    return {one["code"] for one in box.verified()["problems"]}


def brought(box: Box) -> int:
    said = box.bring(captures.call(PLAN))
    assert said.code == 0 or (said.complaint and not said.out)
    return said.code


def test_a_recipient_that_was_planted_reads_nothing(box: Box) -> None:
    """With a key of his own in keys/, a thief would read all that is recorded from then on."""
    console = box.data / "keys" / "console.pub"
    console.write_text(keys.generate(Role.CONSOLE).public.format())
    before = len(box.parts)
    assert brought(box) == 20 and len(box.parts) == before
    console.unlink()
    office = box.data / "keys" / "office.pub"
    office.write_text(keys.generate(Role.OFFICE).public.format())
    assert brought(box) == 20 and len(box.parts) == before
    office.write_text(PAIR.public.format())
    assert brought(box) == 0 and box.verified()["ok"]


def test_a_console_that_the_device_was_made_for_is_in_the_log(tmp_path: Path) -> None:
    console = keys.generate(Role.CONSOLE).public
    office = PAIR.public.format().encode()
    archive.create(tmp_path / "data", SystemClock(), office, console.format().encode())
    capture = Box.__new__(Box)
    capture.folder, capture.data, capture.files = tmp_path, tmp_path / "data", 0
    assert capture.bring(captures.call(PLAN), policy=RETAIL).code == 0
    named = [one.data["console_key"] for one in capture.entries() if "office_key" in one.data]
    assert named == [console.key_id.hex()] * 2
    assert capture.verified()["ok"]
    (tmp_path / "data" / "keys" / "console.pub").unlink()
    assert brought(capture) == 20


def test_another_name_for_the_device_is_found(box: Box) -> None:
    path = box.data / "device.json"
    fields = json.loads(path.read_text())
    path.write_bytes(canonical.dump(fields | {"device": "box-00000000"}))
    assert problems(box) == {"device.changed"}
    assert brought(box) == 20


def test_an_exchanged_log_key_signs_nothing(box: Box, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Box(tmp_path / "other")
    for name in ("log.key", "log.pub"):
        shutil.copy(other.data / "keys" / name, box.data / "keys" / name)
    assert brought(box) == 20


def test_a_journal_that_was_shortened_or_taken_away_is_missed(box: Box) -> None:
    box.call(captures.call(PLAN))
    assert box.verified()["ok"]
    for path in sorted((box.data / "vault" / "calls").iterdir()):
        content = path.read_bytes()
        (record,) = journal.read(content).records
        path.write_bytes(content[: record.offset])
        for index in box.data.glob("index.sqlite*"):
            index.unlink()
        assert len(box.listed()) == 1  # the commands go on with what there is
        assert problems(box) == {"call.missing"}
        path.unlink()
        assert problems(box) == {"call.missing"}
        path.write_bytes(content)
    assert box.verified()["ok"]


def forged(data: bytes, **changes: object) -> bytes:
    """The journal *data* with its first record once more, changed; nobody needs a key for that."""
    record = journal.read(data).records[0]
    clear = canonical.dump({**record.clear, **changes})
    body = len(clear).to_bytes(4, "big") + clear + record.sealed
    length = len(body).to_bytes(4, "big")
    return data + length + zlib.crc32(length + body).to_bytes(4, "big") + body


def test_a_record_that_was_added_is_found_without_any_key(box: Box) -> None:
    (path,) = (box.data / "vault" / "calls").iterdir()
    good = path.read_bytes()
    for changes, code in (
        ({"record": "none", "codes": ["SAMPLED_OUT"]}, "call.altered"),
        ({"record": "none", "end": "interrupted"}, "call.altered"),
        ({"result": "failed"}, "call.altered"),
        ({"recording": None}, "call.altered"),
        ({"number": "box-0/vente/0000000009", "uid": "0" * 32}, "call.unknown"),
        ({"number": 7, "uid": "0" * 32}, "call.unknown"),
    ):
        path.write_bytes(forged(good, **changes))
        assert problems(box) == {code}, changes
        said = command("index", "rebuild", "--data", box.data)
        assert said.code == 0
        said = command("calls", "--data", box.data, "--key", box.key, "--json")
        assert said.code == 20 and not said.out
    path.write_bytes(good)
    assert box.verified()["ok"]


def test_a_key_that_was_destroyed_without_an_entry_is_missed(box: Box) -> None:
    box.call(captures.call(PLAN), "desk", DESK)  # its file has an envelope of its own
    directory = layout.open(box.data)
    (voluntary,) = [path for path in box.parts if not Reader(path.read_bytes()).header.envelopes]

    def destroy(*wanted: Name) -> None:
        with directory.lock(Disk()):
            store = directory.shred_store(Disk())
            assert store.destroy(wanted or store.names()).names
            store.close()

    files = {path: path.read_bytes() for path in (box.data / "shred").rglob("*") if path.is_file()}
    assert box.verified()["ok"]
    assert {path: path.read_bytes() for path in files} == files  # a verification only reads
    destroy(Name(PART, bytes.fromhex(voluntary.stem)))
    found = box.verified()["problems"]
    assert [one["code"] for one in found] == ["key.lost"] and voluntary.stem in found[0]["detail"]
    destroy()
    assert [one["code"] for one in box.verified()["problems"]] == ["key.lost"] * 3
    for path in (box.data / "shred").rglob("effaceable.key"):
        path.unlink()
    assert [one["code"] for one in box.verified()["problems"]] == ["key.lost"] * 3


def test_a_second_file_of_a_part_is_found(box: Box) -> None:
    (part,) = box.parts
    later = part.parent.with_name("2999-01-01")
    later.mkdir()
    shutil.copy(part, later)
    assert problems(box) == {"part.unknown"}


def test_links_and_pipes_in_place_of_files_keep_nobody_waiting(box: Box) -> None:
    (part,) = box.parts
    elsewhere = part.rename(box.folder / "elsewhere")
    recording = box.listed()[0]["recording"]
    for plant in (os.mkfifo, lambda path: path.symlink_to(elsewhere), Path.mkdir):
        plant(part)
        os.mkfifo(box.data / "vault" / "calls" / "pipe.gcalls")
        assert problems(box) == {"part.missing"}
        assert box.export(recording, box.folder / "out.wav").code == 20
        assert command("index", "rebuild", "--data", box.data).code == 0
        (box.data / "vault" / "calls" / "pipe.gcalls").unlink()
        part.rmdir() if part.is_dir() else part.unlink()
    elsewhere.rename(part)
    assert box.verified()["ok"]
