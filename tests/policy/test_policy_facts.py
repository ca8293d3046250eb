"""The words of facts: typed or as text, each wrong one refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.errors import UsageError
from greffier.policy import packs, rules
from greffier.policy.decision import Facts, decide
from greffier.policy.facts import DEFAULTS

PACKS = packs.load()
RETAIL = rules.load(rules.builtin("fr-retail.toml"))


@pytest.mark.parametrize(
    "words",
    [
        *("moon=1", "u", "u=x", "u=1.1", "u=nan", "u=-0.1", "dir=up", "consent=maybe", "=1"),
        *("proof=perhaps", "consumer=france", "quota_used=1.5", "quota_used=-1", "transfer=114"),
        *("t_start=noon", "t_start=inf", "t_start=1e400", "mifid=perhaps", "pause_s=long"),
    ],
)
def test_a_wrong_fact_is_refused(words: str) -> None:
    with pytest.raises(UsageError) as refused:
        Facts.from_words([words])
    assert refused.value.exit_code == 2


def test_a_wrong_name_names_the_known_facts() -> None:
    with pytest.raises(UsageError, match="quota_used"):
        Facts.from_words(["quota=3"])


def test_words_and_json_values_give_the_same_facts() -> None:
    words = "u=0.25 dir=out proof=yes cold=TRUE missing=dpo_ref,lia_ref transfer=15 consumer=ca-qc"
    typed = {
        "u": 0.25,
        "dir": "out",
        "proof": True,
        "cold": True,
        "missing": ["dpo_ref", "lia_ref"],
        "transfer": 15,
        "consumer": "CA-QC",
    }
    assert Facts.from_words(words.split()) == Facts.from_words([words]) == Facts.parse(typed)
    assert Facts.parse({"mifid": True}).mifid == "yes"
    assert Facts.parse({}) == Facts()


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-02", 86_400 * 10**9),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00.5Z", 500_000_000),
        (30, 30 * 10**9),
        (1.5, 1_500_000_000),
        (1_786_399_200_000_000_000, 1_786_399_200_000_000_000),
    ],
)
def test_times_are_read_as_seconds_nanoseconds_or_text(text: object, nanoseconds: int) -> None:
    assert Facts.parse({"t_start": text}).t_start == nanoseconds


@settings(deadline=None)
@given(st.sampled_from(sorted(DEFAULTS)), st.text(max_size=12) | st.integers() | st.floats())
def test_any_value_of_a_fact_is_taken_or_refused(name: str, value: object) -> None:
    try:
        facts = Facts.parse({name: value})
    except UsageError:
        return
    assert decide(RETAIL, PACKS, "vente", facts).codes
