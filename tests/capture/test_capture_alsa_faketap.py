"""The card's thread on a real ALSA device that is made of a clock (greffier_sim.faketap).

Nothing here asserts how long something takes: positions, gaps and counts are compared with what
the card is known to have sent.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from greffier.capture.alsa import BACK_OFF_S, CardReader
from greffier.capture.alsa_device import AlsaCard, Card, CardSettings, set_gain, silence
from greffier.capture.card_ring import CardRing, Event, Lost, Period, Returned, channels_of
from greffier.errors import DeviceNotFound
from greffier_sim import faketap
from greffier_sim.faketap import Tap
from greffier_sim.heard_card import Judge

PERIOD = 160
DEEP = 50_000
"""Periods in the card's buffer: so many that only the schedule makes it run over."""


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., faketap.Configuration]:
    def configure(*taps: Tap) -> faketap.Configuration:
        made = faketap.configure(tmp_path, taps)
        monkeypatch.setenv("ALSA_CONFIG_PATH", str(made.path))
        return made

    return configure


@dataclass
class Heard:
    judge: Judge
    events: list[Event]
    reader: CardReader
    pauses: list[float]

    @property
    def told(self) -> list[Event]:
        return [event for event in self.events if not isinstance(event, Period)]


def listen(
    tap: Tap,
    frames: int,
    *,
    periods: int = DEEP,
    period: int = PERIOD,
    open_card: Callable[[CardSettings], Card] = AlsaCard,
) -> Heard:
    """Run a card's thread until *frames* frames were heard."""
    settings = CardSettings(tap.name, tap.rate, tap.channels, period, periods)
    ring = CardRing(settings.frame_octets, 8 << 20)
    stop = threading.Event()
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        stop.wait(seconds / tap.speed)

    # The recorder's clock runs as much faster as the card does.
    speed = round(tap.speed)
    reader = CardReader(
        settings, ring, lambda: time.monotonic_ns() * speed, open_card=open_card, pause=pause
    )
    judge = Judge(tap, period)
    told: list[Event] = []
    reader.open()
    capacity = ring.capacity
    reader.start()
    try:
        while judge.frames < frames:
            for event in ring.events():
                judge.hear(event)
                if not isinstance(event, Period):
                    told.append(event)
            stop.wait(0.002)  # the consumer's tick
    finally:
        stop.set()
        assert reader.stop(60)
    for event in ring.events():
        judge.hear(event)
    judge.finish()
    assert (ring.capacity, ring.dropped, ring.stored) == (capacity, 0, 0)
    return Heard(judge, told, reader, pauses)


def listen_in_time(
    configure: Callable[..., faketap.Configuration],
    make: Callable[[int], tuple[Tap, int]],
    losses: int = 0,
    period: int = PERIOD,
) -> tuple[Tap, Heard]:
    """As :func:`listen`, to a card that was open before each of its faults.

    By the time a card is open some of its frames have gone by; how many, a busy machine decides.
    *make* says what card has its faults from a frame on, and how many frames are to be heard; it
    is asked for later and later ones.
    """
    heard = None
    for lead_s in (0.3, 1, 3, 10, 30, 100):
        start = round(make(0)[0].speed * make(0)[0].rate * lead_s)
        tap, frames = make(start)
        configure(tap)
        heard = listen(tap, frames, period=period)
        assert_exact(heard)
        if (heard.judge.origin or 0) < start and heard.reader.counters.losses >= losses:
            return tap, heard
    raise AssertionError(f"the card was never open in time: {heard}")


def assert_exact(heard: Heard) -> None:
    judge = heard.judge
    assert (judge.wrong_frames, judge.out_of_line) == (0, 0)
    assert [gap for gap in judge.gaps if gap.error > judge.period_frames] == []
    assert judge.frames == heard.reader.counters.frames


@pytest.mark.parametrize(
    ("speed", "channels", "rate", "drift_ppm", "period"),
    [
        (10.0, 1, 8000, 150.0, 160),
        (20.0, 2, 16000, -200.0, 320),
        (50.0, 4, 8000, 200.0, 400),
        (100.0, 8, 8000, 30.0, 1600),
    ],
)
def test_audio_is_exact_and_every_gap_is_right_within_a_period(
    cards: Callable[..., faketap.Configuration],
    speed: float, channels: int, rate: int, drift_ppm: float, period: int,
) -> None:  # fmt: skip
    faults = [(0, 400), (2 * rate, 1), (4 * rate, 5 * rate)]

    def make(start: int) -> tuple[Tap, int]:
        overruns = tuple((start + at, lost) for at, lost in faults)
        tap = Tap("line0", rate, channels, speed, drift_ppm, seed=7, overruns=overruns)
        return tap, start + 8 * rate

    tap, heard = listen_in_time(cards, make, period=period)
    assert [gap.kind for gap in heard.judge.gaps] == ["card"] * 3
    for gap, (_, lost) in zip(heard.judge.gaps, tap.overruns, strict=True):
        assert lost <= gap.true < lost + period
    assert heard.reader.counters.overruns == 3


