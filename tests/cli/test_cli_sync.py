"""``greffier sync status|now|pause``: what a person is told, and what programs read."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from greffier.cli import main
from greffier.clock import SECOND, SystemClock
from greffier.control.access import Access
from greffier.control.board import Desk
from greffier.control.messages import Done, Failure
from greffier.control.server import Server
from greffier.control.transfer import AskSync, SyncNow, SyncPause, SyncState

NOW = 1_795_370_000 * SECOND
STATE = SyncState(
    device="box-00000001",
    state="idle",
    queued=0,
    offered=0,
    sending=0,
    waiting=0,
    refused=0,
    size=0,
    oldest_ns=0,
    rate_bps=0,
    limit_bps=0,
    log_size=41,
    head_size=41,
    cosigned_size=41,
    last_receipt_ns=NOW,
    last_cosigned_ns=NOW,
    cosign_ms=41,
    received=7,
    pause_until_ns=0,
    trouble="",
    clock_ns=NOW,
)
BUSY = replace(
    STATE,
    state="sending",
    queued=3,
    sending=1,
    refused=1,
    size=5_000_000,
    oldest_ns=NOW - 3600 * SECOND,
    rate_bps=800_000,
    limit_bps=2_000_000,
    trouble="refused",
)


class Desks:
    """A socket that answers with ``state``, and remembers what was asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = STATE
        self.asked: list[object] = []
        self.refusal = ""

    def order(self, request: object, uid: int) -> Done | Failure:
        self.asked.append(request)
        return Failure("refused", self.refusal) if self.refusal else Done()


@pytest.fixture(name="desk")
def _desk(tmp_path: Path) -> Iterator[Desks]:
    made = Desks(tmp_path / "sync.sock")
    routes = {AskSync: lambda request, uid: made.state, SyncNow: made.order, SyncPause: made.order}
    access = Access(frozenset({os.geteuid()}))
    with Server(made.path, Desk(routes), access, SystemClock()):
        yield made


def run(desk: Desks, *words: str) -> int:
    return main.run("greffier", main.COMMANDS, [*words, "--socket", str(desk.path)], "0")


def test_status_as_json_carries_all_of_the_state(
    desk: Desks, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.state = BUSY
    assert run(desk, "sync", "status", "--json") == 0
    value = json.loads(capsys.readouterr().out)
    names = {name.removesuffix("_ns") for name in SyncState.__slots__}
    assert value.keys() == names | {"trouble_text"}
    assert (value["state"], value["queued"], value["size"]) == ("sending", 3, 5_000_000)
    assert value["oldest"].startswith("2026-")
    assert value["pause_until"] is None
    assert value["trouble_text"]


def test_status_in_words_says_what_waits_since_when_and_how_fast(
    desk: Desks, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.state = BUSY
    assert run(desk, "--lang", "en", "sync", "status") == 0
    said = capsys.readouterr().out
    for words in (
        "Sending to head office.",
        "! head office refuses a part",
        "5 parts wait (5.0 MB), the oldest since",
        "800 kbit/s now, about 1 min to go",
        "Everything up to",
        "At most 2000 kbit/s now.",
        "Log: 41 entries, 41 at head office, 41 cosigned",
        "7 receipts",
    ):
        assert words in said


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("not_enrolled", "n'est inscrit"),
        ("offline", "Aucune liaison"),
        ("connecting", "en cours"),
        ("idle", "Tout est au siège jusqu'à"),
        ("paused", "en pause"),
    ],
)
def test_french_comes_first(
    desk: Desks, capsys: pytest.CaptureFixture[str], state: str, words: str
) -> None:
    desk.state = replace(STATE, state=state)
    assert run(desk, "sync", "status") == 0
    assert words in capsys.readouterr().out


def test_now_and_pause_are_orders(desk: Desks, capsys: pytest.CaptureFixture[str]) -> None:
    part = "ab" * 16
    assert run(desk, "sync", "now", "--part", part, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"done": [part], "refused": []}
    assert run(desk, "sync", "pause", "--for", "2h", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"done": ["pause"], "refused": []}
    assert run(desk, "sync", "pause", "--until", "2099-01-01T00:00:00+01:00") == 0
    first, second, third = desk.asked
    assert first == SyncNow(part)
    assert isinstance(second, SyncPause)
    assert isinstance(third, SyncPause)
    left = second.until_ns - SystemClock().wall_ns()
    assert 7000 * SECOND < left <= 7200 * SECOND


def test_a_refusal_is_listed(desk: Desks, capsys: pytest.CaptureFixture[str]) -> None:
    desk.refusal = "no_such_part"
    assert run(desk, "sync", "now", "--part", "ab" * 16, "--json") == 1
    value = json.loads(capsys.readouterr().out)
    assert value == {"done": [], "refused": [{"id": "ab" * 16, "code": "no_such_part"}]}
    assert run(desk, "sync", "now", "--part", "ab" * 16) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["now", "--part", "xyz"],
        ["pause"],
        ["pause", "--for", "2 hours"],
        ["pause", "--for", "2h", "--until", "2099-01-01T00:00:00+01:00"],
        ["pause", "--until", "tomorrow"],
        ["pause", "--until", "2020-01-01T00:00:00+01:00"],
    ],
)
def test_wrong_words_are_told(
    desk: Desks, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert run(desk, "sync", *words) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert desk.asked == []


def test_nobody_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sync", "status", "--socket", str(tmp_path / "none.sock")]
    assert main.run("greffier", main.COMMANDS, words, "0") == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "greffier sync run" in said
