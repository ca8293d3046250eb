"""Reads ``[gate]``: where facts and desks are listened to, and keys that are wired to an input."""

import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from greffier.config.fields import Table
from greffier.config.inputs import named_tables
from greffier.config.records import Gate, Key
from greffier.language import DEFAULT, LANGUAGES

DEFAULT_FOLDER: Final = Path("/var/lib/greffier-gate")
DEFAULT_LISTEN: Final = ("127.0.0.1:8760",)
KEY_FACTS: Final = ("private", "threat", "proof", "card")
_ADDRESS = re.compile(
    r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9.-]{1,253})):([0-9]{1,5})", re.ASCII
)
_EXTENSION = re.compile(r"(?!(?:\D*\d){7})[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)


def read_gate(top: Table, base: Path) -> Gate:
    """The table ``[gate]``, usual where it is absent; paths are relative to *base*."""
    table = top.table("gate")
    gate = Gate(
        folder=base / table.text("folder", default=str(DEFAULT_FOLDER)),
        listen=_listen(table),
        url=_url(table),
        certificate=_file(table, "certificate", base),
        key=_file(table, "key", base),
        language=table.choice("language", LANGUAGES, default=DEFAULT),
        keys=tuple(_key(name, one, base) for name, one in named_tables(table, "keys")),
    )
    if (gate.certificate is None) != (gate.key is None):
        table.wrong("certificate", "and key go together")
    table.done()
    return gate


def _listen(table: Table) -> tuple[tuple[str, int], ...]:
    found = []
    for text in table.texts("listen", default=DEFAULT_LISTEN):
        match = _ADDRESS.fullmatch(text)
        if match is None or not 0 <= int(match[3]) <= 65535:
            table.wrong("listen", "must hold addresses such as 127.0.0.1:8760")
            break
        found.append((match[1] or match[2], int(match[3])))
    return tuple(found)


def _url(table: Table) -> str:
    text = table.text("url", default="")
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        good = good and text == f"{parts.scheme}://{parts.netloc}" and "@" not in parts.netloc
    except ValueError:
        good = False
    if text and not good:
        table.wrong("url", "must be an address such as https://box.example:8760")
    return text


def _file(table: Table, name: str, base: Path) -> Path | None:
    text = table.text(name, default="")
    if "\0" in text:
        table.wrong(name, "must be a path")
        return None
    return base / text if text else None


def _key(name: str, table: Table, base: Path) -> Key:
    key = Key(
        name=name,
        extension=table.text("extension"),
        fact=table.choice("fact", KEY_FACTS),
        input=_file(table, "input", base) or base,
        active=table.text("active", default="1"),
        gpio=table.optional_whole("gpio", 0, 511),
    )
    if "input" not in table.values:
        table.wrong("input", "is missing")
    if key.extension and not _EXTENSION.fullmatch(key.extension):
        table.wrong("extension", "must be a name or number of at most six digits")
    table.done()
    return key
