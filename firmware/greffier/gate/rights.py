"""Who may tell which fact, with which value: docs/facts-api.md, *Tokens*, as a table. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from greffier.config.fields import COUNTRY
from greffier.control.fields import NAME_PATTERN
from greffier.control.forms import Text
from greffier.gate.tokens import Token

Value = bool | str


@dataclass(frozen=True, slots=True)
class Fact:
    """The values of a fact: of a desk, of a system that may tell it, and those allowed by name.

    ``form`` is that of a value which is none of a few words; a system may tell any that has it.
    """

    desk: frozenset[Value] = frozenset()
    plain: frozenset[Value] = frozenset()
    named: frozenset[Value] = frozenset()
    form: Text | None = None

    def has(self, value: Value) -> bool:
        """Whether *value* is one that anybody may ever tell."""
        if self.form is not None:
            return isinstance(value, str) and _matches(self.form, value)
        return any(value is one or _same(value, one) for one in self.plain | self.named)


_YES: Final[frozenset[Value]] = frozenset({True})
_FLAG: Final[frozenset[Value]] = frozenset({True, False})


def _words(*words: str) -> frozenset[Value]:
    return frozenset(words)


FACTS: Final[Mapping[str, Fact]] = {
    "private": Fact(_YES, _YES),
    "proof": Fact(_YES, _YES),
    "threat": Fact(_YES, _YES),
    "card": Fact(_FLAG, _FLAG),
    "consent": Fact(_words("out"), _words("out"), _words("in")),
    "contract": Fact(plain=_words("oral", "written", "signed")),
    "mifid": Fact(plain=_words("yes", "unknown"), named=_words("no")),
    "prospect": Fact(plain=_words("interested", "refused")),
    "call_kind": Fact(plain=_words("business"), named=_words("private")),
    "transfer": Fact(plain=_words("15", "17", "18", "112")),
    "cold": Fact(plain=_FLAG),
    "contract_notice": Fact(plain=_FLAG),
    "consumer": Fact(form=Text(COUNTRY.pattern)),
    "agent": Fact(form=Text(NAME_PATTERN)),
    "consent_ref": Fact(form=Text(r"[^\W_][\w .,'()&+/-]{0,63}")),
    "announce": Fact(plain=_words("ok", "fail")),
}


def allowances() -> tuple[str, ...]:
    """Every word that ``--allow`` takes."""
    named = [
        f"{name}={value}" for name, one in FACTS.items() for value in sorted(map(str, one.named))
    ]
    return (*FACTS, *named)


def may_tell(token: Token, fact: str, value: Value) -> bool:
    """Whether *token* may tell that *fact* has this *value*, which :meth:`Fact.has`."""
    known = FACTS[fact]
    if token.kind in ("agent", "desk"):
        return any(_same(value, one) for one in known.desk)
    if token.kind != "system":
        return False
    if f"{fact}={value}" in token.allow:
        return True
    if fact not in token.allow:
        return False
    return known.form is not None or any(_same(value, one) for one in known.plain)


def _same(value: Value, other: Value) -> bool:
    return type(value) is type(other) and value == other


def _matches(form: Text, value: str) -> bool:
    try:
        form.read(value, "value")
    except ValueError:
        return False
    return True
