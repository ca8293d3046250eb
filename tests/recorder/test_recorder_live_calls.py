"""What the live recorder does with calls: which line, how many at once, and after a restart."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.recorder.live_scene import NOON_NS, Scene
from tests.stories.box import PAIR

from greffier.audit import coverage, verify
from greffier.capture.datagram import Address, Datagram
from greffier.recorder.archive import Archive
from greffier.store import playback
from greffier.store.playback import OpenedPart
from greffier.store.shred_format import PART, Name
from greffier_sim import captures
from greffier_sim.captures import MS, Plan, Side
from greffier_sim.soak_said import linear

ALL = '[[match]]\nline = "desk"\n'
Make = Callable[..., Scene]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Make]:
    made: list[Scene] = []

    def make(more: str = ALL, policy: str = "paris-desk.toml") -> Scene:
        made.append(Scene(tmp_path, policy, more))
        return made[0]

    yield make
    for one in made:
        one.stop()


def plan(number: int = 0, **words: object) -> Plan:
    return replace(
        Plan(
            call_id=f"live-{number}@sim",
            start_ns=NOON_NS + 1_000 * MS,
            talk_ms=2_000,
            caller_media=Address(f"10.1.0.{number + 1}", 4000),
            callee_media=Address(f"10.2.0.{number + 1}", 5000),
        ),
        **words,  # type: ignore[arg-type]
    )


def lines(scene: Scene) -> list[object]:
    return [one["line"] for one in scene.told("call.decided")]


AGENTS = """[direction]
inside_numbers = ["4?"]
[[agents.entry]]
extension = "41"
agent = "a-lea"
[[agents.entry]]
extension = "42"
agent = "a-max"
"""


@pytest.mark.parametrize(
    ("caller", "called", "agent"),
    [
        ("+33140506070", "41", "a-lea"),
        ("42", "+33140506070", "a-max"),
        ("42", "41", "a-lea"),
        ("+33140506070", "43", ""),
    ],
)
def test_the_agent_is_who_works_at_our_extension(
    scene: Make, caller: str, called: str, agent: str
) -> None:
    box = scene(ALL + AGENTS)
    box.hear(captures.opening(plan(from_number=caller, to_number=called)))
    (call,) = box.source.running
    assert call.facts.agent == agent


@pytest.mark.parametrize("tags", [(), (7,), (8,), (9, 7)])
def test_a_vlan_tag_names_the_line(scene: Make, tags: tuple[int, ...]) -> None:
    box = scene('[[match]]\nline = "desk"\nvlans = [7]\n[[match]]\nline = "accueil"\n')
    box.hear(captures.opening(plan()), vlans=tags)
    assert lines(box) == ["desk" if 7 in tags else "accueil"]


def test_a_vlan_tag_names_the_line_of_bare_rtp_too(scene: Make) -> None:
    box = scene('[[match]]\nline = "desk"\nvlans = [7]\n[[match]]\nline = "accueil"\n')
    box.hear(captures.speech(plan(), "caller"), vlans=(7,))
    box.wait(5)
    assert lines(box) == ["desk"]


def test_more_calls_than_there_is_room_for_are_counted_and_told(scene: Make) -> None:
    box = scene(ALL + "[limits]\ncalls = 2\n")
    plans = [plan(number) for number in range(4)]
    box.hear(captures.in_order([one for each in plans for one in captures.call(each)]))
    assert [one.name for one in box.standing] == ["calls.limit"]
    box.wait(20)
    decided = box.told("call.decided")
    assert [(one["record"], one["codes"]) for one in decided] == [
        ("full", ["MANDATORY_MIFID"]),
        ("full", ["MANDATORY_MIFID"]),
        ("none", ["OVER_CAPACITY"]),
        ("none", ["OVER_CAPACITY"]),
    ]
    assert [one["result"] for one in box.told("call.ended")] == ["ok", "ok", "failed", "failed"]
    assert len(box.told("part.opened")) == 2
    later = replace(plan(9), start_ns=box.clock.now)
    box.hear(captures.opening(later))
    assert box.told("call.decided")[-1]["record"] == "full", "there is room again"


def test_calls_that_are_not_to_be_recorded_do_not_fail_for_want_of_room(scene: Make) -> None:
    box = scene('[limits]\ncalls = 1\n[[match]]\nline = "toilettes"\n', "fr-retail.toml")
    both = [*captures.opening(plan(0)), *captures.opening(plan(1))]
    box.hear(captures.in_order(both))
    assert [one["codes"] for one in box.told("call.decided")] == [["LINE_UNCONFIGURED"]] * 2


def cut_in_two(box: Scene, one: Plan) -> list[Datagram]:
    """Play *one*; the process breaks off and starts again a second into the speech.

    Returns what it has not heard: the closing.
    """
    every = captures.in_order([*captures.opening(one), *speech(one)])
    until = one.start_ns + 1_200 * MS
    box.hear(datagram for datagram in every if datagram.time_ns < until)
    box.break_off()
    box.clock.now = until + 300 * MS
    box.start()
    box.hear(datagram for datagram in every if datagram.time_ns >= box.clock.now)
    return captures.closing(one)


def opened_parts(box: Scene) -> list[OpenedPart]:
    """Every part of the box, which does not run, in their order."""
    with Archive.open(box.config.data, box.clock) as opened:
        parts = [
            playback.open_part(
                part.path,
                opened.shred.get(Name(PART, bytes.fromhex(part.part_id))).block,
                PAIR,
                unfinished=True,
            )
            for part in opened.vault.parts()
        ]
    return sorted(parts, key=lambda part: part.header.number)


def speech(one: Plan) -> list[Datagram]:
    return [*captures.speech(one, "caller"), *captures.speech(one, "callee")]


def test_a_resumed_call_ends_at_its_bye(scene: Make) -> None:
    box = scene()
    closing = cut_in_two(box, plan(talk_ms=4_000))
    box.hear(captures.closing(plan(5, start_ns=closing[0].time_ns - 2_100 * MS)))
    box.wait(6)
    assert box.told("call.ended") == [], "another dialog's BYE ends nothing"
    box.hear(one._replace(time_ns=box.clock.now + at) for at, one in enumerate(closing))
    box.wait(6)
    (decided,), (resumed,) = box.told("call.decided"), box.told("call.resumed")
    (ended,) = box.told("call.ended")
    assert resumed["uid"] == ended["uid"] == decided["uid"]
    assert (ended["reason"], ended["result"]) == ("bye", "ok")
    assert len(box.told("part.opened")) == 2
    box.stop()
    entries = box.entries
    assert coverage.seconds(coverage.intervals_of(entries)).accounted == 1.0
    assert verify.verify(box.config.data).ok
    box.start()


def test_a_resumed_call_goes_on_at_once(scene: Make) -> None:
    box = scene()
    cut_in_two(box, plan(talk_ms=3_000))
    assert len(box.told("call.resumed")) == 1
    parts = box.told("part.opened")
    assert len(parts) == 2, "before the speech is over, its second part has begun"
    assert len({part["recording"] for part in parts}) == 1


def test_a_resumed_call_keeps_the_line_that_its_rtp_does_not_show(scene: Make) -> None:
    box = scene('[[match]]\nline = "desk"\ncalled = ["+33170819200"]\n')
    box.hear(cut_in_two(box, plan(talk_ms=4_000)))
    box.wait(6)
    assert [one["line"] for one in box.told("call.ended")] == ["desk"]
    assert len(box.told("part.opened")) == 2


def test_a_call_that_is_answered_while_the_recorder_is_down_is_known_by_its_offer(
    scene: Make,
) -> None:
    box = scene()
    one = plan(talk_ms=4_000)
    box.hear(captures.opening(one)[:3])
    box.break_off()
    box.clock.now = one.answer_ns + 300 * MS
    box.start()
    every = captures.in_order(speech(one))
    box.hear(datagram for datagram in every if datagram.time_ns >= box.clock.now)
    box.hear(captures.closing(one))
    box.wait(8)
    (decided,), (resumed,) = box.told("call.decided"), box.told("call.resumed")
    (ended,) = box.told("call.ended")
    assert resumed["uid"] == ended["uid"] == decided["uid"]
    assert ended["reason"] == "bye"


def test_the_time_of_a_cut_call_ends_with_the_run_that_heard_it_last(scene: Make) -> None:
    box = scene()
    one = plan(talk_ms=4_000)
    every = captures.in_order([*captures.opening(one), *speech(one)])
    until = one.start_ns + 1_200 * MS
    box.hear(datagram for datagram in every if datagram.time_ns < until)
    for _ in range(2):  # runs that are cut before they hear anything of it
        box.break_off()
        box.clock.now += 300 * MS
        box.start()
        box.clock.now += 300 * MS
    uid = box.told("call.decided")[0]["uid"]
    spans = [one for one in box.told("coverage") if one["channel"] == uid]
    assert [span["state"] for span in spans] == ["recorded"]
    assert spans[0]["to_ns"] <= until
    box.hear(datagram for datagram in every if datagram.time_ns >= box.clock.now)
    resumed = [one for one in box.told("coverage") if one["channel"] == uid][1:]
    assert [(one["state"], one["from_ns"]) for one in resumed] == [("off", spans[0]["to_ns"])]
    box.hear(captures.closing(one))
    box.wait(6)
    assert coverage.seconds(coverage.intervals_of(box.entries)).accounted == 1.0


def test_two_cuts_leave_no_hole_in_the_time_of_the_tap(scene: Make) -> None:
    box = scene()
    for _ in range(3):
        box.clock.now += 200 * MS
        box.break_off()
        box.clock.now += 300 * MS
        box.start()
    assert coverage.seconds(coverage.intervals_of(box.entries)).accounted == 1.0


def test_the_sides_of_a_resumed_call_stay_apart_whoever_is_heard_first(scene: Make) -> None:
    box = scene()
    one = plan(talk_ms=4_000)
    said: dict[Side, int] = {"caller": 0x50, "callee": 0xD0}
    every = captures.in_order(
        [
            *captures.opening(one),
            *(
                datagram
                for side, octet in said.items()
                for datagram in captures.speech(
                    one, side, payload=lambda _, o=octet: bytes([o]) * 160
                )  # type: ignore[misc]
            ),
            *captures.closing(one),
        ]
    )
    until = one.start_ns + 1_200 * MS
    box.hear(datagram for datagram in every if datagram.time_ns < until)
    box.break_off()
    box.clock.now = until + 300 * MS
    box.start()
    rest = [datagram for datagram in every if datagram.time_ns >= box.clock.now]
    late = box.clock.now + 500 * MS
    box.hear(d for d in rest if d.source == one.callee_media or d.time_ns >= late)
    box.wait(6)
    box.stop()
    parts = opened_parts(box)
    box.start()
    assert len(parts) == 2
    assert parts[0].header.recording_id == parts[1].header.recording_id
    sides = [[leg.table["source"] for _, leg in sorted(part.legs.items())] for part in parts]
    assert sides[0] == sides[1][::-1]
    legs, _ = playback.sound(parts)
    heard = [set(np.unique(leg.samples)) - {0} for leg in legs]
    assert [len(values) for values in heard] == [1, 1]
    assert heard[0] != heard[1]


def test_what_was_heard_late_before_a_restart_is_played_before_what_came_after_it(
    scene: Make,
) -> None:
    box = scene()
    one = plan(talk_ms=4_000)
    sides: tuple[Side, Side] = ("caller", "callee")
    early = [packet for side in sides for packet in captures.speech(one, side, count=60)]
    until = one.answer_ns + 1_210 * MS
    late = one.answer_ns + 600 * MS
    stalled = [packet._replace(time_ns=max(packet.time_ns, late)) for packet in early]
    box.hear(captures.in_order([*captures.opening(one), *stalled]))
    box.break_off()
    box.clock.now = until
    box.start()
    rest = [packet for side in sides for packet in captures.speech(one, side, first=60)]
    box.hear(captures.in_order([*rest, *captures.closing(one)]))
    box.wait(6)
    box.stop()
    legs, _ = playback.sound(opened_parts(box))
    box.start()
    played = [leg.samples.astype("<i2").tobytes() for leg in legs]
    for side in sides:
        said = b"".join(
            linear(captures.tagged(one.call_id, side, index))
            for index in range(60 + len(rest) // 2)
        )
        assert sum(said in track for track in played) == 1, side


def test_frames_that_found_no_room_during_a_start_are_in_alarm_and_ledger(scene: Make) -> None:
    box = scene()
    box.wait(1)
    box.break_off()
    box.start()
    since = box.clock.now
    box.clock.now += 20_000 * MS  # so long recovery takes, and the kernel's ring is full
    box.port.dropped = 700
    box.beat()
    assert ("tap.lost", "trunk") in [(alarm.name, alarm.subject) for alarm in box.standing]
    lost = [one for one in box.told("coverage") if one["state"] == "lost"]
    assert [(one["channel"], one["reason"], one["packets"]) for one in lost] == [
        ("trunk", "TAP_OVERRUN", 700)
    ]
    assert (lost[0]["from_ns"], lost[0]["to_ns"]) == (since, box.clock.now)
    box.wait(1)
    box.break_off()
    box.start()
    assert coverage.seconds(coverage.intervals_of(box.entries)).accounted == 1.0


def test_the_last_packet_of_a_call_after_a_restart_is_kept(scene: Make) -> None:
    box = scene()
    one = plan(talk_ms=1_220)
    sides: tuple[Side, Side] = ("caller", "callee")
    every = captures.in_order([packet for side in sides for packet in captures.speech(one, side)])
    box.hear([*captures.opening(one), *every[:-6]])
    box.break_off()
    box.clock.now = every[-2].time_ns
    box.start()
    box.hear([*every[-2:], *captures.closing(one)])
    box.wait(6)
    box.stop()
    parts = opened_parts(box)
    box.start()
    kept = {packet.data for part in parts for leg in part.legs.values() for packet in leg.packets}
    for side in sides:
        assert captures.tagged(one.call_id, side, 60) in kept, side
