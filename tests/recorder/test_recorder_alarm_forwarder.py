"""From the recorder's socket to the outputs: what is new once, a silent recorder, a restart."""

from collections.abc import Sequence
from dataclasses import replace

from greffier.clock import SECOND, LowerBound, Source
from greffier.config.records import Output
from greffier.control.board import Snapshot
from greffier.control.messages import (
    Alarm,
    Alarms,
    Answer,
    AskAlarms,
    ClockState,
    Done,
    Levels,
    Notice,
    Request,
    Status,
    Storage,
)
from greffier.errors import NotRunning
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.forwarder import SILENCE_NS, Forwarder
from greffier.recorder.outputs.outbox import Outbox

RUN = "1" * 32
OUTPUT = Output("out", "webhook", "info", "en", "", "", 0, "none", "", "", (), None, "", "")


class Time:
    """A clock that stands until it is moved."""

    boot_id = "0" * 32

    def __init__(self) -> None:
        self.now = 10**18

    def wall_ns(self) -> int:
        return self.now

    def monotonic_ns(self) -> int:
        return self.now

    def lower_bound(self) -> LowerBound:
        return LowerBound(self.now, "build")

    def witnessed(self, t_ns: int, source: Source) -> None:
        """Nobody is believed here."""


class Box(Outbox):
    """An outbox whose thread never starts: what is offered can be read."""

    def __init__(self) -> None:
        super().__init__(OUTPUT, self, lambda *_: None)  # type: ignore[arg-type]
        self.offered: list[tuple[str, str, str]] = []
        self.stands: list[list[str]] = []

    def offer(self, notice: Notice, standing: Sequence[Alarm]) -> None:
        self.offered.append((notice.what, notice.alarm.name, notice.alarm.subject))
        self.stand(standing)

    def stand(self, standing: Sequence[Alarm]) -> None:
        self.stands.append([one.name for one in standing])

    def taken(self) -> list[tuple[str, str, str]]:
        found, self.offered = self.offered, []
        return found


class Recorder:
    """What answers at the other end."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.alive = True
        self.wrong: Answer | None = None
        self.begin(RUN)

    def begin(self, run: str) -> None:
        self.room = AlarmRoom(self.time, run)

    def ask(self, request: Request) -> Answer:
        if not self.alive:
            raise NotRunning(path="s")
        if self.wrong:
            return self.wrong
        assert isinstance(request, AskAlarms)
        status = Status("b", RUN, True, (), (), (), Storage(), ClockState(0, "build"))
        return Snapshot(status, Levels(()), self.room.view(), 0).answer(request, 0)


def scene() -> tuple[Time, Recorder, Box, Box, Forwarder]:
    time = Time()
    recorder, carried, own = Recorder(time), Box(), Box()
    forwarder = Forwarder(recorder.ask, time, "2" * 32)
    forwarder.serve([carried], [own])
    return time, recorder, carried, own, forwarder


def test_each_notice_is_carried_once() -> None:
    _, recorder, carried, own, forwarder = scene()
    forwarder.poll()
    recorder.room.raise_alarm("tap.blind", "trunk")
    forwarder.poll()
    forwarder.poll()
    assert carried.taken() == [("raised", "tap.blind", "trunk")]
    recorder.room.clear("tap.blind", "trunk")
    recorder.room.raise_alarm("storage.full")
    forwarder.poll()
    assert carried.taken() == [("cleared", "tap.blind", "trunk"), ("raised", "storage.full", "")]
    assert carried.stands[-1] == ["storage.full"]
    assert own.taken() == []


def test_a_forwarder_that_comes_late_tells_only_what_waits_for_somebody() -> None:
    _, recorder, carried, _, forwarder = scene()
    for name in ("tap.lost", "tap.gone", "storage.full"):
        recorder.room.raise_alarm(name)
    recorder.room.clear("tap.gone")
    recorder.room.acknowledge(1)
    forwarder.poll()
    assert carried.taken() == [("raised", "storage.full", "")]
    assert carried.stands[-1] == ["tap.lost", "storage.full"]


def test_a_recorder_that_is_silent_is_an_alarm_for_every_output() -> None:
    time, recorder, carried, own, forwarder = scene()
    recorder.room.raise_alarm("tap.blind", "trunk")
    forwarder.poll()
    carried.taken()
    recorder.alive = False
    forwarder.poll()
    time.now += SILENCE_NS - 1
    forwarder.poll()
    assert carried.taken() == []
    time.now += 1
    forwarder.poll()
    forwarder.poll()
    assert carried.taken() == own.taken() == [("raised", "recorder.silent", "")]
    assert carried.stands[-1] == ["recorder.silent", "tap.blind"]
    recorder.alive = True
    forwarder.poll()
    assert carried.taken() == own.taken() == [("cleared", "recorder.silent", "")]
    assert carried.stands[-1] == ["tap.blind"]


def test_a_recorder_that_began_anew_is_heard_from_its_first_notice() -> None:
    _, recorder, carried, _, forwarder = scene()
    for number in range(5):
        recorder.room.raise_alarm("line.silent", f"line-{number}")
    forwarder.poll()
    carried.taken()
    recorder.begin("3" * 32)
    forwarder.poll()
    assert carried.taken() == []
    assert carried.stands[-1] == []  # the lamp goes out although nothing was cleared
    recorder.room.raise_alarm("recorder.restarted")
    forwarder.poll()
    assert carried.taken() == [("raised", "recorder.restarted", "")]


def test_an_output_that_fails_is_told_to_all() -> None:
    _, _, carried, own, forwarder = scene()
    forwarder.trouble("mail", True)
    forwarder.trouble("mail", True)
    forwarder.trouble("mail", False)
    expected = [("raised", "output.failed", "mail"), ("cleared", "output.failed", "mail")]
    assert carried.taken() == own.taken() == expected


def test_an_answer_of_another_kind_changes_nothing() -> None:
    time, recorder, carried, _, forwarder = scene()
    recorder.wrong = Done()
    forwarder.poll()
    assert carried.taken() == []
    recorder.wrong = Alarms(RUN, 7, (), ())
    forwarder.poll()
    recorder.wrong = replace(recorder.wrong, serial=9, missed=2)
    time.now += 60 * SECOND
    forwarder.poll()
    assert carried.taken() == []
