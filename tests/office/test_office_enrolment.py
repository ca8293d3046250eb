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
