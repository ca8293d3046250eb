"""The dossier: the same octets each time, provable offline, without a name or a number."""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest
from tests.reference import audit as reference
from tests.stories.box import PAIR, RETAIL, Box, command

from greffier.audit import note
from greffier.audit.shares import wilson
from greffier_sim.captures import Plan, call

NUMBER = Plan().from_number


def dossier(box: Box, *words: object) -> dict[str, bytes]:
    box.files += 1
    path = box.folder / f"dossier-{box.files}.zip"
    base = ("dossier", "--data", box.data, "--policy", RETAIL, "-o", path, "--json")
    said = command(*base, *words)
    assert said.code == 0, said.err
    with zipfile.ZipFile(path) as made:
        return {name: made.read(name) for name in made.namelist()}


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    box = Box(tmp_path_factory.mktemp("dossier"))
    for draw in (0.0, 0.9):
        box.bring(call(Plan(call_id=f"call-{draw}@sim")), "accueil", draw=draw)
    recording = next(one["recording"] for one in box.listed() if one["recording"])
    box.exported(recording, "--by", "Zoé Martin", "--purpose", "quality")
    words = ("--kind", "erasure", "--identity", "document", "--by", "Hélène Dupont")
    for more in (("open", "DSAR 7", recording, *words), ("answer", "DSAR 7")):
        assert command("request", *more, "--data", box.data).code == 0
    return box


def test_the_same_log_makes_the_same_octets(box: Box) -> None:
    first, again = dossier(box), dossier(box)
    assert first == again


def test_each_file_is_named_with_its_hash(box: Box) -> None:
    made = dossier(box)
    listed = json.loads(made.pop("SHA256.json"))["files"]
    assert listed == {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in made.items()
    }


def test_what_it_quotes_is_in_the_tree_that_the_box_signed(box: Box) -> None:
    made = dossier(box)
    keys = note.read_keys(made["keys/log.pub"].decode())
    signed = note.parse(made["audit/checkpoint"])
    checkpoint = note.parse_checkpoint(signed.text)
    assert keys and signed.signatures
    leaves = made["audit/leaves"]
    hashes = [leaves[at : at + 32] for at in range(0, len(leaves), 32)]
    assert len(hashes) == checkpoint.size
    assert reference.tree(hashes) == checkpoint.root
    quoted = [json.loads(line) for line in made["entries.jsonl"].splitlines()]
    assert {"export", "request.answered", "key.shredded"} <= {one["ev"] for one in quoted}
    for line, one in zip(made["entries.jsonl"].splitlines(), quoted, strict=True):
        assert hashlib.sha256(b"\0" + line).digest() == hashes[one["seq"]]


def test_it_tells_the_share_with_its_interval_the_purge_the_access_and_the_request(
    box: Box,
) -> None:
    made = dossier(box)
    (share,) = json.loads(made["shares.json"])
    assert (share["calls"], share["drawn"], share["target"]) == (2, 1, 0.2)
    assert share["interval_95"] == [0.094531, 0.905469] and share["within"]
    assert [one["kind"] for one in json.loads(made["accesses.json"])] == ["export", "access"]
    assert json.loads(made["register.json"])[0]["state"] == "answered"
    assert json.loads(made["purges.json"])[0]["reason"] == "erased"
    for language in ("fr", "en"):
        page = made[f"index.{language}.html"].decode()
        assert "DSAR 7" in page and "SHA-256" in page and "http" not in page
        assert f"policies/fr-retail-lyon2-7.notice.{language}.html" in page


def test_no_name_and_no_number_is_in_it_without_a_key(box: Box) -> None:
    for name, content in dossier(box).items():
        for word in (NUMBER, NUMBER[1:], "Zoé", "Martin", "Dupont", PAIR.format()[:40]):
            assert word.encode() not in content, name


def test_a_span_leaves_out_what_happened_elsewhen(box: Box) -> None:
    made = dossier(box, "--to", "2020-01-01T00:00:00Z")
    assert json.loads(made["accesses.json"]) == [] and json.loads(made["shares.json"]) == []


def test_it_overwrites_nothing_and_tells_of_no_altered_log(box: Box, tmp_path: Path) -> None:
    there = tmp_path / "there.zip"
    there.write_bytes(b"")
    base = ("dossier", "--data", box.data, "--json")
    assert command(*base, "-o", there).code == 1
    assert command(*base, "-o", tmp_path / "a.zip", "--policy", there).code == 2
    leaves = box.data / "audit" / "leaves"
    whole = leaves.read_bytes()
    try:
        leaves.write_bytes(bytes(len(whole)))
        said = command(*base, "-o", tmp_path / "b.zip")
    finally:
        leaves.write_bytes(whole)
    assert said.code == 20 and not (tmp_path / "b.zip").exists()


def test_wilsons_interval_is_the_published_one() -> None:
    # Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3.
    for hits, of, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        found = wilson(hits, of)
        assert (round(found[0], 4), round(found[1], 4)) == (low, high)
    assert wilson(0, 0) == (0.0, 1.0)
