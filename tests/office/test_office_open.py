"""``greffier-office open``: a part alone, far from its device."""

import json
import shutil
from pathlib import Path

import pytest
import soundfile
from tests.stories.box import DESK, Box, Said, coded, command

from greffier.seal.reader import Reader
from greffier_sim import captures
from greffier_sim.captures import Plan

PLAN = Plan(talk_ms=200)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def open_part(*words: object) -> Said:
    return command("open", *words, "--json", program="greffier-office")


def test_a_part_in_its_data_directory_opens_with_the_office_key(box: Box) -> None:
    call = box.call(captures.call(PLAN), policy=coded(box.folder, "original"))
    (path,) = box.parts
    wav = box.folder / "part.wav"
    said = open_part(path, "--key", box.key, "-o", wav)
    assert said.code == 0
    found = said.json
    assert found["recording"] == call["recording"] and found["line"] == "vente"
    assert found["about"]["from"] == PLAN.from_number
    assert [leg["packets"] for leg in found["legs"]] == [10, 10]
    pcm, rate = soundfile.read(wav, dtype="int16", always_2d=True)
    assert (pcm == box.sound(call["recording"])[0]).all() and rate == 8_000
    assert wav.stat().st_mode & 0o777 == 0o600


def test_a_duty_carries_its_envelope_with_it(box: Box, tmp_path: Path) -> None:
    box.call(captures.call(PLAN), "desk", DESK)
    away = tmp_path / "away.gpart"
    shutil.copy(box.parts[0], away)
    assert Reader(away.read_bytes()).header.envelopes
    assert open_part(away, "--key", box.key).code == 0


def test_a_part_without_its_end_is_refused(box: Box) -> None:
    box.call(captures.call(PLAN), "desk", DESK)
    away = box.folder / "away.gpart"
    content = box.parts[0].read_bytes()
    for cut in (1, 40, 200, len(content) // 2, len(content) - 100):
        away.write_bytes(content[: len(content) - cut])
        said = open_part(away, "--key", box.key, "-o", box.folder / "x.wav")
        assert said.code == 20 and said.complaint
    assert not (box.folder / "x.wav").exists()


def test_refusals(box: Box) -> None:
    box.call(captures.call(PLAN))
    (path,) = box.parts
    junk = box.folder / "junk.gpart"
    junk.write_bytes(b"no part" * 100)
    assert open_part(junk, "--key", box.key).code == 20
    assert open_part(box.folder / "missing.gpart", "--key", box.key).code == 2
    assert open_part(box.folder, "--key", box.key).code == 2
    assert open_part(path, "--key", box.folder / "missing.key").code == 12
    assert open_part(path, "--key", box.data / "keys" / "office.pub").code == 12
    missing = ("--envelope", box.folder / "missing")
    assert open_part(path, "--key", box.key, *missing).code == 12
    junk.write_bytes(b"\x01junk")
    assert open_part(path, "--key", box.key, "--envelope", junk).code == 20
    other = command("keygen", "-o", box.folder / "k", "--json", program="greffier-office")
    said = open_part(path, "--key", json.loads(other.out)["key"])
    assert said.code == 12 and said.complaint
