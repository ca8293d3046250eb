"""The server over a real socket: who may, who hangs, who floods; the recorder never notices."""

import fcntl
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from greffier.clock import SystemClock
from greffier.config.recorder import parse
from greffier.control import access as control_access
from greffier.control import desks as d
from greffier.control import facts as f
from greffier.control import governance as g
from greffier.control import messages as m
from greffier.control import retention as r
from greffier.control import transfer as t
from greffier.control.access import Access
from greffier.control.board import MOST_ORDERS, Board, Handed, Order, Orders, Snapshot
from greffier.control.client import ask, fetch, replay
from greffier.control.server import MOST_OF_ONE_USER, Server
from greffier.control.wire import read_answer, write_request
from greffier.errors import (
    AlreadyThere,
    BadConfig,
    IntegrityError,
    NoAnswer,
    NotAllowed,
    NotRunning,
    Refused,
    StorageFailed,
)

ME = os.geteuid()
ALL = Access(frozenset({ME}))
STATUS = m.Status("box", "0" * 32, True, (), (), (), m.Storage(), m.ClockState(1, "build"))
SNAPSHOT = Snapshot(STATUS, m.Levels(()), m.Alarms("0" * 32, 0, (), ()), 0)


@contextmanager
def serving(folder: Path, access: Access = ALL) -> Iterator[tuple[Path, Board]]:
    board = Board()
    board.publish(SNAPSHOT)
    path = folder / "s"
    with Server(path, board, access, SystemClock()):
        yield path, board


@contextmanager
def recorder(board: Board, answer: Callable[[m.Request], m.Answer]) -> Iterator[list[int]]:
    """A thread that takes orders as a recorder's tick does; yields the users who gave them."""
    over, users = threading.Event(), []

    def tick() -> None:
        while not over.wait(0.005):
            for order in board.take():
                users.append(order.uid)
                order.done(answer(order.request))

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield users
    finally:
        over.set()
        thread.join()


