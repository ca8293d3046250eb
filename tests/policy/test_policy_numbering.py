"""The law pack that a number points to; the numbers are of ranges kept for fiction or public."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.policy import numbering, packs, rules


@pytest.mark.parametrize(
    ("number", "pack"),
    [
        ("+33 1 99 00 00 00", "FR"),
        ("0033199000000", "FR"),
        ("+262 639 98 00 00", "FR"),
        ("+590 690 00 00 00", "FR"),
        ("+32 2 000 00 00", "BE"),
        ("+49 (30) 23125-000", "DE"),
        ("+34 910 000 000", "ES"),
        ("+39 06 0000 0000", "IT"),
        ("+39 06 698 00000", "XX"),
        ("+41 44 000 00 00", "CH"),
        ("+44 20 7946 0000", "UK"),
        ("+44 1534 000000", "XX"),
        ("+44 1481 000000", "XX"),
        ("+44 1624 000000", "XX"),
        ("+44 7797 000000", "XX"),
        ("+212 5 20 00 00 00", "MA"),
        ("+216 70 000 000", "TN"),
        ("+1 514 555 0100", "CA-QC"),
        ("+1 416 555 0100", "XX"),
        ("+1 212 555 0100", "US-AP"),
        ("+1 800 555 0100", "US-AP"),
        ("+1 876 555 0100", "XX"),
        ("+81 3 0000 0000", "XX"),
        ("+999000000", "XX"),
    ],
)
def test_the_longest_prefix_decides(number: str, pack: str) -> None:
    assert numbering.pack_of(number) == pack


@pytest.mark.parametrize(
    "number",
    [
        *("0199000000", "18", "", "+", "00", "+33", "anonymous", "+33x199000000", "33199000000"),
        *("+" + "3" * 16, "sip:+33199000000@host"),
    ],
)
def test_what_is_no_international_number_says_nothing(number: str) -> None:
    assert numbering.pack_of(number) is None


@settings(deadline=None)
@given(st.text(max_size=20) | st.from_regex(r"\A(\+|00)[0-9]{0,16}\Z"))
def test_any_text_gives_a_known_pack_or_nothing(number: str) -> None:
    pack = numbering.pack_of(number)
    assert pack is None or pack in packs.load().by_country


def test_no_prefix_is_listed_twice() -> None:
    tables = tomllib.loads(rules.builtin("numbering.toml").read_text())
    prefixes = [p for groups in tables.values() for group in groups.values() for p in group]
    assert len(prefixes) == len(set(prefixes))
    assert all(p.isdigit() and len(p) <= 7 for p in prefixes)
