"""A grant bounds what goes: which octets, how many, until when, and for which asking."""

import pytest

from greffier.sync.chunk import BLOCK
from greffier.sync.sending import Grant, Piece, Sender

PART = "ab" * 16


def granted(*ranges: tuple[int, int], credit: int = 1 << 30, until_ns: int = 100) -> Sender:
    sender = Sender()
    sender.grant(Grant(PART, "new", "a1", ranges, credit, until_ns, 1))
    return sender


def everything(sender: Sender, most: int, now_ns: int) -> list[tuple[int, int]]:
    found = []
    while (piece := sender.next(most, now_ns)) is not None:
        found.append((piece.offset, piece.size))
    return found


def test_the_ranges_go_in_order_and_in_pieces() -> None:
    assert everything(granted((10, 35), (90, 95)), 10, 1) == [(10, 10), (20, 10), (30, 5), (90, 5)]


@pytest.mark.parametrize("credit", [1, 7, 10, 11, 29])
def test_no_more_than_the_credit_goes(credit: int) -> None:
    pieces = everything(granted((0, 30), credit=credit), 10, 1)
    assert sum(size for _, size in pieces) == credit


def test_a_piece_ends_where_a_block_does() -> None:
    assert everything(granted((BLOCK - 3, BLOCK + 4)), 100, 1) == [(BLOCK - 3, 3), (BLOCK, 4)]


def test_nothing_goes_once_the_time_is_over() -> None:
    sender = granted((0, 30))
    assert sender.next(10, 99) == Piece(PART, "a1", 0, 10, 1)
    assert sender.next(10, 100) is None
    assert [one.serial for one in sender.ended(100)] == [1]


def test_a_later_asking_replaces_the_earlier_one() -> None:
    sender = granted((0, 30))
    first = sender.next(10, 1)
    assert first is not None
    sender.grant(Grant(PART, "new", "a1", ((50, 60),), 10, 100, 2))
    second = sender.next(10, 1)
    assert second == Piece(PART, "a1", 50, 10, 2)
    sender.acknowledged(first)
    assert sender.ended(1) == [], "what was acknowledged was of the other"
    sender.acknowledged(second)
    assert [one.serial for one in sender.ended(1)] == [2]
