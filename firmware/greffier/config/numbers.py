"""Telephone numbers as two systems write them, made comparable; and patterns over them.

Minimal on purpose: a site says how its country writes numbers (:class:`Numbering`), and every
number is brought to ``+`` and its country code where that is certain, else left as it was sent.
Nothing here knows a numbering plan (docs/config.md says what follows from that).
"""

import re
from dataclasses import dataclass
from functools import lru_cache

_SEPARATORS = re.compile(r"[\s().\-/\u00a0\u202f]")
_PATTERN = re.compile(r"\+?[0-9?#]*\*?")
_CALLABLE = re.compile(r"\+?[0-9#*]+")
_DIGIT = "[0-9#]"
# More stars than this in one text pattern could make matching slow, and nobody means it.
MOST_STARS = 3
LONGEST = 256


class BadPattern(ValueError):
    """A pattern cannot be used; ``reason`` is a message identifier."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Numbering:
    """How numbers are written here.

    ``country_code`` without ``+`` ("" leaves national numbers alone); ``trunk_prefix`` is what
    stands before a national number in the country ("0" in France, "" in Italy and Spain);
    ``international_prefix`` before a country code ("00", "011"); numbers of at most
    ``extension_digits`` digits are extensions or short codes and stay as they are.
    """

    country_code: str = "33"
    trunk_prefix: str = "0"
    international_prefix: str = "00"
    extension_digits: int = 6


def bare(number: str) -> str:
    """*number* without what people put between digits; a name is left as it is."""
    stripped = _SEPARATORS.sub("", number)
    return stripped if _CALLABLE.fullmatch(stripped) else number.strip()


def normal(number: str, numbering: Numbering) -> str:
    """*number* in its international form where that is certain, else :func:`bare`.

    Idempotent. The form is that of ITU-T E.164 with ``+``.
    """
    text = bare(number)
    if not _CALLABLE.fullmatch(text) or text.startswith("+"):
        return text
    return _international(text, numbering, short=len(text) <= numbering.extension_digits)


def check_number_pattern(pattern: str) -> None:
    """Raises BadPattern unless *pattern* is digits, ``?`` for one digit, ``*`` for the rest."""
    text = _SEPARATORS.sub("", pattern)
    if not text or len(text) > LONGEST or not _PATTERN.fullmatch(text):
        raise BadPattern("must hold numbers of digits, with ? for one digit and * at the end")


def check_text_pattern(pattern: str) -> None:
    """Raises BadPattern unless *pattern* is a text in which few ``*`` and any ``?`` stand."""
    if not pattern.strip() or len(pattern) > LONGEST or pattern.count("*") > MOST_STARS:
        raise BadPattern("must hold texts with at most three *")


def number_matches(pattern: str, number: str, numbering: Numbering) -> bool:
    """Whether *number* has the form of *pattern*, as it was sent or in its international form.

    So "0123*" covers 0123456789, 01 23 45 67 89 and +33123456789 alike.
    """
    written, international = _forms(pattern, numbering)
    return (
        _expression(written, _DIGIT).fullmatch(bare(number)) is not None
        or _expression(international, _DIGIT).fullmatch(normal(number, numbering)) is not None
    )


def text_matches(pattern: str, text: str) -> bool:
    """Whether *text* has the form of *pattern*, in either case of letters."""
    return _expression(pattern.strip().lower(), ".").fullmatch(text.strip().lower()) is not None


@lru_cache(maxsize=1024)
def _forms(pattern: str, numbering: Numbering) -> tuple[str, str]:
    """*pattern* as it is written, and in its international form (perhaps the same)."""
    text = _SEPARATORS.sub("", pattern)
    if text.startswith("+"):
        return text, text
    open_ended = text.endswith("*")
    short = len(text) <= numbering.extension_digits and not open_ended
    return text, _international(text, numbering, short=short)


def _international(text: str, numbering: Numbering, *, short: bool) -> str:
    prefix, trunk = numbering.international_prefix, numbering.trunk_prefix
    if short:
        return text
    if prefix and text.startswith(prefix):
        return f"+{text.removeprefix(prefix)}"
    if not numbering.country_code or not text.startswith(trunk) or text[0] in "*#?":
        return text
    return f"+{numbering.country_code}{text.removeprefix(trunk)}"


@lru_cache(maxsize=1024)
def _expression(pattern: str, any_one: str) -> re.Pattern[str]:
    """*any_one* is the expression that ``?`` stands for."""
    parts = {"*": f"{any_one}*", "?": any_one}
    return re.compile("".join(parts.get(char) or re.escape(char) for char in pattern), re.S)
