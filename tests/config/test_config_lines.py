"""Which line, which way, which agent: pure answers, over examples and over anything."""

import tomllib
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.config.lines import CallFacts, agent_of, direction_of, line_of
from greffier.config.numbers import (
    BadPattern,
    Numbering,
    bare,
    check_number_pattern,
    check_text_pattern,
    normal,
    number_matches,
    text_matches,
)
from greffier.config.recorder import parse
from greffier.config.records import Assignment, Config

FRANCE = Numbering()
ITALY = Numbering("39", "", "00", 5)
AMERICA = Numbering("1", "1", "011", 6)
NOWHERE = Numbering("", "", "", 6)
DIGITS = st.text("0123456789", min_size=1, max_size=15)
WRITTEN = st.text("0123456789 .-+()/#*abc", max_size=20)
BASE = """
schema = "recorder/1"
data = "d"
policy = "p"
[taps.trunk]
interface = "eth1"
[taps.other]
interface = "eth2"
[direction]
inside_numbers = ["1??", "0123456*"]
inside_networks = ["10.0.0.0/8", "fd00::/8"]
"""


def config(rules: str = "", base: str = BASE) -> Config:
    return parse(tomllib.loads(base + rules))


@pytest.mark.parametrize(
    ("number", "numbering", "expected"),
    [
        ("01 23 45 67 89", FRANCE, "+33123456789"),
        ("+33 (1) 23.45.67-89", FRANCE, "+33123456789"),
        ("0033123456789", FRANCE, "+33123456789"),
        ("0044 20 7946 0000", FRANCE, "+442079460000"),
        ("112", FRANCE, "112"),
        ("3615", FRANCE, "3615"),
        ("*21#", FRANCE, "*21#"),
        ("33123456789", FRANCE, "33123456789"),
        ("anonymous", FRANCE, "anonymous"),
        (" Alice ", FRANCE, "Alice"),
        ("", FRANCE, ""),
        ("06 1234 5678", ITALY, "+390612345678"),
        ("12345", ITALY, "12345"),
        ("1 212 555 0100", AMERICA, "+12125550100"),
        ("011 33 1 23 45 67 89", AMERICA, "+33123456789"),
        ("0123456789", NOWHERE, "0123456789"),
        ("٠١٢٣", FRANCE, "٠١٢٣"),
    ],
)
def test_a_number_takes_its_international_form(
    number: str, numbering: Numbering, expected: str
) -> None:
    assert normal(number, numbering) == expected


@settings(deadline=None)
@given(WRITTEN, st.sampled_from([FRANCE, ITALY, AMERICA, NOWHERE]))
def test_a_normal_number_is_normal(number: str, numbering: Numbering) -> None:
    once = normal(number, numbering)
    assert normal(once, numbering) == once
    assert bare(bare(number)) == bare(number)


@settings(deadline=None)
@given(DIGITS, st.integers(0, 15))
def test_a_number_matches_itself_and_its_beginnings(number: str, cut: int) -> None:
    for numbering in (FRANCE, ITALY, AMERICA, NOWHERE):
        assert number_matches(number, number, numbering)
        assert number_matches(f"{number[:cut]}*", number, numbering)
        assert number_matches("?" * len(number), number, numbering)
        assert number_matches(normal(number, numbering), number, numbering)
        assert not number_matches(f"{number}0", number, NOWHERE)


@settings(deadline=None)
@given(st.from_regex(r"[1-9][0-9]{8}", fullmatch=True))
def test_three_ways_of_writing_one_number_match_one_pattern(rest: str) -> None:
    ways = [f"0{rest}", f"+33{rest}", f"0033{rest}", f"0{rest[0]} {rest[1:5]} {rest[5:]}"]
    for pattern in ways:
        assert all(number_matches(pattern, way, FRANCE) for way in ways)


@pytest.mark.parametrize(
    "pattern", ["", " ", "*1", "1*2", "1**", "a", "+", "++1", "1+", "1" * 300, "٠", "1\n2a"]
)
def test_a_number_pattern_that_is_none(pattern: str) -> None:
    if pattern == "+":
        check_number_pattern(pattern + "*")
    else:
        with pytest.raises(BadPattern):
            check_number_pattern(pattern)


@pytest.mark.parametrize("pattern", ["", "  ", "****", "a" * 300])
def test_a_text_pattern_that_is_none(pattern: str) -> None:
    with pytest.raises(BadPattern):
        check_text_pattern(pattern)


def test_texts_are_compared_in_either_case_and_whole() -> None:
    assert text_matches("SIP:112@*", "sip:112@pbx.example")
    assert not text_matches("sip:112@*", "sip:1121@pbx.example")
    assert not text_matches("[a-z]", "b")
    assert text_matches("sip:?@h", "sip:x@h")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (CallFacts(caller="0612345678", called="0123456700"), "in"),
        (CallFacts(caller="+33123456700", called="0612345678"), "out"),
        (CallFacts(caller="101", called="102"), "int"),
        (CallFacts(caller="anonymous", called="101"), "in"),
        (CallFacts(called="0612345678"), "out"),
        (CallFacts(source="10.0.0.1", destination="192.0.2.1"), "out"),
        (CallFacts(source="192.0.2.1", destination="10.0.0.1"), "in"),
        (CallFacts(source="10.0.0.1", destination="10.0.0.2"), "int"),
        (CallFacts(source="::ffff:10.0.0.1", destination="2001:db8::1"), "out"),
        (CallFacts(source="nonsense", destination="10.0.0.2"), "in"),
        (CallFacts(caller="0612345678", called="0612345679"), "int"),
        (CallFacts(), "int"),
    ],
)
def test_the_way_of_a_call(facts: CallFacts, expected: str) -> None:
    told = config(base=BASE + 'otherwise = "int"\n')
    assert direction_of(told, facts) == expected


