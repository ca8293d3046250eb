"""Every nanosecond of a channel is in exactly one state, however it is cut."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.audit.scene import new_log
from tests.reference import audit as reference

from greffier.audit.coverage import SECOND, Account, intervals_of, seconds
from greffier.audit.intervals import PRECEDENCE, Interval
from greffier.audit.verify import entries
from greffier.clock import format_time

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "audit" / "coverage.json").read_text()
)
BASE = 1_795_305_600 * SECOND


def interval(state: str, low: int, high: int, **more: Any) -> Interval:
    return Interval("accueil", "l1", low, high, state, **more)


spans = st.tuples(st.integers(0, 60), st.integers(1, 30)).map(lambda at: (at[0], at[0] + at[1]))
marks = st.lists(st.tuples(st.sampled_from(PRECEDENCE), spans, st.integers(0, 50)), max_size=8)


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_the_vectors_add_up(case: dict[str, Any]) -> None:
    items = [interval(one["state"], one["from_ns"], one["to_ns"]) for one in case["intervals"]]
    (channel,) = seconds(items, None, case["from_ns"], case["to_ns"]).channels
    wanted = case["ns"]
    assert channel.states == {state: wanted[state] for state in PRECEDENCE}
    assert (channel.hole_ns, channel.overlap_ns) == (wanted["hole"], wanted["overlap"])


@settings(deadline=None)
@given(marks, spans)
def test_the_sum_is_exact_for_any_cut(
    given_marks: list[tuple[str, tuple[int, int], int]], cut: tuple[int, int]
) -> None:
    items = [interval(state, *span) for state, span, _ in given_marks]
    for channel in seconds(items, None, *cut).channels:
        plain = [{"state": one.state, "from_ns": one.from_ns, "to_ns": one.to_ns} for one in items]
        wanted = reference.coverage_ns(plain, channel.from_ns, channel.to_ns)
        assert channel.states == {state: wanted[state] for state in PRECEDENCE}
        assert (channel.hole_ns, channel.overlap_ns) == (wanted["hole"], wanted["overlap"])
        total = sum(channel.states.values()) + channel.hole_ns
        assert total == channel.to_ns - channel.from_ns


@settings(deadline=None)
@given(marks, st.lists(st.integers(0, 100), max_size=4))
def test_an_account_is_whole_and_apart_and_as_the_precedence_says(
    given_marks: list[tuple[str, tuple[int, int], int]], settlings: list[int]
) -> None:
    whole = Account("accueil", "l1", 0)
    parted = Account("accueil", "l1", 0)
    for state, (low, high), packets in given_marks:
        whole.mark(state, low, high, packets=packets)
        parted.mark(state, low, high, packets=packets)
    at_once = whole.close(100)
    piecemeal = [one for at in sorted(settlings) for one in parted.settle(at)]
    piecemeal += parted.close(100)
    for found in (at_once, piecemeal):
        assert [one.to_ns for one in found[:-1]] == [one.from_ns for one in found[1:]]
        assert (found[0].from_ns, found[-1].to_ns) == (0, 100)
    states = [dict.fromkeys(PRECEDENCE, 0) for _ in range(2)]
    for where, found in zip(states, (at_once, piecemeal), strict=True):
        for one in found:
            where[one.state] += one.to_ns - one.from_ns
    plain = [{"state": s, "from_ns": low, "to_ns": high} for s, (low, high), _ in given_marks]
    wanted = reference.coverage_ns([*plain, {"state": "idle", "from_ns": 0, "to_ns": 100}], 0, 100)
    assert states[0] == states[1] == {state: wanted[state] for state in PRECEDENCE}
    assert seconds(at_once).accounted == 1.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 1000)), min_size=1, max_size=6),
       st.lists(st.integers(0, 240), max_size=5))  # fmt: skip
def test_counts_stay_exact_however_often_they_are_cut(
    rows: list[tuple[int, int]], settlings: list[int]
) -> None:
    account = Account("accueil", "l1", 0)
    at = total = 0
    for length, packets in rows:
        account.mark("recorded", at, at + length, packets=packets, samples=packets * 160)
        at, total = at + length, total + packets
    found = [one for end in sorted(settlings) for one in account.settle(end)]
    found += account.close(max(at, account.settled_ns))
    assert sum(one.packets for one in found) == total
    assert sum(one.samples for one in found) == total * 160


def test_touching_intervals_become_one() -> None:
    account = Account("accueil", "l1", 0)
    account.mark("recorded", 0, 10, packets=5)
    account.mark("recorded", 10, 20, packets=6)
    account.mark("lost", 20, 25, "late", packets=1)
    account.mark("lost", 25, 30, "overrun", packets=2)
    assert account.close(40) == (
        interval("recorded", 0, 20, packets=11),
        interval("lost", 20, 25, reason="late", packets=1),
        interval("lost", 25, 30, reason="overrun", packets=2),
        interval("idle", 30, 40),
    )


def test_a_loss_cuts_a_recording_in_two() -> None:
    account = Account("accueil", "l1", 0, rest="not_recorded", rest_reason="AGENT_PENDING")
    account.mark("recorded", 10, 90, packets=80)
    account.mark("lost", 40, 50, "late", packets=7)
    assert account.close(100) == (
        interval("not_recorded", 0, 10, reason="AGENT_PENDING"),
        interval("recorded", 10, 40, packets=34),
        interval("lost", 40, 50, reason="late", packets=7),
        interval("recorded", 50, 90, packets=46),
        interval("not_recorded", 90, 100, reason="AGENT_PENDING"),
    )


def test_what_was_settled_cannot_be_marked_again() -> None:
    account = Account("accueil", "l1", 0)
    account.settle(50)
    with pytest.raises(ValueError, match="settled"):
        account.mark("recorded", 49, 60)
    with pytest.raises(ValueError, match="settled"):
        account.settle(49)
    account.mark("recorded", 50, 60)
    with pytest.raises(ValueError, match="after the end"):
        account.close(59)
    assert account.settle(50) == ()


@pytest.mark.parametrize(
    ("state", "low", "high"), [("resting", 0, 1), ("idle", 5, 5), ("idle", 6, 5), ("idle", -1, 5)]
)
def test_an_interval_that_cannot_be_is_refused(state: str, low: int, high: int) -> None:
    with pytest.raises(ValueError):
        interval(state, low, high)


def test_holes_and_overlaps_lower_what_is_accounted_for() -> None:
    items = [interval("recorded", 0, 40), interval("idle", 50, 100), interval("lost", 90, 100)]
    summary = seconds(items)
    assert summary.channels[0].hole_ns == 10
    assert summary.channels[0].overlap_ns == 10
    assert summary.accounted == float(Fraction(80, 100))


def test_nothing_is_wholly_accounted_for() -> None:
    assert seconds([]).accounted == 1.0
    assert seconds([interval("idle", 0, 5)], "vente").channels == ()
    assert seconds([interval("idle", 0, 5)], None, 5, 9).channels == ()


def test_the_answer_has_the_agreed_shape_and_the_log_carries_it(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    account = Account("accueil", "l1", BASE)
    account.mark("recorded", BASE + 2 * SECOND, BASE + 10 * SECOND, packets=400)
    account.mark("not_recorded", BASE + 10 * SECOND, BASE + 11 * SECOND, "SAMPLED_OUT")
    for one in account.close(BASE + 12 * SECOND):
        log.append("coverage", None, one.data)
    log.commit()
    summary = seconds(intervals_of(entries(tmp_path)))
    assert summary.as_json(format_time) == {
        "accounted": 1.0,
        "channels": [
            {
                "line": "accueil",
                "channel": "l1",
                "from": "2026-11-22T00:00:00.000000+00:00",
                "to": "2026-11-22T00:00:12.000000+00:00",
                "seconds": {
                    "recorded": 8.0, "idle": 3.0, "not_recorded": {"SAMPLED_OUT": 1.0},
                    "paused": 0.0, "lost": 0.0, "blind": 0.0, "off": 0.0,
                },
            }
        ],
    }  # fmt: skip
