"""Signed notes, checkpoints and cosignatures, after C2SP.

Sources: c2sp.org/signed-note, c2sp.org/tlog-checkpoint, c2sp.org/tlog-cosignature.

A note is text, a blank line, and signature lines. A checkpoint is a note whose text is an origin, a
size and a root. A witness adds a timestamped signature (cosignature/v1, Ed25519, type 0x04).
Everything is parsed strictly: there is one way to write a given note, and the rest is refused.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = 0x01
COSIGNATURE_V1 = 0x04
LARGEST_NOTE = 65_536
MOST_SIGNATURES = 32
_DASH = "— "
_SIZE = re.compile(r"0|[1-9]\d{0,15}", re.ASCII)
_SIGNATURE_BYTES = {ED25519: 64, COSIGNATURE_V1: 72}


class BadNote(ValueError):
    """Bytes are no signed note, no checkpoint, no key line, or a signature does not hold.

    ``code`` is one of garbled, unsigned (no line by a known key), forged (a known key's signature
    is wrong), origin (a checkpoint of another log). ``offset`` is where in the bytes.
    """

    def __init__(self, code: str, reason: str, offset: int = 0) -> None:
        super().__init__(f"{reason} (at byte {offset})")
        self.code = code
        self.reason = reason
        self.offset = offset


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name (signed-note: a vkey). ``kind`` is the signature type byte."""

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes that stand before each signature."""
        head = self.name.encode() + b"\n" + bytes([self.kind])
        return hashlib.sha256(head + self.public).digest()[:4]

    @property
    def text(self) -> str:
        """The key line: name + key id in hex + base64 of type and key."""
        material = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line, not yet verified; ``signature`` is what follows the key id."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed note: its text (with the last newline) and its signature lines, none verified."""

    text: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: whose, how many entries, and the 32-byte root over them."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A witness's verified word: at ``time_s`` (Unix seconds) this was the log's largest head."""

    name: str
    time_s: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A checkpoint whose log signature holds, with the cosignatures of trusted witnesses."""

    checkpoint: Checkpoint
    cosignatures: tuple[Cosignature, ...]


class Signer:
    """An Ed25519 key with its name, either the log's own or a witness's. Any thread may sign."""

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        """Raises BadNote for a name that no note may hold."""
        if not _is_name(name):
            raise BadNote("garbled", "a key name is empty or holds a space or a plus")
        self.name = name
        self._key = private

    @property
    def log_key(self) -> VerifierKey:
        """The public key as a log's (type 0x01)."""
        return VerifierKey(self.name, ED25519, self._key.public_key().public_bytes_raw())

    @property
    def witness_key(self) -> VerifierKey:
        """The public key as a witness's (type 0x04)."""
        return VerifierKey(self.name, COSIGNATURE_V1, self._key.public_key().public_bytes_raw())

    def sign(self, text: str) -> bytes:
        """A signed note of *text*. Raises BadNote for a text that no note may hold."""
        signed = Signature(self.name, self.log_key.key_id, self._key.sign(text.encode()))
        return with_signature(text, signed)

    def cosign(self, checkpoint: Checkpoint, time_s: int) -> bytes:
        """The signature line of a witness over *checkpoint* at Unix second *time_s*."""
        signed = self._key.sign(_cosigned(checkpoint.text, time_s))
        stamped = time_s.to_bytes(8, "big") + signed
        return _line(self.name, self.witness_key.key_id, stamped).encode()


def read_key(text: str) -> VerifierKey:
    """The public key of a vkey line of type 0x01 or 0x04. Raises BadNote."""
    name, key_id, material = _key_parts(text)
    if len(material) != 33 or material[0] not in _SIGNATURE_BYTES:
        raise BadNote("garbled", "not an Ed25519 key of type 1 or 4")
    key = VerifierKey(name, material[0], material[1:])
    if key.key_id != key_id:
        raise BadNote("garbled", "the key id does not belong to the key")
    return key


def read_keys(text: str) -> tuple[VerifierKey, ...]:
    """Every key of a trust file: one vkey a line; blank lines and ``#`` lines skipped.

    Raises BadNote, whose offset is then the number of the line.
    """
    keys = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            keys.append(read_key(line))
        except BadNote as error:
            raise BadNote(error.code, error.reason, number) from None
    return tuple(keys)


def parse(data: bytes) -> Note:
    """The note in *data*, nothing verified. Raises BadNote (garbled)."""
    if len(data) > LARGEST_NOTE:
        raise BadNote("garbled", "the note is longer than 65536 bytes", LARGEST_NOTE)
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadNote("garbled", "the note is not UTF-8", error.start) from None
    split = whole.rfind("\n\n")
    if split < 0:
        raise BadNote("garbled", "no blank line before the signatures")
    text, block = whole[: split + 1], whole[split + 2 :]
    start = len(whole[: split + 2].encode())
    _check_text(text)
    if not block.endswith("\n"):
        raise BadNote("garbled", "the last line has no end", len(data))
    signatures = []
    for line in block[:-1].split("\n"):
        signatures.append(_signature(line, start))
        start += len(line.encode()) + 1
    if len(signatures) > MOST_SIGNATURES:
        raise BadNote("garbled", "more than 32 signatures", start)
    if len({(one.name, one.key_id) for one in signatures}) < len(signatures):
        raise BadNote("garbled", "one key signed twice", start)
    return Note(text, tuple(signatures))


