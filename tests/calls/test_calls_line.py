"""When calls begin and end on an analogue line, by level, hook contact, or both."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.calls.line import Began, Change, Ended, LineWatch, power_of
from greffier.config.records import Detection

RATE = 8000
PERIOD = 160
LOUD, SOFT, QUIET = power_of(-20), power_of(-47), power_of(-80)
LEVEL = Detection("level", None, "1", -45.0, -50.0, 200, 2.0, 60)
HOOK = replace(LEVEL, kind="off_hook", input=Path("/gpio"))
BOTH = replace(HOOK, kind="both")


class Line:
    """A watch, and where it stands."""

    def __init__(self, detection: Detection = LEVEL) -> None:
        self.watch = LineWatch(detection, RATE)
        self.at = 0
        self.changes: list[Change] = []

    def hear(self, power: float, periods: int) -> "Line":
        for _ in range(periods):
            self.changes += self.watch.hear(self.at, PERIOD, power)
            self.at += PERIOD
        return self

    def skip(self, frames: int) -> "Line":
        self.changes += self.watch.skip(self.at, frames)
        self.at += frames
        return self

    def hook(self, off: bool | None) -> "Line":
        self.watch.hook(off, self.at)
        return self


def test_a_call_begins_with_its_onset_and_one_period_before() -> None:
    line = Line().hear(QUIET, 50).hear(LOUD, 9)
    assert line.changes == []
    line.hear(LOUD, 1)
    assert line.changes == [Began(49 * PERIOD, 60 * PERIOD, "level", joined_late=False)]
    assert line.watch.reach(PERIOD) == 60 * PERIOD - 49 * PERIOD


def test_a_click_is_no_call() -> None:
    line = Line().hear(QUIET, 5)
    for _ in range(20):
        line.hear(LOUD, 9).hear(QUIET, 1)
    assert line.changes == []


def test_a_call_ends_after_the_hang_over_and_a_word_begins_it_anew() -> None:
    line = Line().hear(QUIET, 1).hear(LOUD, 20).hear(QUIET, 99).hear(SOFT, 1).hear(QUIET, 99)
    assert len(line.changes) == 1, "soft sound is above end_dbfs, so the silence began anew"
    line.hear(QUIET, 1)
    assert line.changes[1:] == [Ended(line.at, "silence")]


def test_what_is_loud_at_once_may_have_begun_before() -> None:
    assert Line().hear(LOUD, 10).changes == [Began(0, 1600, "level", joined_late=True)]
    missed = Line().hear(QUIET, 5).skip(3 * RATE).hear(LOUD, 10)
    assert missed.changes == [Began(5 * 160 + 3 * RATE, missed.at, "level", joined_late=True)]
    short = Line().hear(QUIET, 5).skip(RATE // 10).hear(LOUD, 10)
    assert short.changes == [Began(5 * 160 + RATE // 10, short.at, "level", joined_late=False)]


def test_the_contact_begins_and_ends_a_call_whatever_the_level() -> None:
    line = Line(HOOK).hook(False).hear(LOUD, 50)
    assert line.changes == []
    line.hook(True).hear(QUIET, 200)
    line.hook(False).hear(LOUD, 1)
    assert line.changes == [
        Began(50 * PERIOD, 51 * PERIOD, "off_hook", joined_late=False),
        Ended(251 * PERIOD, "on_hook"),
    ]


def test_an_off_hook_line_goes_by_level_while_the_contact_cannot_be_read() -> None:
    line = Line(HOOK).hook(None).hear(QUIET, 1).hear(LOUD, 10)
    assert [type(one) for one in line.changes] == [Began]
    line.hear(QUIET, 100)
    assert line.changes[1:] == [Ended(line.at, "silence")]


def test_both_begins_with_either_and_ends_when_both_agree() -> None:
    line = Line(BOTH).hook(False).hear(QUIET, 1).hear(LOUD, 10)
    assert line.changes[0] == Began(0, line.at, "level", joined_late=False)
    line.hook(True).hear(QUIET, 200)
    assert len(line.changes) == 1, "the handset is off"
    line.hook(False).hear(LOUD, 1).hear(QUIET, 99)
    assert len(line.changes) == 1, "it was not silent for long enough"
    line.hear(QUIET, 1)
    assert line.changes[1:] == [Ended(line.at, "on_hook")]
    line.hook(True).hear(QUIET, 1)
    assert line.changes[2:] == [Began(line.at - 160, line.at, "off_hook", joined_late=False)]


def test_a_call_that_lasts_too_long_is_cut_at_the_sample() -> None:
    line = Line().hear(QUIET, 3).hear(LOUD, 3100)
    first = 2 * PERIOD
    assert line.changes == [
        Began(first, first + 11 * PERIOD, "level", joined_late=False),
        Ended(first + 60 * RATE, "longest"),
        Began(first + 60 * RATE, first + 60 * RATE, "level", joined_late=False),
    ]


def test_a_call_outlives_a_card_that_is_back_within_the_hang_over() -> None:
    line = Line().hear(QUIET, 1).hear(LOUD, 20).skip(2 * RATE - 160).hear(LOUD, 5)
    assert len(line.changes) == 1
    lost = line.at
    assert line.watch.wait(lost, 2 * RATE - 1) == []
    assert line.watch.wait(lost, 2 * RATE) == [Ended(lost, "card_lost")]
    off = Line(BOTH).hook(True).hear(LOUD, 20).skip(100 * RATE)
    assert [type(one) for one in off.changes] == [Began, Ended, Began], "cut, but not ended"


def test_a_resumed_call_ends_when_silence_and_outage_make_a_hang_over() -> None:
    line = Line()
    line.watch.resume(0, 10 * RATE, RATE)
    line.hear(QUIET, 49)
    assert line.changes == []
    line.hear(QUIET, 1)
    assert line.changes == [Ended(RATE, "silence")]
    with_sound = Line()
    with_sound.watch.resume(0, 59 * RATE, RATE)
    with_sound.hear(LOUD, 51)
    assert [type(one) for one in with_sound.changes] == [Ended, Began], "its whole length counts"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["loud", "soft", "quiet", "skip", "away", "off", "on", "unknown"]),
        st.integers(1, 400),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from([LEVEL, HOOK, BOTH]), STEPS)
def test_calls_follow_each_other_and_none_is_too_long(
    detection: Detection, steps: list[tuple[str, int]]
) -> None:
    line = Line(detection)
    seen = 0
    for what, count in steps:
        before = line.at
        if what in ("loud", "soft", "quiet"):
            line.hear({"loud": LOUD, "soft": SOFT, "quiet": QUIET}[what], count)
        elif what == "skip":
            line.skip(count * 97)
        elif what == "away":
            line.changes += line.watch.wait(line.at, count * 97)
        else:
            line.hook({"off": True, "on": False, "unknown": None}[what])
        for change in line.changes[seen:]:
            # Nothing is told of what comes later, or of more of the past than is kept.
            assert before - line.watch.reach(PERIOD) <= change.position <= line.at
        seen = len(line.changes)
    kinds = [type(one) for one in line.changes]
    assert kinds == [Began, Ended] * (len(kinds) // 2) + [Began] * (len(kinds) % 2)
    assert line.watch.running == bool(len(kinds) % 2)
    positions = [one.position for one in line.changes]
    assert positions == sorted(positions)
    for began, ended in zip(line.changes[::2], line.changes[1::2], strict=False):
        assert isinstance(began, Began)
        assert ended.position - began.position <= detection.longest_s * RATE
        assert began.decided >= began.position


@pytest.mark.parametrize("detection", [LEVEL, HOOK, BOTH])
def test_an_idle_line_stays_idle(detection: Detection) -> None:
    line = Line(detection).hook(False).hear(QUIET, 5000)
    assert line.changes == []
