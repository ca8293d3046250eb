"""``status``, ``levels`` and ``alarms``: through the socket, and where nobody listens."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from greffier.cli.main import COMMANDS, run
from greffier.clock import SystemClock
from greffier.control import messages as m
from greffier.control.access import Access
from greffier.control.board import Board, Snapshot
from greffier.control.server import Server
from greffier.durable import Disk
from greffier.recorder import archive
from greffier.recorder.alarm import AlarmRoom
from greffier.seal import keys
from greffier.seal.keys import Role
from greffier.store import layout

PART = "ab" * 16


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run("greffier", COMMANDS, list(words), "0")
    out, err = capsys.readouterr()
    return code, out, err


def last_line(out: str) -> dict[str, Any]:
    found = json.loads(out.splitlines()[-1])
    assert isinstance(found, dict)
    return found


@pytest.fixture(autouse=True)
def no_other_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("greffier.cli.running.DEFAULT_PATH", tmp_path / "none.toml")
    monkeypatch.setattr("greffier.cli.running.DEFAULT_SOCKET", tmp_path / "none.sock")
    monkeypatch.delenv("GREFFIER_CONFIG", raising=False)


def configured(tmp_path: Path) -> Path:
    path = tmp_path / "recorder.toml"
    path.write_text(
        f'schema = "recorder/1"\ndata = "{tmp_path}/data"\npolicy = "p.toml"\n'
        f'[control]\nsocket = "{tmp_path}/s"\n[taps.trunk]\ninterface = "eth1"\n'
        '[[match]]\nline = "accueil"\n'
        f'[outputs.lamp]\nkind = "led"\npath = "{tmp_path}/lamp"\n'
    )
    return path


def data_directory(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    office = keys.generate(Role.OFFICE).public
    archive.create(path, SystemClock(), office.format().encode())
    return path


@contextmanager
def recorder(tmp_path: Path) -> Iterator[AlarmRoom]:
    """A recorder in as far as the socket shows one."""
    room, board, over = AlarmRoom(SystemClock(), "0" * 32), Board(), threading.Event()

    def publish() -> None:
        view = room.view()
        status = m.Status(
            "box-1a2b3c4d", "0" * 32, True,
            (m.LineState("accueil", "recorded", 2), m.LineState("vente", "blind")),
            (m.Committed(PART, 4096, 160_000),), view.alarms, m.Storage(10**9, 10**10, 71),
            m.ClockState(1_795_305_600 * 10**9, "build"),
        )  # fmt: skip
        levels = m.Levels((m.Level("accueil", "accueil/1", -3215, -40, 3),))
        board.publish(Snapshot(status, levels, view, SystemClock().monotonic_ns()))

    def tick() -> None:
        while not over.wait(0.005):
            for order in board.take():
                assert isinstance(order.request, m.Acknowledge)
                try:
                    answer: m.Answer = m.Done(room.acknowledge(order.request.alarm))
                except KeyError:
                    answer = m.Failure("refused", "no_such_alarm")
                publish()
                order.done(answer)

    room.raise_alarm("tap.blind", "trunk")
    publish()
    thread = threading.Thread(target=tick)
    thread.start()
    with Server(tmp_path / "s", board, Access(frozenset({os.geteuid()})), SystemClock()):
        try:
            yield room
        finally:
            over.set()
            thread.join()


def test_status_has_the_keys_of_the_contract(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with recorder(tmp_path):
        code, out, err = call(capsys, "status", "--socket", str(tmp_path / "s"), "--json")
    found = last_line(out)
    assert (code, err, found["armed"]) == (0, "", True)
    assert found["lines"][0] == {"line": "accueil", "state": "recorded", "calls": 2}
    assert found["committed"] == [{"part": PART, "bytes": 4096, "last_sample": 160_000}]
    assert found["storage"]["hours_to_first_unsynced_loss"] == 71
    assert found["clock"] == {"lower_bound": "2026-11-22T00:00:00.000000+00:00", "source": "build"}
    assert found["alarms"][0]["name"] == "tap.blind"


@pytest.mark.parametrize("words", [["status"], ["levels"], ["alarms"]])
@pytest.mark.parametrize("language", ["fr", "en"])
def test_people_get_tables(
    words: list[str], language: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with recorder(tmp_path):
        code, out, _ = call(
            capsys, *words, "--config", str(configured(tmp_path)), "--lang", language
        )
    assert code == 0
    expected = {
        "status": ("box-1a2b3c4d", "71", "trunk"),
        "levels": ("-32.1", "accueil/1"),
        "alarms": ("trunk", "critical" if language == "en" else "critique"),
    }
    assert all(text in out for text in expected[words[0]])


def test_levels_are_decibels_to_full_scale(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with recorder(tmp_path):
        code, out, _ = call(capsys, "levels", "--socket", str(tmp_path / "s"), "--json")
    assert code == 0
    assert last_line(out)["levels"] == [
        {"line": "accueil", "channel": "accueil/1", "rms_dbfs": -32.15, "peak_dbfs": -0.4,
         "clipped": 3}
    ]  # fmt: skip


def test_an_alarm_is_seen_and_stands(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    socket = ("--socket", str(tmp_path / "s"))
    with recorder(tmp_path):
        _, out, _ = call(capsys, "alarms", *socket, "--json")
        (alarm,) = last_line(out)["alarms"]
        assert not alarm["acknowledged"]
        code, out, _ = call(capsys, "alarms", "acknowledge", str(alarm["id"]), *socket, "--json")
        assert (code, last_line(out)) == (0, {"done": [alarm["id"]], "refused": []})
        code, out, _ = call(capsys, "alarms", "acknowledge", str(alarm["id"]), *socket, "--json")
        assert (code, last_line(out)["done"]) == (0, [])
        _, out, _ = call(capsys, "alarms", *socket, "--json")
        assert last_line(out)["alarms"][0]["acknowledged"]
        code, out, err = call(capsys, "alarms", "acknowledge", "99", *socket)
        assert (code, out, err.count("\n")) == (1, "", 1)


@pytest.mark.parametrize("word", ["status", "levels", "alarms"])
def test_where_nobody_listens_one_line_says_so(
    word: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for more in ((), ("--socket", str(tmp_path / "s"))):
        code, out, err = call(capsys, word, *more, "--json")
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert "greffier run" in err


@pytest.mark.parametrize("word", ["status", "levels", "alarms"])
def test_a_wrong_configuration_is_exit_2(
    word: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text("tick_ms = 9999\n")
    code, out, err = call(capsys, word, "--config", str(path), "--json")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "tick_ms" in err


def test_without_a_recorder_status_tells_what_it_left(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    data = data_directory(tmp_path)
    for words in (("--data", str(data)), ("--config", str(configured(tmp_path)))):
        code, out, _ = call(capsys, "status", *words, "--json")
        found = last_line(out)
        assert (code, found["armed"], found["running"]) == (0, False, False)
        assert (found["committed"], found["alarms"]) == ([], [])
        assert set(found["storage"]) >= {"hours_to_first_unsynced_loss"}
        assert set(found["clock"]) == {"lower_bound", "source"}
    assert found["lines"] == [{"line": "accueil", "state": "off", "calls": 0}]
    assert call(capsys, "status", "--data", str(data))[0] == 0


def test_a_directory_that_somebody_writes_is_busy(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    data = data_directory(tmp_path)
    with layout.open(data).lock(Disk()):
        code, _, err = call(capsys, "status", "--data", str(data), "--json")
    assert (code, err.count("\n")) == (11, 1)


def test_a_folder_that_is_no_data_directory_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = call(capsys, "status", "--data", str(tmp_path), "--json")
    assert (code, err.count("\n")) == (1, 1)


class _Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, _Hooks)
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Hooks(HTTPServer):
    timeout = 300

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.bodies: list[bytes] = []


def test_alarms_are_forwarded_until_the_service_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    path = configured(tmp_path)
    with _Hooks() as hooks, recorder(tmp_path):
        with path.open("a") as file:
            file.write(
                f'[outputs.hook]\nkind = "webhook"\nsecret_file = "secret"\n'
                f'url = "http://127.0.0.1:{hooks.server_port}/"\n'
            )
        command = [
            sys.executable, "-c", "from greffier.cli.main import main; main()",
            "alarms", "forward", "--config", str(path),
        ]  # fmt: skip
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            hooks.handle_request()
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=300)
        finally:
            process.kill()
            process.wait()
    assert (process.returncode, err) == (0, "")
    notices = [one["alarm"] for body in hooks.bodies for one in json.loads(body)["notices"]]
    assert {one["name"] for one in notices} <= {"tap.blind", "output.failed"}
    assert notices
