"""Pauses: what is hidden reaches nothing, everything else is there, and all of it is accounted."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.recorder.desk import Desk
from tests.stories.box import DESK, RETAIL, SDIS, Box, coded

from greffier.audit import coverage, verify
from greffier.capture.datagram import Datagram
from greffier.clock import SECOND
from greffier.control.messages import Done, Failure, Pause, Resume
from greffier_sim import captures
from greffier_sim.captures import MS, Plan

BACK_NS = 5 * SECOND
PACKET_NS = 20 * MS
PLAN = Plan(talk_ms=12_000, ring_ms=100, caller_sequence=100)
SIDES = ("caller", "callee")


def times_of(plan: Plan, jitter: dict[tuple[str, int], int]) -> dict[tuple[str, int], int]:
    """When each packet of speech arrives, by side and index."""
    return {
        (side, index): plan.answer_ns + (10 + 20 * index) * MS + jitter.get((side, index), 0) * MS
        for side in SIDES
        for index in range(plan.talk_ms // 20)
    }


def datagrams_of(plan: Plan, arrivals: dict[tuple[str, int], int]) -> list[Datagram]:
    """The call, its speech as late as *arrivals* says."""
    every = captures.opening(plan) + captures.closing(plan)
    for side in SIDES:
        for index, one in enumerate(captures.speech(plan, side)):  # type: ignore[arg-type]
            every.append(one._replace(time_ns=arrivals[side, index]))
    return captures.in_order(every)


def run(desk: Desk, plan: Plan, arrivals: dict[tuple[str, int], int], orders: list[int]) -> None:
    """Play the call; pause and resume in turn at *orders* (ns); a tick each 300 ms."""
    steps = [(at, 1, number) for number, at in enumerate(orders)]
    steps += [(at, 2, 0) for at in range(plan.start_ns, plan.end_ns, 300 * MS)]
    ways = datagrams_of(plan, arrivals)
    for at, kind, number in sorted(steps):
        while ways and ways[0].time_ns < at:
            desk.hear([ways.pop(0)])
        desk.clock.move_to(at)
        if kind == 2:
            desk.tick()
            continue
        line = desk.rules.line
        desk.order(Resume(line=line) if number % 2 else Pause(line=line))
    desk.hear(ways)
    for later in range(1, 121, 10):
        desk.clock.move_to(plan.end_ns + later * SECOND)
        desk.tick()


def windows_of(orders: list[int]) -> list[tuple[int, int]]:
    pauses = orders[::2]
    ends = [*orders[1::2], 1 << 62]
    return [(at - BACK_NS, ends[number]) for number, at in enumerate(pauses)]


def kept_in(box: Box) -> dict[tuple[str, int], tuple[str, int]]:
    """Position and leg of each packet of speech that any part holds."""
    found = {}
    for part in box.opened():
        for leg in part.legs.values():
            for packet in leg.packets:
                _, side, index, *_ = packet.data.decode("ascii", "replace").split("/")
                found[side, int(index)] = (str(leg.table["side"]), packet.position)
    return found


def check(box: Box, desk: Desk, arrivals: dict[tuple[str, int], int], orders: list[int]) -> None:
    duty = desk.rules.line == "desk"
    windows = windows_of(orders)
    kept = kept_in(box)
    for (side, index), at in arrivals.items():
        mutes = not duty or side == "caller"
        inside = any(low <= at and at - PACKET_NS < high for low, high in windows)
        near = any(low <= at and at - 3 * PACKET_NS - 60 * MS < high for low, high in windows)
        if mutes and inside:
            assert (side, index) not in kept, "hidden sound was kept"
        elif not (mutes and near):
            assert (side, index) in kept, "sound was lost"
    for side in SIDES:
        first = min((index for where, index in kept if where == side), default=None)
        if first is None:
            continue
        origin = kept[side, first][1] - 160 * first
        for (where, index), (leg, position) in kept.items():
            if where == side:
                assert (leg, position) == (side, origin + 160 * index)
    masked = {
        (str(leg.table["side"]), (mask.start, mask.end))
        for part in box.opened()
        for leg in part.legs.values()
        for mask in leg.masks
    }
    for part in box.opened():
        for leg in part.legs.values():
            for mask in leg.masks:
                assert mask.reason == "card"
                for packet in leg.packets:
                    end = packet.position + packet.samples
                    assert end <= mask.start or packet.position >= mask.end
            hidden = sum(mask.end - mask.start for mask in leg.masks) // 160
            side = str(leg.table["side"])
            gone = sum(one == side for one, _ in set(arrivals) - set(kept))
            assert hidden >= gone or not leg.packets, masked
    counted = desk.accounted
    assert counted["received"] == len(arrivals) == counted["recorded"] + counted["masked"]
    assert counted["recorded"] == len(kept)


times = st.lists(st.integers(0, 12_300), max_size=6, unique=True).map(sorted)


@settings(deadline=None, max_examples=4)
@given(
    orders=times,
    late=st.dictionaries(
        st.tuples(st.sampled_from(SIDES), st.integers(1, 599)), st.integers(1, 60), max_size=30
    ),
    line=st.sampled_from(("vente", "desk")),
)
def test_hidden_sound_reaches_nothing_and_the_rest_its_place(
    tmp_path_factory: pytest.TempPathFactory,
    orders: list[int],
    late: dict[tuple[str, int], int],
    line: str,
) -> None:
    box = Box(tmp_path_factory.mktemp("box"))
    policy = DESK if line == "desk" else coded(box.folder, "original")
    desk = Desk(box, line, policy, PLAN.start_ns)
    arrivals = times_of(PLAN, late)
    asked = [PLAN.start_ns + 100 * MS + at * MS for at in orders]
    run(desk, PLAN, arrivals, asked)
    desk.close()
    check(box, desk, arrivals, asked)
    assert verify.verify(box.data).problems == ()
    entries = box.entries()
    assert coverage.seconds(coverage.intervals_of(entries)).accounted == 1.0


TALK = replace(PLAN, talk_ms=30_000)
COUNT = 1500


def until(desk: Desk, at_ns: int) -> None:
    """Play :data:`TALK` up to *at_ns*, with a tick each 300 ms."""
    ways = [one for one in datagrams_of(TALK, times_of(TALK, {})) if one.time_ns < at_ns]
    ways = [one for one in ways if one.time_ns >= desk.clock.wall_ns()]
    due = desk.clock.wall_ns() + 300 * MS
    for one in ways:
        while due <= one.time_ns:
            desk.clock.move_to(due)
            desk.tick()
            due += 300 * MS
        desk.hear([one])
    desk.clock.move_to(at_ns)


def at(seconds: float) -> int:
    """An instant of the talk."""
    return TALK.answer_ns + int(seconds * SECOND)


def heard_in(box: Box, side: str) -> list[int]:
    """The packets of one side that parts hold, by index."""
    return sorted(index for where, index in kept_in(box) if where == side)


def test_what_may_be_paused_waits_and_what_may_not_does_not(tmp_path: Path) -> None:
    for line, policy, lag in (
        ("vente", RETAIL, BACK_NS),
        ("desk", DESK, BACK_NS),
        ("l18", SDIS, 0),
    ):
        (tmp_path / line).mkdir()
        box = Box(tmp_path / line)
        desk = Desk(box, line, coded(box.folder, "original", policy, line), TALK.start_ns)
        until(desk, at(8))
        desk.tick()
        ((_, durable),) = desk.archive.committed.items()
        assert desk.running[0].waits_ns == lag
        expected = (at(8) - lag - TALK.start_ns) * 8_000 // SECOND
        assert expected - 8_000 // 4 <= durable.last_sample <= expected + 160
        desk.close()


def test_a_line_is_refused_for_its_reason(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    fire = Desk(Box(tmp_path / "a"), "l18", SDIS, TALK.start_ns)
    until(fire, at(2))
    assert fire.order(Pause(line="l18")) == Failure("refused", "pause_disabled_emergency")
    assert fire.order(Pause(line="l19")) == Failure("refused", "no_such_line")
    uid = fire.running[0].uid
    assert fire.order(Pause(call=uid)) == Failure("refused", "pause_disabled_emergency")
    assert fire.order(Pause(call=uid[:-1] + "9")) == Failure("refused", "no_such_call")
    fire.close()
    assert not [one for one in fire.box.entries() if one.ev == "call.paused"]
    (tmp_path / "b").mkdir()
    box = Box(tmp_path / "b")
    text = DESK.read_text().replace('sources = ["dtmf", "api"]', "sources = []")
    (box.folder / "policy.toml").write_text(text)
    desk = Desk(box, "desk", box.folder / "policy.toml", TALK.start_ns)
    until(desk, at(2))
    assert desk.order(Pause(line="desk")) == Failure("refused", "not_pausable")
    desk.close()
    (tmp_path / "c").mkdir()
    quiet = Desk(Box(tmp_path / "c"), "desk", DESK, TALK.start_ns)
    assert quiet.order(Pause(line="desk")) == Failure("refused", "nothing_running")
    quiet.close()


def test_an_order_is_answered_when_its_entry_is_durable(tmp_path: Path) -> None:
    desk = Desk(Box(tmp_path), "desk", DESK, TALK.start_ns)
    until(desk, at(8))
    assert desk.order(Resume(line="desk")) == Done(changed=False)
    assert desk.order(Pause(line="desk")) is None, "nothing is durable yet"
    desk.pausing.answer()
    assert desk.answers == [Done(changed=False)]
    desk.tick()
    assert desk.answers[1:] == [Done()]
    assert desk.order(Pause(line="desk")) == Done(changed=False)
    desk.close()
    (entry,) = [one for one in desk.box.entries() if one.ev == "call.paused"]
    assert entry.data["from_ns"] == at(8) - BACK_NS
    assert (entry.data["legs"], entry.data["user"], entry.data["source"]) == ("card", 1000, "api")


@pytest.mark.parametrize("line", ["vente", "desk"])
def test_a_kill_does_not_end_a_pause(tmp_path: Path, line: str) -> None:
    """The torn part tells of the pause; the call goes on under its number, and is paused."""
    box = Box(tmp_path)
    policy = coded(box.folder, "original", DESK if line == "desk" else RETAIL, line)
    desk = Desk(box, line, policy, TALK.start_ns)
    until(desk, at(8))
    desk.order(Pause(line=line))
    desk.tick()
    until(desk, at(9))
    desk.tick()
    desk.die()
    desk = Desk(box, line, policy, at(10))
    call = desk.found.calls[0]
    assert call.pauses[0].from_ns == at(8) - BACK_NS and call.pauses[0].to_ns is None
    desk.resumable.since_ns = at(10)
    ways = datagrams_of(TALK, times_of(TALK, {}))
    desk.hear(one for one in ways if at(10) <= one.time_ns < at(22))
    desk.tick()
    (running,) = desk.running
    assert running.uid == call.uid and running.pauses.paused
    desk.order(Resume(call=call.uid))
    desk.tick()
    desk.hear(one for one in ways if at(22) <= one.time_ns)
    for later in range(1, 121, 10):
        desk.clock.move_to(TALK.end_ns + later * SECOND)
        desk.tick()
    desk.close()
    torn = next(part for part in box.opened() if not part.reason)
    side = next(leg for leg in torn.legs.values() if leg.table["side"] == "caller")
    hidden = [(mask.start, mask.end) for mask in side.masks]
    assert hidden and min(low for low, _ in hidden) == 160 * 150 + 880
    assert sum(high - low for low, high in hidden) > 8_000 * 5
    kept = heard_in(box, "caller")
    assert [index for index in kept if 150 <= index < 1100] == []
    assert set(range(150)) <= set(kept)
    if line == "desk":  # a duty goes on after the restart
        assert set(range(1101, COUNT)) <= set(kept)
        # Until signalling is heard again nobody knows which leg bears the card.
        assert set(heard_in(box, "callee")) >= {*range(200), *range(1101, COUNT)}
        told = coverage.seconds(coverage.intervals_of(box.entries())).channels
        (channel,) = [one for one in told if one.channel == call.uid]
        assert abs(channel.states["paused"] - 12 * SECOND) < SECOND // 2
    assert verify.verify(box.data).problems == ()


def test_a_part_that_no_duty_demands_holds_no_leg_during_a_pause(tmp_path: Path) -> None:
    box = Box(tmp_path)
    text = DESK.read_text()
    for old, new in (
        ('purposes = ["regulatory"]\ninternal = true', 'purposes = ["regulatory", "quality"]'),
        ("rate = 0.0 ", "rate = 0.2 "),
        ("regulatory = 1827 ", "quality = 89\nregulatory = 1827 "),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    (box.folder / "policy.toml").write_text(text)
    desk = Desk(box, "desk", box.folder / "policy.toml", TALK.start_ns, consent="in")
    until(desk, at(8))
    desk.order(Pause(line="desk"))
    until(desk, at(10))
    desk.order(Resume(line="desk"))
    until(desk, TALK.end_ns)
    desk.close()
    for part in box.opened():
        duty = "regulatory" in part.header.meta["purposes"]
        for leg in part.legs.values():
            side = str(leg.table["side"])
            found = {int(one.data.decode().split("/")[2]) for one in leg.packets}
            first = {index for index in found if index < 1400}  # the last are not handed on yet
            if duty and side == "callee":
                assert first == set(range(1400))
            else:
                assert first - {500} == set(range(1400)) - set(range(150, 501)), (duty, side)


def test_a_pause_that_lasts_too_long_is_an_alarm(tmp_path: Path) -> None:
    desk = Desk(Box(tmp_path), "desk", DESK, TALK.start_ns)
    until(desk, at(8))
    desk.order(Pause(line="desk"))
    desk.tick()
    assert desk.alarms.view().alarms == ()
    desk.clock.move_to(at(8) - BACK_NS + 181 * SECOND)
    desk.pausing.watch(desk.clock.wall_ns())
    (alarm,) = desk.alarms.view().alarms
    assert (alarm.name, alarm.subject) == ("pause.overrun", "desk")
    desk.order(Resume(line="desk"))
    desk.tick()
    assert desk.alarms.view().alarms == ()
    desk.close()
