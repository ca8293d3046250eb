"""Certificates of deletions: head office's notes, and the command that checks both kinds."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.office.deleting import QUALITY, Archive, device_of

from greffier.audit import note
from greffier.cli.main import run
from greffier_office import deletion_note
from greffier_office.deletion_note import BadDeletion
from greffier_office.main import COMMANDS

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "audit" / "certificates.json").read_text()
)
OFFICES, BOXES = VECTORS["offices"], VECTORS["boxes"]
KEYS = [note.read_key(OFFICES[one]) for one in ("key", "receipt")]


def office(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, Any]:
    capsys.readouterr()
    code = run("greffier-office", COMMANDS, [*map(str, words), "--json"], "test")
    out, err = capsys.readouterr()
    return code, json.loads(out.splitlines()[-1]) if out else err


@pytest.mark.parametrize("name", OFFICES["valid"])
def test_a_note_that_holds_is_written_again_the_same(name: str) -> None:
    data = OFFICES["valid"][name].encode()
    said = deletion_note.read(data, KEYS)
    assert said.text == data.decode().partition("\n\n")[0] + "\n"


@pytest.mark.parametrize("name", OFFICES["invalid"])
def test_a_note_that_does_not_is_refused_by_its_code(name: str) -> None:
    case = OFFICES["invalid"][name]
    with pytest.raises(BadDeletion) as refused:
        deletion_note.read(case["file"].encode(), KEYS)
    assert refused.value.code == case["code"]


def test_head_office_certifies_what_it_destroyed_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = Archive(tmp_path)
    box = archive.box()
    held, other = archive.sealed(box, QUALITY), archive.sealed(box, {"quality": [0, 365]})
    archive.store(box, held, other)
    where = ("--office", archive.office.path)
    code, why = office(capsys, "certificate", held.part, *where)
    assert code == 1 and held.part in why
    archive.day = 90
    archive.purge()
    for path in (archive.office.deletion_key, archive.office.deletion_key.with_suffix(".pub")):
        path.unlink()  # a directory of an older version
    file = tmp_path / "certificate"
    code, said = office(capsys, "certificate", held.part, *where, "-o", file)
    assert code == 0 and said["rule"] == "DELETE_DUE" and said["class"] == "C"
    code, verified = office(capsys, "verify", file, *where)
    assert (code, verified["state"]) == (0, "authentic")
    about = verified["certificate"]
    assert (about["device"], about["sha256"]) == (device_of(box), held.sha256)
    trust = tmp_path / "trust"
    trust.write_bytes(archive.office.deletion_key.with_suffix(".pub").read_bytes())
    file.write_text(file.read_text().replace("class C", "class A"))
    assert office(capsys, "verify", file, "--trust", trust)[0] == 20
    trust.write_text(archive.office.public_keys()[0].text + "\n")
    assert office(capsys, "verify", file, "--trust", trust)[0] == 3
    assert office(capsys, "certificate", other.part, *where)[0] == 1


def test_a_box_s_certificate_is_checked_far_from_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, trust = tmp_path / "file", tmp_path / "trust"
    trust.write_text(f"{BOXES['key']}\n{BOXES['witness']}\n")
    file.write_text(BOXES["valid"]["cosigned"]["file"])
    code, said = office(capsys, "verify", file, "--trust", trust)
    assert (code, said["state"], [one["ok"] for one in said["checks"]]) == (
        *(0, "authentic"),
        [True, True],
    )
    assert said["certificate"]["reason"] == "due"
    file.write_text(BOXES["invalid"]["an altered entry"]["file"])
    code, said = office(capsys, "verify", file, "--trust", trust)
    assert (code, said["checks"][0]["name"]) == (20, "proof")
    trust.write_text(f"{OFFICES['key']}\n")
    assert office(capsys, "verify", file, "--trust", trust)[1]["state"] == "cannot_tell"
    file.write_text("nothing")
    assert office(capsys, "verify", file, "--trust", trust)[0] == 2
    assert office(capsys, "verify", file)[0] == 2
