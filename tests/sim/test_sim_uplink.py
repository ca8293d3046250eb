"""The slow line: its schedule by arithmetic, its sockets by what comes out of them."""

import contextlib
import hashlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier_sim.uplink import QUEUE, Cut, Uplink
from greffier_sim.uplink_schedule import HEADERS, PIECE, SECOND, Line

MS = 1_000_000
MBIT = 1_000_000


def test_a_bulk_transfer_gets_its_rate_less_the_headers() -> None:
    line = Line(MBIT, 15 * MS, QUEUE)
    size, arrived = 0, 0
    while size < 1_000_000:
        arrived = line.enter(PIECE, max(0, line.room_ns(PIECE)))
        size += PIECE
    goodput = size * 8 * SECOND / arrived
    assert 0.95 * MBIT < goodput <= MBIT * PIECE / (PIECE + HEADERS)


def test_a_small_message_on_an_idle_line_takes_the_round_trip_and_its_own_sending() -> None:
    up, down = Line(MBIT, 15 * MS, QUEUE), Line(MBIT, 15 * MS, QUEUE)
    back = down.enter(1, up.enter(1, 0))
    own = up.takes_ns(1 + HEADERS) + down.takes_ns(1 + HEADERS)
    assert back == 30 * MS + own
    assert own < MS


def test_a_message_beside_a_bulk_transfer_waits_for_one_packet_with_a_short_queue() -> None:
    line = Line(MBIT, 0, QUEUE)
    line.enter(PIECE, 0)
    assert line.enter(100, line.room_ns(PIECE)) == line.takes_ns(PIECE + 100 + 2 * HEADERS)


@given(
    pieces=st.lists(st.tuples(st.integers(1, PIECE), st.integers(0, 30 * MS)), max_size=50),
    queue=st.integers(QUEUE, 20 * QUEUE),
    rate=st.integers(100_000, 100 * MBIT),
)
@settings(deadline=None)
def test_nothing_overtakes_nothing_is_faster_than_the_line_and_the_queue_is_bounded(
    pieces: list[tuple[int, int]], queue: int, rate: int
) -> None:
    line = Line(rate, 7 * MS, queue)
    now, last = 0, 0
    for size, pause in pieces:
        now = max(now + pause, line.room_ns(size))
        arrives = line.enter(size, now)
        assert arrives >= now + line.takes_ns(size + HEADERS) + 7 * MS
        assert arrives >= last
        assert line.free_ns - now <= line.takes_ns(queue) + 1  # of whole nanoseconds
        last = arrives
    assert line.busy_ns <= line.free_ns


@pytest.mark.parametrize("wrong", [(0, 0, QUEUE), (MBIT, -1, QUEUE), (MBIT, 0, QUEUE - 1)])
def test_a_line_that_cannot_exist_is_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="a line needs"):
        Line(*wrong)


