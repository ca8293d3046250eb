"""Card data that is keyed in reaches nothing, by whichever way it comes; other keys do what they
mean; no digit stands anywhere."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.recorder.desk import Desk
from tests.recorder.live_scene import Scene
from tests.stories.box import DESK, SDIS, Box, coded

from greffier.audit import verify
from greffier.capture.datagram import Datagram
from greffier.capture.record import Record
from greffier.clock import SECOND
from greffier.config.star_codes import USUAL
from greffier.control.messages import Resume
from greffier.encode.decoders import TABLES
from greffier.recorder.key_facts import hand_on
from greffier.recorder.pauses import Window
from greffier.recorder.trunk import Trunk
from greffier.store import playback
from greffier_sim import captures, keypad
from greffier_sim.captures import MS, Plan, Side
from greffier_sim.packets import frames_of

PLAN = Plan(talk_ms=30_000, ring_ms=100, caller_sequence=100)
FIRST = PLAN.answer_ns + 10 * MS
PAN = "4970101122334455"
CARD = {12_000 + 250 * number: digit for number, digit in enumerate(PAN)}
BACK_NS = 5 * SECOND
STARS = {name: code[1:] for name, code in USUAL.items()}
FIRST_NUMBER = {"caller": PLAN.caller_sequence, "callee": PLAN.callee_sequence}
Ways = Callable[[dict[int, str]], list[Datagram]]


def by_tones(keys: dict[int, str], side: Side = "caller") -> list[Datagram]:
    return keypad.spoken(PLAN, side, keys) + captures.speech(PLAN, _other(side))


def by_events(keys: dict[int, str], side: Side = "caller") -> list[Datagram]:
    return captures.speech(PLAN, "caller") + captures.speech(PLAN, "callee") + keypad.events(
        PLAN, side, keys, drop=(0, 5)
    )  # fmt: skip


def by_info(keys: dict[int, str], side: Side = "caller") -> list[Datagram]:
    talk = captures.speech(PLAN, "caller") + captures.speech(PLAN, "callee")
    return talk + keypad.info(PLAN, side, keys)


def by_all(keys: dict[int, str], side: Side = "caller") -> list[Datagram]:
    told = keypad.events(PLAN, side, keys) + keypad.info(PLAN, side, keys, plain=True)
    return by_tones(keys, side) + told


WAYS = {"tones": by_tones, "events": by_events, "info": by_info, "all": by_all}


def _other(side: Side) -> Side:
    return "callee" if side == "caller" else "caller"


OVER_NS = PLAN.end_ns + SECOND


def play(desk: Desk, talk: list[Datagram], until_ns: int = OVER_NS) -> None:
    """The call until *until_ns*; a tick each 300 ms. If it ends until then, so do its packets."""
    every = captures.opening(PLAN) + talk + captures.closing(PLAN)
    due = PLAN.start_ns
    for datagram in captures.in_order(every):
        if datagram.time_ns > until_ns:
            break
        while due <= datagram.time_ns:
            desk.clock.move_to(due)
            desk.tick()
            due += 300 * MS
        desk.hear([datagram])
    for later in range(1, 121, 10):
        if until_ns == OVER_NS:
            desk.clock.move_to(PLAN.end_ns + later * SECOND)
            desk.tick()


def desk_of(folder: Path, line: str, codec: str = "original") -> tuple[Box, Desk]:
    box = Box(folder)
    policy = DESK if line == "desk" else coded(box.folder, codec)
    desk = Desk(box, line, policy, PLAN.start_ns)
    desk.rules = replace(desk.rules, stars=STARS)
    return box, desk


def kept(box: Box, side: Side) -> set[int]:
    """The numbers of the packets of *side* that a part holds."""
    return {
        packet.sequence % 65536 - FIRST_NUMBER[side]
        for part in box.opened()
        for leg in part.legs.values()
        if leg.table["side"] == side
        for packet in leg.packets
    }


def packets_between(low_ns: int, high_ns: int) -> set[int]:
    count = PLAN.talk_ms // PLAN.ptime_ms
    return {index for index in range(count) if low_ns <= FIRST + 20 * index * MS < high_ns}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_kept_of_a_card(tmp_path: Path, way: str) -> None:
    box, desk = desk_of(tmp_path, "vente")
    play(desk, WAYS[way](CARD))
    desk.close()
    clear_ns = FIRST + 12_500 * MS
    for side in ("caller", "callee"):
        found = kept(box, side)  # type: ignore[arg-type]
        first_ns = FIRST + 12_000 * MS
        assert not found & packets_between(first_ns, 1 << 62)
        assert found >= packets_between(0, clear_ns - BACK_NS - SECOND)
    (paused,) = (entry for entry in box.entries() if entry.ev == "call.paused")
    assert paused.data["source"] == "dtmf"
    assert paused.data["legs"] == "all"
    assert paused.data["from_ns"] <= first_ns
    (report,) = desk.reports
    assert "PAUSE_SAD" in report.clear["codes"]
    assert verify.verify(box.data).problems == ()


def test_a_voluntary_pause_goes_on_until_somebody_ends_it(tmp_path: Path) -> None:
    box, desk = desk_of(tmp_path, "vente")
    play(desk, by_events(CARD), FIRST + 25 * SECOND)
    (call,) = desk.intake.running
    assert call.pauses.paused
    desk.order(Resume(line="vente"))
    assert not call.pauses.paused
    desk.close()
    assert [entry.ev for entry in box.entries() if "paused" in entry.ev] == [
        "call.paused", "call.unpaused",
    ]  # fmt: skip


def test_the_agents_key_ends_a_pause(tmp_path: Path) -> None:
    box, desk = desk_of(tmp_path, "vente")
    star = {20_000: "*", 20_400: "5"}
    play(desk, by_events(CARD) + keypad.events(PLAN, "callee", star))
    desk.close()
    assert kept(box, "caller") >= packets_between(FIRST + 21 * SECOND, FIRST + 24 * SECOND)
    ended = [entry for entry in box.entries() if entry.ev == "call.unpaused"]
    assert [entry.data["source"] for entry in ended] == ["agent_key"]


@pytest.mark.parametrize("way", ("tones", "events"))
def test_of_a_duty_only_the_leg_of_the_card_is_muted_and_only_for_a_while(
    tmp_path: Path, way: str
) -> None:
    box, desk = desk_of(tmp_path, "desk")
    short = dict(list(CARD.items())[:4])  # so that the call outlasts the mute
    plan_end = FIRST + PLAN.talk_ms * MS
    moved = {at - 9000: digit for at, digit in short.items()}  # at 3 s
    play(desk, WAYS[way](moved))
    desk.close()
    last_ns = FIRST + max(moved) * MS
    found = kept(box, "caller")
    assert not found & packets_between(FIRST + 3 * SECOND, last_ns + 19 * SECOND)
    assert found >= packets_between(last_ns + 22 * SECOND, plan_end)
    assert kept(box, "callee") == packets_between(0, plan_end)
    (ended,) = (entry for entry in box.entries() if entry.ev == "call.unpaused")
    assert ended.data["source"] == "dtmf"
    (report,) = desk.reports
    assert {"PAUSE_SAD", "GAP_LOGGED"} <= set(report.clear["codes"])


def test_the_echo_of_a_card_is_muted_too(tmp_path: Path) -> None:
    box, desk = desk_of(tmp_path, "desk")
    echo = {at + 60: digit for at, digit in CARD.items()}
    talk = keypad.spoken(PLAN, "caller", CARD) + keypad.spoken(PLAN, "callee", echo)
    play(desk, talk)
    desk.close()
    tones = packets_between(FIRST + 12 * SECOND, FIRST + 17 * SECOND)
    assert not kept(box, "caller") & tones
    assert not kept(box, "callee") & tones


def test_keys_of_consent_and_star_codes_are_handed_on_once(tmp_path: Path) -> None:
    _box, desk = desk_of(tmp_path, "vente")
    consent, star = {2000: "1", 12_000: "9"}, {8000: "*", 8300: "2"}
    both = by_all(consent)
    both = [one for one in both if one.source != PLAN.callee_media]
    talk = both + keypad.spoken(PLAN, "callee", star) + keypad.events(PLAN, "callee", star)
    play(desk, talk, FIRST + 25 * SECOND)
    (call,) = desk.intake.running
    assert [one.deed for one in call.meant] == ["accept", "proof", "refuse"]
    wanted = (2000, 8300, 12_000)
    for one, at_ms in zip(call.meant, wanted, strict=True):
        # What says it first says when: an INFO is sent when the key is let go.
        assert abs(one.at_ns - FIRST - at_ms * MS) < 150 * MS
    assert not call.pauses.all
    desk.close()


def test_no_digit_is_written_anywhere(tmp_path: Path) -> None:
    box, desk = desk_of(tmp_path, "vente")
    play(desk, by_all(CARD))
    seen = repr(vars(desk.intake)) + "".join(map(repr, desk.intake.running))
    desk.close()
    for text in (PAN.encode(), b"Signal="):
        assert text not in seen.encode()
        for path in box.data.rglob("*"):
            assert not path.is_file() or text not in path.read_bytes()


def test_an_emergency_line_listens_for_nothing(tmp_path: Path) -> None:
    box = Box(tmp_path)
    desk = Desk(box, "l18", SDIS, PLAN.start_ns)
    play(desk, by_all(CARD), FIRST + 20 * SECOND)
    (call,) = desk.intake.running
    assert call.hearing is None
    assert not call.pauses.all
    desk.close()


def test_a_card_pause_outlives_a_kill(tmp_path: Path) -> None:
    box, desk = desk_of(tmp_path, "vente")
    play(desk, by_tones(CARD), FIRST + 13_500 * MS)
    desk.tick()
    desk.die()
    again = Desk(box, "vente", coded(box.folder, "original"), FIRST + 14_000 * MS)
    (cut,) = again.found.calls
    assert cut.pauses == (Window(cut.pauses[0].from_ns, None, "dtmf"),)
    rest = [one for one in by_tones(CARD) if one.time_ns > FIRST + 14_000 * MS]
    again.hear(captures.in_order(rest))
    again.tick()
    again.close()
    assert not kept(box, "caller") & packets_between(FIRST + 12 * SECOND, 1 << 62)


@pytest.mark.parametrize("codec", ("original", "flac"))
def test_what_is_not_hidden_is_what_was_said(tmp_path: Path, codec: str) -> None:
    box, desk = desk_of(tmp_path, "vente", codec)
    rate = 8000
    seed = np.random.default_rng(7)
    noise = seed.integers(-3000, 3000, PLAN.talk_ms * rate // 1000).astype(np.int16)
    play(desk, keypad.spoken(PLAN, "caller", CARD, noise) + captures.speech(PLAN, "callee"))
    desk.close()
    said = TABLES["PCMA"][np.frombuffer(keypad.alaw(noise), np.uint8)]
    (part,) = box.opened()
    sides = [leg.table["side"] for leg in part.legs.values()]
    mask = part.legs[sides.index("caller")].masks[0]
    legs, first = playback.sound([part])
    heard = legs[sides.index("caller")].samples
    assert len(heard) > 6 * rate
    assert round(first * rate) + len(heard) == mask.start
    assert np.array_equal(heard, said[: len(heard)])


def test_a_leg_that_the_core_has_is_heard_as_well(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "fr-retail.toml", '[[match]]\nline = "vente"\n')
    assert isinstance(scene.source, Trunk)
    consent = {12_000: "1", 18_000: "9"}
    star = {15_000: "*", 15_400: "3"}
    plan = replace(PLAN, start_ns=scene.clock.now)
    talk = keypad.spoken(plan, "caller", consent)
    # Both ways at once, in one stream: the events take places of packets of speech.
    talk += keypad.spoken(plan, "callee", star) + keypad.events(plan, "callee", star)
    every = captures.in_order(captures.opening(plan) + talk)
    lent = 0
    for number, one in enumerate(every):
        scene.clock.now = one.time_ns
        for at, data in frames_of([one]):
            scene.port.flows.feed(Record(at, 1, data, len(data)))
        if not number % 10:
            scene.source.work(scene.clock.now)
        if not number % 40:
            scene.beat()
        lent = max(lent, len(scene.source.armory))
    scene.beat()
    (call,) = scene.source.running
    assert lent >= 2
    assert [one.deed for one in call.meant] == ["accept", "threat", "refuse"]
    scene.stop()


def test_the_refuse_key_destroys_what_was_captured_and_takes_the_log_s_way(tmp_path: Path) -> None:
    box, desk = desk_of(tmp_path, "vente")
    talk = keypad.spoken(PLAN, "caller", {10_000: "9"}) + captures.speech(PLAN, "callee")
    play(desk, talk, FIRST + 9 * SECOND)
    (call,) = desk.intake.running
    assert call.recording is not None
    rest = [one for one in captures.in_order(talk) if one.time_ns > FIRST + 9 * SECOND]
    desk.hear(one for one in rest if one.time_ns < FIRST + 16 * SECOND)
    desk.tick()
    assert hand_on(desk.telling, [desk])  # type: ignore[list-item]
    assert not hand_on(desk.telling, [desk])  # type: ignore[list-item]
    assert {"OBJECTED", "DISCARD_NOW"} <= set(call.verdict.codes)
    assert call.recording is None
    desk.close()
    (fact,) = (entry for entry in box.entries() if entry.ev == "call.fact")
    assert (fact.data["fact"], fact.data["value"]) == ("consent", "out")
    assert fact.data["source"] == "key"
    assert not box.opened()
