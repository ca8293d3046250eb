"""The steps of the ladder in a running recorder: what is refused and told, and that none waits."""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.recorder.live_scene import NOON_NS, Scene
from tests.recorder.office_scene import RECEIPTS

from greffier.audit import coverage, verify
from greffier.audit.receipt import Receipt, read
from greffier.capture.datagram import Address
from greffier.clock import SECOND
from greffier.durable import Disk
from greffier.policy import sampling
from greffier.policy.sampling import Draw
from greffier.policy.space import Space, Step
from greffier.recorder import probe, purge
from greffier.recorder.probe import STALE_NS, Measured, Probe, space_of
from greffier.recorder.purger import Freed
from greffier.recorder.space import REST_NS, SETTLE_NS
from greffier.store import medium
from greffier_sim import captures
from greffier_sim.captures import MS, Plan

QUALITY = ('[[match]]\nline = "vente"\n', "fr-retail.toml")
DUTY = ('[[match]]\nline = "desk"\n', "paris-desk.toml")
MONDAY_NS = NOON_NS + 10 * 3600 * SECOND
"""In the hours in which calls are recorded."""
Make = Callable[[tuple[str, str]], Scene]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """A box on whose lines every call is drawn."""
    monkeypatch.setattr(sampling, "draw", lambda *_: Draw(0))
    made: list[Scene] = []

    def make(line: tuple[str, str]) -> Scene:
        more, policy = line
        made.append(Scene(tmp_path, policy, more))
        made[0].clock.now = MONDAY_NS
        return made[0]

    yield make
    for one in made:
        one.stop()


def says(box: Scene, percent: float, *, times: int = 2, yielding: int = 0) -> None:
    """The medium says *times* over that so much of it is used; the recorder looks each time."""
    watch = box.live.storage.space
    for _ in range(times):
        space = Space(round(1_000_000 * (100 - percent) / 100), 1_000_000)
        serial = watch.probe.latest.serial + 1
        watch.probe.latest = Measured(serial, box.clock.now, space, yielding)
        watch.look(losing=False)


def plan(number: int, talk_ms: int = 2_000) -> Plan:
    return Plan(
        call_id=f"space-{number}@sim",
        start_ns=MONDAY_NS + 1_000 * MS,
        talk_ms=talk_ms,
        caller_media=Address(f"10.1.0.{number + 1}", 4000),
        callee_media=Address(f"10.2.0.{number + 1}", 5000),
    )


def names(box: Scene) -> set[str]:
    return {one.name for one in box.standing}


def test_each_step_is_an_alarm_and_an_entry_and_ends_two_points_below(scene: Make) -> None:
    box = scene(QUALITY)
    steps = []
    for percent in (10, 85, 92, 97, 94, 91, 89, 84, 82):
        says(box, percent)
        steps.append((percent, box.live.storage.space.step, names(box) - {"storage.loss_near"}))
    low, refusing = {"storage.filling"}, {"storage.filling", "storage.refusing"}
    assert steps == [
        (10, Step.NORMAL, set()),
        (85, Step.ALARM, low),
        (92, Step.REFUSE, refusing),
        (97, Step.DUTIES, refusing | {"storage.duties"}),
        (94, Step.REFUSE, refusing),
        (91, Step.REFUSE, refusing),
        (89, Step.ALARM, low),
        (84, Step.ALARM, low),
        (82, Step.NORMAL, set()),
    ]
    box.tick()
    told = [(one["from"], one["to"], one["used_permille"]) for one in box.told("storage.step")]
    assert told == [
        ("normal", "alarm", 850),
        ("alarm", "refuse", 920),
        ("refuse", "duties", 970),
        ("duties", "refuse", 940),
        ("refuse", "alarm", 890),
        ("alarm", "normal", 820),
    ]


def test_one_answer_alone_takes_nothing_away(scene: Make) -> None:
    box = scene(QUALITY)
    says(box, 10)
    says(box, 99, times=1)
    assert box.live.storage.space.step == Step.NORMAL
    says(box, 10, times=1)
    says(box, 86, times=1)
    says(box, 99, times=1)
    assert box.live.storage.space.step == Step.ALARM, "what both of them ask for"
    assert box.live.storage.space.wanted > 0


def test_a_medium_that_cannot_be_true_changes_nothing(scene: Make) -> None:
    box = scene(QUALITY)
    says(box, 86)
    for percent in (-50, 150):
        says(box, percent)
        assert box.live.storage.space.step == Step.ALARM
        assert box.live.storage.space.wanted == 0
        assert box.live.storage.space.hours is None


