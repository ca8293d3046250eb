"""On a box with operators two of them sign a hold; nobody else can."""

from hashlib import sha256
from pathlib import Path

import pytest
from tests.recorder.office_scene import QUALITY, WornClock
from tests.recorder.test_recorder_purge import codes, recorded
from tests.stories.box import command

from greffier.audit import verify
from greffier.recorder import holding, recovery
from greffier.recorder.archive import Archive
from greffier.recorder.holding import Wish
from greffier.recorder.persons import Persons
from greffier.trust import wrapping


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id is slow on purpose; nothing here depends on it."""
    monkeypatch.setattr(wrapping, "stretch", lambda secret, *_: sha256(secret).digest())


def operators(folder: Path) -> list[str]:
    """Two operators, and the words by which they sign."""
    words: list[str] = []
    by: tuple[str, ...] = ()
    for name in ("anne", "bruno"):
        said = command("operator", "add", name, *by, "--data", folder, "--json")
        assert said.code == 0, said.complaint
        path = folder.parent / f"{name}.txt"
        path.write_text(said.json["passphrase"] + "\n")
        words += ["--by", name, "--passphrase-file", f"{name}={path}"]
        by = ("--operator", "anne", "--passphrase-file", str(folder.parent / "anne.txt"))
    return words


def test_two_operators_sign_and_a_stranger_cannot(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (part,) = recorded(folder, 1, QUALITY)
    words = operators(folder)
    case = ("--reference", "A 1", "--mode", "floor", "--data", folder, "--json")
    said = command("hold", "add", part, *words, *case)
    assert said.code == 0, said.complaint
    (placed,) = said.json["done"]
    (entry,) = (one for one in verify.entries(folder) if one.ev == "hold.placed")
    assert entry.data["proof"] == "signed" and len(entry.data["signatures"]) == 2
    for names in (["anne", "anne"], ["anne", "carla"]):
        by = [word for name in names for word in ("--by", name)]
        refused = command("hold", "release", placed["id"], *by, *words[2:4], *case[-3:])
        assert refused.code != 0
    (listed,) = command("hold", "list", *case[-3:]).json["holds"]
    assert not listed["declared"]
    released = command("hold", "release", placed["id"], *words, *case[-3:])
    assert codes(released.json["done"]) == {placed["id"]: "HOLD_RELEASED"}


def test_names_alone_are_refused_where_there_are_operators(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (part,) = recorded(folder, 1, QUALITY)
    operators(folder)
    with Archive.open(folder, WornClock()) as archive:
        recovery.recover(archive)
        for persons, code in (
            (Persons(("anne", "bruno")), "SIGNATURES_NEEDED"),
            (Persons(("anne", "bruno"), ("00" * 64, "00" * 64)), "SIGNATURE_FORGED"),
            (Persons(("anne", "carla"), ("00" * 64, "00" * 64)), "SIGNATURE_FORGED"),
            (Persons(("carla", "anne"), ("00" * 64, "00" * 64)), "UNKNOWN_OPERATOR"),
        ):
            found = holding.place(archive, Wish(part, "A 1", "floor", persons))
            assert (found.done, found.code) == (False, code)
