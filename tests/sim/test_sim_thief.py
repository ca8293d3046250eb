"""The thief of the demonstration finds a key wherever one lies: his zero means something."""

import shutil
from pathlib import Path

import pytest
from tests.stories.box import DESK, PAIR, Box, command

from greffier.seal import keys
from greffier.seal.keys import Role
from greffier_sim import captures, thief
from greffier_sim.captures import Plan

PLAN = Plan(talk_ms=60, ring_ms=40)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    """One recorded call, whose head office's key lies beside the data directory."""
    made = Box(tmp_path_factory.mktemp("box"))
    made.call(captures.call(PLAN), "desk", DESK)
    return made


def test_the_device_alone_opens_nothing_and_the_right_key_everything(box: Box) -> None:
    assert len(box.parts) == 1
    assert thief.open_parts(box.data) == 0
    assert thief.positive_control(box.data, PAIR) == 1


def test_a_key_that_lies_elsewhere_is_found_as_text_and_as_bytes(box: Box, tmp_path: Path) -> None:
    for name, content in (("text", PAIR.format().encode()), ("bytes", b"\0" * 5 + PAIR.seed)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "notes").write_bytes(content)
        assert thief.open_parts(box.data, folder) == 1


def test_a_part_that_lies_elsewhere_under_any_name_counts_once(box: Box, tmp_path: Path) -> None:
    shutil.copy(box.parts[0], tmp_path / "0123")
    (tmp_path / "key").write_text(PAIR.format())
    assert thief.open_parts(box.data, tmp_path) == 1


def test_a_number_in_the_clear_is_found_wherever_it_lies(box: Box, tmp_path: Path) -> None:
    said = command("calls", "--data", box.data, "--key", box.key, "--json").json["calls"][0]["from"]
    assert thief.find_clear([said], box.data, tmp_path) == []
    (tmp_path / "log").write_text(f"hello {said}")
    assert thief.find_clear([said, "35"], box.data, tmp_path) == [said]


def test_a_key_is_found_where_its_public_half_is_nowhere(box: Box, tmp_path: Path) -> None:
    shutil.copytree(box.data, tmp_path / "device")
    other = keys.generate(Role.OFFICE).public.format()
    (tmp_path / "device/keys/office.pub").write_text(other)
    (tmp_path / "key").write_text(PAIR.format())
    assert thief.open_parts(tmp_path / "device", tmp_path) == 1