def test_from_the_refusing_step_on_a_voluntary_call_is_not_recorded(scene: Make) -> None:
    box = scene(QUALITY)
    says(box, 92)
    box.hear(captures.call(plan(0)))
    box.wait(20)
    (decided,), (ended,) = box.told("call.decided"), box.told("call.ended")
    assert (decided["record"], decided["codes"]) == ("none", ["STORAGE_LOW"])
    assert (ended["codes"], ended["result"]) == (["STORAGE_LOW"], "failed")
    assert "recording" not in ended
    assert box.told("part.opened") == []
    reasons = {one["reason"] for one in box.told("coverage") if one["state"] == "not_recorded"}
    assert reasons == {"STORAGE_LOW"}
    says(box, 89)
    box.hear(captures.call(replace(plan(1), start_ns=box.clock.now)))
    assert len(box.told("part.opened")) == 1, "there is room again"


def test_a_duty_is_recorded_on_every_step(scene: Make) -> None:
    box = scene(DUTY)
    says(box, 99)
    box.hear(captures.call(plan(0)))
    box.wait(20)
    (ended,) = box.told("call.ended")
    assert (ended["codes"], ended["result"]) == (["MANDATORY_MIFID"], "ok")
    assert len(box.told("part.opened")) == 1


def test_calls_that_would_not_be_recorded_anyway_keep_their_reason(
    scene: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "draw", lambda *_: Draw((1 << sampling.DRAW_BITS) - 1))
    box = scene(QUALITY)
    says(box, 99)
    box.hear(captures.call(plan(0)))
    box.wait(20)
    assert box.told("call.ended")[0]["codes"] == ["SAMPLED_OUT"]


@pytest.mark.parametrize("line", [QUALITY, DUTY], ids=["voluntary", "duty"])
def test_on_the_last_step_a_voluntary_part_that_runs_takes_no_more_sound(
    scene: Make, line: tuple[str, str]
) -> None:
    box = scene(line)
    every = captures.in_order(captures.call(plan(0, talk_ms=6_000)))
    middle = every[0].time_ns + 3 * SECOND
    box.hear(one for one in every if one.time_ns < middle)
    says(box, 98)
    box.tick()
    box.hear(one for one in every if one.time_ns >= middle)
    box.wait(20)
    (ended,) = box.told("call.ended")
    box.stop()
    lost = sum(
        one["to_ns"] - one["from_ns"]  # type: ignore[operator]
        for one in box.told("coverage")
        if (one["state"], one.get("reason")) == ("lost", "STORAGE")
    )
    if line is DUTY:
        assert (ended["result"], lost) == ("ok", 0)
    else:
        assert ended["result"] == "degraded"
        assert lost > 2 * SECOND
    assert coverage.seconds(coverage.intervals_of(box.entries)).accounted == 1.0
    assert verify.verify(box.config.data).ok
    box.start()


def test_the_gauge_is_null_until_a_pace_is_known_and_0_once_calls_are_refused(scene: Make) -> None:
    box = scene(QUALITY)
    watch = box.live.storage.space
    says(box, 50)
    assert watch.hours is None
    for _ in range(61):
        box.clock.now += 10 * SECOND
        box.archive._committer.written += 1000
        says(box, 50, times=1, yielding=100_000)
    assert watch.hours == (420_000 + 100_000) // 100 // 3600
    assert "storage.loss_near" in names(box)
    says(box, 92)
    assert watch.hours == 0
    assert box.live.storage.storage.hours_to_first_unsynced_loss == 0


def test_a_box_of_duties_loses_nothing_before_its_medium_is_full(scene: Make) -> None:
    box = scene(DUTY)
    watch = box.live.storage.space
    says(box, 95)
    for _ in range(61):
        box.clock.now += 10 * SECOND
        box.archive._committer.written += 10
        says(box, 95, times=1)
    assert watch.step == Step.REFUSE
    assert watch.hours == 50_000 // 3600
    watch.look(losing=True)
    assert watch.hours == 0


