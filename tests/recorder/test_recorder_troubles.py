"""Alarms of the loop: raised once while something is wrong, and cleared when it is right."""

from greffier.clock import SECOND, SystemClock
from greffier.recorder.alarm import AlarmRoom
from greffier.recorder.troubles import QUIET_NS, Troubles


class Hands(SystemClock):
    """A clock that is set by hand."""

    now = 100 * SECOND

    def monotonic_ns(self) -> int:
        return self.now


def standing(room: AlarmRoom) -> dict[str, int]:
    return {alarm.name: alarm.count for alarm in room.view().alarms}


def test_what_is_wrong_is_raised_once_and_cleared_when_it_is_right() -> None:
    clock = Hands()
    room = AlarmRoom(clock, "0" * 32)
    troubles = Troubles(room, clock)
    for _ in range(3):
        troubles.set(True, "tap.gone", "trunk")
    assert standing(room) == {"tap.gone": 1}
    for _ in range(3):
        troubles.set(False, "tap.gone", "trunk")
    assert standing(room) == {}


def test_what_happened_is_counted_and_clears_after_a_quiet_minute() -> None:
    clock = Hands()
    room = AlarmRoom(clock, "0" * 32)
    troubles = Troubles(room, clock)
    troubles.happened("tap.lost", "trunk")
    clock.now += QUIET_NS // 2
    troubles.happened("tap.lost", "trunk")
    clock.now += QUIET_NS // 2
    troubles.calm()
    assert standing(room) == {"tap.lost": 2}
    clock.now += QUIET_NS
    troubles.calm()
    assert standing(room) == {}


def test_the_next_run_clears_what_stood_in_the_room_before_it() -> None:
    clock = Hands()
    room = AlarmRoom(clock, "0" * 32)
    room.raise_alarm("tap.gone", "trunk")
    Troubles(room, clock).set(False, "tap.gone", "trunk")
    assert standing(room) == {}


def test_nothing_stands_of_who_has_left() -> None:
    clock = Hands()
    room = AlarmRoom(clock, "0" * 32)
    troubles = Troubles(room, clock)
    troubles.happened("tap.lost", "trunk")
    troubles.set(True, "tap.blind", "trunk")
    troubles.leave()
    assert standing(room) == {}
    troubles.set(True, "tap.blind", "trunk")
    assert standing(room) == {"tap.blind": 1}
