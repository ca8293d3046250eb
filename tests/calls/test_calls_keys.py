"""One physical press of a key is one, whichever ways it comes by."""

from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.calls.events import KeyTold
from greffier.calls.keys import KeyHeard, KeyMerger, Way, told_keys
from greffier.calls.limits import SECOND
from greffier.sip.message import parse
from greffier_sim import captures, keypad
from greffier_sim.captures import MS, Plan
from greffier_sim.heard import hear

PLAN = Plan(talk_ms=4000)
WAYS: tuple[Way, ...] = get_args(Way)
DELAYS = {"tone": (0, 60), "event": (0, 250), "info": (90, 900)}  # ms behind the press


def body(text: bytes, kind: str) -> str:
    extra = f"Content-Type: {kind}\r\n"
    one = captures.request(PLAN, 0, "INFO", 9, body=text, extra=extra)
    return told_keys(parse(one.payload))


def test_the_bodies_of_info_are_read() -> None:
    relay = "application/dtmf-relay"
    assert body(b"Signal=5\r\nDuration=160\r\n", relay) == "5"
    assert body(b"signal= *\nDuration=160", relay) == "*"
    assert body(b"Signal=11\r\n", relay) == "#"
    assert body(b"Signal=16\r\n", relay) == body(b"Duration=5\r\n", relay) == body(b"", relay) == ""
    assert body(b"7", "application/dtmf") == "7"
    assert body(b" d\r\n", "Application/DTMF; x=1") == "D"
    assert body(b"Signal=3\r\n", "application/dtmf") == "3"
    assert body(b"77", "application/dtmf") == body(b"7", "text/plain") == ""
    assert body(b"Signal=5\r\n" * 200, relay) == ""


def test_an_info_that_is_sent_again_tells_one_key() -> None:
    keys = {500: "9", 1500: "9", 2500: "#"}
    for side in ("caller", "callee"):
        told = keypad.info(PLAN, side, keys)  # type: ignore[arg-type]
        heard, _ = hear(captures.in_order(captures.call(PLAN) + told))
        (call,) = heard.calls
        assert [(one.digit, one.side) for one in call.told] == [(k, side) for k in keys.values()]


def test_keys_stand_in_no_repr() -> None:
    told = KeyTold(0, 1, "caller", "7")
    heard = KeyHeard(0, 0, "7", 1, "caller", "tone")
    pressed = KeyMerger().take(heard)
    assert "7" not in repr(told) + repr(heard) + repr(pressed)


presses = st.lists(
    st.tuples(st.integers(120, 3000), st.sampled_from("0123456789*#")), min_size=1, max_size=12
)


@settings(deadline=None)
@given(presses=presses, ways=st.sets(st.sampled_from(WAYS), min_size=1), data=st.data())
def test_presses_that_come_by_several_ways_count_once(
    presses: list[tuple[int, str]], ways: set[Way], data: st.DataObject
) -> None:
    at, signs = 0, []
    last: dict[Way, int] = {}
    for apart, digit in presses:
        at += apart
        for way in sorted(ways):
            delay = data.draw(st.integers(*DELAYS[way]))
            # What one way brings, it brings in order.
            last[way] = max(last.get(way, 0) + 1, at + delay)
            signs.append(KeyHeard(0, 0, digit, last[way] * MS, "caller", way))
    signs.sort(key=lambda one: one.at_ns)
    merger = KeyMerger()
    found = [one.digit for sign in signs if (one := merger.take(sign)) is not None]
    assert sorted(found) == sorted(digit for _, digit in presses)


def test_the_echo_of_a_key_is_none() -> None:
    merger = KeyMerger()
    pressed = merger.take(KeyHeard(0, 0, "9", 0, "caller", "tone"))
    assert pressed is not None
    assert merger.take(KeyHeard(0, 1, "9", 60 * MS, "callee", "tone")) is None
    assert merger.take(KeyHeard(0, 1, "9", SECOND, "callee", "tone")) is not None
    assert merger.take(KeyHeard(0, 1, "8", 60 * MS, "callee", "tone")) is not None
