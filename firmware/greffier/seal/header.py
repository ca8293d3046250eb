"""The header of a part, the keys that it gives, and why a part is refused (docs/part-format.md)."""

import hashlib
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from greffier import canonical
from greffier.seal import envelope
from greffier.seal.salted import Salts

MAGIC = b"\x89GPT\r\n\x1a\n"
VERSION = 1
SUITE = 1
FIXED_BYTES = 88
SALT_BYTES = 32
COMMITMENT_BYTES = 32
CONTENT_KEY_BYTES = 32
LARGEST_BLOCK = 65536

_FIXED = struct.Struct(">8sHHII16s16sI32s")
_CONTEXT = b"greffier/part@v1\0"
_OKM_BYTES = 108

# Number -> reason of docs/part-format.md.
REASONS = {
    1: "the file ends before the header does",
    2: "the magic is another",
    3: "the version is not 1",
    4: "the suite is not 1",
    5: "the length of the meta is not in 2..65536",
    6: "the length of the envelope block is over 65536",
    7: "the CRC of the header is wrong",
    8: "the meta is not a canonical JSON object",
    9: "the envelope block is refused",
    10: "the commitment is another: another content key, or an altered header",
    11: "the file ends inside a frame",
    12: "the length of a frame is not in 17..1048576",
    13: "the CRC of a frame is wrong",
    14: "the type of a frame does not exist",
    15: "bytes 6 and 7 of a frame are not zero",
    16: "the leg of a frame does not fit its type",
    17: "the number of a frame is not the next one",
    18: "there are bytes after FINAL",
    19: "there is no FINAL",
    20: "a frame does not authenticate",
    21: "the AUDIO plaintext is malformed",
    22: "the META plaintext is not a canonical JSON object",
    23: "the MASK plaintext is malformed",
    24: "the GAP plaintext is malformed",
    25: "the FINAL plaintext is malformed",
    26: "FINAL counts another number of frames",
    27: "FINAL has another SHA-256",
    28: "FINAL has another root",
    29: "FINAL has other legs or ends",
}


class BadPart(ValueError):
    """Bytes are not a part, or not all of one.

    ``number`` and ``reason`` are those of docs/part-format.md, ``offset`` is where in the file.
    """

    def __init__(self, number: int, offset: int) -> None:
        super().__init__(f"{REASONS[number]} (reason {number}, at byte {offset})")
        self.number = number
        self.reason = REASONS[number]
        self.offset = offset


