"""The page of a desk: one document, one style, one script, all of them ours.

Every word comes from the catalogue of messages; the script finds its own in the document.
"""

from collections.abc import Callable, Mapping
from html import escape
from importlib import resources
from typing import Final

from greffier.gate.http import Response
from greffier.language import translate_into

FILES: Final[Mapping[str, str]] = {
    "/page.css": "text/css; charset=utf-8",
    "/page.js": "text/javascript; charset=utf-8",
}
_HTML: Final = "text/html; charset=utf-8"
SAFE: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Frame-Options": "DENY",
}
# name, fact, value, its button, what the button does
_KEYS: Final = (
    ("private", "private", "true", "Private call", "Nothing of this call is kept."),
    ("card", "card", "true", "Card number: pause", "Stop keeping until you resume."),
    ("resume", "card", "false", "Resume after the card", "Keep again from now on."),
    ("refusal", "consent", '"out"', "The caller refuses", "The caller said no to a recording."),
    ("proof", "proof", "true", "Proof of a contract", "Keep what is said from now on as proof."),
    ("threat", "threat", "true", "Threat", "Keep what is said from now on: threat or abuse."),
)


def file(path: str) -> Response:
    """The style or the script."""
    data = resources.files("greffier.gate") / "data" / path.removeprefix("/")
    return Response(200, data.read_bytes(), FILES[path], SAFE)


def desk(language: str, *, known: bool) -> Response:
    """The page of a desk that is *known*, or what is said to one that is not."""
    say = _speaker(language)
    if not known:
        body = f"<p>{say('This desk is not enrolled: ask for an enrolment link.')}</p>"
        return _page(401, language, say("Calls at this desk"), body)
    buttons = "".join(
        f'<li><button type="button" aria-disabled="true" data-key="{name}" data-fact="{fact}"'
        f' data-value="{escape(value)}"'
        f' aria-describedby="why-{name}">{say(label)}</button>'
        f'<span class="why" id="why-{name}">{say(why)}</span></li>'
        for name, fact, value, label, why in _KEYS
    )
    words = {
        "taken": "{key}: taken",
        "late": "{key}: taken, the call is over",
        "sending": "{key}: being sent",
        "refused": "{key}: not possible on this line",
        "failed": "{key}: not sent, the recorder does not answer. Press again.",
        "none": "No call at this desk",
        "running": "Call on {line}, since {since}",
        "paused": "Paused for the card",
        "offline": "The recorder does not answer",
        "done": "Done",
        "impossible": "Impossible",
        "play_notice": "Read the notice to the caller now",
        "end_call": "End the call on {line} now",
        "block_call": "Do not take the call on {line}",
        "offer_alternative": "Offer the caller another way without recording",
    }
    attributes = " ".join(
        f'data-{name.replace("_", "-")}="{say(text)}"' for name, text in words.items()
    )
    body = f"""<p class="notice">{say("Calls may be recorded.")}</p>
<div id="words" hidden {attributes}></div>
<section aria-labelledby="now"><h2 id="now">{say("Call")}</h2>
<p id="call" role="status" aria-live="polite">{say("No call at this desk")}</p>
<div id="choice" role="radiogroup" aria-label="{say("Which call")}" hidden></div></section>
<section aria-labelledby="orders-title" id="orders" hidden>
<h2 id="orders-title">{say("To do now")}</h2>
<ul id="order-list" role="alert"></ul></section>
<section aria-labelledby="keys-title"><h2 id="keys-title">{say("Keys")}</h2>
<ul id="keys">{buttons}</ul></section>
<p id="said" role="status" aria-live="assertive"></p>
<noscript><p>{say("This page needs JavaScript.")}</p></noscript>
<script src="/page.js" defer></script>"""
    return _page(200, language, say("Calls at this desk"), body)


def enrol(language: str, code: str, *, refused: bool = False) -> Response:
    """The page that an enrolment link opens; *refused* where the code counts no more."""
    say = _speaker(language)
    if refused or not code:
        text = say("This link is used up, expired or incomplete. Ask for another one.")
        return _page(403, language, say("Enrol this desk"), f'<p role="alert">{text}</p>')
    body = f"""<p>{say("This browser becomes the page of the desk. The link counts once.")}</p>
<form method="post" action="/enrol"><input type="hidden" name="code" value="{escape(code)}">
<button type="submit">{say("Enrol this desk")}</button></form>"""
    return _page(200, language, say("Enrol this desk"), body)


def _page(status: int, language: str, title: str, body: str) -> Response:
    text = f"""<!DOCTYPE html>
<html lang="{language}"><head><meta charset="utf-8"><title>{title} – Greffier</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><link rel="stylesheet" href="/page.css"></head>
<body><main><h1>{title}</h1>
{body}
</main></body></html>
"""
    return Response(status, text.encode(), _HTML, SAFE)


def _speaker(language: str) -> Callable[[str], str]:
    return lambda text: escape(translate_into(language, text))
