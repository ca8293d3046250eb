"""What is ordered is durable before it is shown, ends once, and is an alarm if nobody does it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.recorder.live_scene import NOON_NS, Scene

from greffier.control.board import Order, Reply
from greffier.control.desks import (
    Acted,
    AskCalls,
    AskInstructions,
    Calls,
    Instruction,
    Instructions,
    LineRule,
)
from greffier.control.messages import Done, Failure, Request
from greffier_sim import captures
from greffier_sim.captures import MS, Plan

OUTPUTS = """
[outputs.gong]
kind = "relay"
path = "gong"
actions = ["block_call", "end_call"]
deadline_s = 5
[outputs.page]
kind = "page"
actions = ["block_call", "play_notice"]
[outputs.elsewhere]
kind = "page"
actions = ["block_call"]
lines = ["desk"]
"""
# No rule names a line: the policy of the desk blocks such calls.
NOWHERE = '[[match]]\nline = "desk"\ncalled = ["99"]\n'
INSIDE = (
    '[direction]\ninside_numbers = ["4?"]\n[[agents.entry]]\nextension = "41"\nagent = "a-lea"\n'
)
Make = Callable[..., Scene]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Make]:
    made: list[Scene] = []

    def make(more: str, policy: str = "paris-desk.toml") -> Scene:
        made.append(Scene(tmp_path, policy, more))
        return made[0]

    yield make
    for one in made:
        one.stop()


def plan(**words: object) -> Plan:
    one = Plan(call_id="action@sim", start_ns=NOON_NS + 1_000 * MS, talk_ms=2_000)
    return replace(one, **words)  # type: ignore[arg-type]


def asked(box: Scene, request: Request) -> list[Reply]:
    """What the loop answers to *request*; a list that may still be empty."""
    got: list[Reply] = []
    assert box.board.serve(request, 7, box.clock.now, got.append) is None
    box.live._obey()
    return got


def shown(box: Scene) -> tuple[Instruction, ...]:
    (answer,) = asked(box, AskInstructions())
    assert isinstance(answer, Instructions)
    return answer.instructions


def unconfirmed(box: Scene) -> list[str]:
    """The lines on which something was not confirmed."""
    return [one.subject for one in box.standing if one.name == "action.unconfirmed"]


def test_an_instruction_is_shown_when_its_entry_is_durable_and_ends_once(scene: Make) -> None:
    box = scene(NOWHERE + OUTPUTS)
    box.hear(captures.opening(plan()))
    box.live._desks.watch(box.clock.now)
    assert shown(box) == ()
    box.tick()
    (one,) = shown(box)
    (ordered,) = box.told("action.ordered")
    assert (one.action, one.line, one.outputs) == ("block_call", "unconfigured", ("gong", "page"))
    assert ordered["action"] == one.id
    assert one.deadline_ns - one.ordered_ns == 15_000_000_000, "each output has its time"
    assert asked(box, Acted(one.id, "done", "lamp")) == [Failure("refused", "no_such_instruction")]
    got = asked(box, Acted(one.id, "done", "page"))
    assert got == []
    box.beat()
    box.live._obey()
    assert got == [Done()]
    (ended,) = box.told("action.ended")
    assert (ended["outcome"], ended["output"], ended["user"]) == ("done", "page", 7)
    assert asked(box, Acted(one.id, "done", "page")) == [Failure("refused", "no_such_instruction")]
    box.beat()
    assert shown(box) == ()
    assert unconfirmed(box) == []
    assert len(box.told("action.ordered")) == 1, "a call is told once"


@pytest.mark.parametrize("told", [True, False])
def test_what_nobody_confirms_is_an_alarm_and_the_verdict_says_so(scene: Make, told: bool) -> None:
    box = scene(NOWHERE + OUTPUTS)
    box.hear(captures.opening(plan()))
    box.beat()
    (one,) = shown(box)
    if told:
        asked(box, Acted(one.id, "failed", "page"))
    else:
        box.wait(15)
    box.beat()
    (ended,) = box.told("action.ended")
    assert ended["outcome"] == "failed"
    assert ended.get("reason") == (None if told else "late")
    assert unconfirmed(box) == ["unconfigured"]
    (call,) = box.source.running
    assert "ACTION_UNCONFIRMED" in call.verdict.codes
    assert not call.facts.action_confirmed


@pytest.mark.parametrize("outcome", ["done", "failed", None])
def test_an_objection_to_a_duty_ends_the_call_or_is_told_as_unconfirmed(
    scene: Make, outcome: str | None
) -> None:
    box = scene('[[match]]\nline = "desk"\n' + OUTPUTS)
    box.hear(captures.opening(plan()))
    (call,) = box.source.running
    box.live.telling.tell(call, "consent", "out", box.clock.now, "key")
    box.beat()
    assert call.verdict.action == "end_call"
    assert "ACTION_UNCONFIRMED" in call.verdict.codes, "nobody has confirmed it yet"
    (one,) = [each for each in shown(box) if each.action == "end_call"]
    if outcome is not None:
        asked(box, Acted(one.id, outcome, "gong"))
    box.beat()
    confirmed = outcome == "done"
    assert ("ACTION_UNCONFIRMED" in call.verdict.codes) is not confirmed
    assert unconfirmed(box) == ([] if outcome != "failed" else ["desk"])
    assert call.verdict.record == "full", "what came before the objection is kept by the duty"
    told = [one for one in box.told("call.fact") if one["fact"] == "action_confirmed"]
    assert len(told) == (outcome is not None)


@pytest.mark.parametrize("outcome", ["done", "failed"])
def test_a_notice_that_no_output_played_was_not_heard(scene: Make, outcome: str) -> None:
    box = scene('[[match]]\nline = "accueil"\n' + OUTPUTS, "fr-retail.toml")
    box.hear(captures.opening(plan()))
    box.beat()
    (one,) = shown(box)
    asked(box, Acted(one.id, outcome, "page"))
    box.beat()
    (call,) = box.source.running
    assert (call.facts.announce == "fail") is (outcome == "failed")


def test_a_line_without_an_output_is_told_at_once(scene: Make) -> None:
    box = scene(NOWHERE)
    box.hear(captures.opening(plan()))
    box.beat()
    (ended,) = box.told("action.ended")
    assert ended["outcome"] == "no_output"
    assert unconfirmed(box) == ["unconfigured"]
    assert shown(box) == ()


def test_a_call_that_is_over_needs_no_output_any_more(scene: Make) -> None:
    box = scene(NOWHERE + OUTPUTS)
    box.hear(captures.opening(plan()))
    box.beat()
    box.hear([one for one in captures.call(plan()) if one.time_ns > box.clock.now])
    box.wait(40)
    box.beat()
    box.beat()
    (ended,) = box.told("action.ended")
    assert ended["outcome"] in ("done", "failed")
    assert len(box.told("action.ordered")) == 1


def test_a_notice_is_ordered_where_an_output_plays_it_and_nowhere_else(scene: Make) -> None:
    box = scene('[[match]]\nline = "accueil"\n' + OUTPUTS, "fr-retail.toml")
    box.hear(captures.opening(plan()))
    box.beat()
    (one,) = shown(box)
    assert (one.action, one.outputs) == ("play_notice", ("page",))


def test_a_desk_sees_its_calls_and_no_draw(scene: Make) -> None:
    box = scene('[[match]]\nline = "accueil"\n' + INSIDE, "fr-retail.toml")
    box.hear(captures.opening(plan(to_number="41")))
    for request in (AskCalls(extensions=("41",)), AskCalls(agents=("a-lea",))):
        (answer,) = asked(box, request)
        assert isinstance(answer, Calls)
        assert [(one.line, one.extension, one.agent) for one in answer.calls] == [
            ("accueil", "41", "a-lea")
        ]
        assert answer.lines == (LineRule("accueil", True),)
    assert asked(box, AskCalls(("42",), ("a-max",))) == [Calls((), (LineRule("accueil", True),))]


def test_calls_of_a_line_that_is_never_recorded_are_no_desks(scene: Make) -> None:
    box = scene('[[match]]\nline = "cse"\n' + INSIDE, "fr-retail.toml")
    box.hear(captures.opening(plan(to_number="41")))
    assert asked(box, AskCalls(("41",), ("a-lea",))) == [Calls((), (LineRule("cse", False),))]


def test_an_order_that_is_not_the_gates_is_left_to_others(scene: Make) -> None:
    box = scene(NOWHERE)
    got: list[Reply] = []
    assert not box.live._desks.obey(Order(AskCalls, 0, got.append))  # type: ignore[arg-type]
    assert got == []
