"""Reads where alarms go, and what acts on calls: ``[outputs.NAME]``."""

from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from greffier.config.fields import Table
from greffier.config.inputs import named_tables
from greffier.config.records import Output, OutputKind, Severity
from greffier.language import DEFAULT, LANGUAGES

KINDS = ("syslog", "led", "email", "webhook", "relay", "page")
ACTIONS = ("play_notice", "end_call", "block_call", "offer_alternative")
_ACTING = ("relay", "webhook", "page")
_NEEDS_ACTIONS = ("relay", "page")
_SWITCHED = ("led", "relay")
SEVERITIES = ("info", "warning", "critical")
SECURITIES = ("starttls", "tls", "none")
# Unencrypted only where nothing leaves the machine.
_LOCAL = {("http", "127.0.0.1"), ("http", "::1"), ("http", "localhost")}
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


def read_outputs(top: Table, base: Path) -> tuple[Output, ...]:
    """Every output, in order of the file; paths are relative to *base*."""
    return tuple(_output(name, table, base) for name, table in named_tables(top, "outputs"))


def _output(name: str, table: Table, base: Path) -> Output:
    kind = table.choice("kind", KINDS)
    security = table.choice("security", SECURITIES, default="starttls") if kind == "email" else ""
    output = Output(
        name=name,
        kind=cast(OutputKind, kind),
        severity=cast(Severity, table.choice("severity", SEVERITIES, default="warning")),
        language=table.choice("language", LANGUAGES, default=DEFAULT),
        address=_address(table, kind, base),
        host=table.text("host") if kind == "email" else "",
        port=table.whole("port", 1, 65535, default=_PORTS[security]) if kind == "email" else 0,
        security=security or "none",  # type: ignore[arg-type]
        user=table.text("user", default="") if kind == "email" else "",
        sender=table.text("from") if kind == "email" else "",
        recipients=table.texts("to") if kind == "email" else (),
        secret=_secret(table, kind, base),
        on=table.text("on", default="1") if kind in _SWITCHED else "",
        off=table.text("off", default="0") if kind in _SWITCHED else "",
        actions=_actions(table, kind),
        lines=table.texts("lines", default=()) if kind in _ACTING else (),
        deadline_s=table.whole("deadline_s", 1, 60, default=10) if kind in _ACTING else 10,
        gpio=table.optional_whole("gpio", 0, 511) if kind == "relay" else None,
        pulse_ms=table.whole("pulse_ms", 10, 5000, default=500) if kind == "relay" else 500,
    )
    if output.kind == "email":
        _check_mail(table, output)
    table.done()
    return output


def _actions(table: Table, kind: str) -> tuple[str, ...]:
    if kind not in _ACTING:
        return ()
    actions = table.texts("actions", ACTIONS, default=())
    if not actions and kind in _NEEDS_ACTIONS and table.sound("actions"):
        table.wrong("actions", "must not be empty")
    return actions


def _address(table: Table, kind: str, base: Path) -> str:
    if kind == "syslog":
        return str(base / table.text("socket", default="/dev/log"))
    if kind in _SWITCHED:
        return str(base / table.text("path"))
    if kind != "webhook":
        return ""
    url = table.text("url")
    try:
        parts = urlsplit(url)
        safe = parts.scheme == "https" or (parts.scheme, parts.hostname) in _LOCAL
        # The port is parsed on asking; a password in an address would end in every log.
        good = safe and parts.hostname and not parts.username and parts.port != 0
    except ValueError:
        good = False
    if url and not good:
        table.wrong("url", "must be an https address without a user")
    return url


def _secret(table: Table, kind: str, base: Path) -> Path | None:
    name = {"email": "password_file", "webhook": "secret_file"}.get(kind)
    if name is None:
        return None
    text = table.text(name) if kind == "webhook" else table.text(name, default="")
    return base / text if text and "\0" not in text else None


def _check_mail(table: Table, output: Output) -> None:
    addresses = {"from": (output.sender,), "to": output.recipients}
    for name, texts in addresses.items():
        for text in texts:
            before, at, after = text.partition("@")
            if text and not (before and at and after and text.isprintable() and " " not in text):
                table.wrong(name, "must hold addresses such as name@example.org")
                break
    if not output.recipients and "to" in table.values:
        table.wrong("to", "must not be empty")
    if output.secret and output.security == "none":
        table.wrong("password_file", "needs starttls or tls")
    if bool(output.secret) != bool(output.user):
        table.wrong("user", "and password_file go together")
