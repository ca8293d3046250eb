"""Analogue lines of the live recorder: calls, gaps, coverage, restarts."""

import re
import threading
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from tests.recorder.card_scene import RATE, Scene
from tests.stories.box import DESK, RETAIL, coded

from greffier.calls.events import CallStarted
from greffier.capture.alsa_device import Card, CardFailed, CardSettings
from greffier.capture.card_ring import Lost
from greffier.clock import SECOND, SystemClock
from greffier.recorder import channels
from greffier.recorder.cards import MOST_GIVEN_UP, SoundCard
from greffier.recorder.rules import Rules


def unpausable(policy: Path) -> Path:
    """The same policy, but nothing may start a pause: no sound waits."""
    policy.write_text(re.sub(r"(?m)^sources = .*$", "sources = []", policy.read_text()))
    return policy


@pytest.fixture
def desk(tmp_path: Path) -> Scene:
    """A line that the law has recorded, without loss."""
    return Scene(tmp_path, unpausable(coded(tmp_path, "flac", DESK, "desk")), "desk")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A line whose calls are drawn: the draw takes all of them."""

    def drawn(site: channels.Ruled, call: CallStarted) -> Rules:
        found = rules_of(site, call)
        return replace(found, given={**found.given, "window": True}, fixed_draw=0.0)

    rules_of = channels.rules_of
    monkeypatch.setattr(channels, "rules_of", drawn)
    return Scene(tmp_path, coded(tmp_path, "flac", RETAIL), "vente")


def test_a_call_of_a_duty_begins_before_its_detection_and_is_exact(desk: Scene) -> None:
    desk.hear(3, level=1)
    desk.hear(5, 0)
    desk.hear(4)
    desk.stop()
    (call,) = desk.listed("--key", desk.key)
    assert (call["line"], call["result"], call["end"]) == ("desk", "ok", "silence")
    sound, rate = desk.sound(call["recording"])
    assert rate == RATE
    first = 3 * RATE - 160  # one period before the sound
    # Five seconds of sound, the hang-over, and the period before.
    assert sound.shape == (7 * RATE + 160, 1)
    assert np.array_equal(sound[:, 0], desk.sent_to("a")[first : first + len(sound)])
    (leg,) = call["legs"]
    assert (leg["samples"], leg["lost_samples"]) == (len(sound), 0)
    assert desk.seconds("a") == {"recorded": 7.02, "idle": pytest.approx(4.98)}
    assert desk.seconds("b") == {"idle": 12.0}
    (decided,) = desk.told("call.decided")
    assert decided["trigger"] == "level"
    assert desk.verified()["ok"]


def test_two_lines_of_one_card_are_two_rows_of_one_numbering(desk: Scene) -> None:
    desk.hear(1)
    desk.hear(2, 0, 1)
    desk.hear(1, 1)
    desk.hear(3)
    desk.stop()
    calls = sorted(desk.listed(), key=lambda call: str(call["number"]))
    assert [call["number"][-2:] for call in calls] == ["01", "02"]
    assert [call["legs"][0]["source"] for call in calls] == ["a", "b"]
    for call, name, seconds in zip(calls, "ab", (4, 5), strict=True):
        sound, _ = desk.sound(call["recording"])
        first = RATE - 160
        assert len(sound) == seconds * RATE + 160
        assert np.array_equal(sound[:, 0], desk.sent_to(name)[first : first + len(sound)])


def test_an_overrun_is_a_gap_and_lost_time(desk: Scene) -> None:
    desk.hear(1)
    desk.hear(2, 0)
    desk.miss(1000)
    desk.hear(2, 0)
    desk.hear(3)
    desk.stop()
    (call,) = desk.listed()
    assert call["result"] == "degraded"
    assert call["legs"][0]["lost_samples"] == 1000
    sound, _ = desk.sound(call["recording"])
    first = RATE - 160
    assert np.array_equal(sound[:, 0], desk.sent_to("a")[first : first + len(sound)])
    (part,) = desk.opened()
    assert [(gap.end - gap.start, gap.cause) for gap in part.legs[0].gaps] == [(1000, "overrun")]
    for name in "ab":
        assert desk.channel(name).states["lost"] == 1000 * SECOND // RATE
    lost = [one for one in desk.told("coverage") if one["state"] == "lost"]
    assert [(one["reason"], one["samples"]) for one in lost] == [("CARD_OVERRUN", 1000)] * 2


def test_a_card_that_comes_back_soon_leaves_a_gap_and_late_ends_the_call(desk: Scene) -> None:
    desk.hear(1)
    desk.hear(2, 0)
    desk.pull_out()
    desk.put_back(1.5)
    desk.hear(2, 0)
    assert [alarm.name for alarm in desk.alarms.view().alarms] == []
    desk.pull_out()
    desk.work()
    assert [alarm.name for alarm in desk.alarms.view().alarms] == ["card.gone"]
    desk.put_back(10)
    desk.hear(3)
    desk.stop()
    (call,) = desk.listed()
    assert (call["end"], call["result"]) == ("card_lost", "degraded")
    sound, _ = desk.sound(call["recording"])
    first = RATE - 160
    assert len(sound) == 5.5 * RATE + 160
    assert np.array_equal(sound[:, 0], desk.sent_to("a")[first : first + len(sound)])
    assert desk.channel("a").states["lost"] == 11.5 * SECOND
    assert sum(one["samples"] for one in desk.told("coverage") if one["channel"] == "b") == (
        11.5 * RATE
    )


def test_a_call_goes_on_over_a_restart_within_its_hang_over(desk: Scene) -> None:
    desk.hear(1)
    desk.hear(2, 0)
    desk.break_off(away_s=1)
    desk.hear(2, 0)
    desk.hear(3)
    desk.break_off(away_s=1)
    desk.hear(1)
    desk.stop()
    (call,) = desk.listed("--key", desk.key)
    assert len(call["parts"]) == 2
    sound, _ = desk.sound(call["recording"])
    first = RATE - 160
    sent = desk.sent_to("a")[first : first + len(sound)]
    # What the encoder still held is gone with the process: less than two of its blocks.
    same = sound[:, 0] == sent
    held = slice(2 * RATE + 160 - 2 * 1024, 2 * RATE + 160)
    assert same[: held.start].all() and same[held.stop :].all()
    assert desk.told("call.resumed")[0]["uid"] == call["number"]
    assert desk.seconds("a")["off"] == pytest.approx(2, abs=0.3)
    assert desk.verified()["ok"]


def test_a_cut_after_the_card_came_is_not_told_as_a_card_that_is_lost(desk: Scene) -> None:
    desk.pull_out()
    desk.put_back(0.5)
    desk.hear(10)
    desk.break_off(away_s=1)
    desk.hear(1)
    desk.stop()
    assert desk.seconds("a")["lost"] <= 1
    assert desk.seconds("a")["off"] == pytest.approx(1, abs=0.5)
    assert desk.seconds("a")["idle"] == pytest.approx(11, abs=1)


def test_after_a_longer_outage_it_is_another_call(desk: Scene) -> None:
    desk.hear(1)
    desk.hear(2, 0)
    desk.break_off(away_s=5)
    desk.hear(2, 0)
    desk.hear(3)
    desk.stop()
    first, second = desk.listed()
    assert (first["end"], second["end"]) == ("interrupted", "silence")
    assert first["recording"] and second["recording"]
    assert desk.told("call.resumed") == []
    assert desk.channel("a").states["off"] >= 5 * SECOND


def test_a_card_whose_times_step_back_loses_no_sample(desk: Scene) -> None:
    desk.late_s = 20
    desk.hear(1)
    desk.hear(1, 0)
    desk.late_s = 0  # better looks at the card have corrected the line of its times
    desk.hear(3, 0)
    desk.hear(3)
    desk.stop()
    (call,) = desk.listed()
    assert call["legs"][0]["samples"] == 6 * RATE + 160
    sound, _ = desk.sound(call["recording"])
    first = RATE - 160
    assert np.array_equal(sound[:, 0], desk.sent_to("a")[first : first + 6 * RATE + 160])
    desk.channel("a")  # and every second has one state


def test_a_voluntary_call_keeps_nothing_of_before_its_detection(shop: Scene) -> None:
    shop.hear(1)
    shop.hear(3, 0)
    shop.hear(3)
    shop.stop()
    (call,) = shop.listed()
    assert call["record"] != "none", call["codes"]
    (part,) = shop.opened()
    packets = part.legs[0].packets
    assert packets[0].position == 11 * 160, "the onset and the period before it are not kept"
    assert shop.channel("a").not_recorded == {"NOTICE_PENDING": 11 * 160 * SECOND // RATE}


def test_a_voluntary_call_whose_beginning_nobody_heard_is_not_recorded(shop: Scene) -> None:
    shop.hear(3, 0)
    shop.hear(3)
    shop.stop()
    (call,) = shop.listed()
    assert (call["record"], call["codes"]) == ("none", ["JOINED_LATE"])
    assert shop.parts == []
    assert set(shop.channel("a").not_recorded) == {"JOINED_LATE"}


def test_an_idle_line_keeps_no_more_than_the_onset_and_zeroes_it(desk: Scene) -> None:
    desk.hear(5, 0, level=100)
    line = desk.source._lines[0]  # type: ignore[attr-defined]
    assert len(line._before) == 11 * 160
    assert line._before._held.any()
    desk.hear(1, 0)
    assert not line._before._held.any()
    desk.stop()


def test_a_line_that_is_never_recorded_has_no_calls_and_no_times(tmp_path: Path) -> None:
    never = Scene(tmp_path, RETAIL, "cse")
    never.hear(1)
    never.hear(2, 0)
    never.hear(3)
    never.stop()
    assert never.listed() == [] and never.told("call.decided") == []
    assert never.channel("a").not_recorded == {"NEVER_RECORD": 6 * SECOND}


def test_levels_are_those_of_the_last_snapshot(desk: Scene) -> None:
    desk.hear(1, 0, level=32768)
    levels = desk.source.levels()
    assert [one.channel for one in levels] == ["a", "b"]
    assert levels[0].rms_mb == pytest.approx(-477, abs=20), "uniform noise: 1/sqrt(3)"
    assert levels[0].peak_mb > -10 and levels[1].rms_mb == -12_000
    desk.stop()


def test_a_card_that_hangs_is_gone_and_its_thread_is_given_up(desk: Scene) -> None:
    desk.hear(1)
    assert desk.reader.given_up == 0
    desk.reader.hangs_since = desk.clock.now
    desk.clock.now += 11 * SECOND
    desk.work()
    assert [alarm.name for alarm in desk.alarms.view().alarms] == ["card.gone"]
    assert desk.reader.given_up == 1
    desk.stop()


class HungCard(SoundCard):
    """A sound card in whose first read every reader hangs until it is let go."""

    def prepare(self) -> None:
        self.reading, self.let_go = threading.Semaphore(0), threading.Event()

    def _open(self, settings: CardSettings) -> Card:
        return cast("Card", self)

    def read(self) -> tuple[int, bytes]:
        self.reading.release()
        assert self.let_go.wait(300)
        raise CardFailed("scripted")

    def close(self) -> None:
        pass


def test_threads_that_hang_in_a_card_are_replaced_a_few_times_and_tell_nothing(
    desk: Scene,
) -> None:
    card = HungCard(desk.config.analogue, SystemClock(), 30, pause=lambda _: None)
    card.prepare()
    card.reader.open()
    card.reader.start()
    given_up = []
    for _ in range(MOST_GIVEN_UP):
        assert card.reading.acquire(timeout=120)
        given_up.append(card.reader)
        assert card.renew()
    assert card.reading.acquire(timeout=120)
    assert not card.renew()
    assert card.reader not in given_up
    assert [type(event) for event in card.ring.events()] == [Lost] * MOST_GIVEN_UP
    card.let_go.set()
    assert all(one.stop(120) for one in given_up)
    # The last one is at work again, and is given up between two of its periods.
    assert any(card.renew() for _ in range(1_000_000))
    card.reader.stop(120)
    desk.stop()


def test_the_contact_decides_and_its_absence_is_an_alarm(tmp_path: Path) -> None:
    contact = tmp_path / "gpio"
    contact.write_text("0\n")
    more = f'detect = "off_hook"\noff_hook_input = "{contact}"\n'
    scene = Scene(tmp_path, coded(tmp_path, "flac", DESK, "desk"), "desk", more)
    contacts = scene.source._contacts  # type: ignore[attr-defined]
    contacts.stop()  # the test looks itself
    scene.hear(1, 0)
    contact.write_text("1\n")
    contacts._look()
    scene.hear(1, 0)
    contact.write_text("0\n")
    contacts._look()
    scene.hear(1, 0)
    contact.unlink()
    contacts._look()
    scene.work()
    assert {alarm.name for alarm in scene.alarms.view().alarms} == {"line.contact"}
    scene.stop()
    calls = scene.listed()
    assert {(call["end"], call["legs"][0]["source"]) for call in calls} == {
        ("on_hook", "a"),
        ("on_hook", "b"),
    }
    assert {one["trigger"] for one in scene.told("call.decided")} == {"off_hook"}
