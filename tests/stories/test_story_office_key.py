"""Head office's key is replaced: old recordings stay with the old one, new ones go to the new."""

import shutil
from pathlib import Path

import pytest
from tests.stories.box import PAIR, Box, command

from greffier.audit import verify
from greffier.seal import keys
from greffier.seal.keys import Role
from greffier_sim import captures
from greffier_sim.captures import Plan

PLAN = Plan(talk_ms=300)
NEW = keys.generate(Role.OFFICE)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    (tmp_path / "new.pub").write_text(NEW.public.format())
    (tmp_path / "new.key").write_text(NEW.format())
    return Box(tmp_path)


def opens(box: Box, part: Path, *named: str) -> int:
    words = [word for name in named for word in ("--key", box.folder / name)]
    return command("open", part, *words, "--json", program="greffier-office").code


def test_each_recording_opens_with_the_key_of_its_time_and_open_finds_it(box: Box) -> None:
    box.call(captures.call(PLAN))
    said = command("office-key", "replace", box.folder / "new.pub", "--data", box.data, "--json")
    assert said.code == 0 and said.json["changed"], said.err
    (old,) = box.parts
    box.call(captures.call(PLAN))
    (new,) = set(box.parts) - {old}
    assert [opens(box, old, "office.key"), opens(box, old, "new.key")] == [0, 12]
    assert [opens(box, new, "office.key"), opens(box, new, "new.key")] == [12, 0]
    assert [opens(box, one, "office.key", "new.key") for one in (old, new)] == [0, 0]
    again = command("office-key", "replace", box.folder / "new.pub", "--data", box.data, "--json")
    assert again.code == 0 and not again.json["changed"]
    named = [entry for entry in verify.entries(box.data) if entry.ev == "office.replaced"]
    assert [one.data["was"] for one in named] == [PAIR.public.key_id.hex()]
    assert box.verified()["ok"]


def test_a_replacement_that_was_cut_after_its_entry_holds_all_the_same(box: Box) -> None:
    before = (box.data / "keys" / "office.pub").read_bytes()
    command("office-key", "replace", box.folder / "new.pub", "--data", box.data)
    (box.data / "keys" / "office.pub").write_bytes(before)
    assert box.bring(captures.call(PLAN)).code == 20  # an old key that somebody put back
    key_id = NEW.public.key_id.hex()
    directory = box.data / "keys"
    shutil.copy(box.folder / "new.pub", directory / f"office-{key_id}.pub")
    box.call(captures.call(PLAN))
    assert opens(box, box.parts[0], "new.key") == 0
    said = command("office-key", "replace", box.folder / "new.pub", "--data", box.data, "--json")
    assert said.code == 0 and [one.name for one in directory.glob("office*")] == ["office.pub"]


def test_a_console_key_is_no_office_key(box: Box) -> None:
    (box.folder / "console.pub").write_text(keys.generate(Role.CONSOLE).public.format())
    said = command("office-key", "replace", box.folder / "console.pub", "--data", box.data)
    assert said.code == 12 and said.complaint