def connected(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.connect(str(path))
    client.settimeout(120)
    return client


def everything(client: socket.socket) -> bytes:
    found = b""
    while data := client.recv(65536):
        found += data
    return found


def test_questions_are_answered_from_the_snapshot(tmp_path: Path) -> None:
    with serving(tmp_path) as (path, _):
        status = ask(path, m.AskStatus())
        assert isinstance(status, m.Status)
        assert status.armed
        assert ask(path, m.AskLevels()) == m.Levels(())
        assert isinstance(ask(path, m.AskAlarms()), m.Alarms)
    assert not path.exists()


def test_what_is_durable_is_written_out_when_somebody_asks() -> None:
    durable = {bytes(15) + b"\x01": (2048, 160), bytes(16): (0, 0)}
    shown = Snapshot(STATUS, m.Levels(()), SNAPSHOT.alarms, 0, durable)
    answer = shown.answer(m.AskStatus(), 5_000_000)
    assert isinstance(answer, m.Status)
    assert answer.age_ms == 5
    assert answer.committed == (
        m.Committed("00" * 15 + "01", 2048, 160),
        m.Committed("00" * 16, 0, 0),
    )


def test_an_order_reaches_the_recorder_with_the_user_who_gave_it(tmp_path: Path) -> None:
    with serving(tmp_path) as (path, board), recorder(board, lambda _: m.Done()) as users:
        assert ask(path, m.Pause(line="accueil")) == m.Done()
        assert ask(path, m.Acknowledge(3)) == m.Done()
    assert users == [ME, ME]


def test_an_order_that_is_refused_says_why(tmp_path: Path) -> None:
    failure = m.Failure("refused", "not_pausable")
    with (
        serving(tmp_path) as (path, board),
        recorder(board, lambda _: failure),
        pytest.raises(Refused, match="politique"),
    ):
        ask(path, m.Pause(line="urgence"))


def memory(content: bytes, seals: int = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW) -> int:
    fd = os.memfd_create("replay", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.write(fd, content)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals | fcntl.F_SEAL_WRITE)
    return fd


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_a_replay_is_answered_with_its_descriptor_and_nobody_s_help(tmp_path: Path) -> None:
    handed: list[int] = []
    asked: list[tuple[m.Replay, int]] = []

    def player(request: m.Replay, user: int) -> Handed:
        asked.append((request, user))
        handed.append(memory(b"sound"))
        return Handed(m.Done(), handed[-1])

    with serving(tmp_path) as (path, board):
        with pytest.raises(Refused, match="réécoute"), replay(path, m.Replay("urgence", 30)):
            pass
        board.route({m.Replay: player})
        with replay(path, m.Replay("urgence", 30)) as fd:
            assert os.pread(fd, 100, 0) == b"sound"
        # One that does not expect a descriptor, in the middle of others that bear none.
        with connected(path) as client:
            status, wanted = write_request(m.AskStatus()), write_request(m.Replay("urgence", 1))
            client.sendall(status + wanted + status + wanted)
            client.shutdown(socket.SHUT_WR)
            data, fds = b"", []
            while True:
                piece, came, _, _ = socket.recv_fds(client, 65536, 4)
                data += piece
                fds += came
                if not piece:
                    break
        assert data.count(b'"is":"done"') == 2
        assert [os.pread(fd, 100, 0) for fd in fds] == [b"sound"] * 2
        for fd in fds:
            os.close(fd)
    assert asked == [(m.Replay("urgence", 30), ME), *[(m.Replay("urgence", 1), ME)] * 2]
    assert not any(map(is_open, handed))


def test_what_a_client_that_went_was_to_get_is_closed(tmp_path: Path) -> None:
    handed: list[int] = []
    going = threading.Event()

    def player(request: m.Replay, user: int) -> Handed:
        going.wait(120)
        handed.append(memory(b"sound"))
        return Handed(m.Done(), handed[-1])

    with serving(tmp_path) as (path, board):
        board.route({m.Replay: player})
        with connected(path) as client:
            client.sendall(write_request(m.Replay("urgence", 30)))
        going.set()
        assert isinstance(ask(path, m.AskStatus()), m.Status)
    assert len(handed) == 1
    assert not is_open(handed[0])


def test_memory_that_could_still_change_is_not_believed(tmp_path: Path) -> None:
    with serving(tmp_path) as (path, board):
        board.route(
            {m.Replay: lambda request, user: Handed(m.Done(), memory(b"x", fcntl.F_SEAL_GROW))}
        )
        with pytest.raises(IntegrityError), replay(path, m.Replay("urgence", 30)):
            pass
        board.route({m.Replay: lambda request, user: Handed(m.Done())})
        with pytest.raises(IntegrityError), replay(path, m.Replay("urgence", 30)):
            pass


@pytest.mark.parametrize(
    ("access", "allowed"),
    [
        (Access(frozenset()), set()),
        (Access(frozenset(), watch=frozenset({ME})), {"watch"}),
        (Access(frozenset(), operate=frozenset({ME})), {"watch", "operate"}),
        (Access(frozenset(), stop=frozenset({ME})), {"watch", "operate", "stop"}),
        (Access(frozenset(), sync=frozenset({ME})), {"sync"}),
        (Access(frozenset(), retain=frozenset({ME})), {"retain"}),
        (Access(frozenset(), tell=frozenset({ME})), {"watch", "tell"}),
        (Access(frozenset({ME})), {"watch", "operate", "stop", "sync", "retain", "tell"}),
    ],
)
def test_each_kind_of_request_needs_its_right(
    access: Access, allowed: set[str], tmp_path: Path
) -> None:
    requests: dict[str, list[m.Request]] = {
        "watch": [m.AskStatus(), m.AskLevels(), m.AskAlarms()],
        "operate": [m.Acknowledge(1), m.Pause(line="a"), m.Resume(line="a"), m.Replay("a", 1)],
        "stop": [m.Stop()],
        "tell": [
            f.Tell("0" * 32, "private", "true", "desk", line="a"),
            d.AskCalls(),
            d.AskInstructions(),
            d.Acted("0" * 32, "done"),
        ],
        "sync": [t.SyncReport(True, 0, 0, 0, ())],
    }
    # What this process has no use for it refuses, but only to whom it would answer.
    refused: dict[str, list[m.Request]] = {
        "watch": [t.AskSync()],
        "operate": [t.SyncNow(), t.SyncPause(0), g.AdoptPolicy("eJwDAAAAAAE=", "x\n")],
        "retain": [
            r.Purge(),
            r.PlaceHold("0" * 32, "RG 1", "floor", ("anne", "bruno")),
            r.ReleaseHold("0" * 32, ("anne", "bruno")),
            r.Erase(("0" * 32,), "DSAR 1"),
            r.Enter("use.freed", "{ }"),
            r.AskHolds(),
            r.AskTold(1),
        ],
        "sync": [
            t.AskWork(),
            t.AskPart("0" * 32),
            t.AskEntries(0),
            t.AskLeaves(),
            t.Receipts(("x\n",)),
            t.Cosigned("x\n"),
        ],
    }
    every = [one for many in (*requests.values(), *refused.values()) for one in many]
    assert set(map(type, every)) == set(m.REQUESTS.values())
    with serving(tmp_path, access) as (path, board), recorder(board, lambda _: m.Done()) as users:
        board.route({m.Replay: lambda _, user: users.append(user) or Handed(m.Done())})
        for group, many in requests.items():
            for request in many:
                if group in allowed:
                    ask(path, request)
                else:
                    with pytest.raises(NotAllowed):
                        ask(path, request)
        for group, many in refused.items():
            for request in many:
                with pytest.raises(Refused if group in allowed else NotAllowed):
                    ask(path, request)
    assert len(users) == sum(len(requests.get(group, ())) for group in allowed - {"watch"})


def test_nonsense_gets_one_failure_and_the_end(tmp_path: Path) -> None:
    with serving(tmp_path) as (path, _):
        for sent in (b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\0", b"\0\0\0\2[]" * 40):
            with connected(path) as client:
                client.sendall(sent)
                answer = read_answer(everything(client)[4:])
            assert answer == m.Failure("bad_request", "not_understood")
        assert isinstance(ask(path, m.AskStatus()), m.Status)


def test_clients_that_hang_or_go_leave_the_others_their_place(tmp_path: Path) -> None:
    with serving(tmp_path) as (path, _):
        hanging = [connected(path) for _ in range(MOST_OF_ONE_USER - 1)]
        hanging[0].sendall(b"\0\0")
        assert isinstance(ask(path, m.AskStatus()), m.Status)
        hanging.append(connected(path))
        with connected(path) as one_more:
            assert one_more.recv(1) == b""  # not even listened to
        for client in hanging:
            client.close()
        for _ in range(50):
            with connected(path) as client:
                client.sendall(write_request(m.AskStatus())[:9])
        with connected(path) as client:
            client.sendall(write_request(m.AskStatus()) * 3)
            found = b""
            while found.count(b'"is":"status"') < 3:
                found += client.recv(65536)


def test_an_order_that_nobody_takes_does_not_stop_questions(tmp_path: Path) -> None:
    with serving(tmp_path) as (path, _), connected(path) as client:
        client.sendall(write_request(m.Stop()))
        assert isinstance(ask(path, m.AskStatus()), m.Status)
        with pytest.raises(NoAnswer, match=r"0[,.]2 s"):
            ask(path, m.Stop(), patience_s=0.2)


def test_a_late_answer_is_for_nobody_else(tmp_path: Path) -> None:
    with serving(tmp_path) as (path, board):
        with pytest.raises(NoAnswer):
            ask(path, m.Acknowledge(1), patience_s=0.2)
        (order,) = board.take()
        with connected(path) as client:
            order.done(m.Done())
            client.sendall(write_request(m.AskLevels()))
            frame = client.recv(65536)
        assert read_answer(frame[4:]) == m.Levels(())
    order.done(m.Done())  # and after the end of the server it disturbs nobody


def test_a_descriptor_for_nobody_is_closed(tmp_path: Path) -> None:
    orders = []
    fds = [memory(b"file") for _ in range(4)]
    with serving(tmp_path) as (path, board):
        queue = Orders()
        board.route({t.AskPart: queue})
        for _ in fds:
            with pytest.raises(NoAnswer):
                ask(path, t.AskPart("0" * 32), patience_s=0.05)
            while not (found := queue.take()):
                pass
            orders += found
        orders[0].done(Handed(m.Done(), fds[0]))  # its client has gone
        while is_open(fds[0]):
            ask(path, m.AskLevels())
        with connected(path) as client:
            client.sendall(write_request(t.AskPart("0" * 32)))
            while not (found := queue.take()):
                pass
            # Sent with the first byte of an answer, then closed here; the client never reads it.
            found[0].done(Handed(m.Done(), fds[1]))
            while is_open(fds[1]):
                ask(path, m.AskLevels())
        wrong = m.Levels((m.Level("a", "a", 10**6, 0, 0),))
        board.route({t.AskLeaves: lambda request, uid: Handed(wrong, fds[2])})
        with pytest.raises(Refused):
            fetch(path, t.AskLeaves())
        assert not is_open(fds[2])
    orders[3].done(Handed(m.Done(), fds[3]))
    assert not is_open(fds[3])


def test_what_is_fetched_is_a_file_that_can_only_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with serving(tmp_path) as (path, board):

        def opened(flags: int) -> Callable[[object, int], Handed]:
            return lambda request, uid: Handed(m.Done(), os.open(tmp_path / "file", flags))

        board.route({t.AskLeaves: opened(os.O_RDONLY)})
        answer, fd = fetch(path, t.AskLeaves())
        assert answer == m.Done() and os.pread(fd, 99, 0) == b"content"
        os.close(fd)
        for route in (
            opened(os.O_RDWR),
            lambda request, uid: Handed(m.Done(), os.open(tmp_path, os.O_RDONLY)),
            lambda request, uid: m.Done(),
        ):
            board.route({t.AskLeaves: route})
            with pytest.raises(IntegrityError):
                fetch(path, t.AskLeaves())


def test_too_many_orders_are_refused_at_once(tmp_path: Path) -> None:
    with serving(tmp_path) as (path, board):
        for _ in range(MOST_ORDERS):
            board.orders.offer(Order(m.Stop(), 0, lambda _: None))
        with pytest.raises(Refused):
            ask(path, m.Stop())


def test_what_cannot_be_expressed_is_refused_not_fatal(tmp_path: Path) -> None:
    with serving(tmp_path) as (path, board):
        wrong = m.Levels((m.Level("a", "a", 10**6, 0, 0),))
        board.publish(Snapshot(STATUS, wrong, SNAPSHOT.alarms, 0))
        with pytest.raises(Refused):
            ask(path, m.AskLevels())
        assert isinstance(ask(path, m.AskStatus()), m.Status)


def test_a_dead_socket_is_replaced_and_a_living_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with serving(tmp_path) as (path, _):
        with pytest.raises(AlreadyThere), serving(tmp_path):
            pass
        assert isinstance(ask(path, m.AskStatus()), m.Status)
    (tmp_path / "s").write_text("a file of somebody")
    with pytest.raises(AlreadyThere), serving(tmp_path):
        pass
    with pytest.raises(StorageFailed), serving(tmp_path / "no such folder"):
        pass


@pytest.mark.parametrize("kind", ["missing", "dead", "file", "long"])
def test_where_nobody_listens_one_line_says_so(kind: str, tmp_path: Path) -> None:
    path = tmp_path / ("s" if kind != "long" else "x" * 200)
    if kind == "dead":
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
    elif kind == "file":
        path.write_text("")
    with pytest.raises(NotRunning) as caught:
        ask(path, m.AskStatus())
    assert (caught.value.exit_code, "\n" in str(caught.value)) == (1, False)


@pytest.mark.parametrize("sent", [b"", b"\0\0\0\2{}", b"\xff\xff\xff\xff", b"\0\0\0\x09{"])
def test_a_server_that_talks_nonsense_is_not_believed(sent: bytes, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(sent)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises((IntegrityError, NotRunning)):
            ask(path, m.AskStatus())
        thread.join()


def test_users_are_found_by_name_and_unknown_ones_are_named() -> None:
    tables: dict[str, object] = {
        "schema": "recorder/1",
        "data": "d",
        "policy": "p",
        "taps": {"t": {"interface": "eth1"}},
    }
    access = control_access.of_config(parse({**tables, "control": {"watch": ["nobody", 4711]}}))
    assert access.watch == {65534, 4711}
    assert access.masters == {0, ME}
    with pytest.raises(BadConfig, match=r"control\.stop.*no-such-user"):
        control_access.of_config(parse({**tables, "control": {"stop": ["no-such-user"]}}))