def test_without_any_rule_every_call_goes_the_configured_way() -> None:
    told = config(base=BASE.partition("[direction]")[0])
    assert direction_of(told, CallFacts(caller="101", source="10.0.0.1")) == "in"


RULES = """
[[match]]
line = "cse"
did = ["0123456799"]
[[match]]
line = "urgence"
uri = ["sip:112@*"]
tap = ["trunk"]
[[match]]
line = "lan"
networks = ["10.9.0.0/16"]
vlans = [7, 8]
[[match]]
line = "out"
direction = ["out"]
called = ["+44*"]
[[match]]
line = "vip"
caller = ["0612345678"]
"""


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (CallFacts(called="+33123456799", caller="0612345678"), "cse"),
        (CallFacts(caller="0123456799", called="0612345678"), "cse"),
        (CallFacts(caller="0612345678", called="0699999999"), "vip"),
        (CallFacts(tap="trunk", called_uri="sip:112@10.0.0.1;user=phone"), "urgence"),
        (CallFacts(tap="trunk", called_uri="SIP:112;phone-context=x@h?a=b"), "urgence"),
        (CallFacts(tap="other", called_uri="sip:112@10.0.0.1"), None),
        (CallFacts(source="10.9.0.1", destination="192.0.2.1", vlans=(8,)), "lan"),
        (CallFacts(source="192.0.2.1", destination="10.9.0.1", vlans=(7,)), "lan"),
        (CallFacts(source="10.9.0.1", destination="192.0.2.1"), None),
        (CallFacts(source="10.8.0.1", destination="192.0.2.1", vlans=(7,)), None),
        (CallFacts(caller="101", called="004420123456"), "out"),
        (CallFacts(caller="0612345678", called="004420123456"), "vip"),
        (CallFacts(), None),
    ],
)
def test_the_first_rule_that_holds_names_the_line(facts: CallFacts, expected: str | None) -> None:
    assert line_of(config(RULES), facts) == expected


def test_a_rule_without_conditions_takes_what_is_left() -> None:
    told = config(RULES + '[[match]]\nline = "rest"\n')
    assert line_of(told, CallFacts()) == "rest"


NUMBER = st.one_of(st.just(""), st.sampled_from(["101", "0123456700", "0612345678"]), WRITTEN)
HOST = st.sampled_from(["", "10.9.0.1", "192.0.2.1", "fd00::1", "host", "::ffff:10.0.0.9"])
FACTS = st.builds(
    CallFacts,
    st.sampled_from(["trunk", "other", ""]), NUMBER, NUMBER, st.text(max_size=30),
    st.text(max_size=30), HOST, HOST, st.lists(st.integers(0, 4095), max_size=4).map(tuple),
)  # fmt: skip


@settings(deadline=None)
@given(FACTS)
def test_any_call_has_one_way_and_at_most_one_line(facts: CallFacts) -> None:
    told = config(RULES)
    assert direction_of(told, facts) in ("in", "out", "int")
    line = line_of(told, facts)
    assert line is None or line in told.lines
    # A rule put last changes nothing for calls that had a line already.
    longer = config(RULES + '[[match]]\nline = "rest"\n')
    assert line_of(longer, facts) == (line or "rest")
    # Numbers and addresses are never shown by accident.
    assert not facts.caller or facts.caller in ("e", "r") or repr(facts.caller) not in repr(facts)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 50), st.integers(0, 50)), max_size=6),
    st.integers(0, 50),
)
def test_an_agent_is_one_whose_time_it_is(rows: list[tuple[str, int, int]], now: int) -> None:
    entries = [Assignment(ext, f"agent-{n}", low, up) for n, (ext, low, up) in enumerate(rows)]
    for extension in "abc":
        fitting = [
            one.agent
            for one in entries
            if one.extension == extension and one.from_ns <= now < one.until_ns
        ]
        assert agent_of(entries, extension, now) == (fitting[0] if fitting else None)


def test_days_are_those_of_the_site() -> None:
    told = config(
        '[[agents.entry]]\nextension = "101"\nagent = "a"\nfrom = 2026-03-29\nuntil = 2026-03-29\n'
        '[[agents.entry]]\nextension = "101"\nagent = "b"\nfrom = 2026-03-30\n'
    )

    def at(*when: int) -> str | None:
        moment = datetime(*when, tzinfo=UTC)  # type: ignore[misc]
        return agent_of(told.assignments, "101", int(moment.timestamp()) * 10**9)

    # In Paris the day begins at 23:00 UTC before the change to summer time, and lasts 23 hours.
    assert at(2026, 3, 28, 22, 59) is None
    assert at(2026, 3, 28, 23, 0) == "a"
    assert at(2026, 3, 29, 21, 59) == "a"
    assert at(2026, 3, 29, 22, 0) == "b"
