"""The letter that answers a data subject: reason, article, deadline, authority. Pure.

GDPR art. 12(3), (4), 15 to 18, 77. It names no number and nobody but who answers: what it tells of
calls that were not recorded is why.
"""

import html
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from greffier.policy import words
from greffier.policy.phrases import Phrases, page
from greffier.policy.rights import authority

FILE = "letters"


@dataclass(frozen=True, slots=True)
class Letter:
    """What a letter says.

    *reasons*: codes, each with the purpose that it is about ("": all). *controller*, *dpo*: who
    answers and whom to ask, as the policy names them ("": to be filled in by hand). *country*: the
    controller's. *statement*: SHA-256 of what the person wants to be kept beside the recording.
    """

    kind: str
    request: str
    received: date
    answered: date
    due: date
    outcome: str
    country: str
    reasons: tuple[tuple[str, str], ...] = ()
    unrecorded: tuple[str, ...] = ()
    extended: str = ""
    controller: str = ""
    dpo: str = ""
    statement: str = ""
    copy: bool = field(default=False)
    masked: bool = field(default=False)


def text_of(letter: Letter, language: str) -> str:
    """The letter as plain text. Raises ValueError for a language that there is none of."""
    return "\n\n".join(_paragraphs(letter, language)) + "\n"


def html_of(letter: Letter, language: str) -> str:
    """The letter as a page that needs nothing else."""
    say = Phrases(FILE, language)
    body = (
        f"<p>{html.escape(one).replace(chr(10), '<br>')}</p>"
        for one in _paragraphs(letter, language)
    )
    return page(say("subject", request=letter.request), language, body)


def _paragraphs(letter: Letter, language: str) -> Iterator[str]:
    say = Phrases(FILE, language)
    yield letter.controller or "________________"
    yield say("date", answered=shown(letter.answered, language))
    yield say("subject", request=letter.request)
    yield say("salutation")
    received = say(f"received.{letter.kind}", received=shown(letter.received, language))
    yield f"{received} {say(f'outcome.{letter.outcome}')}"
    reasons = [_reason(code, purpose, say) for code, purpose in dict.fromkeys(letter.reasons)]
    if reasons:
        yield "\n".join(reasons)
    if letter.unrecorded:
        why = words.explain(letter.unrecorded, language)
        yield "\n".join([say("calls"), *(f"- {one.text} ({one.source})" for one in why)])
    if letter.statement:
        yield say("statement", statement=letter.statement)
    if letter.copy:
        yield say("copy") + (" " + say("copy_masked") if letter.masked else "")
    if letter.kind == "restriction" and letter.outcome in ("carried_out", "partial"):
        yield say("lifting")
    due = shown(letter.due, language)
    if letter.extended:
        yield say("deadline_more", due=due, why=say(f"why.{letter.extended}"))
    else:
        yield say("deadline", due=due)
    whom = authority(letter.country)
    named = f"{whom.name}, {whom.address}, {whom.url}" if whom else say("any_authority")
    yield say("complaint", authority=named)
    yield say("contact", dpo=letter.dpo or "________________")
    yield say("closing")
    yield letter.controller or "________________"


def shown(day: date, language: str) -> str:
    """A day as it is written in *language*."""
    return f"{day:%d/%m/%Y}" if language == "fr" else f"{day:%Y-%m-%d}"


def _reason(code: str, purpose: str, say: Phrases) -> str:
    (why,) = words.explain([code], say.language)
    known = say.has(f"purposes.{purpose}") if purpose else False
    name = say(f"purposes.{purpose}") if known else purpose
    named = say("purpose", purpose=name) if purpose else ""
    return say("reason", purpose=named, text=why.text, source=why.source)
