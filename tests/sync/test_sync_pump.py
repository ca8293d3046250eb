"""What is granted is sent, at the right pace, and nothing else; each descriptor is closed once."""

import os
from pathlib import Path

import pytest

from greffier.clock import SECOND, steady_ns
from greffier.sync import chunk
from greffier.sync.chunk import BLOCK
from greffier.sync.connection import Acked, Publication
from greffier.sync.dialling import Limits
from greffier.sync.pump import Pump, Sent, Unsendable
from greffier.sync.sending import Grant
from greffier.sync.shares import SHARES, Share, Shares

PART = "ab" * 16
LOW, HIGH = 16_384, 111 * 1024
WIDE = Limits()


class Line:
    """A pump, the file of a part, and what came of it."""

    def __init__(self, folder: Path, size: int = 300_000) -> None:
        self.data = os.urandom(size)
        self.path = folder / "part"
        self.path.write_bytes(self.data)
        self.said: list[Sent | Unsendable] = []
        self.pump = Pump("box-1", LOW, HIGH, self.said.append)
        self.now_ns = steady_ns()
        self.fds: list[int] = []
        self.got = bytearray(size)
        self.octets = 0

    def grant(
        self, *ranges: tuple[int, int], credit: int = 1 << 30, ttl_s: int = 30, part: str = PART
    ) -> None:
        fd = os.open(self.path, os.O_RDONLY)
        self.fds.append(fd)
        until = self.now_ns + ttl_s * SECOND
        self.pump.grant(Grant(part, "new", "a1", ranges, credit, until, len(self.fds)), fd)

    def feed(self, unacknowledged: int = 0, limits: Limits = WIDE) -> Publication | int | None:
        return self.pump.feed(limits, unacknowledged, self.now_ns)

    def drain(self, limits: Limits = WIDE) -> None:
        """Send and acknowledge until there is nothing more."""
        while isinstance(found := self.feed(0, limits), Publication):
            one = chunk.decode(found.payload)
            self.got[one.offset : one.offset + len(one.data)] = one.data
            self.octets += len(one.data)
            assert found.topic == "greffier/1/box-1/up/c/a1"
            self.pump.acked(Acked(found.token, 0))

    def closed(self) -> bool:
        return all(not _is_open(fd, self.path) for fd in self.fds)


def _is_open(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except OSError:
        return False


@pytest.fixture(name="line")
def _line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Line:
    """One whose rate is measured by the test's own clock."""
    made = Line(tmp_path)
    monkeypatch.setattr("greffier.sync.pump.steady_ns", lambda: made.now_ns)
    return made


def test_what_was_asked_for_goes_and_no_more(line: Line) -> None:
    assert line.feed() is None, "nothing is granted"
    line.grant((1000, 200_000), (250_000, 300_000))
    line.drain()
    assert line.octets == 249_000
    assert line.got[1000:200_000] == line.data[1000:200_000]
    assert line.got[:1000] == bytes(1000)
    assert line.said == [Sent(PART, 1, 0)]
    assert line.closed()


def test_credit_and_time_are_bounds(line: Line) -> None:
    line.grant((0, 300_000), credit=50_000)
    line.drain()
    assert line.octets == 50_000
    line.grant((0, 300_000), ttl_s=5)
    line.now_ns += 5 * SECOND
    line.drain()
    assert line.octets == 50_000
    assert [one.serial for one in line.said] == [1, 2]
    assert line.closed()


def test_a_new_grant_replaces_the_old_one(line: Line) -> None:
    line.grant((0, 100_000))
    assert isinstance(line.feed(), Publication)
    line.grant((100_000, 120_000))
    line.drain()
    assert line.octets == 20_000
    assert [one.serial for one in line.said] == [2]
    assert line.closed()


def test_what_is_released_is_not_sent(line: Line) -> None:
    line.grant((0, 300_000))
    assert isinstance(line.feed(), Publication)
    line.pump.release(PART)
    assert line.feed() is None
    assert line.closed()


def test_no_chunk_crosses_a_border_between_blocks(tmp_path: Path) -> None:
    line = Line(tmp_path, BLOCK + 100_000)
    line.grant((BLOCK - 5000, BLOCK + 100_000))
    line.drain()
    assert line.octets == 105_000
    assert line.got[BLOCK - 5000 :] == line.data[BLOCK - 5000 :]


def test_a_broker_that_takes_little_gets_small_chunks_or_is_a_trouble(line: Line) -> None:
    line.grant((0, 20_000))
    small = Limits(20, 4096)
    found = line.feed(0, small)
    assert isinstance(found, Publication)
    assert len(found.payload) + len(found.topic) + 5 <= 4096
    assert not isinstance(line.feed(0, Limits(20, 1000)), Publication)
    assert line.pump.too_small
    line.drain(small)
    assert not line.pump.too_small


def test_a_window_that_is_full_and_a_limit_wait(line: Line) -> None:
    line.grant((0, 300_000))
    assert isinstance(line.feed(2), int), "two are on their way, and no rate is known"
    line.pump.set_limit(10_000)
    wait = line.feed()
    assert isinstance(wait, int)
    assert 0 < wait <= SECOND
    line.now_ns += SECOND
    assert isinstance(line.feed(), Publication)
    line.pump.set_limit(0)
    line.now_ns += 10 * SECOND
    assert line.feed() is None


def test_a_file_that_became_shorter_is_given_up(line: Line) -> None:
    line.grant((200_000, 300_000))
    os.truncate(line.path, 100)
    assert line.feed() == 0
    assert line.said == [Sent(PART, 1, 0)]
    assert line.closed()


def test_a_chunk_that_was_refused_ends_the_grant(line: Line) -> None:
    line.grant((0, 300_000))
    found = line.feed()
    assert isinstance(found, Publication)
    line.pump.acked(Acked(found.token, 0x10))
    assert line.said == [Unsendable(PART, 1, 0x10)]
    assert line.feed() is None
    line.pump.acked(Acked(("presence", 0), 0))
    assert line.closed()


def test_a_connection_that_fell_ends_every_grant(line: Line) -> None:
    line.grant((0, 300_000))
    assert isinstance(line.feed(), Publication)
    line.grant((0, 300_000), part="cd" * 16)
    line.pump.fell()
    assert {one.part for one in line.said} == {PART, "cd" * 16}
    assert line.closed()


def test_too_many_grants_for_a_dead_line_are_let_go(line: Line) -> None:
    for _ in range(300):
        line.grant((0, 10))
    assert not _is_open(line.fds[-1], line.path)
    line.pump.fell()
    assert line.closed()


def test_octets_are_shared_as_eight_to_four_to_one() -> None:
    shares = Shares()
    had: dict[Share, int] = dict.fromkeys(SHARES, 0)
    for _ in range(1300):
        share = shares.choose(SHARES)
        assert share is not None
        shares.charge(share, 100_000)
        had[share] += 1
    assert had == {"urgent": 800, "new": 400, "old": 100}


def test_a_share_that_had_nothing_does_not_save_up() -> None:
    shares = Shares()
    for _ in range(1000):
        shares.charge("new", 100_000) if shares.choose(["new"]) else None
    order = []
    for _ in range(12):
        share = shares.choose(SHARES)
        assert share is not None
        shares.charge(share, 100_000)
        order.append(share)
    assert order.count("old") <= 2
    assert order.count("new") >= 3
