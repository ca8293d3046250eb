"""One key in one line of text, with a check: the form of every key file (docs/key-files.md)."""

import base64
import binascii
import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from greffier.errors import BadKeyFile

CHECK_BYTES = 4
LARGEST_FILE = 16384

_is_base64url = re.compile(r"[A-Za-z0-9_-]*", re.ASCII).fullmatch

# Number -> reason of docs/key-files.md. No reason repeats any of the file.
REASONS = {
    1: "it is over 16384 bytes, or not ASCII text",
    2: "it holds no key",
    3: "it holds more than one key",
    4: "its key is of an unknown kind",
    5: "it holds another kind of key",
    6: "the letters of its key are wrong",
    7: "its key has the wrong length",
    8: "its check does not match: a letter was lost or changed",
    9: "its public key is not valid",
}


class BadKey(ValueError):
    """A text is not the key file that is needed.

    ``number`` is that of docs/key-files.md; ``offset`` the character where the key line begins,
    or the length of the text if there is none.
    """

    def __init__(self, number: int, offset: int) -> None:
        super().__init__(f"{REASONS[number]} (reason {number}, at character {offset})")
        self.number = number
        self.reason = REASONS[number]
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Found:
    """The key that a text holds, and at which character its line begins."""

    key: bytes
    offset: int


def key_line(label: str, key: bytes) -> str:
    """The line that holds *key*, without line feed."""
    letters = base64.urlsafe_b64encode(key + _check(label, key)).rstrip(b"=").decode("ascii")
    return f"{label}:{letters}"


def parse(text: str, label: str, size: int, labels: Collection[str]) -> Found:
    """The key of *size* bytes that *text* holds under *label*; *labels* are all there are.

    Raises BadKey.
    """
    line, offset = _only_line(text)
    found, colon, letters = line.partition(":")
    if not colon or found not in labels:
        raise BadKey(4, offset)
    if found != label:
        raise BadKey(5, offset)
    data = _decoded(letters, offset)
    if len(data) != size + CHECK_BYTES:
        raise BadKey(7, offset)
    key, check = data[:size], data[size:]
    if check != _check(label, key):
        raise BadKey(8, offset)
    return Found(key, offset)


def read_text(path: Path) -> str:
    """The text of the key file *path*. Raises BadKeyFile."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise BadKeyFile(path=path, reason=error.strerror or "it cannot be read") from None
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise BadKeyFile(path=path, reason=REASONS[1]) from None


def _check(label: str, key: bytes) -> bytes:
    text = b"greffier/key-file\0" + label.encode("ascii") + b"\0" + key
    return hashlib.sha256(text).digest()[:CHECK_BYTES]


def _only_line(text: str) -> tuple[str, int]:
    plain = all(" " <= letter <= "~" or letter in "\t\r\n" for letter in text[:LARGEST_FILE])
    if len(text) > LARGEST_FILE or not plain:
        raise BadKey(1, 0)
    found: list[tuple[str, int]] = []
    offset = 0
    for line in text.split("\n"):
        words = line.strip(" \t\r")
        if words and not words.startswith("#"):
            found.append((words, offset))
        offset += len(line) + 1
    if not found:
        raise BadKey(2, len(text))
    if len(found) > 1:
        raise BadKey(3, found[1][1])
    return found[0]


def _decoded(letters: str, offset: int) -> bytes:
    if not _is_base64url(letters):
        raise BadKey(6, offset)
    try:
        data = base64.urlsafe_b64decode(letters + "=" * (-len(letters) % 4))
    except binascii.Error:
        raise BadKey(6, offset) from None
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii") != letters:
        raise BadKey(6, offset)
    return data
