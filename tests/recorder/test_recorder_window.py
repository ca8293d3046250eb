"""Law 5: whatever is lost on the way, a tick commits all but the last moment of what came."""

import random
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.recorder.test_recorder_armed import DESK, Run, plan
from tests.stories.box import PAIR

from greffier.capture import rtp
from greffier.capture.datagram import Datagram
from greffier.capture.record import Record
from greffier.encode import Gap, codecs
from greffier.encode.timeline import Placed, Timeline
from greffier.recorder.track import Track
from greffier.recorder.trunk import SETTLED_NS
from greffier.store import playback
from greffier_sim import captures
from greffier_sim.captures import MS
from greffier_sim.packets import frames_of

TICK_NS = 500 * MS


def committed(run: Run) -> set[bytes]:
    """The payloads that would be played if the power failed now."""
    return {
        packet.data
        for path in run.scene.config.data.rglob("*.gpart")
        for leg in playback.open_part(path, None, PAIR, unfinished=True).legs.values()
        for packet in leg.packets
    }


def follow(run: Run, datagrams: list[Datagram], until_ns: int) -> None:
    """Show the recorder *datagrams*, with a tick every half second, and look at each."""
    scene = run.scene
    spoken = [one for one in datagrams if 5060 not in (one.source.port, one.destination.port)]
    tick_ns, at = datagrams[0].time_ns, 0
    while tick_ns < until_ns:
        tick_ns += TICK_NS
        while at < len(datagrams) and datagrams[at].time_ns <= tick_ns:
            for time_ns, data in frames_of([datagrams[at]]):
                scene.port.flows.feed(Record(time_ns, 1, data, len(data)))
            scene.clock.now = datagrams[at].time_ns
            scene.source.work(scene.clock.now)
            at += 1
        scene.clock.now = tick_ns
        scene.source.work(tick_ns)
        scene.tick()
        run.most = max(run.most, len(run.armory))
        latest_ns = datagrams[at - 1].time_ns
        settled_ns = max(latest_ns, tick_ns - SETTLED_NS) - rtp.PATIENCE_NS
        assert tick_ns - settled_ns <= SETTLED_NS + rtp.PATIENCE_NS
        there = committed(run)
        missing = [
            (one.time_ns - datagrams[0].time_ns) // MS
            for one in spoken
            if one.time_ns <= settled_ns and one.payload[12:] not in there
        ]
        assert missing == []


def lossy(seed: int) -> list[Datagram]:
    """A call of which much is lost, most at the beginnings of what is said."""
    chance = random.Random(seed)
    one = plan(0, talk_ms=6_000)
    every = captures.opening(one) + captures.closing(one)
    for side in captures.Side.__args__:  # type: ignore[attr-defined]
        spoken = captures.speech(one, side)
        kept = [spoken[0], *(each for each in spoken[1:40] if chance.random() < 0.6)]
        kept += [each for each in spoken[40:] if chance.random() < 0.97]
        pause = chance.randrange(100, 250)
        quiet = range(pause, pause + chance.choice([0, 30, 60]))
        every += [each for each in kept if spoken.index(each) not in quiet]
    harm = captures.Harm(doubled=0.05, delayed=0.1, delay_ms=150)
    return captures.harmed(captures.in_order(every), harm, seed)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32), st.booleans())
def test_a_tick_lacks_at_most_what_the_window_may_hold(seed: int, lends: bool) -> None:
    datagrams = lossy(seed)
    with TemporaryDirectory() as folder:
        run = Run(Path(folder), DESK, lends=lends)
        follow(run, datagrams, datagrams[-1].time_ns + 1_000 * MS)
        run.scene.stop()
        assert run.most == (2 if lends else 0)


@pytest.mark.parametrize("lends", [False, True])
@pytest.mark.parametrize("lost", [{1}, {1, 3, 5}, set(range(1, 31)), set(range(2, 300, 2))])
def test_losses_at_the_beginning_keep_nothing_waiting(
    lends: bool, lost: set[int], tmp_path: Path
) -> None:
    one = plan(0, talk_ms=8_000)
    every = captures.opening(one) + captures.closing(one)
    for side in captures.Side.__args__:  # type: ignore[attr-defined]
        spoken = captures.speech(one, side)
        every += [each for at, each in enumerate(spoken) if at not in lost]
    datagrams = captures.in_order(every)
    run = Run(tmp_path, DESK, lends=lends)
    follow(run, datagrams, datagrams[-1].time_ns)
    run.scene.stop()


@pytest.mark.parametrize("lends", [False, True])
def test_the_last_words_before_a_silence_wait_for_nothing(lends: bool, tmp_path: Path) -> None:
    """A packet is lost, a few follow, and then nobody on the tap says anything for a while."""
    one = plan(0, talk_ms=8_000)
    spoken = captures.speech(one, "caller")
    spoken[250:] = spoken[390:]
    del spoken[247]
    datagrams = captures.in_order(captures.opening(one) + spoken + captures.closing(one))
    run = Run(tmp_path, DESK, lends=lends)
    follow(run, datagrams, datagrams[-1].time_ns)
    run.scene.stop()
    assert run.most == lends


def test_a_leg_of_which_packets_are_kept_aside_waits_for_them(tmp_path: Path) -> None:
    """They came in time, though the tracker sees them only when the leg is lent, or not at all."""
    one = plan(0, talk_ms=6_000)
    run = Run(tmp_path, DESK, lends=True)
    lend, armory, scene = run.armory.lend, run.armory, run.scene
    armory.lend = lambda *_: False  # type: ignore[method-assign]

    def show(datagrams: list[Datagram]) -> None:
        for datagram in datagrams:
            for time_ns, data in frames_of([datagram]):
                scene.port.flows.feed(Record(time_ns, 1, data, len(data)))
            scene.clock.now = datagram.time_ns

    spoken = captures.speech(one, "caller")
    late = spoken.pop(110)._replace(time_ns=spoken[115].time_ns + MS)
    show(captures.in_order(captures.opening(one) + spoken[:115]))
    scene.source.work(scene.clock.now)
    (name,) = scene.source._heard  # type: ignore[attr-defined]
    show([spoken[115]])  # a record that waits
    assert not lend(*name)
    assert armory.held == 1
    show([late, *spoken[116:150]])
    scene.tick()
    armory.lend = lend  # type: ignore[method-assign]
    scene.source.work(scene.clock.now)
    assert (armory.held, len(armory)) == (0, 1)
    show([*spoken[150:], *captures.closing(one)])
    scene.tick()
    there = committed(run)
    assert all(each.payload[12:] in there for each in [late, *spoken])
    scene.wait(70)
    scene.stop()


def test_what_is_refused_before_the_first_sound_is_told_with_it() -> None:
    pcma = codecs.STATIC[8]
    refused, silence = Gap(0, 0, 1, "early"), Gap(0, 160, 0, "late_start")
    sound = Placed(160, 160, 0, pcma, 8, 2, bytes(160))
    at_once = Track(0, Timeline(0, 8000), {}, pcma, 8)
    assert at_once.with_early([(1, refused), (2, silence), (2, sound)]) == [
        (1, refused),
        (2, silence),
        (2, sound),
    ]
    apart = Track(0, Timeline(0, 8000), {}, pcma, 8)
    assert apart.with_early([(1, refused)]) == []
    assert apart.with_early([(2, silence), (2, sound)]) == [
        (1, refused),
        (2, silence),
        (2, sound),
    ]
    assert apart.with_early([(3, refused)]) == [(3, refused)]
