"""Pauses on analogue lines: what is hidden is in no part, and the ledger knows it to the sample."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.recorder.card_scene import PERIOD, RATE, Scene
from tests.stories.box import DESK, coded

from greffier.clock import SECOND
from greffier.control.board import Order
from greffier.control.messages import Answer, Done, Failure, Pause, Resume

BACK_S = 5


@pytest.fixture
def desk(tmp_path: Path) -> Scene:
    """A line that the law has recorded, and that may be paused for card data."""
    return Scene(tmp_path, coded(tmp_path, "flac", DESK, "desk"), "desk")


def order(scene: Scene, request: Pause | Resume) -> Answer | None:
    """Give an order as the loop does; what was answered, after the commit."""
    answers: list[Answer] = []
    pausing = scene.live._pausing
    pausing.obey(request, Order(request, 1000, answers.append))
    scene.archive.tick()
    pausing.answer()
    return answers[0] if answers else None


def check(scene: Scene, hidden: list[tuple[float, float]], last: float) -> None:
    """What the only call on *a* kept: all but *hidden* (seconds of the card, up to a period)."""
    (call,) = scene.listed("--key", scene.key)
    assert "PAUSE_SAD" in call["codes"]
    sound, _ = scene.sound(call["recording"])
    first = RATE - PERIOD
    sent = scene.sent_to("a")[first : round(last * RATE)].copy()
    masked = np.zeros(len(sent), bool)
    for part in scene.opened():
        for mask in part.legs[0].masks:
            masked[mask.start : mask.end] = True
    sent[masked] = 0
    lead = int(masked.argmin()) if masked[0] else 0  # an export begins with what is kept
    rest = len(sent) - lead - len(sound)
    sound = np.pad(sound[:, 0], (lead, rest))
    assert np.array_equal(sound, sent)
    wanted = np.zeros(len(sent), bool)
    for low, high in hidden:
        wanted[max(round(low * RATE) - first, 0) : round(high * RATE) - first] = True
    assert masked[wanted].all(), "nothing of the pause is there"
    # A pause begins and ends with a portion as it came: at most as many as the scene takes at once.
    assert np.count_nonzero(masked & ~wanted) <= 2 * len(hidden) * 6 * PERIOD
    states = scene.channel("a").states
    assert abs(states["paused"] - np.count_nonzero(masked) * SECOND // RATE) <= 2 * len(hidden)
    assert states["recorded"] + states["paused"] == pytest.approx(len(sent) * SECOND / RATE, abs=9)
    told = [one for one in scene.told("coverage") if one["state"] == "recorded"]
    assert sum(one["samples"] for one in told) == np.count_nonzero(~masked)
    assert scene.verified()["ok"]


def test_a_pause_reaches_back_and_what_follows_is_kept(desk: Scene) -> None:
    desk.hear(1)
    desk.hear(8, 0)
    assert order(desk, Pause(line="desk")) == Done()
    desk.hear(4, 0)
    assert order(desk, Resume(line="desk")) == Done()
    desk.hear(6, 0)
    desk.hear(3)
    desk.stop()
    check(desk, [(4, 13)], 21)
    assert set(desk.seconds("b")) == {"idle"}
    (paused,) = desk.told("call.paused")
    assert paused["at_ns"] - paused["from_ns"] == BACK_S * SECOND


def test_a_pause_that_nobody_ends_ends_with_the_call(desk: Scene) -> None:
    desk.hear(1)
    desk.hear(8, 0)
    assert order(desk, Pause(line="desk")) == Done()
    assert order(desk, Pause(line="desk")) == Done(changed=False)
    desk.hear(2, 0)
    desk.hear(3)
    desk.stop()
    check(desk, [(4, 13)], 13)


def test_an_idle_analogue_line_has_nothing_to_pause(desk: Scene) -> None:
    desk.hear(1)
    assert order(desk, Pause(line="desk")) == Failure("refused", "nothing_running")
    desk.stop()


@settings(deadline=None, max_examples=5)
@given(times=st.lists(st.integers(4, 130), min_size=1, max_size=5, unique=True).map(sorted))
def test_every_second_has_one_state_whenever_it_is_paused(
    tmp_path_factory: pytest.TempPathFactory, times: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("box")
    scene = Scene(folder, coded(folder, "flac", DESK, "desk"), "desk")
    scene.hear(1)
    at = 0
    hidden: list[tuple[float, float]] = []
    for number, tenths in enumerate(times):
        scene.hear((tenths - at) / 10, 0)
        at = tenths
        now = 1 + at / 10
        if number % 2:
            order(scene, Resume(line="desk"))
            hidden[-1] = (hidden[-1][0], now)
        else:
            order(scene, Pause(line="desk"))
            hidden.append((now - BACK_S, 99.0))
    scene.hear((140 - at) / 10, 0)
    scene.hear(3)
    scene.stop()
    end = 1 + 14 + 2
    if scene.listed()[0]["recording"] is None:
        assert set(scene.seconds("a")) == {"idle", "paused"}
        return
    check(scene, [(max(low, 0.98), min(high, end)) for low, high in hidden], end)


def test_a_pause_goes_on_over_a_restart_and_what_waited_is_lost(desk: Scene) -> None:
    desk.hear(1)
    desk.hear(8, 0)
    assert order(desk, Pause(line="desk")) == Done()
    desk.hear(1, 0)
    desk.break_off()
    desk.hear(2, 0)
    assert order(desk, Resume(line="desk")) == Done()
    desk.hear(6, 0)
    desk.break_off()
    desk.hear(1, 0)
    desk.hear(3)
    desk.stop()
    states = desk.seconds("a")
    assert states["paused"] == pytest.approx(5 + 1 + 2, abs=0.3)
    assert states["off"] == pytest.approx(2, abs=0.1)
    assert states["lost"] == pytest.approx(BACK_S, abs=0.3)
    assert desk.verified()["ok"]
