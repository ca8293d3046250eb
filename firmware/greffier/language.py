"""French and English messages through gettext; French is what an operator gets by default.

Message identifiers are English; ``locale/fr`` holds the French texts. The language is chosen
once, by the command line, before the first message.
"""

import gettext
import re
from pathlib import Path

DEFAULT = "fr"
LANGUAGES = ("fr", "en")
LOCALE_DIR = Path(__file__).parent / "locale"
# What moves a cursor, colours, or turns the order of letters: control characters, format characters
# of bidirectional text, line and paragraph separators, halves of a pair (bytes of a file's name
# that are no text). A caller writes a name; it is shown, never obeyed.
_UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)

_language = DEFAULT
_catalogue: gettext.NullTranslations = gettext.NullTranslations()


def choose(language: str) -> None:
    """Use *language* ("fr" or "en") from now on. Raises ValueError for any other."""
    global _catalogue, _language  # noqa: PLW0603 - one process speaks one language
    if language not in LANGUAGES:
        raise ValueError(f"unknown language {language!r}")
    _language = language
    if language == "en":
        _catalogue = gettext.NullTranslations()
    else:
        _catalogue = gettext.translation("greffier", LOCALE_DIR, [language], fallback=True)


def chosen() -> str:
    """The language in use."""
    return _language


def translate_into(language: str, message: str) -> str:
    """The text of *message* in *language*, whatever this process speaks."""
    if language == "en":
        return message
    return gettext.translation("greffier", LOCALE_DIR, [language], fallback=True).gettext(message)


def translate(message: str) -> str:
    """The text of *message* in the chosen language (the message itself where none exists)."""
    return _catalogue.gettext(message)


def plural(one: str, many: str, count: int) -> str:
    """The text for *count* things in the chosen language."""
    return _catalogue.ngettext(one, many, count)


def visible(text: str) -> str:
    """*text* on one line, what a terminal would obey written as ``\\u001b`` (as in JSON)."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


choose(DEFAULT)
