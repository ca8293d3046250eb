"""Whatever holds the recorder up: what a part of an analogue line lacks is not told as there."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.recorder.card_scene import RATE, Scene
from tests.recorder.test_recorder_card_pauses import order
from tests.recorder.test_recorder_cards import unpausable
from tests.stories.box import DESK, coded

from greffier.clock import SECOND
from greffier.control.messages import Pause, Resume
from greffier.recorder import track

PLAYED_NS = SECOND // 1000
"""By how much times of the ledger and positions of a part may differ: they are rounded."""


def scene_of(folder: Path, *, pausable: bool, ring_s: int = 900) -> Scene:
    policy = coded(folder, "flac", DESK, "desk")
    policy = policy if pausable else unpausable(policy)
    return Scene(folder, policy, "desk", ring_s=ring_s, longest_s=900)


def kept(scene: Scene, name: str) -> list[tuple[int, int]]:
    """The times of what the parts of a line hold, ns since the epoch, in order."""
    found = []
    for part in scene.opened():
        (leg,) = part.legs.values()
        if leg.table["source"] != name or not leg.packets:
            continue
        origin_ns = int(part.about["origin_us"]) * 1000
        there = np.zeros(max(one.position + one.samples for one in leg.packets), bool)
        for one in leg.packets:
            there[one.position : one.position + one.samples] = True
        for hole in (*leg.gaps, *leg.masks):
            there[hole.start : hole.end] = False
        edges = np.flatnonzero(np.diff(np.concatenate(([0], there.view(np.int8), [0]))))
        for low, high in edges.reshape(-1, 2):
            times = (origin_ns + int(at) * SECOND // RATE for at in (low, high))
            found.append((next(times), next(times)))
    return sorted(found)


def check(scene: Scene) -> None:
    """No instant is recorded in the ledger of which no part holds the sound."""
    assert scene.verified()["ok"]
    for name in "ab":
        scene.channel(name)  # every second has one state
        there = kept(scene, name)
        told = [one for one in scene.told("coverage") if one["channel"] == name]
        for one in told:
            if one["state"] == "recorded":
                low, high = one["from_ns"], one["to_ns"]
                covered = sum(max(min(high, to) - max(low, at), 0) for at, to in there)
                assert high - low - covered <= PLAYED_NS * (1 + len(there)), one
        recorded = sum(one["to_ns"] - one["from_ns"] for one in told if one["state"] == "recorded")
        sound = sum(to - at for at, to in there)
        # And little is told as lost that is there: what an encoder still held.
        assert sound - recorded <= (1 + len(there)) * SECOND // 2


@pytest.mark.parametrize("pausable", [False, True])
def test_a_long_stall_loses_nothing_for_which_there_was_room(
    tmp_path: Path, pausable: bool
) -> None:
    scene = scene_of(tmp_path, pausable=pausable)
    scene.hear(2)
    scene.hear(3, 0)
    scene.hear(500, 0, stalls=True)
    scene.hear(3, 0)
    scene.hear(3)
    scene.stop()
    calls = scene.listed()
    assert {call["result"] for call in calls} == {"ok"}
    check(scene)
    states = scene.channel("a").states
    assert states["lost"] == 0
    assert states["recorded"] >= 506 * SECOND


@pytest.mark.parametrize("pausable", [False, True])
def test_what_comes_while_no_disk_takes_anything_is_lost_in_the_ledger(
    tmp_path: Path, pausable: bool
) -> None:
    scene = scene_of(tmp_path, pausable=pausable)
    scene.hear(2)
    scene.hear(12, 0)
    scene.archive.valve.open = False
    scene.hear(8, 0)
    scene.archive.valve.open = True
    scene.hear(12, 0)
    scene.hear(3)
    scene.stop()
    (call,) = scene.listed()
    assert call["result"] == "degraded"
    check(scene)
    assert scene.channel("a").states["lost"] == pytest.approx(8 * SECOND, abs=SECOND // 5)
    lost = [one for one in scene.told("coverage") if one["state"] == "lost"]
    assert {(one["reason"], one["channel"]) for one in lost} == {("STORAGE", "a")}
    assert call["accounted"]["lost"] == pytest.approx(8 * RATE, abs=RATE // 5)


EVENTS = st.one_of(
    st.tuples(st.just("hear"), st.integers(1, 80)),
    st.tuples(st.just("stall"), st.integers(1, 400)),
    st.tuples(st.just("quiet"), st.integers(1, 40)),
    st.tuples(st.just("miss"), st.integers(1, 20)),
    st.tuples(st.just("away"), st.integers(1, 15)),
    st.tuples(st.just("disk"), st.integers(1, 60)),
    st.tuples(st.just("full"), st.integers(1, 300)),
    st.tuples(st.just("pause"), st.integers(1, 80)),
)


def happen(scene: Scene, what: str, tenths: int) -> None:
    seconds = tenths / 10
    match what:
        case "hear":
            scene.hear(seconds, 0, 1)
        case "stall":
            scene.hear(seconds, 0, 1, stalls=True)
            scene.work()
        case "quiet":
            scene.hear(seconds)
        case "miss":
            scene.miss(round(seconds * RATE))
        case "away":
            scene.pull_out()
            scene.put_back(seconds)
        case "disk":
            scene.archive.valve.open = not scene.archive.valve.open
            scene.hear(seconds, 0, 1)
        case "pause":
            order(scene, Pause(line="desk"))
            scene.hear(seconds, 0, 1, stalls=True)
            order(scene, Resume(line="desk"))
        case "full":  # a stall, and the disk is full meanwhile
            scene.archive.valve.open = False
            scene.hear(seconds, 0, 1, stalls=True)
            scene.work()
            scene.archive.valve.open = True


@settings(deadline=None, max_examples=25)
@given(
    events=st.lists(EVENTS, min_size=1, max_size=8),
    pausable=st.booleans(),
    room=st.booleans(),
    ring_s=st.sampled_from([10, 900]),
)
def test_no_gap_of_a_part_is_told_as_recorded(
    events: list[tuple[str, int]], pausable: bool, room: bool, ring_s: int
) -> None:
    """Without *room* there is less than that of a stall where sound waits."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        if not room:
            patch.setattr(track, "_SPARE_NS", SECOND)
            patch.setattr(track, "_OCTETS_OF_SAMPLE", 2)
        scene = scene_of(Path(folder), pausable=pausable, ring_s=ring_s)
        scene.hear(1)
        scene.hear(1, 0, 1)
        for what, tenths in events:
            happen(scene, what, tenths)
        scene.archive.valve.open = True
        scene.hear(3)
        scene.stop()
        check(scene)