@contextlib.contextmanager
def echo() -> Iterator[int]:
    """A server that says everything back; its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def talk(peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            while octets := peer.recv(65536):
                peer.sendall(octets)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = server.accept()
                threading.Thread(target=talk, args=(peer,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def connect(uplink: Uplink) -> socket.socket:
    return socket.create_connection(("127.0.0.1", uplink.port), timeout=120)


def refused(uplink: Uplink) -> None:
    """A new connection is reset, at once or when it is used."""
    with pytest.raises((ConnectionResetError, BrokenPipeError)), connect(uplink) as sock:
        while True:
            sock.sendall(b"x")
            sock.recv(1)


def exchange(sock: socket.socket, octets: bytes) -> bytes:
    """Send and close one way; everything that comes back."""
    sender = threading.Thread(
        target=lambda: (sock.sendall(octets), sock.shutdown(socket.SHUT_WR)), daemon=True
    )
    sender.start()
    got = bytearray()
    while piece := sock.recv(65536):
        got += piece
    sender.join()
    return bytes(got)


def test_what_goes_in_comes_out_whole_at_the_rate_and_never_too_early() -> None:
    octets = os.urandom(400_000)
    with echo() as port, Uplink(("127.0.0.1", port), rate=20 * MBIT, delay_ms=5) as uplink:
        with connect(uplink) as sock:
            assert (
                hashlib.sha256(exchange(sock, octets)).digest() == hashlib.sha256(octets).digest()
            )
        assert (uplink.sent, uplink.returned) == (len(octets), len(octets))
        for way in (uplink.up, uplink.down):
            assert way.early_ns == 0
            # Every packet was charged: what the line was busy for is what the octets cost in full
            # packets, and not 5 % more.
            least = way.line.takes_ns(len(octets) * (PIECE + HEADERS) // PIECE)
            assert least <= way.line.busy_ns + 1_000_000 <= 1.05 * least + 1_000_000


def test_two_connections_share_one_line_in_turns() -> None:
    octets = os.urandom(60_000)
    with echo() as port, Uplink(("127.0.0.1", port), rate=4 * MBIT, delay_ms=1) as uplink:
        with connect(uplink) as one, connect(uplink) as two:
            results: list[bytes] = []
            threads = [
                threading.Thread(target=lambda s=s: results.append(exchange(s, octets)))
                for s in (one, two)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert results == [octets, octets]
        assert uplink.accepted == 2
        assert uplink.sent == 2 * len(octets)
        assert uplink.up.line.busy_ns >= uplink.up.line.takes_ns(2 * len(octets))


def test_a_receiver_that_does_not_read_holds_its_sender_and_nobody_else() -> None:
    with (
        echo() as port,
        Uplink(("127.0.0.1", port), rate=400 * MBIT, delay_ms=0) as uplink,
        connect(uplink) as stuck,
        connect(uplink) as other,
    ):
        stuck.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while True:
                stuck.send(bytes(65536))
        assert exchange(other, b"hello") == b"hello"


def test_a_line_that_resets_says_so_and_serves_again_when_restored() -> None:
    with echo() as port, Uplink(("127.0.0.1", port), rate=10 * MBIT, delay_ms=1) as uplink:
        with connect(uplink) as sock:
            sock.sendall(b"before")
            assert sock.recv(6) == b"before"
            uplink.cut(Cut.RESET)
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
        refused(uplink)
        uplink.restore()
        with connect(uplink) as sock:
            assert exchange(sock, b"after") == b"after"


def test_a_silent_line_delivers_nothing_until_it_is_restored() -> None:
    with (
        echo() as port,
        Uplink(("127.0.0.1", port), rate=10 * MBIT, delay_ms=1) as uplink,
        connect(uplink) as sock,
    ):
        sock.sendall(b"before")
        assert sock.recv(6) == b"before"
        uplink.cut(Cut.SILENT)
        sock.sendall(b"held")
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        assert uplink.sent == len(b"before")
        uplink.restore()
        sock.settimeout(120)
        assert sock.recv(4) == b"held"


def test_a_line_that_forgot_a_connection_serves_only_new_ones() -> None:
    with (
        echo() as port,
        Uplink(("127.0.0.1", port), rate=10 * MBIT, delay_ms=1) as uplink,
        connect(uplink) as old,
    ):
        old.sendall(b"before")
        assert old.recv(6) == b"before"
        uplink.cut(Cut.SILENT)
        uplink.restore(forget=True)
        old.sendall(b"into the void")
        with connect(uplink) as new:
            assert exchange(new, b"hello") == b"hello"
        old.settimeout(0.2)
        with pytest.raises(TimeoutError):
            old.recv(1)


def test_a_target_that_is_not_there_resets_the_client() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with Uplink(("127.0.0.1", port)) as uplink:
        refused(uplink)


def test_the_command_forwards_until_it_is_ended() -> None:
    with echo() as port:
        words = ["--listen", "0", "--to", str(port), "--rate", "10000000"]
        process = subprocess.Popen(
            [sys.executable, "-m", "greffier_sim.uplink", *words],
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            listening = int(process.stderr.readline().rsplit(maxsplit=1)[-1])
            with socket.create_connection(("127.0.0.1", listening), timeout=120) as sock:
                assert exchange(sock, b"hello") == b"hello"
        finally:
            process.terminate()
            process.wait()
            process.stderr.close()
