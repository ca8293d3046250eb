"""Facts told by the command: of no call, one that runs, twice, over a kill, one that is over."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.stories.live import Box, wire
from tests.stories.test_story_live import captures_of, check_whole
from tests.stories.test_story_pauses import command

from greffier.audit import verify


def over_or_none(answered: tuple[int, str, str]) -> tuple[int, str, str] | None:
    return answered if answered[0] == 0 else None


@pytest.mark.story
def test_a_call_is_reclassified_by_two_persons_with_a_kill_between_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def tell(*words: str) -> dict[str, Any]:
        code, out, error = command(box, capsys, "fact", *words, "--json")
        assert code == 0, error
        found: dict[str, Any] = json.loads(out)
        return found

    with (
        wire() as namespace,
        Box(tmp_path, namespace, "paris-desk.toml", "conseil", pauses=True) as box,
    ):
        box.start()
        code, _, error = command(box, capsys, "fact", "mifid", "no", "--line", "conseil")
        assert code == 1 and "aucun appel" in error
        nobody = f"{next(iter(verify.entries(box.data))).data['device']}/conseil/0000000009"
        code, _, error = command(box, capsys, "fact", "mifid", "no", "--call", nobody)
        assert code == 1 and "aucun appel" in error
        sender = box.replay(captures_of(tmp_path, 1, 24_000)[0])
        box.wait_for(lambda status: any(part.last_sample > 4_000 for part in status.committed))
        (path,) = box.data.rglob("*.gpart")
        sealed = path.read_bytes()[600:632]
        anne = ("mifid", "no", "--line", "conseil", "--by", "anne", "--id", "a" * 32)
        assert tell(*anne)["code"] == "second_person_needed"
        assert tell(*anne)["state"] == "known"
        code, _, error = command(box, capsys, "fact", "threat", "true", *anne[2:])
        assert code == 1 and "identifiant" in error
        assert path.exists()
        box.kill()
        box.start()
        box.wait_for(lambda status: status.lines[0].calls == 1 or sender.poll() is not None)
        assert path.exists()
        assert tell(*anne)["state"] == "known"
        told = tell("mifid", "no", "--line", "conseil", "--by", "bruno")
        assert (told["state"], told["codes"]) == ("taken", ["MIXED_RECLASSIFIED_DELETE"])
        box.wait_for(lambda status: not list(box.data.rglob("*.gpart")))
        assert sender.wait(timeout=120) == 0
        box.wait_for(lambda status: status.lines[0].calls == 0)
        (uid,) = {e.data["uid"] for e in verify.entries(box.data) if e.ev == "call.decided"}
        over = ("fact", "authority_order", "true", "--call", uid, "--json")
        # Until its end is in the index, the recorder says that it is busy.
        _, out, _ = box.wait_until(lambda: over_or_none(command(box, capsys, *over)), "over")
        assert json.loads(out)["state"] == "late"
        box.stop()
    check_whole(box)
    for file in box.data.rglob("*"):
        assert not file.is_file() or sealed not in file.read_bytes(), file
    facts = [entry.data for entry in verify.entries(box.data) if entry.ev == "call.fact"]
    assert [one["state"] for one in facts] == ["waits", "taken", "late"]
    assert not list(box.data.rglob("*.gpart"))
