"""French and English messages through gettext; French is what an operator gets by default.

Message identifiers are English; ``locale/fr`` holds the French texts. The language is chosen
once, by the command line, before the first message.
"""

import gettext
from pathlib import Path

DEFAULT = "fr"
LANGUAGES = ("fr", "en")
LOCALE_DIR = Path(__file__).parent / "locale"

_catalogue: gettext.NullTranslations = gettext.NullTranslations()


def choose(language: str) -> None:
    """Use *language* ("fr" or "en") from now on. Raises ValueError for any other."""
    global _catalogue  # noqa: PLW0603 - one process speaks one language
    if language not in LANGUAGES:
        raise ValueError(f"unknown language {language!r}")
    if language == "en":
        _catalogue = gettext.NullTranslations()
    else:
        _catalogue = gettext.translation("greffier", LOCALE_DIR, [language], fallback=True)


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


choose(DEFAULT)
