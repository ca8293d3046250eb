"""Somebody asks to be erased: an answer per purpose, and the deed."""

from pathlib import Path
from typing import Any

from tests.recorder.office_scene import DUTY, QUALITY, Box
from tests.recorder.test_recorder_holds import CASE, TWO, hold, recording_of
from tests.recorder.test_recorder_purge import FIRE, in_vault, is_whole, recorded
from tests.stories.box import command

EVIDENCE = {"quality": (0, 89), "evidence": (0, 365)}


def erased(folder: Path, part: str, *words: object) -> tuple[int, dict[str, Any]]:
    name = recording_of(folder, part)
    said = command("erase", name, "--request", "DSAR 12", *words, "--data", folder, "--json")
    found: dict[str, Any] = said.json
    for one in (*found["done"], *found["refused"]):
        assert one.pop("id") in (part, name)
    return said.code, {"done": found["done"], "refused": found["refused"]}


def test_what_is_voluntary_goes_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    first, second = recorded(folder, 1, QUALITY, QUALITY)
    assert erased(folder, first) == (0, {"done": [{"code": "ERASED"}], "refused": []})
    assert in_vault(folder) == {second}
    assert is_whole(folder)
    with Box(folder) as box:
        (decided,) = box.entries("erasure.decided")
        assert decided.data["status"] == "erased" and decided.data["request"] == "DSAR 12"
        before, after = box.entries("key.shredded")
        assert before.data["reason"] == "erased" and before.data["parts"] == [first]
        assert decided.seq < before.seq and after.data["outcome"] == "done"


def test_evidence_stays_while_it_may_be_disputed(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (part,) = recorded(folder, 1, EVIDENCE)
    code, found = erased(folder, part)
    assert code == 3
    assert found["done"] == [{"code": "RESTRICTED", "purpose": "quality"}]
    assert found["refused"] == [{"code": "REFUSED_LEGAL_CLAIM", "purpose": "evidence"}]
    assert in_vault(folder) == {part}
    with Box(folder) as box:
        (decided,) = box.entries("erasure.decided")
        assert decided.data["erased"] == ["quality"] and decided.data["refused"] == ["evidence"]
    assert erased(folder, part, "--uncontested") == (
        0,
        {"done": [{"code": "ERASED"}], "refused": []},
    )
    assert in_vault(folder) == set()


def test_duties_and_the_public_task_are_not_erased(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    duty, fire = recorded(folder, 1, DUTY, FIRE)
    for part, purpose, word in (
        (duty, "regulatory", "REFUSED_LEGAL_OBLIGATION"),
        (fire, "emergency_fire", "REFUSED_PUBLIC_TASK"),
    ):
        code, found = erased(folder, part)
        assert (code, found["done"]) == (1, [])
        assert found["refused"] == [{"code": word, "purpose": purpose}]
    assert in_vault(folder) == {duty, fire}


def test_a_hold_refuses_and_one_placed_later_only_with_the_dpo(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (part,) = recorded(folder, 1, QUALITY)
    hold(folder, "add", part, *CASE, *TWO)
    refusal = {"done": [], "refused": [{"code": "REFUSED_LEGAL_CLAIM", "purpose": "quality"}]}
    assert erased(folder, part) == (1, refusal)
    asked = ("--requested", "2026-01-01")
    assert erased(folder, part, *asked, "--dpo-agreed") == (1, refusal)
    assert erased(folder, part, *asked)[0] == 0
    assert in_vault(folder) == set()


def test_of_nothing_there_is_an_answer_too(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (part,) = recorded(folder, 1, QUALITY)
    words = ("--request", "DSAR 1", "--data", folder, "--json")
    said = command("erase", "0" * 32, *words)
    assert said.code == 1 and said.json["refused"] == [{"id": "0" * 32, "code": "NOTHING_HELD"}]
    assert command("erase", *words).code == 2
    assert command("erase", "abc", *words).code == 2
    assert in_vault(folder) == {part}
