"""The room of alarms: each told once, and nothing personal in any."""

import inspect
import re
import threading
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from greffier import language
from greffier.clock import SystemClock
from greffier.control.forms import from_object, to_object
from greffier.control.messages import Alarm, Alarms, Notice
from greffier.recorder.alarm import (
    KINDS,
    MOST_NOTICES,
    MOST_STANDING,
    OVERFLOW,
    SEVERITIES,
    AlarmList,
    AlarmRoom,
    sentence,
)

RUN = "0" * 32


def test_an_alarm_is_told_once_however_often_it_happens() -> None:
    alarms = AlarmList()
    (first,) = alarms.raise_alarm("tap.blind", 5, "trunk")
    assert (first.serial, first.what, first.alarm.count, first.alarm.since_ns) == (
        1,
        "raised",
        1,
        5,
    )
    assert alarms.raise_alarm("tap.blind", 6, "trunk") == []
    (standing,) = alarms.standing
    assert (standing.count, standing.since_ns, standing.last_ns) == (2, 5, 6)
    (other,) = alarms.raise_alarm("tap.blind", 7, "trunk-2")
    assert other.alarm.id != first.alarm.id


def test_what_gets_graver_is_told_again_and_must_be_seen_again() -> None:
    alarms = AlarmList()
    (raised,) = alarms.raise_alarm("storage.filling", 1)
    assert len(alarms.acknowledge(raised.alarm.id, 2)) == 1
    assert alarms.raise_alarm("storage.filling", 3, severity="info") == []
    assert alarms.standing[0].acknowledged
    (graver,) = alarms.raise_alarm("storage.filling", 4, severity="critical")
    assert (graver.alarm.severity, graver.alarm.acknowledged) == ("critical", False)


def test_acknowledging_is_told_once_and_clears_nothing() -> None:
    alarms = AlarmList()
    (raised,) = alarms.raise_alarm("tap.lost", 1, "trunk")
    assert [one.what for one in alarms.acknowledge(raised.alarm.id, 2)] == ["acknowledged"]
    assert alarms.acknowledge(raised.alarm.id, 3) == []
    assert len(alarms.standing) == 1
    assert [one.what for one in alarms.clear("tap.lost", 4, "trunk")] == ["cleared"]
    assert alarms.clear("tap.lost", 5, "trunk") == []
    with pytest.raises(KeyError):
        alarms.acknowledge(raised.alarm.id, 6)