def with_signature(text: str, signature: Signature) -> bytes:
    """The note of *text* with one signature, which is not verified. Raises BadNote."""
    _check_text(text)
    return f"{text}\n{_line(signature.name, signature.key_id, signature.signature)}".encode()


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint in a note text; extension lines are refused. Raises BadNote (garbled)."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0]:
        raise BadNote("garbled", "a checkpoint is three lines: origin, size, root")
    if not _SIZE.fullmatch(lines[1]):
        raise BadNote("garbled", "the size is not a number", len(lines[0].encode()) + 1)
    at = len(lines[0].encode()) + len(lines[1]) + 2
    root = _base64(lines[2], at)
    if len(root) != 32:
        raise BadNote("garbled", "the root is not 32 bytes", at)
    return Checkpoint(lines[0], int(lines[1]), root)


def verified_by(
    note: Note, keys: Iterable[VerifierKey]
) -> tuple[tuple[VerifierKey, int | None], ...]:
    """The known keys that signed *note*, each with its Unix second (None for type 0x01).

    Lines by unknown keys are ignored, as signed-note demands. Raises BadNote: forged when a known
    key's signature does not hold, unsigned when no known key signed.
    """
    known = {(key.name, key.key_id): key for key in keys}
    found = []
    for one in note.signatures:
        key = known.get((one.name, one.key_id))
        if key is not None:
            found.append((key, _verify(note.text, one, key)))
    if not found:
        raise BadNote("unsigned", "no known key signed this")
    return tuple(found)


def open_checkpoint(
    data: bytes, log_key: VerifierKey, witnesses: Sequence[VerifierKey] = ()
) -> Opened:
    """The checkpoint in *data*, signed by *log_key*, whose name is its origin. Raises BadNote."""
    note = parse(data)
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != log_key.name:
        raise BadNote("origin", "the checkpoint is of another log")
    signed = verified_by(note, (log_key, *witnesses))
    if log_key not in (key for key, _ in signed):
        raise BadNote("unsigned", "the log's key did not sign this")
    cosigned = (Cosignature(key.name, time) for key, time in signed if time is not None)
    return Opened(checkpoint, tuple(cosigned))


def _verify(text: str, one: Signature, key: VerifierKey) -> int | None:
    public = Ed25519PublicKey.from_public_bytes(key.public)
    time = None
    message = text.encode()
    signature = one.signature
    if len(signature) != _SIGNATURE_BYTES[key.kind]:
        raise BadNote("forged", "a signature has the wrong length")
    if key.kind == COSIGNATURE_V1:
        time = int.from_bytes(signature[:8], "big")
        if time >= 2**63:
            raise BadNote("forged", "a cosignature's time is beyond 2**63")
        message = _cosigned(text, time)
        signature = signature[8:]
    try:
        public.verify(signature, message)
    except InvalidSignature:
        raise BadNote("forged", "a known key's signature does not hold") from None
    return time


def _cosigned(text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def _line(name: str, key_id: bytes, signature: bytes) -> str:
    return f"{_DASH}{name} {base64.b64encode(key_id + signature).decode()}\n"


def _signature(line: str, at: int) -> Signature:
    if not line.startswith(_DASH):
        raise BadNote("garbled", "a signature line does not begin with a dash", at)
    name, gap, blob = line.removeprefix(_DASH).partition(" ")
    if not gap or not _is_name(name):
        raise BadNote("garbled", "a signature line has no key name", at)
    raw = _base64(blob, at)
    if len(raw) < 5:
        raise BadNote("garbled", "a signature is too short", at)
    return Signature(name, raw[:4], raw[4:])


def _key_parts(text: str) -> tuple[str, bytes, bytes]:
    parts = text.split("+", 2)
    if len(parts) != 3 or not _is_name(parts[0]):
        raise BadNote("garbled", "a key line is name+id+key")
    if not re.fullmatch(r"[0-9a-f]{8}", parts[1]):
        raise BadNote("garbled", "a key id is 8 hex digits")
    return parts[0], bytes.fromhex(parts[1]), _base64(parts[2], 0)


def _check_text(text: str) -> None:
    if not text.endswith("\n") or text == "\n":
        raise BadNote("garbled", "the text does not end in a newline, or is empty")
    if any(character < " " and character != "\n" for character in text):
        raise BadNote("garbled", "a control character")


def _base64(text: str, at: int) -> bytes:
    """Strict: padding is there and unused bits are zero, so one value has one text."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadNote("garbled", "not base64", at) from None
    if base64.b64encode(raw).decode() != text:
        raise BadNote("garbled", "not base64 in its one form", at)
    return raw


def _is_name(name: str) -> bool:
    return name.isprintable() and "+" not in name and bool(name) and not any(map(str.isspace, name))
