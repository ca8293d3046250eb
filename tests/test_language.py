"""French and English from the first message: no text without its French."""

import ast
import gettext
import json
import re
from pathlib import Path

import pytest

from greffier import errors, language

ROOT = Path(__file__).parents[1]
CATALOGUE = ROOT / "firmware/greffier/locale/fr/LC_MESSAGES/greffier.po"
SPEAKERS = {"_", "translate", "plural"}


def said(source: str) -> set[str]:
    """Every literal text that a source hands to a speaker, and the texts of error classes."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            name = node.func.id if isinstance(node.func, ast.Name) else name
            if name in SPEAKERS and node.args and isinstance(node.args[0], ast.Constant):
                found.add(str(node.args[0].value))
        elif isinstance(node, ast.ClassDef):
            for item in node.body:
                target = item.targets[0] if isinstance(item, ast.Assign) else None
                target = item.target if isinstance(item, ast.AnnAssign) else target
                if isinstance(target, ast.Name) and target.id in ("cause", "step"):
                    value = item.value  # type: ignore[attr-defined]
                    if isinstance(value, ast.Constant):
                        found.add(str(value.value))
    return found - {"{reason}"}


def test_every_message_has_its_french() -> None:
    known = gettext.translation("greffier", language.LOCALE_DIR, ["fr"])
    translated = {message for message, text in known._catalog.items() if text}  # type: ignore[attr-defined]
    missing = {}
    for folder in ("firmware", "tools"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name == "language.py":
                continue
            texts = said(path.read_text()) - translated  # some words are the same in both
            if texts:
                missing[str(path.relative_to(ROOT))] = texts
    assert missing == {}


def test_a_translation_keeps_the_fields_of_its_message() -> None:
    known = gettext.translation("greffier", language.LOCALE_DIR, ["fr"])
    wrong = []
    for message, text in known._catalog.items():  # type: ignore[attr-defined]
        # A plural's catalogue key is (singular, form): its forms may hold a count that one lacks.
        if isinstance(message, tuple) or not message:
            continue
        if set(re.findall(r"{\w*", message)) != set(re.findall(r"{\w*", text)):
            wrong.append(message)
    assert wrong == []


def test_the_catalogue_is_plain_and_sorted_enough_to_read() -> None:
    text = CATALOGUE.read_text(encoding="utf-8")
    assert "charset=UTF-8" in text
    assert "#, fuzzy" not in text


def test_french_is_the_default_and_english_can_be_chosen() -> None:
    error = errors.Busy(path="DIR")
    try:
        language.choose("en")
        assert str(error).startswith("the data directory DIR is in use — stop")
        language.choose("fr")
        assert str(error).startswith("le répertoire de données DIR est utilisé — ")
    finally:
        language.choose(language.DEFAULT)
    assert language.DEFAULT == "fr"


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown language"):
        language.choose("de")


def leaves(cls: type[errors.GreffierError]) -> list[type[errors.GreffierError]]:
    """The class and all below it."""
    return [cls, *(leaf for below in cls.__subclasses__() for leaf in leaves(below))]


@pytest.mark.parametrize("cls", leaves(errors.GreffierError), ids=lambda c: c.__name__)
def test_an_error_is_one_line_with_a_documented_exit_code(cls: type[errors.GreffierError]) -> None:
    text = str(cls(reason="two\nlines", path="p", what="w", codec="c"))
    assert "\n" not in text
    assert " — " in text
    assert cls.exit_code in (1, 2, 3, 10, 11, 12, 20)
    assert cls.__doc__


def test_nothing_that_a_terminal_would_obey_is_shown() -> None:
    bad = "\x00\x1b[2J\r\n\x7f\x9b\u200e\u2028\u202e\u2066\ufeff\udcff"
    shown = language.visible(f"Zoé{bad}𝄞 é")
    assert shown.isprintable() and shown.startswith("Zoé\\u0000\\u001b[2J") and shown[-3:] == "𝄞 é"
    assert json.loads(language.visible(json.dumps(bad, ensure_ascii=False))) == bad
    assert str(errors.GreffierError(reason="a\x1b]0;b\x07\ud800")).isprintable()