def test_a_medium_that_hangs_holds_the_probe_and_nobody_else(
    scene: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = scene(QUALITY)
    says(box, 10)
    asked, let_go = threading.Event(), threading.Event()

    def hangs(path: Path) -> Space:
        asked.set()
        assert let_go.wait(300)
        return space_of(path)

    monkeypatch.setattr(probe, "space_of", hangs)
    monkeypatch.setattr(probe, "EVERY_S", 0.0)
    box.live.storage.start()
    assert asked.wait(120)
    before = box.live.storage.space.probe.latest
    box.clock.now += 31 * SECOND
    box.live.storage.space.look(losing=False)
    assert box.live.storage.space.is_stale()
    assert box.live.storage.storage.free_bytes is None
    assert box.live.storage.space.hours is None
    assert box.live.storage.space.probe.latest is before
    let_go.set()


def test_the_probe_counts_what_could_go_and_asks_what_df_asks(scene: Make, tmp_path: Path) -> None:
    box = scene(QUALITY)
    box.hear(captures.call(plan(0)))
    box.wait(20)
    box.tick()
    (sealed,) = box.told("part.sealed")
    found = Probe(
        box.config.data, box.archive.data.index, box.clock, box.archive.unconfirmed, 86_400
    )
    found.measure()
    assert found.latest.yielding == 0
    assert found.latest.recent is not None
    octets, seconds = found.latest.recent
    assert octets == sealed["bytes"]
    assert seconds == pytest.approx(20, abs=5), "no longer than there have been parts"
    (opened,) = box.told("part.opened")
    assert found.latest.due_ns == opened["until_ns"]
    box.archive.index.mark_synced([str(sealed["part"])])
    again = Probe(
        box.config.data, box.archive.data.index, box.clock, box.archive.unconfirmed, 86_400
    )
    again.measure()
    assert again.latest.yielding == sealed["bytes"]
    told = os.statvfs(tmp_path)
    assert again.latest.space.total <= told.f_blocks * told.f_frsize
    assert again.latest.space.sane


def test_the_second_medium_is_one_alarm_and_a_word_of_the_status(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    box = Scene(tmp_path, DUTY[1], f'{DUTY[0]}[storage]\nmirror = "{stick}"\n')
    storage = box.live.storage
    assert storage.mirror is not None
    for _ in range(2):
        storage.mirror.look()
        storage._look_at_mirror()
    assert [(one.name, one.count) for one in box.standing] == [("mirror.failed", 1)]
    assert (storage.storage.step, storage.storage.mirror) == ("normal", "away")
    stick.mkdir()
    medium.prepare(stick, box.archive.data.identity.device, Disk())
    storage.mirror.look()
    storage._look_at_mirror()
    assert box.standing == []
    assert storage.storage.mirror == "ok"
    box.stop()


def sealed(box: Scene, number: int, received: bool) -> tuple[str, int]:
    """A part that was recorded on *box*, and of which head office has sent a receipt or not."""
    box.hear(captures.call(replace(plan(number), start_ns=box.clock.now)))
    box.wait(20)
    box.tick()
    one = box.told("part.sealed")[-1]
    part, size = str(one["part"]), int(str(one["bytes"]))
    found = box.archive.unconfirmed.find(part)
    assert found is not None
    if received:
        facts = Receipt(
            box.archive.data.identity.device, part, found.size, found.sha256, found.envelope, 1
        )
        box.archive.receive(read(facts.signed(RECEIPTS), (RECEIPTS.log_key,)))
        box.tick()
    return part, size


def test_from_the_first_step_on_what_head_office_has_goes_and_nothing_else(scene: Make) -> None:
    box = scene(QUALITY)
    waits, _ = sealed(box, 0, received=False)
    gone, _ = sealed(box, 1, received=True)
    watch = box.live.storage.space
    says(box, 86)
    assert watch.wanted > 0
    found = purge.plan(box.archive, watch.wanted, lambda row: False)
    assert [(one.row.part_id, one.code) for one in found.doomed] == [(gone, "DELETE_SPACE")]
    assert [(one.row.part_id, one.code) for one in found.refused] == [(waits, "NOT_RECEIVED")]


def test_who_was_asked_for_room_is_not_asked_again_at_once(scene: Make) -> None:
    box = scene(QUALITY)
    watch = box.live.storage.space
    says(box, 86)
    for octets, rest_ns in ((0, REST_NS), (1, SETTLE_NS)):
        assert watch.wanted > 0
        watch.freed(Freed(octets, octets))
        assert watch.wanted == 0
        box.clock.now += rest_ns
        assert watch.wanted == 0 or rest_ns < STALE_NS, "nothing goes for an old figure"
        says(box, 86)


def test_the_loop_asks_the_purger_and_goes_on(scene: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    box = scene(QUALITY)
    asked: list[int] = []

    def want(octets: int, done: Callable[[Freed], None]) -> bool:
        asked.append(octets)
        done(Freed(0, 0))
        return True

    monkeypatch.setattr(box.live.purger, "want", want)
    says(box, 50)
    box.live._beat(box.clock.now)
    assert asked == []
    says(box, 86)
    box.live._beat(box.clock.now)
    box.live._beat(box.clock.now)
    assert asked == [30_001], "from 86 to less than 83 of 100, once"
