"""sd_notify over a real socket."""

import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from greffier.control.notify import Notifier


@pytest.mark.parametrize("abstract", [False, True])
def test_the_manager_hears_everything(abstract: bool, tmp_path: Path) -> None:
    name = f"@greffier-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name[1:]}" if abstract else name)
        manager.settimeout(120)
        notifier = Notifier({"NOTIFY_SOCKET": name})
        notifier.ready("2 lines\nREADY=0")
        notifier.status("3 calls")
        notifier.alive()
        notifier.stopping()
        heard = [manager.recv(4096) for _ in range(4)]
    assert heard == [
        b"READY=1\nSTATUS=2 lines READY=0",
        b"STATUS=3 calls",
        b"WATCHDOG=1",
        b"STOPPING=1",
    ]


def test_without_a_manager_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "another's")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.setblocking(False)
        Notifier({}).ready("x")
        Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).alive()
        Notifier({"NOTIFY_SOCKET": "x" * 500}).alive()
        with pytest.raises(BlockingIOError):
            manager.recv(1)


def test_a_manager_that_does_not_listen_is_not_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        notifier = Notifier({"NOTIFY_SOCKET": path})
        for _ in range(5000):  # far more than its queue holds
            notifier.alive()
        manager.setblocking(False)
        heard = []
        with suppress(BlockingIOError):
            while True:
                heard.append(manager.recv(100))
    assert 0 < len(heard) < 5000
    assert set(heard) == {b"WATCHDOG=1"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "6000000"}, 3.0),
        ({"WATCHDOG_USEC": "6000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "6000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "٣"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_bites(
    environment: dict[str, str], expected: float | None
) -> None:
    assert Notifier(environment).watchdog_s == expected
