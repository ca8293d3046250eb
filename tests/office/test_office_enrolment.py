"""A box and a head office get to know each other by two files and a code, or do not at all."""

import json
import time
from pathlib import Path

import pytest

from greffier.cli.main import COMMANDS as BOX_COMMANDS
from greffier.cli.main import run
from greffier.sync.folder import SyncFolder
from greffier_office.main import COMMANDS


def office(*words: object) -> int:
    """Run a command of head office."""
    return run("greffier-office", COMMANDS, [str(word) for word in words], "test")


def box(*words: object) -> int:
    """Run a command on the box."""
    return run("greffier", BOX_COMMANDS, [str(word) for word in words], "test")


def test_the_whole_way_by_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told() -> dict[str, object]:
        found = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert isinstance(found, dict)
        return found

    at, data, sync = (tmp_path / name for name in ("office", "data", "sync"))
    asked, answered = tmp_path / "box.request", tmp_path / "box.response"
    assert office("keygen", "-o", tmp_path / "keys") == 0
    assert box("init", "--data", data, "--office-key", tmp_path / "keys" / "office.pub") == 0
    assert office("init", "--office", at, "--broker", "mqtt.example.org", "--json") == 0
    head = told()
    assert office("init", "--office", at) == 1
    assert office("claim", "--office", at, "--label", "Lyon 2", "--json") == 0
    code = told()["code"]
    on_box = ("--data", data, "--sync", sync)
    assert box("enrol", "request", *on_box, "--claim", code, "-o", asked) == 0
    assert office("enrol", asked, "--office", at, "--json") == 0
    first = told()
    assert (first["label"], first["again"], first["broker_told"]) == ("Lyon 2", False, False)
    before = answered.read_bytes()
    assert office("enrol", asked, "--office", at, "--json") == 0
    assert told() == {**first, "again": True}
    assert answered.read_bytes() == before
    assert box("enrol", "install", answered, *on_box, "--json") == 0
    installed = told()
    assert (installed["head_office"], installed["changed"]) == ("siege", True)
    assert installed["brokers"] == ["mqtt.example.org:8883"]
    ready = SyncFolder(sync).open(time.time_ns())
    assert ready.enrolment.device == first["device"] == installed["device"]
    lines = (data / "keys" / "head-office.pub").read_text().splitlines()
    assert lines == [head["receipt_key"], head["witness_key"]]
    assert box("enrol", "install", answered, *on_box, "--json") == 0
    assert told()["changed"] is False
    assert office("revoke", first["device"], "--office", at, "--json") == 0
    assert told()["changed"] is True
    assert office("revoke", first["device"], "--office", at, "--json") == 0
    assert told()["changed"] is False
    assert office("revoke", "box-ffffffff", "--office", at) == 2
    capsys.readouterr()
    assert office("enrol", asked, "--office", at) == 12
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "(motif 12)" in error


def test_a_file_that_is_there_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not the box's request, not another answer; and a request that waits is not forgotten."""
    at, data, sync = (tmp_path / name for name in ("office", "data", "sync"))
    assert office("keygen", "-o", tmp_path / "keys") == 0
    assert box("init", "--data", data, "--office-key", tmp_path / "keys" / "office.pub") == 0
    assert office("init", "--office", at) == 0
    capsys.readouterr()
    assert office("claim", "--office", at, "--json") == 0
    code = json.loads(capsys.readouterr().out)["code"]
    on_box = ("--data", data, "--sync", sync, "--claim", code)
    asked, mine = tmp_path / "a.request", tmp_path / "notes"
    mine.write_text("mine")
    assert box("enrol", "request", *on_box, "-o", mine) == 1
    assert not sync.exists()
    assert box("enrol", "request", *on_box, "-o", asked) == 0
    waits = (sync / "pending.json").read_bytes()
    assert box("enrol", "request", *on_box, "-o", asked) == 1
    assert (sync / "pending.json").read_bytes() == waits
    assert office("enrol", asked, "--office", at, "-o", mine) == 1
    assert office("enrol", asked, "--office", at, "-o", asked) == 1
    assert mine.read_text() == "mine"
    assert office("enrol", asked, "--office", at, "-o", tmp_path / "b") == 0
    assert box("enrol", "install", tmp_path / "b", "--data", data, "--sync", sync) == 0


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("claim", "--days", "0"), 2),
        (("claim", "--days", "91"), 2),
        (("claim", "--device", "box-1"), 2),
        (("claim", "--label", "x" * 65), 2),
        (("claim", "--label", "a\x1b[2J"), 2),
        (("revoke", "../../x"), 2),
        (("enrol", "none.request"), 2),
        (("broker", "--broker", "a b"), 2),
    ],
)
def test_wrong_words_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], status: int
) -> None:
    at = tmp_path / "office"
    assert office("init", "--office", at) == 0
    capsys.readouterr()
    assert office(*words, "--office", at) == status
    assert capsys.readouterr().err.count("\n") == 1


def test_without_an_office_every_command_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r").write_text("x")
    for words in (("claim",), ("enrol", tmp_path / "r"), ("revoke", "box-00000001"), ("broker",)):
        assert office(*words, "--office", tmp_path / "none") == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and "greffier-office init" in error


def test_files_that_are_none_are_refused_with_their_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at, data = tmp_path / "office", tmp_path / "data"
    assert office("init", "--office", at) == 0
    assert office("keygen", "-o", tmp_path / "keys") == 0
    assert box("init", "--data", data, "--office-key", tmp_path / "keys" / "office.pub") == 0
    capsys.readouterr()
    file = tmp_path / "file"
    for content, number in ((b"", 1), (b"\xff\n", 1), (b"{}\n", 2), (b"{" * 1_000_000, 1)):
        file.write_bytes(content)
        for run_it, words in (
            (office, ("enrol", file, "--office", at)),
            (box, ("enrol", "install", file, "--data", data, "--sync", tmp_path / "sync")),
        ):
            status = run_it(*words)
            error = capsys.readouterr().err
            assert (status, error.count("\n")) == (12, 1)
            assert f"(motif {number})" in error