@pytest.mark.parametrize("gone_as", ["nodev", "overruns"])
def test_a_card_that_is_pulled_out_comes_back_at_the_right_place(
    cards: Callable[..., faketap.Configuration], gone_as: str
) -> None:
    def make(start: int) -> tuple[Tap, int]:
        apart = max(32_000, start)  # between the return and the second time it goes
        absences = ((start, 6.0), (start + 48_000 + apart, 1.0))
        tap = Tap(
            "line1", channels=2, speed=20.0, drift_ppm=-80.0, gone_as=gone_as,  # type: ignore[arg-type]
            absences=absences,
        )  # fmt: skip
        return tap, start + apart + 28_000

    tap, heard = listen_in_time(cards, make, losses=2)
    assert [type(event) for event in heard.told] == [Lost, Returned] * 2
    # Never before it was there again; and no attempt is more than two seconds after another.
    judge = heard.judge
    for gap, (at, seconds) in zip(judge.gaps, tap.absences, strict=True):
        back = round(at + seconds * tap.rate)
        assert gap.position + (judge.origin or 0) + gap.true >= back - PERIOD
    assert max(heard.pauses) <= max(BACK_OFF_S) < 2
    counters = heard.reader.counters
    assert counters.attempts == len(heard.pauses)
    assert counters.attempts - counters.failed >= 2
    assert counters.losses == 2


def test_a_thread_that_is_held_up_loses_that_stretch(
    cards: Callable[..., faketap.Configuration],
) -> None:
    tap = Tap("line2", speed=10.0)
    cards(tap)
    until_ns = [0]

    class HeldUp(AlsaCard):
        reads = 0

        def read(self) -> tuple[int, bytes]:
            self.reads += 1
            if self.reads == 100:  # for 12 s of the card, which holds 8
                until_ns[0] = time.monotonic_ns() + 1_200_000_000
                while time.monotonic_ns() < until_ns[0]:
                    threading.Event().wait(0.01)
            return super().read()

    heard = listen(tap, 40_000, periods=400, open_card=HeldUp)
    assert_exact(heard)
    # A busy machine may hold the thread up once more.
    assert {gap.kind for gap in heard.judge.gaps} == {"card"}
    assert max(gap.true for gap in heard.judge.gaps) > 400 * PERIOD
    assert heard.reader.counters.overruns == len(heard.judge.gaps)


def test_a_file_is_a_card_too(cards: Callable[..., faketap.Configuration], tmp_path: Path) -> None:
    sound = np.arange(40_000, dtype="<i2").reshape(-1, 2)
    (tmp_path / "sound.raw").write_bytes(sound.tobytes())
    tap = Tap("line3", channels=2, speed=4.0, source=tmp_path / "sound.raw")
    cards(tap)
    card = AlsaCard(CardSettings("line3", 8000, 2, PERIOD, DEEP))
    frames, data = card.read()
    assert (frames, card.waiting() >= 0) == (PERIOD, True)
    samples = channels_of(data, 2).T
    first = int(samples[0, 0]) // 2
    assert np.array_equal(samples, sound[first : first + PERIOD])
    card.close()


def test_a_card_that_is_absent_or_different_is_an_error_with_its_code_and_nothing_on_stderr(
    cards: Callable[..., faketap.Configuration], capfd: pytest.CaptureFixture[str]
) -> None:
    cards(Tap("line4", absences=((0, 3600.0),)), Tap("line5", rate=8000))
    for settings, reason in [
        (CardSettings("line4"), "No such device"),
        (CardSettings("nothing"), "No such file or directory"),
        (CardSettings("line5", rate=48_000), "8000 Hz"),
        (CardSettings("line5", channels=2), "1 channels"),
    ]:
        with pytest.raises(DeviceNotFound, match=reason) as caught:
            AlsaCard(settings)
        assert caught.value.exit_code == 10
    silence()
    assert capfd.readouterr() == ("", "")


def test_gain_goes_to_the_nearest_step_and_stays(
    cards: Callable[..., faketap.Configuration], capfd: pytest.CaptureFixture[str]
) -> None:
    cards(Tap("line6"))
    assert set_gain("line6", faketap.MIXER_ELEMENT, 600) == 600
    assert abs(set_gain("line6", faketap.MIXER_ELEMENT, 620) - 620) <= 75
    assert set_gain("line6", faketap.MIXER_ELEMENT, 99_999) == 2400
    assert set_gain("line6", faketap.MIXER_ELEMENT, -99_999) == -1200
    for device, element in [("line6", "Absent"), ("nothing", "Line")]:
        with pytest.raises(DeviceNotFound):
            set_gain(device, element, 0)
    assert capfd.readouterr() == ("", "")


def test_the_simulated_card_keeps_its_quartz(
    cards: Callable[..., faketap.Configuration],
) -> None:
    """The drift of the simulation is found again, so that the two measure the same."""
    tap = Tap("line7", speed=100.0, drift_ppm=180.0)
    cards(tap)
    heard = listen(tap, 1_200_000, period=1600)
    assert_exact(heard)
    counters = heard.reader.counters
    assert abs(counters.drift_ppm - 180) < max(20, 4 * counters.uncertain_ppm)


def test_two_configurations_are_two_worlds(tmp_path: Path) -> None:
    made = faketap.configure(tmp_path, [Tap("a", seed=1), Tap("b", seed=2)], epoch_ns=5)
    assert made.environment == {"ALSA_CONFIG_PATH": str(tmp_path / "asound.conf")}
    assert made.epoch_ns == 5
    assert faketap.build() == faketap.build()
    one, other = faketap.pattern(10**12, 50, 2, 1), faketap.pattern(10**12, 50, 2, 2)
    assert not np.array_equal(one, other)
    assert faketap.locate(one[10:20], 10**12, 100, 1) == 10**12 + 10
    assert faketap.locate(other[10:20], 10**12, 100, 1) is None
