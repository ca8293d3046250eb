"""Who asks too much waits, is answered in the end, and costs nobody else anything. All counted."""

import os
import socket
import threading
from collections import Counter
from collections.abc import Callable
from itertools import chain, repeat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.recorder.live_scene import Hands

from greffier.clock import SECOND
from greffier.control import messages as m
from greffier.control import server as control_server
from greffier.control.access import Access
from greffier.control.board import Board, Reply, Snapshot
from greffier.control.budget import MOST_USERS, Account, Allowance, Budget
from greffier.control.client import ask
from greffier.control.server import PENALTY_NS, Server
from greffier.control.wire import write_request

ME = os.geteuid()
ROGUE = 54_321
STATUS = m.Status("box", "0" * 32, True, (), (), (), m.Storage(), m.ClockState(1, "build"))
SNAPSHOT = Snapshot(STATUS, m.Levels(()), m.Alarms("0" * 32, 0, (), ()), 0)
LEVELS = write_request(m.AskLevels())
SMALL = Allowance(requests=10, octets=1 << 20)


class Counting(Board):
    """A board that counts who was served how often."""

    def __init__(self) -> None:
        super().__init__()
        self.publish(SNAPSHOT)
        self.served: Counter[int] = Counter()

    def serve(
        self, request: m.Request, uid: int, now_ns: int, done: Callable[[Reply], None]
    ) -> Reply | None:
        self.served[uid] += 1
        return super().serve(request, uid, now_ns, done)


class Bench:
    """A server whose time stands still. The first connection is the rogue user's, and as many as
    *rogues* says; the others are ours, who are free.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, rogues: int = 1) -> None:
        users = chain([ROGUE] * rogues, repeat(ME))
        monkeypatch.setattr(control_server, "peer_uid", lambda _connection: next(users))
        self.board, self.clock, self.path = Counting(), Hands(), folder / "s"
        access = Access(frozenset({ME, ROGUE}))
        budget = Budget(SMALL, frozenset({ME}))
        self.server = Server(self.path, self.board, access, self.clock, budget)

    def settled(self) -> int:
        """How often the rogue was served, once everything that came before this was looked at."""
        for _ in range(3):
            assert ask(self.path, m.AskLevels()) == m.Levels(())
        return self.board.served[ROGUE]

    def reaches(self, count: int) -> None:
        """Wait until the rogue was served so often."""
        pause, tries = threading.Event(), 12_000
        while self.board.served[ROGUE] < count:
            assert tries, self.board.served
            tries -= 1
            pause.wait(0.01)


def connected(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.connect(str(path))
    client.settimeout(120)
    return client


def test_a_flood_of_requests_is_served_as_far_as_the_budget_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, monkeypatch)
    with bench.server, connected(bench.path) as client:
        client.sendall(LEVELS * 200)
        bench.reaches(19)  # twice what a second allows, less the connection itself
        first = bench.settled()
        assert first <= 20, "one more is the debt"
        for _ in range(3):
            bench.clock.now += SECOND
            bench.reaches(first + 10)
            assert bench.settled() <= first + 10
            first += 10


def test_octets_are_counted_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, monkeypatch)
    with bench.server, connected(bench.path) as client:
        bench.settled()
        bench.server._budget.spend(ROGUE, 0, 3 << 20, bench.clock.now)
        client.sendall(LEVELS)
        assert bench.settled() == 0
        bench.clock.now += 2 * SECOND
        bench.reaches(1)


def test_connecting_again_and_again_is_counted_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, monkeypatch, rogues=2)
    with bench.server:
        bench.server._budget.spend(ROGUE, 100, 0, bench.clock.now)
        with connected(bench.path) as client:
            assert client.recv(1) == b"", "let go unheard"
        assert bench.server._deaf_until_ns == bench.clock.now + PENALTY_NS
        with connected(bench.path) as client:
            bench.clock.now += PENALTY_NS
            assert client.recv(1) == b"", "not before that"
        bench.clock.now += PENALTY_NS
        assert bench.settled() == 0, "and others are heard"


def test_who_was_told_to_wait_too_long_is_told_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, monkeypatch)
    with bench.server, connected(bench.path) as client:
        bench.settled()
        bench.server._budget.spend(ROGUE, 100, 0, bench.clock.now)
        client.sendall(LEVELS)
        assert bench.settled() == 0
        bench.clock.now += 11 * SECOND
        bench.settled()
        bench.clock.now += 60 * SECOND
        bench.settled()
        assert bench.board.served[ROGUE] <= 1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1 << 20), st.integers(0, SECOND))))
@settings(deadline=None)
def test_over_any_time_no_more_is_served_than_is_allowed(
    asked: list[tuple[int, int, int]],
) -> None:
    account, now, begun = Account(SMALL, 0), 0, 0
    requests = octets = 0
    for many, size, later in asked:
        if account.wait_ns(now) == 0:
            account.spend(many, size, now)
            requests, octets = requests + many, octets + size
        now += later
    seconds = (now - begun) / SECOND
    assert requests <= 10 * (seconds + 2) + 3
    assert octets <= (1 << 20) * (seconds + 2) + (1 << 20)


def test_whoever_waits_as_long_as_told_may_ask() -> None:
    account = Account(SMALL, 0)
    account.spend(50, 0, 0)
    wait = account.wait_ns(0)
    assert wait == 3 * SECOND
    assert account.wait_ns(wait) == 0


@pytest.mark.parametrize("back", [0, -SECOND])
def test_a_clock_that_stands_or_goes_back_earns_nothing(back: int) -> None:
    account = Account(SMALL, 5 * SECOND)
    account.spend(20, 0, 5 * SECOND)
    assert account.wait_ns(5 * SECOND) == 0
    account.spend(1, 0, 5 * SECOND + back)
    assert account.wait_ns(5 * SECOND + back) > 0


def test_users_are_forgotten_only_when_they_owe_nothing() -> None:
    budget = Budget(SMALL, frozenset())
    budget.spend(1, 1000, 0, 0)
    for uid in range(2, 2 + 2 * MOST_USERS):
        assert budget.wait_ns(uid, 0) == 0
    assert budget.wait_ns(1, 0) > 0
    assert len(budget._accounts) <= MOST_USERS + 1
