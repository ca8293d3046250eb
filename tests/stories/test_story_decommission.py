"""The end of a box: nothing opens any more, a certificate says so, and no kill stops it halfway."""

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.stories.box import Box, Said, command

from greffier.audit import note, verify
from greffier.durable import Disk
from greffier.store.layout import DECOMMISSIONED
from greffier.trust import wrapping
from greffier_sim import captures
from greffier_sim.captures import Plan

PLAN = Plan(talk_ms=300)


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id is slow on purpose; nothing here depends on it."""
    monkeypatch.setattr(wrapping, "stretch", lambda secret, *_: sha256(secret).digest())


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Box:
    box = Box(tmp_path_factory.mktemp("used"))
    box.call(captures.call(PLAN))
    return box


@pytest.fixture
def box(used: Box, tmp_path: Path) -> Box:
    made = Box.__new__(Box)
    made.folder, made.data, made.files = tmp_path, tmp_path / "data", 0
    made.key = shutil.copy(used.key, tmp_path)
    shutil.copytree(used.data, made.data)
    return made


def ended(box: Box, *words: object) -> Said:
    certificate = ("--certificate", box.folder / "certificate.txt")
    return command("decommission", "--data", box.data, *certificate, *words, "--json")


def left(box: Box) -> set[str]:
    return {one.name for one in box.data.rglob("*")}


def certified(box: Box, key: str) -> list[str]:
    found = note.parse((box.folder / "certificate.txt").read_bytes())
    (signature,) = found.signatures
    known = note.read_key(key)
    assert signature.key_id == known.key_id
    assert note.verified_by(found, [known])
    return found.text.splitlines()


def test_a_dry_run_says_what_would_go_and_does_nothing(box: Box) -> None:
    before = len(left(box))
    said = ended(box, "--dry-run")
    assert said.code == 0
    assert (said.json["parts"], said.json["unsynced"], said.json["class"]) == (1, 1, "C")
    assert len(left(box)) == before and not (box.folder / "certificate.txt").exists()
    assert box.verified()["ok"]


def test_what_head_office_does_not_have_is_lost_only_on_demand(box: Box) -> None:
    said = ended(box)
    assert said.code == 1 and said.complaint and not (box.folder / "certificate.txt").exists()
    assert box.verified()["ok"]


def test_what_is_held_is_not_destroyed_whoever_asks(box: Box) -> None:
    (part,) = box.parts
    held = ("--reference", "TGI 7", "--mode", "floor", "--by", "Ada", "--by", "Max")
    said = command("hold", "add", part.stem, *held, "--data", box.data, "--json")
    assert said.code == 0, said.err
    for index in box.data.glob("index.sqlite*"):
        index.unlink()  # the log alone says what is held
    refused = ended(box, "--lose-unsynced")
    assert refused.code == 1 and refused.complaint
    assert part.exists() and not (box.folder / "certificate.txt").exists()


def test_nothing_is_left_but_the_certificate_and_it_is_signed_by_the_box(box: Box) -> None:
    key = (box.data / "keys" / "log.pub").read_text().strip()
    said = ended(box, "--lose-unsynced")
    assert said.code == 0, said.err
    assert left(box) == {"lock", DECOMMISSIONED}
    lines = certified(box, key)
    assert lines[0] == "greffier/decommission@v1" and "parts 1 unsynced 1" in lines
    assert ended(box).code == 0 and left(box) == {"lock", DECOMMISSIONED}
    refused = command("calls", "--data", box.data)
    assert refused.code == 1 and "decommission" in refused.complaint


class Cut(BaseException):
    """A kill, acted."""


def cut_at(monkeypatch: pytest.MonkeyPatch, number: int) -> Callable[[], int]:
    """The *number*-th change of the disk after the certificate does not come back."""
    count = 0

    def counted(real: Callable[..., Any], after: bool) -> Callable[..., Any]:
        def call(*words: Any, **more: Any) -> Any:
            nonlocal count
            count += 1
            if count == number and not after:
                raise Cut
            result = real(*words, **more)
            if count == number:
                raise Cut
            return result

        return call

    for name in ("write_file", "remove"):
        monkeypatch.setattr(Disk, name, counted(getattr(Disk, name), after=number % 2 == 0))
    return lambda: count


def test_a_kill_at_any_change_is_finished_by_the_same_command(
    used: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = 0
    for number in range(1, 40):
        (tmp_path / str(number)).mkdir()
        box = Box.__new__(Box)
        box.folder, box.data = tmp_path / str(number), tmp_path / str(number) / "data"
        shutil.copytree(used.data, box.data)
        key = (box.data / "keys" / "log.pub").read_text().strip()
        with monkeypatch.context() as patch:
            count = cut_at(patch, number)
            try:
                assert ended(box, "--lose-unsynced").code == 0
            except Cut:
                seen += 1
            else:
                assert count() < number
                break
        if not (box.data / DECOMMISSIONED).exists():
            assert box.verified()["ok"]  # nothing was destroyed before the certificate
        said = ended(box, "--lose-unsynced")
        assert said.code == 0, (number, said.err)
        assert left(box) == {"lock", DECOMMISSIONED} and certified(box, key)
    assert seen >= 6


def operator(box: Box, name: str, *words: object) -> Path:
    said = command("operator", "add", name, "--data", box.data, *words, "--json")
    assert said.code == 0, said.err
    path = box.folder / f"{name}.txt"
    path.write_text(said.json["passphrase"])
    return path


def test_where_there_are_operators_two_different_ones_must_agree(box: Box) -> None:
    marie = operator(box, "marie")
    paul = operator(box, "paul", "--operator", "marie", "--passphrase-file", marie)
    key = (box.data / "keys" / "log.pub").read_text().strip()
    secrets = ("--passphrase-file", f"marie={marie}", "--passphrase-file", f"paul={paul}")
    for names in ((), ("marie",), ("marie", "marie"), ("marie", "eve")):
        words = [word for name in names for word in ("--operator", name)]
        refused = ended(box, "--lose-unsynced", *words, *secrets)
        assert refused.code == 12 and refused.complaint
        assert "device.decommissioned" not in [one.ev for one in verify.entries(box.data)]
    crossed = ("--passphrase-file", f"marie={paul}", "--passphrase-file", f"paul={marie}")
    both = ("--operator", "marie", "--operator", "paul")
    assert ended(box, "--lose-unsynced", *both, *crossed).code == 12
    said = ended(box, "--lose-unsynced", *both, *secrets)
    assert said.code == 0, said.err
    assert sum(line.startswith("operator ") for line in certified(box, key)) == 2
    assert json.loads(said.out)["two_persons"]
