"""Each code that the rules can give has a sentence and a source, in both languages."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from greffier import language
from greffier.policy import words

ROOM = Path(words.__file__).parent
CODE = re.compile(r'"((?:C|DENY|KEEP|DELETE|REFUSED|ALLOW)_[A-Z_0-9]+|[A-Z]+(?:_[A-Z0-9]+)+)"')


@pytest.fixture
def french() -> Iterator[None]:
    language.choose("fr")
    yield
    language.choose(language.DEFAULT)


def codes_in_the_source() -> set[str]:
    found = set()
    for path in ROOM.glob("*.py"):
        found |= set(CODE.findall(path.read_text()))
    return found


def test_every_code_of_the_rules_has_a_sentence() -> None:
    assert codes_in_the_source() - set(words.known_codes()) == set()


def test_no_sentence_is_for_a_code_that_no_rule_gives() -> None:
    single = {"KEEP", "ALLOW", "ERASED", "OBJECTED", "RESTRICTED", "EXCESSIVE"}
    recorders = {
        "JOINED_LATE",
        "OVER_CAPACITY",
        "STORAGE_LOW",
    }  # given by what happens, not by a rule
    assert set(words.known_codes()) - codes_in_the_source() <= single | recorders


def test_a_sentence_names_no_section_and_ends() -> None:
    for why in words.explain(words.known_codes()):
        assert why.text.endswith(".")
        assert why.source != "-"
        assert "SPEC" not in why.source


def test_a_subject_stays_with_the_code() -> None:
    (why,) = words.explain(["C_RETENTION_CLAMPED:quality"])
    assert why.code == "C_RETENTION_CLAMPED:quality"
    assert why.text == words.explain(["C_RETENTION_CLAMPED"])[0].text
    assert words.explain(["NOT_A_CODE"])[0].text == "NOT_A_CODE"


@pytest.mark.usefixtures("french")
def test_every_sentence_is_french_too() -> None:
    catalogue = (language.LOCALE_DIR / "fr" / "LC_MESSAGES" / "greffier.po").read_text()
    language.choose("en")
    for why in words.explain(words.known_codes()):
        assert f'msgid "{why.text}"' in catalogue