@pytest.mark.parametrize(
    "subject", ["+33478123456", "0478123456", "Alice Martin", "a\nb", "٣", "/x"]
)
def test_nothing_but_a_configured_name_gets_into_an_alarm(subject: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        AlarmList().raise_alarm("tap.blind", 1, subject)


def test_an_alarm_without_a_kind_is_a_slip() -> None:
    with pytest.raises(ValueError, match="without a kind"):
        AlarmList().raise_alarm("caller.angry", 1)


def test_too_many_alarms_are_one_more_and_it_clears_by_itself() -> None:
    alarms = AlarmList()
    for number in range(MOST_STANDING + 20):
        alarms.raise_alarm("line.silent", number, f"line-{number}")
    assert len(alarms.standing) == MOST_STANDING
    assert alarms.standing[-1].name == OVERFLOW
    assert alarms.standing[-1].count == 21
    assert len(alarms.notices) == MOST_NOTICES
    told = alarms.clear("line.silent", 999, "line-0")
    assert [(one.what, one.alarm.name) for one in told] == [
        ("cleared", "line.silent"),
        ("cleared", OVERFLOW),
    ]


class AnyOrder(RuleBasedStateMachine):
    """A dictionary is the model."""

    def __init__(self) -> None:
        super().__init__()
        self.list = AlarmList()
        self.model: dict[tuple[str, str], tuple[str, bool, int]] = {}
        self.told: list[Notice] = []
        self.now = 0

    names = st.sampled_from(["tap.blind", "tap.lost", "storage.full"])
    subjects = st.sampled_from(["", "a", "b"])

    @rule(name=names, subject=subjects, severity=st.none() | st.sampled_from(SEVERITIES))
    def happens(self, name: str, subject: str, severity: str | None) -> None:
        self.now += 1
        grade = severity or KINDS[name].severity
        made = self.list.raise_alarm(name, self.now, subject, severity)  # type: ignore[arg-type]
        old = self.model.get((name, subject))
        graver = old is None or SEVERITIES.index(grade) > SEVERITIES.index(old[0])  # type: ignore[arg-type]
        self.model[name, subject] = (
            grade if graver or old is None else old[0],
            False if graver or old is None else old[1],
            1 if old is None else old[2] + 1,
        )
        assert len(made) == graver
        self.told += made

    @rule(name=names, subject=subjects)
    def is_right_again(self, name: str, subject: str) -> None:
        self.now += 1
        made = self.list.clear(name, self.now, subject)
        assert len(made) == ((name, subject) in self.model)
        self.model.pop((name, subject), None)
        self.told += made

    @rule(place=st.integers(0, 8))
    def is_seen(self, place: int) -> None:
        self.now += 1
        standing = self.list.standing
        if place < len(standing):
            alarm = standing[place]
            made = self.list.acknowledge(alarm.id, self.now)
            assert len(made) == (not alarm.acknowledged)
            severity, _, count = self.model[alarm.name, alarm.subject]
            self.model[alarm.name, alarm.subject] = (severity, True, count)
            self.told += made

    @invariant()
    def list_and_model_agree(self) -> None:
        standing = {
            (one.name, one.subject): (one.severity, one.acknowledged, one.count)
            for one in self.list.standing
        }
        assert standing == self.model
        assert [one.serial for one in self.told] == list(range(1, len(self.told) + 1))
        assert self.list.notices == tuple(self.told[-MOST_NOTICES:])
        view = Alarms(RUN, self.list.serial, self.list.standing, self.list.notices)
        assert from_object(Alarms, to_object(view)) == view


AnyOrder.TestCase.settings = settings(deadline=None, max_examples=40, stateful_step_count=25)
TestAnyOrder = AnyOrder.TestCase


def test_threads_raise_alarms_and_none_is_lost() -> None:
    told: list[int] = []
    room = AlarmRoom(SystemClock(), RUN, [lambda notice, _: told.append(notice.serial)])

    def work(subject: str) -> None:
        for _ in range(200):
            room.raise_alarm("tap.lost", subject)
            room.view()
            room.clear("tap.lost", subject)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == list(range(1, 4 * 400 + 1))
    assert room.view().alarms == ()


def test_a_view_is_the_same_object_until_something_changes() -> None:
    room = AlarmRoom(SystemClock(), RUN)
    room.set(True, "tap.blind", "trunk")
    first = room.view()
    room.set(False, "tap.lost", "trunk")
    assert room.view() is first
    room.set(True, "tap.blind", "trunk")
    assert room.view().alarms[0].count == 2
    assert room.acknowledge(first.alarms[0].id)
    assert not room.acknowledge(first.alarms[0].id)
    assert room.view().alarms[0].acknowledged


def test_every_text_has_its_french_and_names_nothing_but_its_subject() -> None:
    texts = {text for kind in KINDS.values() for text in (kind.text, kind.step)}
    for text in texts:
        french = language.translate_into("fr", text)
        assert french != text, text
        for form in (text, french):
            assert set(re.findall(r"{.*?}", form)) <= {"{subject}"}
    for what in ("raised", "acknowledged", "cleared", *SEVERITIES):
        assert language.translate_into("fr", what) != what or what == "info"


def test_a_sentence_has_cause_and_step_in_either_language() -> None:
    alarm = Alarm(1, "tap.blind", "trunk", "critical", False, 1, 1, 1)
    assert sentence(alarm, "en").startswith("tap trunk sees nothing — ")
    assert "trunk" in sentence(alarm, "fr")
    assert sentence(alarm, "fr") != sentence(alarm, "en")
    newer = Alarm(1, "newer.thing", "", "critical", False, 1, 1, 1)
    assert sentence(newer, "fr") == "newer.thing"


def test_every_kind_is_raised_somewhere() -> None:
    module = Path(inspect.getfile(AlarmRoom))
    folder = module.parents[1]
    sources = [path for path in folder.rglob("*.py") if path != module]
    said = "\n".join(path.read_text("utf-8") for path in sources)
    never = {name for name in KINDS if f'"{name}"' not in said} - {OVERFLOW}
    assert never == set()
