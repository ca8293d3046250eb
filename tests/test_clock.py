"""Time in one place: three kinds of it, and texts that mean one instant."""

import ast
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier import clock
from greffier.clock import SECOND, BadTime, BadZone, CaptureClock, SystemClock

PACKAGE = Path(__file__).parents[1] / "firmware" / "greffier"
moments = st.integers(0, 2**63 - 1)


@pytest.mark.parametrize(
    ("text", "t_ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00.000000001z", 1),
        ("1970-01-01 01:00:00.5+01:00", SECOND // 2),
        ("1969-12-31T19:00:00-05:00", 0),
        ("2026-11-22T00:00:00+00:00", clock.BUILT_NS),
        ("2024-02-29T12:00:00+05:45", 1709187300 * SECOND),
    ],
)
def test_a_time_is_read(text: str, t_ns: int) -> None:
    assert clock.parse_time(text) == t_ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-22",
        "2026-11-22T00:00:00",
        "2026-11-22T00:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T23:59:60Z",
        "2026-11-22T23:60:00Z",
        "2026-02-30T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "2262-04-11T23:47:17Z",
        "2026-11-22T00:00:00.Z",
        "2026-11-22T00:00:00.1234567890Z",
        "2026-11-22T00:00:00,5Z",
        "2026-11-22T00:00:00+24:00",
        "2026-11-22T00:00:00+01:60",
        "2026-11-22T00:00:00+0100",
        "2026-11-22T00:00:00Z ",
        "2026-11-22T00:00:00Z\n",
        "٢٠٢٦-11-22T00:00:00Z",
        "9999-12-31T23:59:59-23:59",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadTime):
        clock.parse_time(text)


@settings(deadline=None)
@given(t_ns=moments, zone=st.sampled_from(["UTC", "Europe/Paris", "Asia/Kathmandu"]))
def test_a_time_written_with_nine_decimals_is_read_back(t_ns: int, zone: str) -> None:
    text = clock.format_time(t_ns, clock.zone(zone), digits=9)
    if t_ns // SECOND < 2**63 // SECOND:
        assert clock.parse_time(text) == t_ns


@pytest.mark.parametrize(
    ("digits", "text"),
    [
        (0, "2026-07-01T02:00:01+02:00"),
        (3, "2026-07-01T02:00:01.999+02:00"),
        (6, "2026-07-01T02:00:01.999999+02:00"),
        (9, "2026-07-01T02:00:01.999999999+02:00"),
    ],
)
def test_decimals_are_cut_not_rounded(digits: int, text: str) -> None:
    t_ns = clock.parse_time("2026-07-01T00:00:01.999999999Z")
    assert clock.format_time(t_ns, clock.zone("Europe/Paris"), digits) == text


def test_a_day_is_the_day_of_its_zone() -> None:
    t_ns = clock.parse_time("2026-06-30T22:30:00Z")
    assert clock.day_of(t_ns) == "2026-06-30"
    assert clock.day_of(t_ns, clock.zone("Europe/Paris")) == "2026-07-01"
    assert clock.local(t_ns, timezone(timedelta(hours=1))).hour == 23


@pytest.mark.parametrize("name", ["", "Europe/Nowhere", "../etc/passwd", "/etc/localtime", "a\0b"])
def test_a_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(BadZone):
        clock.zone(name)


@pytest.mark.parametrize("t_ns", [2**80, -(2**80)])
def test_a_time_beyond_the_calendar_is_refused(t_ns: int) -> None:
    with pytest.raises(BadTime):
        clock.format_time(t_ns)


def test_the_bound_starts_at_the_release_or_at_what_was_kept() -> None:
    assert SystemClock().lower_bound().source == "build"
    assert SystemClock(persisted_ns=5).lower_bound().source == "build"
    later = SystemClock(persisted_ns=clock.BUILT_NS + SECOND).lower_bound()
    assert later.source == "persisted"
    assert later.t_ns >= clock.BUILT_NS + SECOND


class Stepped(SystemClock):
    """A machine whose boot clock is set by the test and whose wall clock lies."""

    now = 1000 * SECOND

    def monotonic_ns(self) -> int:
        return self.now

    def wall_ns(self) -> int:
        return 2**62


def test_the_bound_advances_with_the_boot_clock_less_its_drift_and_never_with_the_wall() -> None:
    one = Stepped()
    one.now += 1_000_000 * SECOND
    assert one.lower_bound().t_ns == clock.BUILT_NS + 999_900 * SECOND


def test_only_a_later_statement_raises_the_bound() -> None:
    one = Stepped()
    one.witnessed(clock.BUILT_NS - 1, "statement")
    assert one.lower_bound() == clock.LowerBound(clock.BUILT_NS, "build")
    one.witnessed(clock.BUILT_NS + 9 * SECOND, "cosignature")
    one.now += 10_000 * SECOND
    assert one.lower_bound() == clock.LowerBound(clock.BUILT_NS + 10_008 * SECOND, "cosignature")


@given(st.lists(st.tuples(st.integers(0, 10**15), moments), max_size=20))
def test_the_bound_never_falls(steps: list[tuple[int, int]]) -> None:
    one = Stepped()
    last = one.lower_bound().t_ns
    for elapsed, statement in steps:
        one.now += elapsed
        assert one.lower_bound().t_ns >= last
        one.witnessed(statement, "statement")
        last = one.lower_bound().t_ns
        assert last >= statement


@given(start=moments, times=st.lists(moments, max_size=20))
def test_a_capture_moves_its_wall_but_never_trust_nor_backwards_elapsed(
    start: int, times: list[int]
) -> None:
    machine = Stepped()
    one = CaptureClock(start, machine)
    elapsed = 0
    for t_ns in times:
        one.move_to(t_ns)
        assert one.wall_ns() == t_ns
        assert one.monotonic_ns() >= elapsed
        elapsed = one.monotonic_ns()
    assert elapsed == max([start, *times]) - start
    assert one.lower_bound() == machine.lower_bound()
    assert one.boot_id == machine.boot_id


def test_the_machine_has_a_wall_a_boot_and_a_clock_that_runs() -> None:
    one = SystemClock()
    assert len(one.boot_id) == 32
    assert set(one.boot_id) <= set("0123456789abcdef")
    assert one.boot_id == SystemClock().boot_id
    assert one.monotonic_ns() <= one.monotonic_ns()
    assert one.wall_ns() > 0
    moment = datetime.fromtimestamp(one.wall_ns() / SECOND, UTC)
    assert moment.year >= 2020


def asks_the_time(path: Path) -> list[str]:
    calls = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import) and any(name.name == "time" for name in node.names):
            calls.append("import time")
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            calls.append("from time")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            asked = ast.unparse(node.func)
            if re.fullmatch(r"(datetime\.)?(datetime|date)\.(now|utcnow|today)", asked):
                calls.append(asked)
    return calls


def test_nobody_else_asks_what_time_it_is() -> None:
    guilty = {
        str(path.relative_to(PACKAGE)): calls
        for path in PACKAGE.rglob("*.py")
        if path.name != "clock.py" and (calls := asks_the_time(path))
    }
    assert guilty == {}


def test_the_check_sees_who_asks(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text("import time\nfrom time import time\ndate.today()\ndatetime.datetime.now(UTC)")
    found = ["import time", "from time", "date.today", "datetime.datetime.now"]
    assert asks_the_time(path) == found
    path.write_text("rule.today\nclock.now()")
    assert asks_the_time(path) == []
