"""Agents and teams from a CSV file: one clear line an error, and what is written is read again."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.clock import SECOND
from greffier.config.agents import FOREVER_NS, in_team, overlaps, parse_csv, teams_at, write_csv
from greffier.config.records import Assignment

PARIS = ZoneInfo("Europe/Paris")


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * SECOND


@pytest.mark.parametrize(
    "content",
    [
        b"extension,agent,from,until,team\n101,a-lea,2026-03-29,2026-03-29,ventes\n",
        b"\xef\xbb\xbfextension;agent;from;until;team\r\n101;a-lea;29/03/2026;29/03/2026;ventes\r\n",
        b"Extension;Agent;Team;From;Until\n101;a-lea;ventes;2026-03-29;2026-03-29\n;;;;\n\n",
        b'"extension","agent","from","until","team"\n"101","a-lea","2026-03-28T23:00:00Z",'
        b'"2026-03-29T22:00:00Z","ventes"',
        b"extension;agent;from;until;team;;\n".replace(b";;\n", b"\n")
        + b" 101 ; a-lea ;2026-03-29;2026-03-29; ventes ;;\n",
    ],
)
def test_a_file_as_spreadsheets_write_it(content: bytes) -> None:
    found, wrong = parse_csv(content, PARIS)
    assert wrong == []
    # The night from winter to summer time: this day has 23 hours.
    start, end = at("2026-03-29T00:00:00+01:00"), at("2026-03-30T00:00:00+02:00")
    assert [one for _, one in found] == [Assignment("101", "a-lea", start, end, "ventes")]


HEAD = b"extension,agent,from,until,team\n"
BAD: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 1),
    "no heading": (b"101,a-lea\n", 1),
    "a column twice": (b"extension,agent,agent\n101,a,b\n", 1),
    "an unknown column": (b"extension,agent,name\n101,a,b\n", 1),
    "no UTF-8": (HEAD + b"101,a-lea,,,\n102,H\xe9l\xe8ne,,,\n", 3),
    "no extension": (HEAD + b",a-lea,,,\n", 2),
    "no agent": (HEAD + b"101,a-lea,,,\n102,,,,\n", 3),
    "an agent that is a number": (HEAD + b"101,0478123456,,,\n", 2),
    "an agent with a line feed": (HEAD + b'101,"a\nb",,,\n', 3),
    "an extension with a space": (HEAD + b"10 1,a-lea,,,\n", 2),
    "a team that is none": (HEAD + b"101,a-lea,,,=cmd|x\n", 2),
    "a day that is none": (HEAD + b"101,a-lea,2026-02-30,,\n", 2),
    "an American day": (HEAD + b"101,a-lea,02/29/2026,,\n", 2),
    "a time without offset": (HEAD + b"101,a-lea,2026-02-20T09:00:00,,\n", 2),
    "until before from": (HEAD + b"101,a-lea,2026-02-20,2026-02-19,\n", 2),
    "a cell too many": (HEAD + b"101,a-lea,,,ventes,x\n", 2),
    "a quotation mark": (HEAD + b'101,"a-lea,,,\n', 2),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_said_by_its_line(name: str) -> None:
    content, line = BAD[name]
    _, wrong = parse_csv(content, PARIS)
    assert [one.line for one in wrong] == [line]
    assert all(one.reason and "\n" not in one.reason for one in wrong)


def test_every_wrong_line_is_said_and_the_others_are_read() -> None:
    content = HEAD + b"101,a-lea,,,\n,x,,,\n102,a-max,,,\n103,,,,\n"
    found, wrong = parse_csv(content, PARIS)
    assert [line for line, _ in found] == [2, 4]
    assert [one.line for one in wrong] == [3, 5]


def test_two_agents_at_one_extension_are_said_with_both_lines() -> None:
    content = HEAD + b"101,a,2026-01-01,2026-01-31,\n102,c,,,\n101,b,2026-01-31,,\n"
    (one,) = overlaps(parse_csv(content, PARIS)[0])
    assert one.line == 4
    assert "2" in one.reason


NAMES = st.from_regex(r"[a-z][a-z -]{0,10}[a-z]", fullmatch=True)
ROWS = st.lists(
    st.builds(
        Assignment,
        st.from_regex(r"[0-9]{2,4}", fullmatch=True),
        NAMES,
        st.integers(0, 2_000_000_000).map(lambda one: one * SECOND),
        st.one_of(
            st.integers(2_000_000_001, 4_000_000_000).map(lambda one: one * SECOND),
            st.just(FOREVER_NS),
        ),
        NAMES | st.just(""),
    ),
    max_size=20,
)


@settings(deadline=None, max_examples=100)
@given(ROWS)
def test_what_is_written_is_read_as_the_same(rows: list[Assignment]) -> None:
    found, wrong = parse_csv(write_csv(rows), PARIS)
    assert wrong == []
    assert [one for _, one in found] == rows


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200).map(lambda one: HEAD + one) | st.binary(max_size=200))
def test_any_octets_are_rows_or_lines_that_are_wrong(content: bytes) -> None:
    found, wrong = parse_csv(content, PARIS)
    list(overlaps(found))
    assert all(one.line >= 1 for one in wrong)


def test_a_team_is_who_was_in_it_when_the_call_took_place() -> None:
    moment = round(datetime(2026, 2, 1, tzinfo=UTC).timestamp()) * SECOND
    rows = [
        Assignment("101", "a-lea", 0, moment, "ventes"),
        Assignment("101", "a-lea", moment, FOREVER_NS, "accueil"),
        Assignment("102", "a-max", 0, FOREVER_NS, "ventes"),
        Assignment("103", "a-zoe", 0, FOREVER_NS),
    ]
    assert teams_at(rows, moment - 1) == {"ventes": ("a-lea", "a-max")}
    assert teams_at(rows, moment) == {"accueil": ("a-lea",), "ventes": ("a-max",)}
    listed = {"siège": ("a-zoe",)}
    assert in_team(rows, listed, "ventes", "a-lea", moment - 1)
    assert not in_team(rows, listed, "ventes", "a-lea", moment)
    assert in_team(rows, listed, "siège", "a-zoe", moment)
    assert not in_team(rows, listed, "", "a-zoe", moment)
