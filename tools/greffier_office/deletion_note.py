"""Head office's certificate that it destroyed a part: a signed note (docs/deletion-certificate.md).

Pure. Signed by a key of its own purpose, ``<name>/deletion``, that signs nothing else.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from greffier.audit import note
from greffier.audit.note import ED25519, BadNote, Signer, VerifierKey
from greffier_office.tombstones import RULES

TITLE: Final = "greffier/deletion@v1"
LARGEST: Final = 2048
MEDIUM: Final = "file"
"""Where the key lay that was overwritten."""
_LINES: Final = (
    ("device", r"[A-Za-z0-9._-]{1,64}"),
    ("part", r"[0-9a-f]{32}"),
    ("recording", r"[0-9a-f]{32}"),
    ("bytes", r"0|[1-9][0-9]{0,15}"),
    ("sha256", r"[0-9a-f]{64}"),
    ("envelope", r"[0-9a-f]{64}"),
    ("rule", "|".join(sorted(RULES))),
    ("reason", r"-|[A-Za-z][A-Za-z0-9_.-]{0,47}"),
    ("class", r"[ABC]"),
    ("medium", r"file|tpm"),
    ("decided", r"0|[1-9][0-9]{0,18}"),
    ("destroyed", r"0|[1-9][0-9]{0,18}"),
)
_TEXT: Final = re.compile(
    TITLE + "\n" + "".join(f"{key} ({form})\n" for key, form in _LINES), re.ASCII
)


class BadDeletion(ValueError):
    """Not a certificate that counts. ``code`` is garbled, unsigned or forged."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Deletion:
    """What head office says: each value as the text of its line, times in Unix seconds.

    Raises ValueError for a value that has not its form.
    """

    device: str
    part: str
    recording: str
    size: int
    sha256: str
    envelope: str
    rule: str
    reason: str
    deletion: str
    medium: str
    decided_s: int
    destroyed_s: int

    def __post_init__(self) -> None:
        if not _TEXT.fullmatch(self.text) or max(self.decided_s, self.destroyed_s) >= 2**63:
            raise ValueError("a value has not its form")
        if self.destroyed_s < self.decided_s:
            raise ValueError("it was destroyed before that was decided")
        if (self.reason == "-") != (self.rule == "DELETE_DUE"):
            raise ValueError("a reason belongs to what a box asked for")

    @property
    def text(self) -> str:
        """The text that is signed."""
        values = (
            *(self.device, self.part, self.recording, self.size, self.sha256, self.envelope),
            *(self.rule, self.reason, self.deletion, self.medium),
            *(self.decided_s, self.destroyed_s),
        )
        lines = (f"{key} {value}\n" for (key, _), value in zip(_LINES, values, strict=True))
        return TITLE + "\n" + "".join(lines)

    def signed(self, signer: Signer) -> bytes:
        """The certificate as it is handed out."""
        return signer.sign(self.text)


def is_one(data: bytes) -> bool:
    """Whether *data* begins as such a note, whatever it is worth."""
    return data.startswith(TITLE.encode() + b"\n")


def read(data: bytes, keys: Sequence[VerifierKey]) -> Deletion:
    """The certificate in *data*, signed by one of *keys* of type 01 named ``…/deletion``.

    Raises BadDeletion.
    """
    if len(data) > LARGEST:
        raise BadDeletion("garbled", "longer than 2048 octets")
    try:
        parsed = note.parse(data)
    except BadNote as error:
        raise BadDeletion("garbled", error.reason) from None
    found = _TEXT.fullmatch(parsed.text)
    if found is None or len(parsed.signatures) != 1:
        raise BadDeletion("garbled", "not the text of a certificate, or not one signature")
    try:
        deletion = Deletion(
            found[1],
            found[2],
            found[3],
            int(found[4]),
            *(found[5], found[6], found[7], found[8], found[9], found[10]),
            decided_s=int(found[11]),
            destroyed_s=int(found[12]),
        )
    except ValueError as error:
        raise BadDeletion("garbled", str(error)) from None
    own = [one for one in keys if one.kind == ED25519 and one.name.endswith("/deletion")]
    try:
        note.verified_by(parsed, own)
    except BadNote as error:
        raise BadDeletion(error.code, error.reason) from None
    return deletion
