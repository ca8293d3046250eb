"""A key file on a stick, in place of a passphrase: 32 random octets as text (docs/key-files.md)."""

import secrets
from pathlib import Path

from greffier.errors import BadKeyFile
from greffier.trust import key_text
from greffier.trust.key_text import BadKey

LABEL = "greffier-operator-stick-1"
KEY_BYTES = 32


def generate() -> bytes:
    """A new one, from the operating system's generator."""
    return secrets.token_bytes(KEY_BYTES)


def written(key: bytes) -> str:
    """The text of its file; nobody can tell from it whose it is."""
    return (
        f"# Greffier operator key file, SECRET: keep the stick\n{key_text.key_line(LABEL, key)}\n"
    )


def read(path: Path) -> bytes:
    """The 32 octets in the file *path*. Raises BadKeyFile."""
    try:
        return key_text.parse(key_text.read_text(path), LABEL, KEY_BYTES, {LABEL}).key
    except BadKey as error:
        raise BadKeyFile(path=path, reason=error.reason) from None
