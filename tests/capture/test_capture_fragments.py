"""Fragments: any order, copies, overlaps, and whoever would fill our memory."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.capture import fragments
from greffier.capture.fragments import MAX_BYTES, MAX_DATAGRAMS, TIMEOUT_NS, Fragments
from greffier.capture.ip import Fragment

SECOND = 1_000_000_000


def pieces(data: bytes, size: int, identification: int = 1) -> list[tuple[Fragment, bytes]]:
    """*data* cut into fragments."""
    return [
        (Fragment(identification, at, at + size < len(data)), data[at : at + size])
        for at in range(0, len(data), size)
    ]


def add(table: Fragments, fragment: Fragment, data: bytes, time_ns: int = 0, key: int = 1):  # type: ignore[no-untyped-def]
    """Give one fragment; only the first tells the protocol."""
    return table.add(key, fragment, 17 if fragment.offset == 0 else 99, data, time_ns)


@settings(deadline=None, max_examples=200)
@given(st.binary(min_size=9, max_size=400), st.randoms(use_true_random=False), st.booleans())
def test_any_order_with_copies_gives_the_datagram_once(
    data: bytes, draw: random.Random, copies: bool
) -> None:
    table = Fragments()
    parts = pieces(data, 8) * (2 if copies else 1)
    draw.shuffle(parts)
    found = [whole for part in parts if (whole := add(table, *part))]
    assert found == [(17, data)]
    assert len(table) == 0
    assert not table.dropped


def test_an_identification_is_free_again_a_second_later() -> None:
    table = Fragments()
    for time_ns in (0, SECOND):
        for part in pieces(b"x" * 20, 8)[:-1]:
            assert add(table, *part, time_ns=time_ns) is None
        assert add(table, *pieces(b"x" * 20, 8)[-1], time_ns=time_ns) == (17, b"x" * 20)


@pytest.mark.parametrize(
    ("offset", "size", "more"),
    [(0, 16, True), (4, 8, True), (8, 16, True), (0, 8, True), (16, 8, False), (12, 4, False)],
)
def test_an_overlap_condemns_the_datagram_and_what_still_comes(
    offset: int, size: int, more: bool
) -> None:
    table = Fragments()
    add(table, Fragment(1, 8, True), b"a" * 8)
    add(table, Fragment(1, 0, True), b"a" * 8)
    add(table, Fragment(1, 16, True), b"a" * 8)
    add(table, Fragment(1, offset, more), b"b" * size)
    assert table.dropped.total() == 1
    for part in pieces(b"a" * 28, 8):
        assert add(table, *part) is None
    assert table.dropped.total() == 1


@pytest.mark.parametrize(
    ("fragment", "size"),
    [
        (Fragment(1, 0, True), 0),
        (Fragment(1, 0, True), 7),
        (Fragment(1, 65_528, False), 8),
        (Fragment(1, 32, False), 8),
        (Fragment(1, 24, True), 8),
        (Fragment(1, 8, False), 4),
    ],
)
def test_a_fragment_that_cannot_be_condemns_the_datagram(fragment: Fragment, size: int) -> None:
    table = Fragments()
    add(table, Fragment(1, 16, False), b"z" * 8)
    add(table, fragment, b"y" * size)
    assert table.dropped == {"nonsense": 1}


def test_what_never_completes_is_given_up_in_time() -> None:
    table = Fragments()
    add(table, Fragment(1, 0, True), bytes(8))
    add(table, Fragment(1, 0, True), bytes(8), key=2, time_ns=TIMEOUT_NS)
    assert table.dropped == {"timeout": 1}
    assert len(table) == 1


def test_a_flood_is_bounded_in_number() -> None:
    table = Fragments()
    for key in range(MAX_DATAGRAMS * 3):
        add(table, Fragment(1, 0, True), bytes(8), key=key)
        assert len(table) <= MAX_DATAGRAMS
    assert table.dropped == {"limit": MAX_DATAGRAMS * 2}


def test_a_flood_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragments, "MAX_BYTES", 100_000)
    table = Fragments()
    for key in range(100):
        add(table, Fragment(1, 0, True), bytes(8_000), key=key)
        assert table._bytes <= 100_000 < MAX_BYTES
    assert table.dropped == {"limit": 88}
    for part in pieces(b"good" * 10, 8):
        found = add(table, *part, key=1_000)
    assert found == (17, b"good" * 10)


def test_a_clock_that_jumps_back_loses_nothing() -> None:
    table = Fragments()
    for time_ns in (10 * SECOND, 0):
        found = [add(table, *part, time_ns=time_ns) for part in pieces(b"x" * 20, 8)]
        assert found[-1] == (17, b"x" * 20)