class WrongKey(BadPart):
    """The content key is not that of this part, or its header was altered (reason 10)."""

    def __init__(self, offset: int) -> None:
        super().__init__(10, offset)


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a part.

    ``part_id`` and ``recording_id`` are 16 bytes, ``number`` counts the parts of the recording from
    0, ``meta`` is the clear object, ``envelopes`` the envelope block (empty if there is none).
    ``before`` are the bytes that the keys are bound to; ``commitment`` is 32 bytes.
    """

    part_id: bytes
    recording_id: bytes
    number: int
    meta: Mapping[str, Any]
    envelopes: bytes
    commitment: bytes
    before: bytes

    @property
    def size(self) -> int:
        """The bytes of the header, which is the offset of the first frame."""
        return len(self.before) + COMMITMENT_BYTES + 4

    def __bytes__(self) -> bytes:
        covered = self.before + self.commitment
        return covered + zlib.crc32(covered).to_bytes(4, "big")


_Cipher = Callable[[bytes, bytes, bytes], bytes]


class PartKeys:
    """What a content key and a header give: cipher, base nonce, leaf salts.

    ``encrypt`` and ``decrypt`` take (nonce, data, associated data), ``salt`` the number of a frame;
    after :meth:`wipe` they raise ValueError.

    What Python cannot wipe: the library's copy of the frame key and the two hash states made of
    the leaf key are freed, and cleansed, by OpenSSL when the last reference goes, which
    :meth:`wipe` drops; the base nonce (an int) is no secret.
    """

    def __init__(self, content_key: bytes | bytearray, before: bytes) -> None:
        if len(content_key) != CONTENT_KEY_BYTES:
            raise ValueError("a content key is 32 bytes")
        self._okm = bytearray(_OKM_BYTES)
        salt, info = before[56:FIXED_BYTES], _CONTEXT + hashlib.sha512(before).digest()
        HKDF(SHA512(), _OKM_BYTES, salt, info).derive_into(content_key, self._okm)
        view = memoryview(self._okm)
        cipher = ChaCha20Poly1305(view[:32])
        self.encrypt: _Cipher = cipher.encrypt
        self.decrypt: _Cipher = cipher.decrypt
        self.salt: Callable[[int], bytes] = Salts(view[76:108]).salt
        self.base_nonce = int.from_bytes(view[32:44], "big")
        self.commitment = bytes(view[44:76])
        view.release()

    def wipe(self) -> None:
        """Forget every key; safe to repeat."""
        wipe(self._okm)
        self.encrypt = self.decrypt = self.salt = _closed
        self.base_nonce = 0


def _closed(*_: object) -> bytes:
    raise ValueError("the keys of this part are gone")


def wipe(buffer: bytearray) -> None:
    """Overwrite *buffer* in place."""
    buffer[:] = bytes(len(buffer))


def fixed_and_variable(
    *,
    part_id: bytes,
    recording_id: bytes,
    number: int,
    salt: bytes,
    meta: Mapping[str, Any],
    envelopes: bytes,
) -> bytes:
    """The header bytes before the commitment.

    Raises ValueError (NotCanonical, BadEnvelope) for what no reader would accept.
    """
    text = canonical.dump(dict(meta))
    if len(text) > LARGEST_BLOCK:
        raise ValueError("the meta is longer than 65,536 bytes")
    if not len(part_id) == len(recording_id) == 16 or len(salt) != SALT_BYTES:
        raise ValueError("an id is 16 bytes and a salt 32")
    if not 0 <= number <= 0xFFFFFFFF:
        raise ValueError("the number of a part is out of range")
    if envelopes:
        _check_envelopes(envelopes)
    sizes = (len(text), len(envelopes))
    fixed = _FIXED.pack(MAGIC, VERSION, SUITE, *sizes, part_id, recording_id, number, salt)
    return fixed + text + envelopes


def lengths(fixed: bytes) -> tuple[int, int]:
    """(M, E) from the first 88 bytes of a file. Raises BadPart (1 to 6)."""
    if len(fixed) < FIXED_BYTES:
        raise BadPart(1, len(fixed))
    magic, version, suite, meta, envelopes, *_ = _FIXED.unpack_from(fixed)
    if magic != MAGIC:
        raise BadPart(2, 0)
    if version != VERSION:
        raise BadPart(3, 8)
    if suite != SUITE:
        raise BadPart(4, 10)
    if not 2 <= meta <= LARGEST_BLOCK:
        raise BadPart(5, 12)
    if envelopes > LARGEST_BLOCK:
        raise BadPart(6, 16)
    return meta, envelopes


def parse(data: bytes) -> Header:
    """The header with which *data* begins. Raises BadPart (1 to 9)."""
    meta_length, envelopes_length = lengths(data[:FIXED_BYTES])
    after = FIXED_BYTES + meta_length
    end = after + envelopes_length
    covered = end + COMMITMENT_BYTES
    if len(data) < covered + 4:
        raise BadPart(1, len(data))
    if zlib.crc32(data[:covered]) != int.from_bytes(data[covered : covered + 4], "big"):
        raise BadPart(7, covered)
    try:
        meta = canonical.load(data[FIXED_BYTES:after])
    except canonical.NotCanonical:
        raise BadPart(8, FIXED_BYTES) from None
    if not isinstance(meta, dict):
        raise BadPart(8, FIXED_BYTES)
    envelopes = data[after:end]
    if envelopes:
        try:
            _check_envelopes(envelopes)
        except ValueError:
            raise BadPart(9, after) from None
    _, _, _, _, _, part_id, recording_id, number, _ = _FIXED.unpack_from(data)
    return Header(part_id, recording_id, number, meta, envelopes, data[end:covered], data[:end])


def _check_envelopes(block: bytes) -> None:
    if any(record.what != envelope.What.PART for record in envelope.parse_block(block)):
        raise ValueError("an envelope in a part is not for a part")
