"""Limits by the hour, the bucket, and how large chunks are."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.clock import SECOND
from greffier.config.bandwidth import BadLimit, limit_at, read_limit
from greffier.sync.pacing import LARGEST, LEAST_CHUNK, Bucket, Rate, chunk_size, window

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return MONDAY.replace(day=23 + day, hour=hour, minute=minute)


def test_the_first_line_that_holds_decides() -> None:
    table = [read_limit(one) for one in ("Mon-Fri 08:00-19:00 256k", "Sun off", "* 2M")]
    assert limit_at(table, at(0, 8)) == 256_000
    assert limit_at(table, at(0, 7, 59)) == 2_000_000
    assert limit_at(table, at(4, 18, 59)) == 256_000
    assert limit_at(table, at(4, 19)) == 2_000_000
    assert limit_at(table, at(5, 12)) == 2_000_000
    assert limit_at(table, at(6, 12)) == 0
    assert limit_at([], at(0, 0)) is None
    assert limit_at([read_limit("* none")], at(0, 0)) is None


def test_a_span_over_midnight_is_of_the_day_it_begins_on() -> None:
    table = [read_limit("Fri 22:00-06:00 off")]
    assert limit_at(table, at(4, 23)) == 0
    assert limit_at(table, at(5, 5, 59)) == 0
    assert limit_at(table, at(5, 6)) is None
    assert limit_at(table, at(4, 5)) is None


def test_a_span_of_days_goes_over_the_end_of_the_week() -> None:
    assert read_limit("Sat-Mon 1M").days == {5, 6, 0}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "256k",
        "* 0k",
        "* 256",
        "Mon 24:00-08:00 1M",
        "Mon 08:00 1M",
        "mon 1M",
        "Mon  1M",
        "* 1G",
    ],
)
def test_what_is_no_limit_is_refused(line: str) -> None:
    with pytest.raises(BadLimit):
        read_limit(line)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 20_000), st.integers(0, SECOND)), max_size=60))
def test_a_bucket_lets_through_its_rate_and_one_burst(steps: list[tuple[int, int]]) -> None:
    rate = 10_000
    bucket = Bucket(0)
    bucket.set_rate(rate, 0)
    now = sent = 0
    for size, pause in steps:
        now += pause
        wait = bucket.wait_ns(size, now)
        assert wait is not None
        if not wait:
            bucket.take(size, now)
            sent += size
    assert sent <= rate * now / SECOND + rate + 20_000


def test_what_waits_may_go_after_the_wait() -> None:
    bucket = Bucket(0)
    bucket.set_rate(8_000, 0)
    wait = bucket.wait_ns(112_000, 0)
    assert wait
    assert bucket.wait_ns(112_000, wait) == 0
    bucket.take(112_000, wait)
    again = bucket.wait_ns(1000, wait)
    assert again is not None
    assert again > 13 * SECOND, "a chunk above a second's worth is paid for afterwards"
    bucket.set_rate(0, wait)
    assert bucket.wait_ns(1, wait) is None
    bucket.set_rate(None, wait)
    assert bucket.wait_ns(1 << 30, wait) == 0


def test_the_rate_is_that_of_the_last_seconds() -> None:
    rate = Rate()
    for tenth in range(40):
        rate.add(12_500, tenth * SECOND // 10)
    assert 110_000 < rate.now(4 * SECOND) < 140_000
    assert rate.now(60 * SECOND) == 0
    assert rate.last > 100_000


def test_chunks_carry_a_quarter_of_a_second_within_bounds() -> None:
    low, high = 16_384, 111 * 1024
    assert chunk_size(0, None, low, high, LARGEST) == low
    assert chunk_size(125_000, None, low, high, LARGEST) == 31_250
    assert chunk_size(10**9, None, low, high, LARGEST) == high
    assert chunk_size(10**9, None, low, high, 5000) == 5000
    assert chunk_size(10**9, 4000, low, high, LARGEST) == 2000
    assert chunk_size(10**9, 100, low, high, LARGEST) == LEAST_CHUNK
    assert window(125_000, 31_250) == 2
    assert window(10**9, high) == 16
