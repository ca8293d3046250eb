"""What each reason code means, in one sentence, and the law or guidance behind it.

The texts are data (``data/words.toml``) and message identifiers at once; the chosen language is
applied when a code is explained.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources

from greffier.language import translate, translate_into


@dataclass(frozen=True, slots=True)
class Why:
    """One reason code in words, in the chosen language."""

    code: str
    text: str
    source: str

    def as_json(self) -> dict[str, str]:
        """As the command prints it."""
        return {"code": self.code, "text": self.text, "source": self.source}


def explain(codes: Iterable[str], language: str | None = None) -> list[Why]:
    """The meaning of each of *codes*, in *language* where one is given; a subject behind a colon
    stays with the code.
    """
    say = translate if language is None else partial(translate_into, language)
    found = []
    for code in codes:
        text, source = _words().get(code.partition(":")[0], ("", ""))
        found.append(Why(code, say(text) if text else code, say(source or "-")))
    return found


def known_codes() -> tuple[str, ...]:
    """Every code that has a sentence."""
    return tuple(_words())


@cache
def _words() -> dict[str, tuple[str, str]]:
    data = (resources.files("greffier.policy") / "data" / "words.toml").read_text("utf-8")
    return {
        code: (word["text"], word["source"])
        for group in tomllib.loads(data).values()
        for code, word in group.items()
    }
