"""Someone rewrote files of the data directory to make the commands lie, or work for ever."""

import json
import sqlite3
import zlib
from pathlib import Path

import pytest
from tests.stories.box import Box, command

from greffier.clock import SystemClock
from greffier.durable import Disk
from greffier.seal.frames import Meta
from greffier.seal.part import PartWriter
from greffier.store import journal, layout
from greffier.store.rebuild import part_row
from greffier.store.vault import StoredPart
from greffier_sim import captures
from greffier_sim.captures import Plan

PLAN = Plan(talk_ms=60, ring_ms=40)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    made = Box(tmp_path)
    made.call(captures.call(PLAN))
    return made


def edit(box: Box, *statements: str) -> None:
    db = sqlite3.connect(box.data / "index.sqlite")
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def test_an_index_with_a_schema_of_its_own_is_not_run(box: Box) -> None:
    good = box.listed("--key", box.key)
    endless = (
        "CREATE VIEW calls AS WITH RECURSIVE n(x) AS (VALUES(0) UNION ALL SELECT x+1 FROM n)"
        " SELECT x AS uid, '' AS line, x AS start_ns, 0 AS end_ns, '' AS recording,"
        " '{}' AS clear, '' AS epoch, 0 AS record FROM n"
    )
    for statements in (
        ("DROP TABLE calls", endless),
        ("CREATE TRIGGER t AFTER INSERT ON calls BEGIN DELETE FROM parts; END",),
        ("CREATE TABLE more (x)",),
        ("DROP INDEX calls_by_start",),
    ):
        edit(box, *statements)
        assert box.listed("--key", box.key) == good
        said = command("index", "rebuild", "--data", box.data, "--json")
        assert said.code == 0 and box.listed("--key", box.key) == good


def test_an_index_that_is_a_link_is_begun_again_and_its_target_left(box: Box) -> None:
    good = box.listed()
    index = box.data / "index.sqlite"
    elsewhere = box.folder / "elsewhere"
    index.rename(elsewhere)
    content = elsewhere.read_bytes()
    index.symlink_to(elsewhere)
    assert box.listed() == good
    assert not index.is_symlink() and elsewhere.read_bytes() == content


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE calls SET clear = replace(clear, '\"full\"', '\"none\"')",
        "UPDATE calls SET recording = NULL",
        "UPDATE calls SET start_ns = start_ns + 1",
        "UPDATE calls SET record = 7",
        "UPDATE calls SET uid = '0' || substr(uid, 2) WHERE substr(uid, 1, 1) <> '0'",
        "UPDATE calls SET clear = '[]'",
        "UPDATE calls SET clear = '{'",
    ],
)
def test_with_the_key_an_edited_row_is_not_believed(box: Box, statement: str) -> None:
    good = box.listed("--key", box.key)
    edit(box, statement)
    said = command("calls", "--data", box.data, "--key", box.key, "--json")
    assert said.code == 20 or said.json["calls"] == good
    assert said.code == 0 or "index rebuild" in said.complaint or "record" in said.complaint
    assert command("index", "rebuild", "--data", box.data).code == 0
    assert box.listed("--key", box.key) == good


def test_a_row_that_is_gone_comes_back_from_the_journal(box: Box) -> None:
    good = box.listed("--key", box.key)
    edit(box, "DELETE FROM calls")
    assert box.listed("--key", box.key) == good


def test_rows_with_wild_values_are_one_line(box: Box) -> None:
    for column, value in (("purposes", "[1]"), ("holds", "7"), ("purposes", "[" * 100_000)):
        edit(box, f"UPDATE parts SET {column} = '{value}'")
        said = command("calls", "--data", box.data, "--json")
        assert said.code == 20 and "index rebuild" in said.complaint
        assert command("index", "rebuild", "--data", box.data).code == 0


def test_a_record_without_what_a_call_has_is_one_line(box: Box) -> None:
    (path,) = (box.data / "vault" / "calls").iterdir()
    data = path.read_bytes()
    record = journal.read(data).records[0]
    clear = {key: record.clear[key] for key in journal.REQUIRED} | {"uid": "0" * 32}
    forged = json.dumps(clear, sort_keys=True, separators=(",", ":")).encode()
    body = len(forged).to_bytes(4, "big") + forged + bytes(80)
    length = len(body).to_bytes(4, "big")
    path.write_bytes(data + length + zlib.crc32(length + body).to_bytes(4, "big") + body)
    assert command("index", "rebuild", "--data", box.data).code == 0
    for words in ((), ("--key", box.key)):
        said = command("calls", "--data", box.data, "--json", *words)
        assert said.code == 20 and said.complaint


def test_a_part_made_to_be_slow_is_listed_at_once(tmp_path: Path) -> None:
    """Behind a break, each six octets could begin a frame of a megabyte: none is looked at."""
    directory = layout.create(tmp_path / "data", Disk(), SystemClock(), b"# office\n")
    writer = PartWriter(
        part_id=bytes(16), recording_id=bytes(16), number=0, meta={}, content_key=bytes(32)
    )
    path = tmp_path / f"{bytes(16).hex()}.gpart"
    trap = b"".join(b"\x00\x0f\xff\xff\x01\x00\x00\x00\x00\x00\x00" + bytes([n]) for n in range(64))
    content = writer.header + writer.seal(Meta({})) + b"\xff" * 16 + trap * 60_000
    path.write_bytes(content)
    shred = directory.shred_store(Disk())
    row = part_row(StoredPart(path.stem, "2026-01-01", path, len(content)), shred)
    assert not row.complete
